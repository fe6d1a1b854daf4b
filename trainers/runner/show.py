"""A plan as people read it, and as programs do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..recipes import BASE
from .plan import Plan, StagePlan
from .stage_data import shown_source

_HEAD = (
    "stage",
    "trainer",
    "starts from",
    "data",
    "steps",
    "tokens",
    "device hours",
    "USD",
    "GB a device",
    "state",
)
_NUMBERS = ("steps", "tokens", "device hours", "USD", "GB a device")


def as_markdown(plan: Plan) -> str:
    """The plan as a table, with what is to be known of it below."""
    rows = [_row(plan, stage) for stage in plan.stages]
    hours = [stage.device_hours for stage in plan.stages]
    usd = [stage.usd for stage in plan.stages]
    if len(rows) > 1:
        rows.append(("all", "", "", "", "", "", _amount(_total(hours)), _amount(_total(usd)), "", ""))
    lines = [f"Plan: {plan.recipe}, on {_machine(plan)}, in {plan.layout.folder}", "", *_table(rows)]
    notes = list(_notes(plan))
    return "\n".join([*lines, *(["", *notes] if notes else [])]) + "\n"


def as_json(plan: Plan) -> dict[str, Any]:
    """The plan for programs; None where a figure is not known."""
    return {
        "recipe": plan.recipe,
        "folder": str(plan.layout.folder),
        "device": plan.machine.device,
        "bases": [base.name for base in plan.bases.values()],
        "stages": [_object(plan, stage) for stage in plan.stages],
        "device_hours": _total([stage.device_hours for stage in plan.stages]),
        "usd": _total([stage.usd for stage in plan.stages]),
    }


def _object(plan: Plan, stage: StagePlan) -> dict[str, Any]:
    node, estimate = stage.node, stage.estimate
    size = stage.data.size if stage.data is not None else None
    data = None
    if stage.data is not None:
        data = {
            "source": list(node.stage.data.source or ()) if node.stage.data else [],
            "rows": stage.rows,
            "prepared": size is not None and size.prepared,
            "prompt_tokens": size.prompt_tokens if size else None,
            "completion_tokens": size.completion_tokens if size else None,
            "sampled_chains": size.sampled_chains if size else None,
            "problem": stage.data.problem,
        }
    return {
        "stage": node.id,
        "checkpoint": stage.name,
        "trainer": node.stage.trainer,
        "starts_from": _starts(plan, stage),
        "data": data,
        "parameters": dict(stage.parameters),
        "device": stage.device,
        "devices": stage.devices,
        "steps": estimate.steps,
        "trained_tokens": estimate.trained_tokens,
        "sampled_tokens": estimate.sampled_tokens,
        "device_hours": stage.device_hours,
        "usd": stage.usd,
        "memory_bytes": estimate.memory_bytes,
        "state": stage.state,
        "step": stage.step,
        "notes": list(estimate.notes),
    }


def _row(plan: Plan, stage: StagePlan) -> tuple[str, ...]:
    estimate = stage.estimate
    tokens = [n for n in (estimate.trained_tokens, estimate.sampled_tokens) if n is not None]
    return (
        f"{stage.node.id} ({stage.node.title})" if stage.node.stage.title else stage.node.id,
        stage.node.stage.trainer,
        ", ".join(_starts(plan, stage)) or "nothing",
        _data(stage),
        "" if estimate.steps is None else f"{estimate.steps:,}",
        _count(sum(tokens)) if tokens else "",
        _amount(stage.device_hours),
        _amount(stage.usd),
        "" if estimate.memory_bytes is None else f"{estimate.memory_bytes / 1e9:,.1f}",
        stage.state_text,
    )


def _starts(plan: Plan, stage: StagePlan) -> list[str]:
    node = stage.node
    names = [str(node.recipe.base)] if BASE in node.stage.init_from else []
    return names + [plan.graph.nodes[parent].title for parent in node.parents]


def _data(stage: StagePlan) -> str:
    if stage.data is None:
        return ""
    size = stage.data.size
    parts = [shown_source(stage.node.stage.data)] if stage.node.stage.data else []
    if stage.rows is not None:
        parts.append(f"{'' if size is not None and size.exact else 'up to '}{stage.rows:,} rows")
    if size is not None and size.completion_tokens is not None:
        parts.append(f"{(size.prompt_tokens or 0) + size.completion_tokens:,.0f} tokens each")
    if size is not None and size.sampled_chains and not size.prepared:
        parts.append(f"{size.sampled_chains:,} chains to sample")
    return ", ".join(part for part in parts if part)


def _notes(plan: Plan) -> list[str]:
    found = []
    for stage in plan.stages:
        lines = list(stage.estimate.notes)
        if stage.estimate.device_hours is None and stage.device_hours is not None:
            kind, _ = stage.node.origin("device_hours") or ("estimated", "")
            lines.insert(0, f"device hours are the recipe's, which says that they are {kind}")
        if stage.state == "waits for data" and stage.data is not None and stage.data.problem is not None:
            lines.insert(0, stage.data.problem)
        if stage.data is not None and stage.data.size is not None:
            lines += stage.data.size.notes
        found += [f"- {stage.node.id}: {line}" for line in lines]
    return found


def _machine(plan: Plan) -> str:
    pairs = dict.fromkeys(
        (stage.devices, stage.device or "devices") for stage in plan.stages if stage.trainer.apart
    )
    return " and ".join(f"{count} x {device}" for count, device in pairs) or (
        plan.machine.device or "any device"
    )


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    cells = [_HEAD, *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(_HEAD))]
    lines = []
    for number, row in enumerate(cells):
        padded = [
            cell.rjust(width) if _HEAD[column] in _NUMBERS else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(f"| {' | '.join(padded)} |")
        if number == 0:
            dashes = [
                "-" * (width - 1) + ":" if head in _NUMBERS else "-" * width
                for head, width in zip(_HEAD, widths, strict=True)
            ]
            lines.append(f"| {' | '.join(dashes)} |")
    return lines


def _total(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def _count(number: float) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.0f}"


def _amount(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"

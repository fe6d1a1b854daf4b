"""What checkpoints cost, beside what they score; and how the stages went that made them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from harness.report import Report, ReportRun

from .figures import UNKNOWN, protocol_of, value_and_error
from .groups import by_protocol
from .learning import sentence
from .table import Cell, Column, Row, Table
from .totals import EMPTY

if TYPE_CHECKING:
    from harness.training import Cost, Training

_UNFINISHED: Final = (
    "unfinished: a stage of it has not come to its end, and the cost is what was spent until now"
)
_MARK: Final = "a"


def training_tables(report: Report) -> list[Table]:
    """For each recipe's run its costs beside the scores, then how its stages went."""
    found = []
    for place, training in enumerate(report.training, 1):
        number = f"-{place}" if len(report.training) > 1 else ""
        found.append(cost_table(report, training, f"training{number}"))
        if training.curves:
            title = f"How the stages of {training.recipe} went"
            notes = tuple(map(sentence, training.curves))
            found.append(Table(f"training-stages{number}", title, (), (), notes=notes))
    return found


def cost_table(report: Report, training: Training, name: str) -> Table:
    """In the published table's form: checkpoint, made from, hours, USD; energy where it is known; then pass@1."""
    costs = training.costs
    scores = _scores(report, training)
    energy = any(cost.energy_kwh is not None for cost in costs)
    columns = [
        Column("checkpoint", numeric=False),
        Column("made from", numeric=False),
        Column(f"{training.device} hours" if training.device else "device-hours", better="low"),
        Column("USD", better="low"),
        *([Column("kWh", better="low")] if energy else []),
        *(Column("pass@1", benchmark, better="high") for benchmark in scores),
    ]
    rows = []
    if training.base is not None and training.base not in {cost.checkpoint for cost in costs}:
        cells = [Cell(training.base), Cell("the base model"), *[EMPTY] * (3 if energy else 2)]
        rows.append(Row((*cells, *_passes(training.base, scores))))
    rows += [Row((*_cost(cost, energy), *_passes(cost.checkpoint, scores))) for cost in costs]
    unfinished = not all(cost.complete for cost in costs)
    return Table(
        name,
        f"Training: {training.recipe}",
        tuple(columns),
        tuple(rows),
        ((_MARK, _UNFINISHED),) if unfinished else (),
        tuple(_notes(report, training, scores)),
    )


def _cost(cost: Cost, energy: bool) -> list[Cell]:
    return [
        Cell(cost.checkpoint, note="" if cost.complete else _MARK),
        Cell(cost.made_from),
        _cell(cost.device_hours, hours),
        _cell(cost.usd, usd),
        *([_cell(cost.energy_kwh, hours)] if energy else []),
    ]


def _cell(value: float | None, written: Callable[[float], str]) -> Cell:
    return Cell(UNKNOWN) if value is None or not math.isfinite(value) else Cell(written(value), value)


def hours(value: float) -> str:
    """Whole ones as such, as published; else three digits that count."""
    return f"{value:,.0f}" if value == int(value) or value >= 100 else f"{value:.3g}"


def usd(value: float) -> str:
    """Whole USD, as published, where there are at least ten of them."""
    if value >= 10 or value == 0:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


Scores = Mapping[str, Mapping[str, ReportRun]]
"""Benchmark -> model -> the run that stands for it."""


def _scores(report: Report, training: Training) -> Scores:
    """Runs of one protocol a benchmark, the one under which most of the models were measured."""
    names = {training.base, *(cost.checkpoint for cost in training.costs)}
    found = {}
    for benchmark in report.benchmarks:
        runs = [run for run in _measured(report, benchmark) if run.model in names]
        if runs:
            best = max(by_protocol(runs), key=lambda same: len({run.model for run in same}))
            # Of several runs of one model, such as of two seeds, the one with the most chains.
            best.sort(key=lambda run: int(run.result["chains"]))
            found[benchmark] = {run.model: run for run in best}
    return found


def _measured(report: Report, benchmark: str) -> list[ReportRun]:
    return [run for run in report.runs if run.benchmark == benchmark and "pass@1" in run.result["scores"]]


def _passes(model: str, scores: Scores) -> Iterator[Cell]:
    for runs in scores.values():
        run = runs.get(model)
        score = None if run is None else run.result["scores"]["pass@1"]
        yield EMPTY if score is None else Cell(value_and_error(score), score["value"])


def _notes(report: Report, training: Training, scores: Scores) -> Iterator[str]:
    if training.costs:
        yield (
            "The cost of a checkpoint is that of its own stages and of all that it comes from, each of them once;"
            " evaluation is not part of it."
        )
    else:
        yield "No checkpoint has a cost yet."
    if scores:
        yield "pass@1 in percent ± standard error over problems; intervals and tests stand in the other tables."
    for benchmark, runs in scores.items():
        yield from _choice(report, benchmark, list(runs.values()))


def _choice(report: Report, benchmark: str, shown: Sequence[ReportRun]) -> Iterator[str]:
    """What a column leaves out: other protocols, other runs of the same models."""
    models = {run.model for run in shown}
    others = [run for run in _measured(report, benchmark) if run.model in report.trained and run not in shown]
    if any(run.protocol != shown[0].protocol for run in others):
        yield f"{benchmark}: pass@1 under {protocol_of(shown[0].result)}; other protocols stand above."
    if any(run.protocol == shown[0].protocol and run.model in models for run in others):
        yield f"{benchmark}: of several runs of one checkpoint, the one with the most chains."

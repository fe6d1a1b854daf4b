"""One row a run: what `harness run` prints, a table that says how sure it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from harness import Reporter, hookimpl
from harness.report import Report, ReportRun, truncated_share

from .figures import (
    UNKNOWN,
    money,
    percent_cell,
    protocol_of,
    usd_of,
    value_and_error,
    votes_title,
)
from .groups import by_protocol, labels
from .markdown_text import notes_of, table_lines
from .remarks import remarks, warnings_of
from .table import Cell, Column, Row, Table

_NOTE: Final = (
    "pass@1 and cons@n in percent ± standard error over problems; the interval is Wilson's for the effective number "
    "of problems."
)
_FEW: Final = 6
"""Runs of which a comparison report says all that is known."""


def runs_table(report: Report) -> Table:
    """One row a run, under a heading each where protocols differ; of many runs the notes tell only what is unusual."""
    return _table(report.runs, by_protocol(report.runs), brief=len(report.runs) > _FEW)


def _table(runs: Sequence[ReportRun], groups: Sequence[Sequence[ReportRun]], *, brief: bool = False) -> Table:
    with_usd = any(usd_of(run.result) is not None for run in runs)
    with_foreign = any(run.result.get("foreign") for run in runs)
    votes = votes_title(run.result["n"] for run in runs)
    voted = any(run.result["n"] > 1 for run in runs)  # cons@1 is pass@1
    columns = [
        Column("model", numeric=False),
        Column("benchmark", numeric=False),
        Column("n"),
        Column("pass@1", better="high"),
        Column("95 % CI"),
        *((Column(votes, better="high"), Column("95 % CI")) if voted else ()),
        Column("truncated", better="low"),
        Column("no answer", better="low"),
        Column("tokens", better="low"),
    ]
    columns += [Column("USD", better="low")] if with_usd else []
    columns += [Column("foreign score"), Column("differs", better="low")] if with_foreign else []
    protocols = [protocol_of(group[0].result) for group in groups]
    names = labels(runs)
    rows = [
        Row(_cells(run, names[run], voted, with_usd, with_foreign), protocol if len(groups) > 1 else "")
        for protocol, group in zip(protocols, groups, strict=True)
        for run in group
    ]
    notes = [f"Protocol: {protocol}." for protocol in dict.fromkeys(protocols)]
    if with_foreign:
        notes.append(
            "foreign score: what the grader that the chains came with gives them, in percent; differs: on how many "
            "chains it decides otherwise."
        )
    notes += [_NOTE, *(line for run in runs for line in remarks(run.result, names[run], brief=brief))]
    notes += warnings_of((run.result, names[run]) for run in runs)
    if brief:
        notes.append(
            "The format runs says more of each run: seed, parts of the standard error, ties, tokens sampled."
        )
    return Table("runs", "Runs", tuple(columns), tuple(rows), notes=tuple(notes))


def _cells(run: ReportRun, name: str, voted: bool, with_usd: bool, with_foreign: bool) -> tuple[Cell, ...]:
    result, scores = run.result, run.result["scores"]
    cells = [
        Cell(name),
        Cell(run.benchmark),
        Cell(str(result["n"]), result["n"]),
        *_score(scores.get("pass@1")),
        *(_score(scores.get("cons@k")) if voted else ()),
        percent_cell(truncated_share(result)),
        percent_cell(result["no_answer"]),
        _tokens(scores.get("mean_tokens")),
    ]
    if with_usd:
        usd = usd_of(result)
        cells.append(Cell(UNKNOWN) if usd is None else Cell(money(usd), usd))
    if with_foreign:
        cells += _foreign(result.get("foreign") or {})
    return tuple(cells)


def _score(score: Mapping[str, Any] | None) -> tuple[Cell, Cell]:
    """Value ± standard error, and the interval, in percent."""
    if score is None:
        return Cell(""), Cell("")
    cell = Cell(value_and_error(score), score["value"])
    if score["ci95"] is None:
        return cell, Cell("")
    low, high = score["ci95"]
    return cell, Cell(f"{100 * low:.1f} – {100 * high:.1f}", low)


def _tokens(score: Mapping[str, Any] | None) -> Cell:
    return Cell(UNKNOWN) if score is None else Cell(f"{score['value']:,.0f}", score["value"])


def _foreign(foreign: Mapping[str, Any]) -> tuple[Cell, Cell]:
    score, differs = foreign.get("score"), foreign.get("differs")
    return (
        Cell("") if score is None else Cell(f"{100 * score:.2f}", score),
        Cell("") if differs is None else Cell(f"{differs:,}", differs),
    )


class Runs(Reporter):
    name = "runs"
    description = "one row a run: pass@1 and cons@n with standard error and interval, truncation, tokens"

    def render(self, report: Report) -> str:
        if not report.runs:
            return "no results\n"
        # Numbers of two protocols are not comparable: they never share a table.
        groups = by_protocol(report.runs)
        parts = []
        for group in groups:
            table = "\n".join(table_lines(_table(group, [group])))
            parts.append(table if len(groups) == 1 else f"{protocol_of(group[0].result)}:\n\n{table}")
        return "\n\n".join([*parts, "\n".join(notes_of(_table(report.runs, groups)))]) + "\n"


@hookimpl
def harness_reporters() -> Sequence[Reporter]:
    return [Runs()]

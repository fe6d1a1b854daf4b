"""The comparison at a glance: models as rows, benchmarks x (pass@1, cons@k) as columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from harness.comparison import METRICS, Compared
from harness.report import Report, ReportRun

from .figures import (
    count,
    full_score,
    protocol_of,
    published_score,
    usd_of,
    votes_title,
)
from .groups import NOT_MEASURED, Entry, by_protocol, entries
from .table import Cell, Column, Row, Table
from .tested import Tested, tested
from .totals import EMPTY, totals


def overviews(report: Report) -> list[Table]:
    """One overview for each protocol: figures of two protocols are not comparable and never share a table."""
    groups = by_protocol(report.runs)
    if not groups:
        return [_overview(report, [], "published", "Published figures")] if report.published else []
    if len(groups) == 1:
        return [_overview(report, groups[0], "overview", protocol_of(groups[0][0].result))]
    return [
        _overview(report, runs, f"overview-{place}", protocol_of(runs[0].result))
        for place, runs in enumerate(groups, 1)
    ]


@dataclass
class _Footnotes:
    """Marks a, b, c, ... in the order in which texts are first needed."""

    marks: dict[str, str] = field(default_factory=dict)

    def mark(self, *texts: str) -> str:
        return ",".join(self._mark(text) for text in texts if text)

    def _mark(self, text: str) -> str:
        return self.marks.setdefault(text, _letters(len(self.marks)))

    @property
    def all(self) -> tuple[tuple[str, str], ...]:
        return tuple((mark, text) for text, mark in self.marks.items())


def _letters(place: int) -> str:
    """a, b, ..., z, aa, ab, ..."""
    first, last = divmod(place, 26)
    return (_letters(first - 1) if first else "") + "abcdefghijklmnopqrstuvwxyz"[last]


def _overview(report: Report, runs: Sequence[ReportRun], name: str, title: str) -> Table:
    measured = {run.benchmark for run in runs}
    benchmarks = [
        name
        for name in report.benchmarks
        if name in measured or any(row.benchmark == name for row in report.published)
    ]
    rows = entries(runs, report.published, benchmarks, report.trained)
    footnotes = _Footnotes()
    scores = [
        (benchmark, metric)
        for benchmark in benchmarks
        for metric in METRICS
        if metric == "pass@1" or _metric_title(rows, benchmark, metric) != "cons@1"  # cons@1 is pass@1
    ]
    bold = _best(rows, scores, tested(report)) if runs else {}
    with_cost = any(usd_of(run.result) is not None for run in runs)
    columns = [
        Column("model", numeric=False),
        *(
            Column(_metric_title(rows, benchmark, metric), benchmark, better="high")
            for benchmark, metric in scores
        ),
        *(_total_columns("all benchmarks" if len(measured) > 1 else "", with_cost) if runs else ()),
    ]
    alone = {entry.group for entry in rows} == {"measured"}
    made = []
    for entry in rows:
        source = _sources(entry) if entry.published else ()
        cells = [Cell(entry.label, note=footnotes.mark(*source))]
        for benchmark, metric in scores:
            cell = _score_cell(entry, benchmark, metric, rows, footnotes)
            cells.append(replace(cell, bold=bold.get((benchmark, metric)) is entry))
        cells += totals(entry, with_cost) if runs else []
        made.append(Row(tuple(cells), "" if alone else entry.group))
    return Table(
        name,
        title,
        tuple(columns),
        tuple(made),
        footnotes.all,
        tuple(_notes(report, rows, bold)) if runs else (_PUBLISHED_NOTE,),
    )


def _total_columns(group: str, with_cost: bool) -> list[Column]:
    titles = ["truncated", "tokens", "tokens per correct", *(["USD"] if with_cost else [])]
    return [Column(title, group, better="low") for title in titles]


_PUBLISHED_NOTE: Final = (
    "Scores in percent, as others published them; nothing here was measured by this harness."
)


def _metric_title(rows: Sequence[Entry], benchmark: str, metric: Compared) -> str:
    if metric != "cons@k":
        return metric
    sizes = {entry.runs[benchmark].result["n"] for entry in rows if benchmark in entry.runs}
    # A footnote tells of the few that were published with fewer chains than the others.
    usual = Counter(row.k for entry in rows if (row := entry.published.get(benchmark)) and row.k)
    return votes_title([*sizes, *(k for k, _ in usual.most_common(1))])


def _score_cell(
    entry: Entry,
    benchmark: str,
    metric: Compared,
    rows: Sequence[Entry],
    footnotes: _Footnotes,
) -> Cell:
    if (run := entry.runs.get(benchmark)) is not None:
        score = run.result["scores"].get(metric)
        if score is None:
            return EMPTY
        most = max(e.runs[benchmark].result["problems"] for e in rows if benchmark in e.runs)
        return Cell(full_score(score), score["value"], note=footnotes.mark(*_caveats(run, most)))
    row = entry.published.get(benchmark)
    if row is None or (value := published_score(row, metric)) is None:
        return EMPTY
    own = [row.note] if row.note and row.note not in _shared_notes(entry) else []
    return Cell(f"{100 * value:.2f}", value, note=footnotes.mark(*own))


def _sources(entry: Entry) -> tuple[str, ...]:
    """What holds for all figures of a published model: where they are from, and the note that all of them bear."""
    sources = dict.fromkeys(row.source for row in entry.published.values())
    return (
        *(f"{NOT_MEASURED}: {source}" if source else NOT_MEASURED for source in sources),
        *_shared_notes(entry),
    )


def _shared_notes(entry: Entry) -> tuple[str, ...]:
    notes = [row.note for row in entry.published.values()]
    return (notes[0],) if len(notes) > 1 and notes[0] and len(set(notes)) == 1 else ()


def _caveats(run: ReportRun, most: int) -> Iterator[str]:
    """What a reader of this one figure must know."""
    result = run.result
    if result["problems"] < most:
        yield f"on {count(result['problems'], 'problem')} only, not {most:,}"
    if early := result.get("decided"):
        yield (
            "sampling stopped once a majority was decided "
            f"({early['chains_saved']:,} chains fewer): pass@1 and lengths are estimates"
        )
    yield from (f"WARNING: {warning}" for warning in result.get("warnings", ()))


def _best(
    rows: Sequence[Entry], scores: Sequence[tuple[str, Compared]], comparisons: Tested
) -> dict[tuple[str, Compared], Entry | None]:
    """The best measured entry of each column that has two or more, or None where the next may be as good."""
    best: dict[tuple[str, Compared], Entry | None] = {}
    for benchmark, metric in scores:
        ranked = sorted(
            (
                (entry.runs[benchmark].result["scores"][metric]["value"], -place, entry)
                for place, entry in enumerate(rows)
                if benchmark in entry.runs and metric in entry.runs[benchmark].result["scores"]
            ),
            key=lambda item: item[:2],
            reverse=True,
        )
        if len(ranked) < 2:
            continue
        (_, _, first), (_, _, second) = ranked[:2]
        a, b = first.runs[benchmark], second.runs[benchmark]
        found = comparisons.of(metric, a, b)
        # The test must be of the figures that the table shows: of all problems, and of all votes.
        whole = found is not None and found.problems == a.result["problems"] == b.result["problems"]
        if found is not None and metric == "cons@k":
            whole = whole and found.k == a.result["n"] == b.result["n"]
        sure = found is not None and whole and found.significant and found.difference > 0
        best[benchmark, metric] = first if sure else None
    return best


def _notes(
    report: Report, rows: Sequence[Entry], bold: dict[tuple[str, Compared], Entry | None]
) -> Iterator[str]:
    yield (
        "Scores in percent ± standard error over problems, with the 95 % interval (Wilson's for the effective number "
        "of problems) in brackets."
    )
    yield (
        "truncated: chains cut off by their budget; tokens: mean length of a chain; tokens per correct: tokens of all "
        "chains for each correct one."
    )
    if sizes := _different_votes(rows):
        yield sizes
    if len({entry.label for entry in rows if entry.runs}) > 1:
        yield _bold_note(report, bold)
        if tested(report).left_out:
            yield "Runs whose files are damaged, named below Comparisons, are not tested and so not bold."
    if any(entry.published for entry in rows):
        yield "Published figures were not measured here and are never tested against measured ones."


def _different_votes(rows: Sequence[Entry]) -> str:
    """What cons@n is where a column's figures are not all of as many votes."""
    benchmarks = {name for entry in rows for name in (*entry.runs, *entry.published)}
    if all(_metric_title(rows, name, "cons@k") != "cons@n" for name in benchmarks):
        return ""
    measured = sorted({run.result["n"] for entry in rows for run in entry.runs.values()})
    published = any(entry.published for entry in rows)
    told = " or ".join(f"{n:,}" for n in measured)
    others = ", of published models the number that their footnote says" if published else ""
    return f"cons@n: the vote of a problem's n chains: {told} here{others}."


def _bold_note(report: Report, bold: dict[tuple[str, Compared], Entry | None]) -> str:
    rule = (
        "the difference to the next is significant (paired permutation test over problems, p < 0.05 after Holm's "
        "correction for all comparisons of the column)"
    )
    if any(bold.values()):
        return f"Bold: the best measured score of a column, where {rule}."
    if not bold:
        return "Nothing is bold: no two models were measured on one benchmark."
    if report.baseline is not None:
        return (
            f"Nothing is bold: with a baseline only differences to it ({report.baseline}) are tested, and the best "
            f"would be bold only where {rule}."
        )
    return (
        f"Nothing is bold: no model is significantly better than the next; the best would be, where {rule}."
    )

"""Which comparisons a person who must choose wants to see, and what they say in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise, takewhile
from typing import Final, NamedTuple

from harness.comparison import METRICS, Compared, Comparison
from harness.report import Report, ReportRun

from .figures import count, p_value, points, protocol_of
from .groups import by_protocol, labels, series_of
from .table import Cell, Column, Row, Table
from .tested import RunKey, Tested, key_of, tested

MOST_ROWS: Final = 25
"""Rows of the table without a baseline; all comparisons stand in the JSON."""

_FEWEST_PROBLEMS: Final = 6
"""With fewer, 2 of 2^N sign patterns are more than 5 %: no difference can be significant."""

_COLUMNS: Final = (
    Column("benchmark", numeric=False),
    Column("metric", numeric=False),
    Column("a", numeric=False),
    Column("b", numeric=False),
    Column("a − b ± SE (95 % CI)"),
    Column("p"),
    Column("p adjusted"),
    Column("detectable"),
    Column("verdict", numeric=False),
)


class Chosen(NamedTuple):
    """A comparison to be shown; the lower its rank, the more it is wanted."""

    rank: int
    comparison: Comparison
    protocol: str


def comparisons_table(report: Report) -> Table:
    """Differences between models with their tests, and the verdict in words.

    With a baseline all comparisons with it. Without one, for each benchmark and metric: the best model against each
    other, checkpoints of one training run last against first and each against the one before; at most `MOST_ROWS`.
    """
    found = tested(report)
    chosen = list(_with_baseline(report, found) if report.baseline is not None else _without(report, found))
    wanted = sorted(range(len(chosen)), key=lambda place: (chosen[place].rank, place))
    if report.baseline is None:
        wanted = wanted[:MOST_ROWS]
    shown = [chosen[place] for place in sorted(wanted)]
    protocols = {item.protocol for item in chosen}
    names = {key_of(run): label for run, label in labels(report.runs).items()}
    beginning = _common_folder(list(names.values()))
    names = {key: label.removeprefix(beginning) for key, label in names.items()}
    rows = [_row(item, names, found, grouped=len(protocols) > 1) for item in shown]
    notes = [*_notes(report, found, len(rows))]
    if beginning and rows:
        notes.insert(0, f"Models are named without what all names begin with: {beginning}")
    return Table("comparisons", "Comparisons", _COLUMNS, tuple(rows), notes=tuple(notes))


def _common_folder(names: Sequence[str]) -> str:
    """What all names begin with, up to a slash: two long names in a row leave no room for what is said of them."""
    shared = [same[0] for same in takewhile(lambda same: len(set(same)) == 1, zip(*names, strict=False))]
    return "".join(shared[: len(shared) - shared[::-1].index("/")]) if "/" in shared else ""


def _with_baseline(report: Report, found: Tested) -> Iterator[Chosen]:
    protocols = {key_of(run): protocol_of(run.result) for run in report.runs}
    for comparison in found.comparisons:
        key = (comparison.benchmark, comparison.a, comparison.a_run)
        yield Chosen(0, comparison, protocols.get(key, ""))


def _without(report: Report, found: Tested) -> Iterator[Chosen]:
    for runs in by_protocol(report.runs):
        protocol = protocol_of(runs[0].result)
        for benchmark in dict.fromkeys(run.benchmark for run in runs):
            here = [run for run in runs if run.benchmark == benchmark]
            for metric in METRICS:
                for rank, comparison in _of_interest(here, metric, found):
                    yield Chosen(rank, comparison, protocol)


def _of_interest(
    runs: Sequence[ReportRun], metric: Compared, found: Tested
) -> Iterator[tuple[int, Comparison]]:
    """Pairs of one benchmark and metric worth a row, each with its rank: later - earlier, better - worse."""
    scored = sorted(
        (run for run in runs if metric in run.result["scores"]), key=lambda run: -_value(run, metric)
    )
    series = series_of(scored)
    of_series = {run: members for members in series.values() for run in members}
    best = {id(members): max(members, key=lambda run: _value(run, metric)) for members in series.values()}
    ranked = [run for run in scored if run not in of_series or run is best[id(of_series[run])]]
    ranks: dict[tuple[ReportRun, ReportRun], int] = {}
    if len(scored) > 1:
        # What decides whether the best is bold; two checkpoints of one training run need not be neighbours.
        first, second = scored[:2]
        members = of_series.get(first, [])
        if second in members and members.index(second) > members.index(first):
            first, second = second, first
        ranks[first, second] = 0
    for place, other in enumerate(ranked[1:]):
        ranks.setdefault((ranked[0], other), place)
    for members in series.values():
        if len(members) > 2:
            ranks.setdefault((members[-1], members[0]), 0)
        for place, (earlier, later) in enumerate(pairwise(members), start=len(members) > 2):
            ranks.setdefault((later, earlier), place)
    for (a, b), rank in ranks.items():
        comparison = found.of(metric, a, b)
        if comparison is not None:
            yield 2 * rank + (metric != "pass@1"), comparison


def _value(run: ReportRun, metric: Compared) -> float:
    value: float = run.result["scores"][metric]["value"]
    return value


def _row(item: Chosen, names: Mapping[RunKey, str], found: Tested, *, grouped: bool) -> Row:
    c = item.comparison
    keys = [(c.benchmark, c.a, c.a_run), (c.benchmark, c.b, c.b_run)]
    family = found.families.get((c.metric, keys[0]), 1)
    metric = c.metric if c.metric == "pass@1" else f"cons@{c.k}"
    cells = (
        Cell(c.benchmark),
        Cell(metric),
        *(Cell(names.get(key, key[1])) for key in keys),
        Cell(_difference(c), c.difference, bold=c.significant),
        Cell(p_value(c.p), c.p),
        Cell(p_value(c.p_adjusted), c.p_adjusted),
        Cell("") if c.smallest is None else Cell(f"{100 * c.smallest:.1f}", c.smallest),
        Cell(verdict(c, family)),
    )
    return Row(cells, item.protocol if grouped else "")


def _difference(c: Comparison) -> str:
    text = points(c.difference)
    if c.stderr is not None:
        text += f" ± {100 * c.stderr:.2f}"
    if c.ci95 is not None:
        text += f" ({points(c.ci95[0], 1)} to {points(c.ci95[1], 1)})"
    return text


def verdict(c: Comparison, family: int) -> str:
    """What a comparison says, in words.

    Args:
        family: how many comparisons its adjusted p was corrected for.
    """
    if c.significant:
        return f"{'a' if c.difference > 0 else 'b'} is better"
    if c.problems < _FEWEST_PROBLEMS:
        return f"cannot tell: {count(c.problems, 'problem')} can never be enough"
    if c.p < 0.05:
        return f"not sure: a difference like this is not rare among {count(family, 'comparison')}"
    if c.difference == 0 and c.stderr == 0:
        return "no difference: alike on every problem"
    if c.smallest is None:
        return "no difference seen"
    return f"no difference seen; differences below {100 * c.smallest:.1f} points would often not be"


def _notes(report: Report, found: Tested, shown: int) -> Iterator[str]:
    more = len(found.comparisons) - shown
    if not found.comparisons:
        if len(report.runs) > 1 and not found.left_out:
            yield _nothing_to_compare(report)
        yield from found.left_out
        return
    yield (
        "Differences in percentage points, paired problem by problem; interval: Student's t, or Bonett and Price's "
        "where a problem is either solved or not (votes, single chains); p: exact permutation "
        "test over problems, two-sided; p adjusted: Holm's, for all comparisons of the benchmark and metric, shown "
        "or not."
    )
    yield "detectable: the smallest true difference that such a comparison finds (p < 0.05) in 80 % of all cases."
    if report.baseline is None and more:
        yield (
            f"The {shown} that help most to choose: the best against others, "
            "checkpoints last against first and against the one before. "
            f"{count(more, 'more comparison')} in --format json; --baseline MODEL compares all with one."
        )
    yield from found.left_out


def _nothing_to_compare(report: Report) -> str:
    if report.baseline is not None:
        return f"No other model was measured on a benchmark and under a protocol of {report.baseline}."
    return "No two runs share a benchmark and a protocol: there is nothing to compare."

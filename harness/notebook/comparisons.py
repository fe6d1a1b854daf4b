"""Two sides of finished runs, problem by problem: what `harness.compare` gives."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..comparison import METRICS, Comparison, compare_family
from ..errors import HarnessError, closest
from ..report import Report, ReportRun
from .results import Results, load
from .tables import html_table, percent, text_table

if TYPE_CHECKING:
    import pandas as pd


def compare(
    a: Results | str | os.PathLike[str],
    b: Results | str | os.PathLike[str] | None = None,
    *,
    results: Results | None = None,
) -> Comparisons:
    """Compare runs problem by problem, on every benchmark that both sides have.

    Runs are paired where their protocols are the same; on a benchmark where none are, all are paired and `notes`
    tells of it. P-values are corrected for the number of pairs of a benchmark and metric.

    Args:
        a: Results, a path of run folders, or, with `results`, the name of a model.
        b: the same; None compares all models of `a` with each other.
        results: where models are looked up.

    Raises:
        HarnessError: no such model or path, nothing in common, or damaged files.
    """
    left = _side(a, results)
    if b is None:
        return Comparisons(Report(left.results).comparisons)
    right = _side(b, results)
    pairs, notes = _pairs(left.members, right.members)
    if not pairs:
        if {run.path.absolute() for run in left.members} & {run.path.absolute() for run in right.members}:
            raise HarnessError("nothing to compare: both sides are the same run")
        have, other = (", ".join(side.benchmarks) or "none" for side in (left, right))
        raise HarnessError(f"nothing to compare: one side has runs of {have}, the other of {other}")
    found: list[Comparison] = []
    for benchmark in dict.fromkeys(x.benchmark for x, _ in pairs):
        of_it = [(x, y) for x, y in pairs if x.benchmark == benchmark]
        for metric in METRICS:
            found += compare_family(benchmark, metric, [(x.side, y.side) for x, y in of_it])
    if not found:
        raise HarnessError("nothing to compare: the runs of the two sides share no problem")
    return Comparisons(found, notes)


def _side(what: Results | str | os.PathLike[str], results: Results | None) -> Results:
    if isinstance(what, Results):
        return what
    if results is not None and isinstance(what, str) and what in results.models:
        return results.select(model=what)
    if Path(what).expanduser().exists():
        return load(what)
    hint = (
        "give `results` to compare models by name" if results is None else closest(str(what), results.models)
    )
    raise HarnessError(f"{os.fspath(what)!r} is neither a path nor a model of these results: {hint}")


def _pairs(
    left: Sequence[ReportRun], right: Sequence[ReportRun]
) -> tuple[list[tuple[ReportRun, ReportRun]], list[str]]:
    """Which runs are compared, and what must be said of that."""
    pairs: list[tuple[ReportRun, ReportRun]] = []
    notes = []
    for benchmark in dict.fromkeys(run.benchmark for run in left):
        possible = [
            (x, y)
            for x in left
            for y in right
            if x.benchmark == y.benchmark == benchmark and x.path.absolute() != y.path.absolute()
        ]
        same = [(x, y) for x, y in possible if x.protocol == y.protocol]
        if possible and not same:
            notes.append(f"{benchmark}: the two sides were not sampled under the same protocol")
        pairs += same or possible
    return pairs, notes


class Comparisons:
    """Paired comparisons: iterate over them, or take them as a frame."""

    def __init__(self, comparisons: Sequence[Comparison], notes: Sequence[str] = ()) -> None:
        self.comparisons = list(comparisons)
        self.notes = list(notes)
        """What must be known before believing them."""

    def __iter__(self) -> Iterator[Comparison]:
        return iter(self.comparisons)

    def __len__(self) -> int:
        return len(self.comparisons)

    @property
    def frame(self) -> pd.DataFrame:
        """One row a comparison: the fields of `harness.comparison.Comparison`, its interval as `low` and `high`."""
        import pandas as pd

        rows = []
        for comparison in self.comparisons:
            row = comparison.as_dict()
            low, high = row.pop("ci95") or (None, None)
            del row["ci95_bootstrap"]
            rows.append({**row, "low": low, "high": high, "significant": comparison.significant})
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        return text_table(*self._shown())

    def _repr_html_(self) -> str:
        return html_table(*self._shown())

    def _shown(self) -> tuple[Sequence[str], list[Sequence[str]], str, list[str]]:
        header = ("a", "b", "benchmark", "metric", "a - b", "95 %", "p", "p adjusted", "detectable", "")
        rows: list[Sequence[str]] = [
            (
                c.a,
                c.b,
                c.benchmark,
                c.metric if c.metric == "pass@1" else f"cons@{c.k}",
                percent(c.difference, c.stderr, "+"),
                "" if c.ci95 is None else f"{100 * c.ci95[0]:+.1f} to {100 * c.ci95[1]:+.1f}",
                f"{c.p:.3g}",
                f"{c.p_adjusted:.3g}",
                "" if c.smallest is None else f"{100 * c.smallest:.1f}",
                "significant" if c.significant else "",
            )
            for c in self.comparisons
        ]
        return header, rows, "", self.notes

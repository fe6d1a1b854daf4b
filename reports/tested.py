"""The comparisons of a report, as far as the runs' files can be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final
from weakref import WeakKeyDictionary

from harness import HarnessError
from harness.comparison import Compared, Comparison
from harness.report import Report, ReportRun

RunKey = tuple[str, str, str]
"""Benchmark, model, fingerprint."""


@dataclass(frozen=True, eq=False)
class Tested:
    """Comparisons that can be looked up by the runs that they are of."""

    comparisons: tuple[Comparison, ...]
    left_out: tuple[str, ...]
    """One line for each run whose files cannot be read: which, and how to mend it."""
    pairs: Mapping[tuple[Compared, RunKey, RunKey], Comparison]
    families: Mapping[tuple[str, RunKey], int]
    """Metric and run -> how many comparisons its p-values were corrected for."""
    readable: Report
    """The report itself, or where files are damaged what is left of it; for charts."""

    def of(self, metric: Compared, a: ReportRun, b: ReportRun) -> Comparison | None:
        """a beside b, whichever way round the two were compared; None where they were not."""
        if (found := self.pairs.get((metric, key_of(a), key_of(b)))) is not None:
            return found
        found = self.pairs.get((metric, key_of(b), key_of(a)))
        return None if found is None else turned(found)


def key_of(run: ReportRun) -> RunKey:
    return run.benchmark, run.model, str(run.result.get("fingerprint", ""))


def turned(comparison: Comparison) -> Comparison:
    """The same comparison, seen from b."""
    return replace(
        comparison,
        a=comparison.b,
        b=comparison.a,
        a_run=comparison.b_run,
        b_run=comparison.a_run,
        difference=-comparison.difference,
        ci95=_turned(comparison.ci95),
        ci95_bootstrap=_turned(comparison.ci95_bootstrap),
    )


def _turned(interval: tuple[float, float] | None) -> tuple[float, float] | None:
    return None if interval is None else (-interval[1], -interval[0])


_DONE: Final[WeakKeyDictionary[Report, Tested]] = WeakKeyDictionary()


def tested(report: Report) -> Tested:
    """The comparisons of a report; runs whose files are damaged are left out and named. Made once a report."""
    if report not in _DONE:
        _DONE[report] = _tested(report)
    return _DONE[report]


def _tested(report: Report) -> Tested:
    left_out: list[str] = []
    try:
        readable, comparisons = report, report.comparisons
    except HarnessError:
        readable, left_out = _readable(report)
        comparisons = readable.comparisons if readable.baseline == report.baseline else []
    pairs = {(c.metric, (c.benchmark, c.a, c.a_run), (c.benchmark, c.b, c.b_run)): c for c in comparisons}
    return Tested(tuple(comparisons), tuple(left_out), pairs, _sizes(report, comparisons), readable)


def _readable(report: Report) -> tuple[Report, list[str]]:
    """The report without the runs whose files are missing or damaged, and what is wrong with these."""
    sound, left_out = [], []
    for run in report.runs:
        try:
            _ = run.side
        except HarnessError as error:
            left_out.append(f"WARNING: {run.model} on {run.benchmark} is compared with nothing: {error}")
        else:
            sound.append(run)
    baseline = report.baseline if report.baseline in {run.model for run in sound} else None
    rest = Report(
        [run.result for run in sound],
        baseline=baseline,
        published=report.published,
        charts=report.charts,
        training=report.training,
    )
    return rest, left_out


def _sizes(report: Report, comparisons: list[Comparison]) -> dict[tuple[str, RunKey], int]:
    protocols = {key_of(run): run.protocol for run in report.runs}

    def family(comparison: Comparison) -> tuple[object, ...]:
        protocol = protocols.get((comparison.benchmark, comparison.a, comparison.a_run))
        return comparison.benchmark, comparison.metric, protocol

    sizes = Counter(map(family, comparisons))
    return {
        (c.metric, (c.benchmark, model, run)): sizes[family(c)]
        for c in comparisons
        for model, run in ((c.a, c.a_run), (c.b, c.b_run))
    }

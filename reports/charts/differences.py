"""How far models are from one of them, with the intervals of the paired differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from harness.comparison import Comparison
from harness.report import Report

from . import theme
from .chart import Chart, finished
from .engine import LETTERS, altair, names
from .subjects import Subject, is_series, left_out, shortened

_MOST: Final = 30
_SIGNED: Final = "datum.value == 0 ? '0' : format(datum.value, '+~r')"


def difference_charts(report: Report, subjects: Mapping[str, Sequence[Subject]]) -> list[Chart]:
    """One chart a benchmark and protocol: every run against the baseline, or against the best."""
    charts = []
    for benchmark, all_ in subjects.items():
        families: dict[Any, list[Subject]] = {}
        for subject in all_:
            families.setdefault(subject.run.protocol, []).append(subject)
        for family in families.values():
            reference = _reference(report, family)
            if reference is not None and len(family) > 1:
                charts += _forest(report, benchmark, reference, family, len(families) > 1)
    return charts


def _reference(report: Report, family: Sequence[Subject]) -> Subject | None:
    if report.baseline is None:
        return max(family, key=lambda subject: subject.pass1)
    return next((subject for subject in family if subject.run.model == report.baseline), None)


def _forest(
    report: Report, benchmark: str, reference: Subject, family: Sequence[Subject], several: bool
) -> list[Chart]:
    labels = {subject.run.side.run: subject.label for subject in family}
    made = [c for c in report.comparisons if c.benchmark == benchmark and {c.a_run, c.b_run} <= labels.keys()]
    rows = [
        row
        for comparison in made
        if comparison.metric == "pass@1" or comparison.k > 1
        if (row := _row(comparison, reference.run.side.run, labels)) is not None
    ]
    difference = {row["label"]: row["difference"] for row in rows if row["metric"] == "pass@1"}
    others = [subject.label for subject in family if subject.label in difference]
    if not is_series(family):
        others.sort(key=lambda label: -difference[label])
    shown = others[:_MOST]
    rows = [row for row in rows if row["label"] in shown]
    if not rows:
        return []
    clear = sum(row["clear"] == _CLEAR[True] and row["metric"] == "pass@1" for row in rows)
    caption = (
        f"{benchmark}: scores less those of {reference.label} on the same problems, in percentage points, with 95 %"
        f" intervals. In pass@1 {clear} of {len(shown)} differences are significant after correction for making"
        f" {sum(c.metric == 'pass@1' for c in made)} comparisons."
    )
    name = f"{benchmark}-{reference.label}" if several else benchmark
    return [
        finished(
            name,
            "differences",
            f"{shortened(benchmark, 50)}: difference to {reference.label}",
            _drawing(shown, sorted({row["metric"] for row in rows}, key=lambda metric: metric != "pass@1")),
            {"differences": rows},
            caption + left_out(shown, others),
            "points and 95 % intervals, paired by problem · filled: significant (p < 0.05, corrected)",
            params=[LETTERS],
        )
    ]


def _metric(comparison: Comparison) -> str:
    return comparison.metric if comparison.metric == "pass@1" else f"cons@{comparison.k}"


_CLEAR: Final = {True: "significant", False: "may be chance"}


def _row(comparison: Comparison, reference: str, labels: Mapping[str, str]) -> dict[str, Any] | None:
    """The difference of another run to the reference, whichever of the two stands first in the comparison."""
    if comparison.b_run == reference:
        other, sign = comparison.a_run, 1
    elif comparison.a_run == reference:
        other, sign = comparison.b_run, -1
    else:
        return None
    ends = [] if comparison.ci95 is None else sorted(100 * sign * end for end in comparison.ci95)
    return {
        "label": labels[other],
        "metric": _metric(comparison),
        "difference": round(100 * sign * comparison.difference, 3),
        "low": round(ends[0], 3) if ends else None,
        "high": round(ends[1], 3) if ends else None,
        "p": comparison.p,
        "p_adjusted": comparison.p_adjusted,
        "clear": _CLEAR[comparison.significant],
    }


def _drawing(models: Sequence[str], metrics: Sequence[str]) -> Any:
    alt = altair()
    title = "percentage points"
    colour = alt.Color(
        "metric:N",
        title=None,
        scale=alt.Scale(domain=list(metrics), range=theme.categories(len(metrics))),
    )
    base = alt.Chart(alt.NamedData("differences")).encode(
        y=alt.Y("label:N", title=None, sort=list(models), axis=names()),
        yOffset=alt.YOffset("metric:N", sort=list(metrics), scale=alt.Scale(paddingOuter=0.35)),
        color=colour,
        tooltip=[
            alt.Tooltip("label:N", title="model"),
            alt.Tooltip("metric:N"),
            alt.Tooltip("difference:Q", title="difference, points", format="+.2f"),
            alt.Tooltip("low:Q", title="from", format="+.2f"),
            alt.Tooltip("high:Q", title="to", format="+.2f"),
            alt.Tooltip("p:Q", format=".4f"),
            alt.Tooltip("p_adjusted:Q", title="p, corrected", format=".4f"),
        ],
    )
    zero = (
        alt.Chart(alt.NamedData("differences")).mark_rule(style="zero").encode(x=alt.XDatum(0, title=title))
    )
    whiskers = (
        base.mark_rule(strokeWidth=2)
        .transform_filter("isValid(datum.low)")
        .encode(x=alt.X("low:Q", title=title, axis=alt.Axis(labelExpr=_SIGNED, tickCount=8)), x2="high:Q")
    )
    dots = base.mark_point(size=64, strokeWidth=2, opacity=1).encode(
        x=alt.X("difference:Q", title=title),
        shape=alt.Shape(
            "clear:N",
            title=None,
            scale=alt.Scale(domain=list(_CLEAR.values()), range=["circle", "diamond"]),
            legend=None,
        ),
        fillOpacity=alt.condition(alt.datum.clear == _CLEAR[True], alt.value(1), alt.value(0)),
        fill=colour.copy(),
    )
    height = 15 * len(metrics) + 12
    return alt.layer(zero, whiskers, dots).properties(height=height * len(models))

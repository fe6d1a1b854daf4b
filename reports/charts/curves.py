"""Scores as curves: over the budget, over the number of chains that vote or that are tried."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from harness.outcomes import Outcomes
from harness.report import Report
from harness.statistics import Curve, budget_curve

from .chart import Chart, Rows, finished, percent
from .engine import altair
from .subjects import Subject, best, left_out, shortened

_HEIGHT: Final = 300
_POINTS: Final = 40
"""Most points of a line: a curve has no more corners than the eye finds."""
_PER_OCTAVE: Final = 4
"""Budgets between one power of two and the next."""
_MOST_WITH_VOTES: Final = 5
"""Models up to which votes stand beside pass@1 in one chart."""
_BUDGETS: Final = "datum.value >= 1024 ? format(datum.value / 1024, '~r') + 'k' : format(datum.value, '~r')"


def budget_curves(report: Report, subjects: Mapping[str, Sequence[Subject]]) -> list[Chart]:
    """What smaller budgets would have scored: one chart a benchmark."""
    charts = []
    for benchmark, all_ in subjects.items():
        known = [subject for subject in all_ if lengths_known(subject.run.outcomes)]
        shown = best(known, report)
        votes = len(shown) <= _MOST_WITH_VOTES and all(subject.run.result["n"] > 1 for subject in shown)
        metrics = ["pass@1", "cons@n"] if votes else ["pass@1"]
        rows = [row for subject in shown for row in _budget_rows(subject) if row["metric"] in metrics]
        if not rows:
            continue
        drawn = {row["label"] for row in rows}
        leader = max((s for s in shown if s.label in drawn), key=lambda subject: subject.pass1)
        caption = (
            f"{benchmark}: scores if chains had been cut off at a smaller budget, from the lengths of the stored"
            f" chains. {leader.label} has half of its pass@1 by {_half(leader, rows):,} tokens."
        )
        charts.append(
            _lines(
                benchmark,
                "budget",
                f"{shortened(benchmark, 60)}: score at smaller budgets",
                shown,
                rows,
                caption + left_out(shown, known),
                x_title="budget, tokens a chain",
                x_label=_BUDGETS,
                y_title="score, %" if votes else "pass@1, %",
                metrics=metrics,
            )
        )
    return charts


def vote_curves(report: Report, subjects: Mapping[str, Sequence[Subject]]) -> list[Chart]:
    """cons@k over k: one chart a benchmark."""
    return _of_subsets(
        report,
        subjects,
        "cons",
        "the vote of k chains",
        "cons@k",
        "what the majority vote of k chains is worth, expected over all ways to draw them from those sampled",
        lambda outcomes: outcomes.consensus_curve(),
    )


def pass_curves(report: Report, subjects: Mapping[str, Sequence[Subject]]) -> list[Chart]:
    """pass@k over k: one chart a benchmark."""
    return _of_subsets(
        report,
        subjects,
        "pass",
        "at least one of k chains correct",
        "pass@k",
        "how often at least one of k chains is correct, expected over all ways to draw them from those sampled",
        lambda outcomes: outcomes.pass_curve(),
    )


def _of_subsets(
    report: Report,
    subjects: Mapping[str, Sequence[Subject]],
    kind: str,
    title: str,
    metric: str,
    what: str,
    curve_of: Callable[[Outcomes], Curve],
) -> list[Chart]:
    charts = []
    for benchmark, all_ in subjects.items():
        several = [subject for subject in all_ if subject.run.result["n"] > 1]
        shown = best(several, report)
        rows: Rows = []
        for subject in shown:
            values = curve_of(subject.run.outcomes).values
            for k in _chosen(len(values)):
                rows.append(_point(subject, k, metric, float(values[k - 1])))
        if not rows:
            continue
        charts.append(
            _lines(
                benchmark,
                kind,
                f"{shortened(benchmark, 60)}: {title}",
                shown,
                rows,
                f"{benchmark}: {what}.{left_out(shown, several)}",
                x_title="k, chains a problem",
                x_label="format(datum.value, ',')",
                y_title=f"{metric}, %",
                metrics=[metric],
            )
        )
    return charts


def _point(subject: Subject, x: int, metric: str, value: float) -> dict[str, Any]:
    return {"label": subject.label, "x": x, "metric": metric, "value": percent(value)}


def _lines(
    benchmark: str,
    kind: str,
    title: str,
    shown: Sequence[Subject],
    rows: Rows,
    caption: str,
    *,
    x_title: str,
    x_label: str,
    y_title: str,
    metrics: Sequence[str],
) -> Chart:
    alt = altair()
    low = max(1.0, min(row["x"] for row in rows))
    high = max(low * 2, max(row["x"] for row in rows))
    chosen = alt.selection_point(name="chosen", fields=["label"], bind="legend")
    base = alt.Chart(alt.NamedData("points"), name="lines").encode(
        x=alt.X(
            "x:Q",
            title=x_title,
            scale=alt.Scale(type="log", base=2, domain=[low, high], nice=False),
            axis=alt.Axis(values=_powers(low, high), labelExpr=x_label, labelOverlap=True),
        ),
        y=alt.Y("value:Q", title=y_title, scale=alt.Scale(zero=False, nice=True), axis=alt.Axis(tickCount=6)),
        color=alt.Color(
            "label:N",
            title=None,
            scale=alt.Scale(
                domain=[subject.label for subject in shown], range=[subject.colour for subject in shown]
            ),
        ),
        opacity=alt.condition(chosen, alt.value(1), alt.value(0.12)),
        tooltip=[
            alt.Tooltip("label:N", title="model"),
            alt.Tooltip("x:Q", title=x_title, format=",d"),
            alt.Tooltip("metric:N"),
            alt.Tooltip("value:Q", title="score, %", format=".2f"),
        ],
    )
    line = base.mark_line(strokeWidth=2.2, strokeJoin="round")
    if len(metrics) > 1:
        dashes = alt.Scale(domain=list(metrics), range=[[1, 0], [5, 4]])
        line = line.encode(strokeDash=alt.StrokeDash("metric:N", title=None, scale=dashes))
    drawing = alt.layer(
        line.add_params(chosen),
        base.mark_point(size=30, filled=True).encode(detail="metric:N").properties(name="points"),
    )
    return finished(benchmark, kind, title, drawing.properties(height=_HEIGHT), {"points": rows}, caption)


def _powers(low: float, high: float) -> list[int]:
    """Powers of two from low to high, both rounded outwards where this is near."""
    first, last = math.ceil(math.log2(low) - 1e-9), math.floor(math.log2(high) + 1e-9)
    return [2**power for power in range(first, last + 1)]


def _chosen(n: int) -> list[int]:
    """Values of k from 1 to n: all of a few, of many those that lie about evenly on a logarithmic axis."""
    if n <= _POINTS // 2:
        return list(range(1, n + 1))
    return sorted({round(n ** (place / (_POINTS - 1))) for place in range(_POINTS)})


def lengths_known(outcomes: Outcomes) -> bool:
    """Whether the tokens of every chain are known."""
    return bool(len(outcomes.tokens)) and bool((outcomes.tokens >= 0).all())


def _budget_rows(subject: Subject) -> Rows:
    import numpy as np

    outcomes, own = subject.run.outcomes, subject.run.result["max_tokens"]
    last = int(own or outcomes.tokens.max())
    first = max(1, int(np.quantile(outcomes.tokens, 0.005)))
    if first >= last:
        return []
    # The same budgets for every model, as far as they reach.
    steps = range(math.ceil(_PER_OCTAVE * math.log2(first)), math.floor(_PER_OCTAVE * math.log2(last)) + 1)
    budgets = {*(round(2 ** (step / _PER_OCTAVE)) for step in steps), last}
    points = budget_curve(
        outcomes.problem,
        outcomes.correct,
        outcomes.answer_class,
        outcomes.tokens,
        outcomes.truncated,
        budgets=sorted(budgets),
        own=own,
    )
    return [
        _point(subject, point.budget, metric, estimate.value)
        for point in points or ()
        for metric, estimate in (("pass@1", point.pass_at_1), ("cons@n", point.consensus))
    ]


def _half(subject: Subject, rows: Rows) -> int:
    """The first of the budgets at which a model has half of its score."""
    mine = [row for row in rows if row["label"] == subject.label and row["metric"] == "pass@1"]
    return next((row["x"] for row in mine if row["value"] >= mine[-1]["value"] / 2), 0)

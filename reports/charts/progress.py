"""Training runs: how the score, the lengths of chains and the cost go from checkpoint to checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from harness.report import Report

from ..groups import series_of, series_title
from . import theme
from .chart import WIDTH, Chart, Rows, finished, percent
from .engine import altair
from .subjects import Subject, shortened, value_of

_MOST_NAMED: Final = 15
_LABEL: Final = 34
"""Pixels that the label of a step takes."""
_MARGIN: Final = 90
"""Pixels of a chart's width that the axes take."""


def progress_charts(report: Report, subjects: Mapping[str, Sequence[Subject]]) -> list[Chart]:
    """One chart a training run of which there are several checkpoints."""
    titles = _settings([subject for members in subjects.values() for subject in members])
    charts = []
    for series, runs in series_of(report.runs).items():
        rows: Rows = []
        for run in runs:
            if run.checkpoint is not None and "pass@1" in run.result["scores"]:
                rows.append(_row(run.checkpoint.step, titles[run.path.as_posix()], run.result))
        counts = [
            len({row["step"] for row in rows if row["line"] == line}) for line in {r["line"] for r in rows}
        ]
        if max(counts, default=0) > 1:
            charts.append(_progress(series, rows))
    return charts


def _settings(subjects: Sequence[Subject]) -> dict[str, str]:
    """Path of a run -> benchmark, with what else tells two lines of a chart apart."""
    protocols = {subject.run.protocol for subject in subjects}
    found = {}
    for subject in subjects:
        run = subject.run
        title = shortened(run.benchmark, 40)
        if len({other.run.protocol for other in subjects if other.run.benchmark == run.benchmark}) > 1:
            name, temperature, _, budget = run.protocol
            parts = [name, None if temperature is None else f"T {temperature:g}"]
            parts.append(None if budget is None else f"{budget:,} tokens")
            title = ", ".join([title, *filter(None, parts)])
        found[run.path.as_posix()] = title
    return found if protocols else {}


def _row(step: int, line: str, result: Mapping[str, Any]) -> dict[str, Any]:
    score, cost = result["scores"]["pass@1"], result.get("cost") or {}
    low_high = score.get("ci95")
    return {
        "step": step,
        "line": line,
        "pass": percent(score["value"]),
        "low": None if low_high is None else percent(low_high[0]),
        "high": None if low_high is None else percent(low_high[1]),
        "cons": percent(value_of(result, "cons@k", 0))
        if result["n"] > 1 and "cons@k" in result["scores"]
        else None,
        "tokens": round(value_of(result, "mean_tokens", 0)) if "mean_tokens" in result["scores"] else None,
        "usd": cost.get("usd"),
        "hours": cost.get("device_hours"),
    }


def _progress(series: str, rows: Rows) -> Chart:
    alt = altair()
    lines = list(dict.fromkeys(row["line"] for row in rows))
    further = []
    if all(row["tokens"] is not None for row in rows):
        further.append(("tokens", "mean tokens a chain", "~s"))
    if all(row["usd"] is not None for row in rows):
        further.append(("usd", "evaluation, USD", ",~r"))
    elif all(row["hours"] is not None for row in rows):
        further.append(("hours", "device-hours", ",~r"))
    panels = [_scores(rows, lines, last=not further)]
    for field, title, form in further:
        panels.append(_panel(rows, field, title, form, lines, last=field == further[-1][0]))
    drawing = alt.vconcat(*panels, spacing=18).resolve_scale(x="shared", color="shared")
    return finished(
        shortened(series, 60) or "checkpoints",
        "progress",
        series_title(shortened(series, 50) if series else series)
        + (f" on {lines[0]}" if len(lines) == 1 else ""),
        drawing,
        {"steps": rows},
        _caption(series, rows, lines),
        "line and band: pass@1 with its 95 % interval" + (" · dashed: cons@k" if _voted(rows) else ""),
        margin=_MARGIN,
    )


def _voted(rows: Rows) -> bool:
    return any(row["cons"] is not None for row in rows)


def _x(rows: Rows, last: bool) -> Any:
    """The steps: each of a few has a label, below the last panel."""
    alt = altair()
    steps = sorted({row["step"] for row in rows})
    axis = alt.Axis(labels=last, ticks=last, labelOverlap=True, format=",d", tickCount=8)
    if len(steps) <= _MOST_NAMED:
        axis.values = steps
        closest = min((b - a for a, b in pairwise(steps)), default=0)
        # Vega leaves out every second label or none: where all have room, it must not choose.
        if closest * WIDTH > _LABEL * (steps[-1] - steps[0]):
            axis.labelOverlap = False
    scale = alt.Scale(zero=False, nice=False, padding=14)
    return alt.X("step:Q", title="training step" if last else None, scale=scale, axis=axis)


def _colour(lines: Sequence[str]) -> Any:
    alt = altair()
    legend = alt.Legend(columns=2) if len(lines) > 1 else None
    scale = alt.Scale(domain=list(lines), range=theme.categories(len(lines)))
    return alt.Color("line:N", title=None, scale=scale, legend=legend)


def _tooltip() -> list[Any]:
    alt = altair()
    return [
        alt.Tooltip("line:N", title="benchmark"),
        alt.Tooltip("step:Q", format=",d"),
        alt.Tooltip("pass:Q", title="pass@1, %", format=".2f"),
        alt.Tooltip("low:Q", title="from, %", format=".1f"),
        alt.Tooltip("high:Q", title="to, %", format=".1f"),
        alt.Tooltip("cons:Q", title="cons@k, %", format=".2f"),
        alt.Tooltip("tokens:Q", title="mean tokens", format=",d"),
        alt.Tooltip("usd:Q", title="USD", format=",.2f"),
    ]


def _scores(rows: Rows, lines: Sequence[str], *, last: bool) -> Any:
    alt = altair()
    base = alt.Chart(alt.NamedData("steps")).encode(x=_x(rows, last), color=_colour(lines))
    title = "score, %"
    layers = [
        base.mark_area(opacity=0.14)
        .transform_filter("isValid(datum.low)")
        .encode(y=alt.Y("low:Q", title=title, scale=alt.Scale(zero=False)), y2="high:Q"),
        base.mark_line(strokeWidth=2.2, point={"size": 42, "filled": True}).encode(
            y=alt.Y("pass:Q", title=title), tooltip=_tooltip()
        ),
    ]
    if _voted(rows):
        layers.append(
            base.mark_line(strokeWidth=1.8, strokeDash=[5, 4])
            .transform_filter("isValid(datum.cons)")
            .encode(y=alt.Y("cons:Q", title=title), tooltip=_tooltip())
        )
    return alt.layer(*layers).properties(height=240)


def _panel(rows: Rows, field: str, title: str, form: str, lines: Sequence[str], *, last: bool) -> Any:
    alt = altair()
    return (
        alt.Chart(alt.NamedData("steps"))
        .mark_line(strokeWidth=2, point={"size": 36, "filled": True})
        .encode(
            x=_x(rows, last),
            y=alt.Y(
                f"{field}:Q",
                title=title,
                scale=alt.Scale(zero=field != "tokens"),
                axis=alt.Axis(format=form, tickCount=4),
            ),
            color=_colour(lines),
            tooltip=_tooltip(),
        )
        .properties(height=110)
    )


def _caption(series: str, rows: Rows, lines: Sequence[str]) -> str:
    parts = []
    for line in lines:
        mine = sorted((row for row in rows if row["line"] == line), key=lambda row: row["step"])
        top = max(mine, key=lambda row: row["pass"])
        parts.append(
            f"on {line} pass@1 goes from {mine[0]['pass']:.1f} % at step {mine[0]['step']:,} to"
            f" {mine[-1]['pass']:.1f} % at step {mine[-1]['step']:,}, with the highest,"
            f" {top['pass']:.1f} %, at step {top['step']:,}"
        )
    return f"{series_title(series)}: {'; '.join(parts)}."

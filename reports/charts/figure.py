"""The form in which scores are published: a bar for pass@1, what the vote gains on top of it, best first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from harness import Published
from harness.report import Report

from ..figures import published_score
from ..groups import MEASURED, NOT_MEASURED, series_of, series_title
from . import theme
from .chart import Chart, finished, percent
from .engine import LETTERS, altair, names
from .subjects import Subject, bare, left_out, shortened

_AXIS: Final = "percent of answers correct"
_MOST: Final = 40
"""Bars in one figure."""
_LABEL_FITS: Final = 10.0
"""Percent: in a shorter bar there is no room for its own number."""
_CAVEAT, _MOST_CAVEATS = 125, 3
"""Characters of a caveat, and caveats, that fit below a title; the caption has them whole."""
_KNOWN: Final = {"closed": theme.PALETTE[7], "open": theme.PALETTE[0]}
"""Colours of groups that most reports have; measured models and what else there is get others."""


@dataclass(frozen=True)
class _Bar:
    label: str
    group: str
    value: float
    """pass@1, in 0..1."""
    interval: tuple[float, float] | None
    vote: float | None
    k: int | None
    """How many chains voted."""


def figures(report: Report, subjects: Mapping[str, Sequence[Subject]]) -> list[Chart]:
    """One chart a benchmark, of measured and of published scores alike."""
    colours = _group_colours(report)
    charts = []
    for benchmark in report.benchmarks:
        published = [row for row in report.published if row.benchmark == benchmark]
        bars = _bars(report, subjects.get(benchmark, ()), published)
        if bars:
            charts.append(_figure(benchmark, bars, colours, published))
    return charts


def _bars(report: Report, subjects: Sequence[Subject], published: Sequence[Published]) -> list[_Bar]:
    series = _series_titles(report)
    bars = []
    for subject in subjects:
        scores = subject.run.result["scores"]
        if "pass@1" not in scores:
            continue
        vote = scores.get("cons@k") if subject.run.result["n"] > 1 else None
        low_high = scores["pass@1"].get("ci95")
        bars.append(
            _Bar(
                subject.label,
                series.get(subject.run.model, MEASURED),
                scores["pass@1"]["value"],
                None if low_high is None else (low_high[0], low_high[1]),
                None if vote is None else vote["value"],
                None if vote is None else vote.get("k"),
            )
        )
    for row in published:
        if (value := published_score(row, "pass@1")) is not None:
            bars.append(
                _Bar(
                    shortened(row.model, 34),
                    _published_group(row),
                    value,
                    None,
                    published_score(row, "cons@k"),
                    row.k,
                )
            )
    return sorted(bars, key=lambda bar: -bar.value)


def _series_titles(report: Report) -> dict[str, str]:
    return {
        run.model: series_title(shortened(bare(name), 22) if name else name)
        for name, runs in series_of(report.runs).items()
        for run in runs
    }


def _published_group(row: Published) -> str:
    return f"{shortened(row.group, 22)} (published)" if row.group else NOT_MEASURED


def _group_colours(report: Report) -> dict[str, str]:
    """The same colour for a group in every figure of a report."""
    published = {_published_group(row): _KNOWN.get(row.group.lower()) for row in report.published}
    series = _series_titles(report)
    measured = {series.get(run.model, MEASURED): None for run in report.runs}
    groups: dict[str, str | None] = {
        **published,
        **dict.fromkeys(sorted(measured, key=lambda g: g != MEASURED)),
    }
    if MEASURED in groups:
        groups[MEASURED] = theme.PALETTE[2]
    taken = set(groups.values())
    free = [colour for colour in theme.PALETTE if colour not in taken] or list(theme.PALETTE)
    colours = {}
    for group, colour in groups.items():
        if colour is None:
            free = [*free[1:], colour := free[0]]
        colours[group] = colour
    return colours


def _figure(
    benchmark: str, bars: Sequence[_Bar], colours: Mapping[str, str], published: Sequence[Published]
) -> Chart:
    alt = altair()
    shown = list(bars[:_MOST])
    rows = [_row(place, bar) for place, bar in enumerate(shown)]
    end = max(max(row["end"], row["high"] or 0) for row in rows)
    top = min(100.0, 10 * (int((end + 7) / 10) + 1))
    groups = [group for group in colours if any(bar.group == group for bar in shown)]
    y = alt.Y("label:N", title=None, axis=names(), sort=alt.EncodingSortField("place", op="min"))
    x_scale = alt.Scale(domain=[0, top], nice=False)
    colour = alt.Color(
        "group:N",
        title=None,
        scale=alt.Scale(domain=groups, range=[colours[group] for group in groups]),
        legend=alt.Legend(columns=1) if len(groups) > 1 else None,
    )
    tooltip = [
        alt.Tooltip("label:N", title="model"),
        alt.Tooltip("group:N"),
        alt.Tooltip("pass:Q", title="pass@1, %", format=".2f"),
        alt.Tooltip("interval:N", title="95 % interval"),
        alt.Tooltip("vote:Q", title="vote, %", format=".2f"),
        alt.Tooltip("k:Q", title="chains that vote"),
    ]
    base = alt.Chart(alt.NamedData("bars")).encode(y=y, tooltip=tooltip)
    layers = [
        base.mark_bar(height=alt.RelativeBandSize(0.72), opacity=0.4)
        .transform_filter("datum.gain > 0")
        .encode(x=alt.X("pass:Q", scale=x_scale, title=_AXIS), x2="end:Q", color=colour),
        base.mark_bar(height=alt.RelativeBandSize(0.72)).encode(
            x=alt.X("pass:Q", scale=x_scale, title=_AXIS, axis=alt.Axis(format="d")),
            color=colour,
        ),
        base.mark_rule(style="interval")
        .transform_filter("isValid(datum.low)")
        .encode(x=alt.X("low:Q", title=_AXIS), x2="high:Q"),
        *(
            base.mark_tick(style="interval", size=7, thickness=1.2)
            .transform_filter("isValid(datum.low)")
            .encode(x=alt.X(f"{edge}:Q", title=_AXIS))
            for edge in ("low", "high")
        ),
        # Where the vote is worth less than pass@1 there is no gain to stack: a mark shows where it is.
        base.mark_tick(style="interval", size=16, thickness=2)
        .transform_filter("isValid(datum.vote) && datum.gain <= 0")
        .encode(x=alt.X("vote:Q", title=_AXIS)),
        base.mark_text(style="on-colour", align="left", dx=5)
        .transform_filter("datum.inside")
        .encode(x=alt.XDatum(0, title=_AXIS), text="pass_text:N"),
        base.mark_text(style="label", align="left", dx=6).encode(
            x=alt.X("after:Q", title=_AXIS), text="end_text:N"
        ),
    ]
    drawing = alt.layer(*layers).properties(height=23 * len(rows))
    votes = sorted({bar.k for bar in shown if bar.vote is not None and bar.k is not None})
    vote = "no vote" if not votes else f"cons@{votes[0]}" if len(votes) == 1 else "cons@n"
    key = ["solid: pass@1"]
    if any(bar.vote is not None for bar in shown):
        key.append(f"light: what the vote gains ({vote})")
    if any(bar.interval is not None for bar in shown):
        key.append("line: 95 % interval of pass@1")
    if published:
        key.append("published: not measured here")
    caveats = [shortened(f"published: {note}", _CAVEAT) for note in _notes(published)][:_MOST_CAVEATS]
    chart = finished(
        benchmark,
        "figure",
        f"{shortened(benchmark, 60)}: pass@1 and the vote"
        if votes
        else f"{shortened(benchmark, 60)}: pass@1",
        drawing,
        {"bars": rows},
        _caption(benchmark, shown, vote, published) + left_out(shown, bars),
        [" · ".join(key), *caveats],
        params=[LETTERS],
    )
    # The number behind the longest bar may stand outside the axes.
    return replace(chart, spec={**chart.spec, "padding": {"left": 12, "top": 12, "right": 36, "bottom": 12}})


def _row(place: int, bar: _Bar) -> dict[str, Any]:
    value = percent(bar.value)
    vote = None if bar.vote is None else percent(bar.vote)
    low, high = (None, None) if bar.interval is None else map(percent, bar.interval)
    end = max(value, vote or 0.0)
    inside = value >= _LABEL_FITS
    beside = [] if inside else [f"{100 * bar.value:.2f}"]
    if bar.vote is not None:
        beside.append(f"{100 * bar.vote:.2f}")
    return {
        "place": place,
        "label": bar.label,
        "group": bar.group,
        "pass": value,
        "vote": vote,
        "k": bar.k,
        "gain": 0.0 if vote is None else vote - value,
        "end": end,
        "low": low,
        "high": high,
        "interval": "" if low is None or high is None else f"{low:.1f} – {high:.1f}",
        "after": max(end, high or 0.0),
        "inside": inside,
        "pass_text": f"{100 * bar.value:.2f}",
        "end_text": " | ".join(beside),
    }


def _caption(benchmark: str, bars: Sequence[_Bar], vote: str, published: Sequence[Published]) -> str:
    first = bars[0]
    text = f"{benchmark}: pass@1 of {len(bars)} models, best first; {first.label} leads with {100 * first.value:.1f} %."
    if vote != "no vote":
        text += f" The light part is what the majority vote adds ({vote})."
    if any(bar.interval is not None for bar in bars):
        text += " Lines are 95 % intervals of measured scores."
    return text + "".join(f" Published: {note}." for note in _notes(published))


def _notes(published: Sequence[Published]) -> list[str]:
    """What is to be known of published figures, with the models that it is true of where it is not true of all."""
    models: dict[str, list[str]] = {}
    for row in published:
        if note := " ".join(row.note.split()).rstrip("."):
            models.setdefault(note, []).append(shortened(row.model, 34))
    return [note if len(of) == len(published) else f"{', '.join(of)}: {note}" for note, of in models.items()]

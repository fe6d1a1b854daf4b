"""Learning curves: the reward and the length of chains, or the loss, over the steps of a stage of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from harness.report import Report

from .. import learning
from ..learning import column, ends, has, moving_average, sentence, thinned
from . import theme
from .chart import Chart, Rows, finished
from .engine import altair
from .subjects import Subject, shortened

if TYPE_CHECKING:
    from harness.training import Curve, Training

_REWARD: Final = ("reward", "reward", theme.PALETTE[0])
_TOKENS: Final = ("tokens", "mean tokens of a chain", theme.PALETTE[1])
_HEIGHT: Final = 300
_MOST_PANELS: Final = 12
_RULE: Final = "means of the first and of the last tenth of the logged steps, of at least one"
_MARGIN: Final = 62
"""Pixels of a panel's width that its axes and what is between two panels take."""
_WHOLE: Final = "datum.value === floor(datum.value) ? format(datum.value, ',d') : ''"
"""Steps are whole numbers: where an axis of few has marks between them, these have no label."""
_FAINT: Final = 0.45
_FARTHEST: Final = 0.4
"""A budget of which the longest mean is a smaller share is not drawn: the curve would lie flat below it."""


def learning_charts(report: Report, subjects: Mapping[str, Sequence[Subject]]) -> list[Chart]:
    """One chart a stage that has a reward or lengths of chains, and one with the losses of a recipe's other stages."""
    charts = []
    for training in report.training:
        losses = []
        for curve in training.curves:
            if has(curve, "loss") and not has(curve, "reward"):
                losses.append(curve)
            elif has(curve, "reward") or has(curve, "mean_tokens"):
                charts.append(_rewards(curve))
        if losses:
            charts.append(_losses(training, losses))
    return charts


# -- reward and length -----------------------------------------------------------------------------------------


def _rewards(curve: Curve) -> Chart:
    columns = {"reward": column(curve, "reward"), "tokens": column(curve, "mean_tokens")}
    columns = {name: values for name, values in columns.items() if any(v is not None for v in values)}
    size = learning.window(len(curve.steps))
    rows = _rows(curve, columns, size)
    lines = [line for line in (_REWARD, _TOKENS) if line[0] in columns]
    what = " and ".join("reward" if line is _REWARD else "length of chains" for line in lines).capitalize()
    words, how = sentence(curve), _how([size], len(rows), len(curve.steps))
    return finished(
        curve.stage,
        "learning",
        f"{what} in {shortened(curve.stage, 50)}",
        _drawing(curve, columns, lines, rows),
        {"steps": rows},
        " ".join([words, f"{how[0].upper()}{how[1:]}.", *_budget_told(curve, columns)]),
        [*_subtitle(words, curve), how],
    )


def _subtitle(words: str, curve: Curve) -> list[str]:
    """The figures of the sentence, in lines that a picture has room for."""
    figures = words.removeprefix(curve.stage).partition(": ")[2].rstrip(".")
    first, bracket, rest = figures.partition(" (")
    return [first, *([rest.rstrip(")")] if bracket else [])]


def _how(sizes: Sequence[int], drawn: int, logged: int) -> str:
    """What points and lines are.

    Args:
        sizes: windows of the moving averages.
        drawn: how many points there are, of how many steps that were logged.
    """
    points = "points: single steps"
    if drawn < logged:
        points += f", {drawn:,} of {logged:,}, with the highest and the lowest"
    told = [f"{size:,}" for size in sorted(set(sizes)) if size > 1]
    line = (
        f"moving average over {' or '.join(told)} of them, fewer at the ends"
        if told
        else "from one to the next"
    )
    return f"{points}; line: {line}"


def _budget_drawn(curve: Curve, columns: Mapping[str, Sequence[learning.Figure]]) -> bool:
    longest = max((v for v in columns.get("tokens", ()) if v is not None), default=0.0)
    return curve.budget is not None and "tokens" in columns and longest >= _FARTHEST * curve.budget


def _budget_told(curve: Curve, columns: Mapping[str, Sequence[learning.Figure]]) -> list[str]:
    if curve.budget is None:
        return []
    if _budget_drawn(curve, columns):
        return [f"Dashed: the budget of {curve.budget:,} tokens."]
    return [f"The budget was {curve.budget:,} tokens."]


def _rows(curve: Curve, columns: Mapping[str, Sequence[learning.Figure]], size: int) -> Rows:
    means = {name: moving_average(values, size) for name, values in columns.items()}
    truncated = column(curve, "truncated")
    rows: Rows = []
    for place in thinned(list(columns.values())):
        row: dict[str, Any] = {"step": curve.steps[place]}
        for name, values in columns.items():
            row |= {name: _short(values[place]), f"{name}_mean": _short(means[name][place])}
        if any(value is not None for value in truncated):
            cut = truncated[place]
            row["truncated"] = None if cut is None else _short(100 * cut)
        rows.append(row)
    return rows


def _short(value: float | None) -> float | None:
    """A figure with as many digits as a chart can show."""
    return None if value is None else float(f"{value:.6g}")


def _drawing(
    curve: Curve,
    columns: Mapping[str, Sequence[learning.Figure]],
    lines: Sequence[tuple[str, str, str]],
    rows: Rows,
) -> Any:
    alt = altair()
    shades = alt.Scale(domain=[title for _, title, _ in lines], range=[colour for _, _, colour in lines])
    layers = []
    for place, (name, title, colour) in enumerate(lines):
        budget = curve.budget if name == "tokens" and _budget_drawn(curve, columns) else None
        axis = alt.Axis(
            orient="right" if place else "left",
            grid=not place,
            titleColor=colour,
            titleFontWeight="bold",
            tickCount=6,
            **({"format": ",d", "tickMinStep": 1} if name == "tokens" else {}),
        )
        y = {
            "title": title,
            "scale": alt.Scale(domain=_domain(rows, name, budget), nice=True),
            "axis": axis,
        }
        base = (
            alt.Chart(alt.NamedData("steps"))
            .transform_calculate(line=f"'{title}'")
            .encode(
                x=_x([row["step"] for row in rows], "optimiser step"),
                color=alt.Color("line:N", title=None, scale=shades),
            )
        )
        parts = [
            base.mark_point(filled=True, size=_size(len(rows)), opacity=_FAINT).encode(
                y=alt.Y(f"{name}:Q", **y), tooltip=_tooltip(rows)
            ),
            base.mark_line(strokeWidth=2.8, strokeJoin="round", strokeCap="round").encode(
                y=alt.Y(f"{name}_mean:Q", **y)
            ),
        ]
        if budget is not None:
            parts += _budget(budget, y)
        layers.append(alt.layer(*parts))
    return alt.layer(*layers).resolve_scale(y="independent").properties(height=_HEIGHT)


def _budget(budget: int, y: Mapping[str, Any]) -> list[Any]:
    alt = altair()
    at = alt.Chart(alt.NamedData("steps")).transform_aggregate(first="min(step)")
    return [
        at.mark_rule(strokeDash=[5, 4], style="interval").encode(
            y=alt.YDatum(budget, type="quantitative", **y)
        ),
        at.mark_text(style="label", align="left", baseline="bottom", dx=4, dy=-4).encode(
            x=alt.X("first:Q"),
            y=alt.YDatum(budget, type="quantitative", **y),
            text=alt.TextDatum(f"budget {budget:,} tokens"),
        ),
    ]


def _domain(rows: Rows, name: str, budget: int | None) -> list[float]:
    known = [row[name] for row in rows if row[name] is not None]
    low, high = min(known), max([*known, *([] if budget is None else [budget])])
    room = 0.05 * (high - low) or 0.1 * abs(high) or 0.5
    return [max(0.0, low - room) if low >= 0 else low - room, high + room]


def _x(steps: Sequence[int], title: str) -> Any:
    alt = altair()
    first, last = min(steps), max(steps)
    domain = [first, last] if first < last else [first - 1, last + 1]
    return alt.X(
        "step:Q",
        title=title,
        scale=alt.Scale(domain=domain, nice=False, padding=10),
        axis=alt.Axis(grid=False, labelExpr=_WHOLE, tickMinStep=1, tickCount=8, labelOverlap=True),
    )


def _size(points: int) -> int:
    return 34 if points <= 120 else 14


def _tooltip(rows: Rows) -> list[Any]:
    alt = altair()
    forms = {
        "step": ("step", ",d"),
        "reward": ("reward", ".3~g"),
        "tokens": ("mean tokens", ",.0f"),
        "truncated": ("truncated, %", ".1f"),
    }
    return [
        alt.Tooltip(f"{name}:Q", title=title, format=form)
        for name, (title, form) in forms.items()
        if name in rows[0]
    ]


# -- losses ----------------------------------------------------------------------------------------------------


def _losses(training: Training, curves: Sequence[Curve]) -> Chart:
    alt = altair()
    shown = curves[:_MOST_PANELS]
    rows: Rows = []
    labels: list[str] = []
    told: list[str] = []
    sizes: list[int] = []
    for curve in shown:
        label = _label(curve.stage.removeprefix(f"{training.recipe}:"), labels)
        labels.append(label)
        if found := ends(curve, "loss"):
            told.append(f"{found[0]} in {label}")
        values = column(curve, "loss")
        size = learning.window(len(values))
        sizes.append(size)
        means = moving_average(values, size)
        for place in thinned([values]):
            loss, mean = _short(values[place]), _short(means[place])
            rows.append({"stage": label, "step": curve.steps[place], "loss": loss, "mean": mean})
    y = {
        "title": "loss",
        "scale": alt.Scale(zero=False, nice=True),
        "axis": alt.Axis(tickCount=4, format=".3~g"),
    }
    x = alt.X(
        "step:Q",
        title="optimiser step",
        scale=alt.Scale(zero=False, nice=False, padding=8),
        axis=alt.Axis(grid=False, labelExpr=_WHOLE, tickMinStep=1, tickCount=5, labelOverlap=True),
    )
    base = alt.Chart().encode(x=x)
    tooltip = [
        alt.Tooltip("step:Q", format=",d"),
        alt.Tooltip("loss:Q", format=".4~g"),
        alt.Tooltip("mean:Q", title="moving average", format=".4~g"),
    ]
    panel = alt.layer(
        base.mark_point(filled=True, size=18, opacity=_FAINT, color=_REWARD[2]).encode(
            y=alt.Y("loss:Q", **y), tooltip=tooltip
        ),
        base.mark_line(strokeWidth=2.4, strokeJoin="round", strokeCap="round", color=_REWARD[2]).encode(
            y=alt.Y("mean:Q", **y)
        ),
        data=alt.NamedData("steps"),
    ).properties(height=150 if len(shown) > 1 else 240)
    columns = min(2, len(shown))
    drawing = panel.facet(alt.Facet("stage:N", title=None, sort=labels), columns=columns).resolve_scale(
        x="independent", y="independent"
    )
    how = _how(sizes, len(rows), sum(len(curve.steps) for curve in shown))
    more = f" Shown are the first {len(shown)} of {len(curves)} stages." if len(shown) < len(curves) else ""
    return finished(
        training.recipe,
        "learning",
        f"Loss in the stages of {shortened(training.recipe, 50)}",
        drawing,
        {"steps": rows},
        f"{training.recipe}: loss {', '.join(told)}; {_RULE}. {how[0].upper()}{how[1:]}.{more}",
        how,
        margin=_MARGIN,
        columns=columns,
    )


def _label(stage: str, taken: Sequence[str]) -> str:
    """What a panel is called: different for each."""
    label = shortened(stage, 36)
    return label if label not in taken else f"{label} ({len(taken) + 1})"

"""How charts look: colours that colour-blind readers tell apart, on light and on dark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

PALETTE: Final = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#B0578A",
    "#B87700",
    "#2E9BD6",
    "#7F63C4",
    "#8A8F98",
    "#8C6D46",
    "#3D7A6B",
)
"""After Okabe and Ito (2008), https://jfly.uni-koeln.de/color/, with the lightest darkened, so that all of them stand
out (3 to 1) from white and from nearly black."""

OUTCOMES: Final = {
    "correct": "#0072B2",
    "incorrect": "#D55E00",
    "truncated": "#8A8F98",
    "no answer": "#B87700",
}

_STEPS: Final = ("#7F63C4", "#3F78B5", "#1F968B", "#4FA84A", "#B59A1B")
"""From the first to the last of things that have an order."""

_FONT: Final = "Liberation Sans, Arial, Helvetica, sans-serif"


def categories(count: int) -> list[str]:
    """Colours of as many things without an order; they come again where there are more than the palette has."""
    return [PALETTE[place % len(PALETTE)] for place in range(count)]


def ordered(count: int) -> list[str]:
    """Colours of as many things in order, such as the checkpoints of a training run."""
    if count < 2:
        return list(_STEPS[1:2]) * count
    return [_mixed(place / (count - 1), _STEPS) for place in range(count)]


def _mixed(share: float, stops: Sequence[str]) -> str:
    place = share * (len(stops) - 1)
    low = min(int(place), len(stops) - 2)
    left, right = (
        [int(colour[start : start + 2], 16) for start in (1, 3, 5)] for colour in stops[low : low + 2]
    )
    mixed = (round(a + (b - a) * (place - low)) for a, b in zip(left, right, strict=True))
    return "#" + "".join(f"{part:02X}" for part in mixed)


def config(*, dark: bool = False, page: bool = False) -> dict[str, Any]:
    """Vega-Lite's `config`.

    Args:
        dark: light text, for a dark background.
        page: for a page that has a background and a font of its own; a file gets a background that is drawn.
    """
    ink, soft, line, faint = (
        ("#E8EAED", "#A9B0BA", "#59616D", "#333A44") if dark else ("#1B1F24", "#57606A", "#8C959F", "#E3E7EC")
    )
    paper = "#14171B" if dark else "#FFFFFF"
    heat = (
        ("#232A33", "#1F4B76", "#3F8CCB", "#CFE8FC") if dark else ("#E9EEF4", "#9CC5E3", "#3B7DB8", "#0B3A6B")
    )
    return {
        "background": "transparent" if page else paper,
        "font": "system-ui, sans-serif" if page else _FONT,
        "padding": 4 if page else 16,
        "aria": False,  # a label on every mark would double the size; the caption says what is to be seen
        "view": {"stroke": None},
        "axis": {
            "labelColor": soft,
            "titleColor": soft,
            "gridColor": faint,
            "domainColor": line,
            "tickColor": line,
            "labelFontSize": 11,
            "titleFontSize": 11,
            "titleFontWeight": "normal",
            "titlePadding": 8,
            "labelLimit": 230,
        },
        "axisY": {"domain": False, "ticks": False, "labelPadding": 6},
        "legend": {
            "orient": "bottom",
            "columns": 3,
            "labelColor": ink,
            "titleColor": soft,
            "titleFontWeight": "normal",
            "labelFontSize": 11,
            "titleFontSize": 11,
            "labelLimit": 230,
            "symbolLimit": 0,
            "symbolOpacity": 1,
            "rowPadding": 4,
            "columnPadding": 18,
            "offset": 14,
        },
        "header": {
            "labelColor": ink,
            "titleColor": soft,
            "labelAnchor": "start",
            "labelFontSize": 11,
            "labelFontWeight": "bold",
            "labelLimit": 600,
        },
        "title": {
            "color": ink,
            "subtitleColor": soft,
            "anchor": "start",
            "frame": "bounds",
            "fontSize": 15,
            "subtitleFontSize": 11,
            "subtitlePadding": 5,
            "offset": 14,
        },
        "text": {"fontSize": 11},
        "range": {"category": list(PALETTE), "heatmap": list(heat), "ramp": list(heat)},
        "style": {
            "on-colour": {"color": "#FFFFFF", "fontWeight": "bold"},
            "label": {"color": ink},
            "interval": {"color": ink, "strokeWidth": 1.2, "opacity": 0.75},
            "zero": {"color": line, "strokeWidth": 1},
            "hollow": {"fill": paper},
            "edge": {"stroke": paper, "strokeWidth": 1},
        },
    }

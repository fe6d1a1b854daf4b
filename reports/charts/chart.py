"""What a chart is, before it is drawn."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

WIDTH: Final = 680
"""Pixels from edge to edge of a chart in a file; a page gives its own."""

Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Chart:
    name: str
    """Fit for an anchor or a file name, and different for every chart of a report."""
    kind: str
    """What is drawn: "figure", "differences", "budget", "cons", "pass", "problems", "lengths", "progress" or
    "learning"."""
    subject: str
    """What it is about: a benchmark, a training run or a stage of one."""
    title: str
    spec: Mapping[str, Any]
    """Vega-Lite without `config`: colours of text, axes and background are the theme's."""
    caption: str
    """What is to be seen, in whole sentences: stands below the chart, and for it where it cannot be seen."""


def finished(
    name: str,
    kind: str,
    title: str,
    drawing: Any,
    rows: Mapping[str, Rows],
    caption: str,
    subtitle: str | Sequence[str] = "",
    *,
    margin: int = 0,
    columns: int = 1,
    params: Sequence[Mapping[str, Any]] = (),
) -> Chart:
    """A chart of an Altair drawing whose data are named, which keeps Altair from looking at every row.

    Args:
        subtitle: one line, or several.
        margin: pixels that axes take beside the panels of a chart that has several; 0 for a chart of one panel.
        columns: of panels beside each other, as many as there is room for.
        params: further parameters of the chart, which a page may set.
    """
    spec: dict[str, Any] = drawing.to_dict(validate=False)  # tests do: it takes as long as all the rest
    for unwanted in ("config", "$schema"):
        spec.pop(unwanted, None)
    lines = [subtitle] if isinstance(subtitle, str) else list(subtitle)
    spec["title"] = {
        "text": title,
        **({"subtitle": lines if len(lines) > 1 else lines[0]} if any(lines) else {}),
    }
    spec["datasets"] = dict(rows)
    if params:
        spec["params"] = [*params, *spec.get("params", ())]
    if margin:
        for panel in panels(spec):
            panel["width"] = WIDTH // columns - margin
        spec["usermeta"] = {"margin": margin, **({"columns": columns} if columns > 1 else {})}
    else:
        spec["width"] = WIDTH
        spec["autosize"] = {"type": "fit-x", "contains": "padding"}
    return Chart(slug(f"{kind}-{name}"), kind, name, title, spec, caption)


def panels(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The parts of a chart of several panels that have a width."""
    return list(spec.get("vconcat", ())) or [spec["spec"]]


def distinct(charts: Sequence[Chart]) -> list[Chart]:
    """The charts with names that differ even where file systems ignore case."""
    taken: set[str] = set()
    found = []
    for chart in charts:
        name, count = chart.name, 1
        while name.lower() in taken:
            count += 1
            name = f"{chart.name}-{count}"
        taken.add(name.lower())
        found.append(replace(chart, name=name))
    return found


def slug(text: str) -> str:
    """Text as a file name that every system takes: letters, digits and dashes of ASCII."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-").lower()[:80] or "chart"


def percent(share: float) -> float:
    """A share in percent, with as many digits as a chart can show."""
    return round(100 * share, 3)

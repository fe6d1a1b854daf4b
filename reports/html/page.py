"""Puts the page together."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import groupby
from typing import Any, Final, NamedTuple

from harness.errors import HarnessError
from harness.report import Report
from harness.text import one_row

from ..charts import Chart, charts
from ..charts.engine import drawn
from ..charts.theme import config
from ..table import Column, Row, Table
from ..tables import all_tables
from ..tested import tested
from . import scripts
from .policy import Asset, Json, policy

_STATIC: Final = ("figure",)
"""Kinds of charts that are in the page as pictures too, for readers without scripts: drawing takes a tenth of a second
each."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart on the page."""

    chart: Chart
    svg: str
    """Address (data:) of the chart as it looks without scripts; empty where there is none."""


@dataclass(frozen=True, slots=True)
class Section:
    name: str
    title: str
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    lead: str = ""


_LEGEND: Final = "A click on a name below a chart shows its line alone."
_SECTIONS: Final = (
    # name, title, prefixes of tables' names, kinds of charts, what a reader should know first
    ("overview", "Overview", ("overview", "published"), (), ""),
    (
        "figure",
        "Scores",
        (),
        ("figure",),
        "Solid bars are pass@1, the lighter part is what the majority vote adds; lines are 95 % intervals of pass@1.",
    ),
    ("comparisons", "Comparisons", ("comparisons",), ("differences",), ""),
    ("training", "Training", ("training",), ("learning",), ""),
    ("budgets", "Smaller budgets", (), ("budget",), _LEGEND),
    ("votes", "Votes and tries", (), ("cons", "pass"), _LEGEND),
    ("problems", "Problem by problem", (), ("problems",), ""),
    ("lengths", "Lengths of chains", (), ("lengths",), ""),
    ("checkpoints", "Checkpoints", (), ("progress",), ""),
    ("runs", "Runs", ("runs",), (), ""),
    ("more", "More", ("",), (), ""),
)


def page_of(report: Report) -> str:
    """The whole page as text.

    Raises:
        HarnessError: a library is not installed, or a run's files are missing or damaged.
    """
    something = report.runs or report.published or report.training
    with_charts = report.charts is not None and bool(something)
    tables = all_tables(report)
    drawings = charts(tested(report).readable) if with_charts else []
    pictures = [Picture(chart, _static(chart)) for chart in drawings]
    css = Asset(_asset("report.css"))
    early = Asset(_asset("theme.js"))
    code = [Asset(_asset("report.js"))]
    if drawings:
        code = [Asset(scripts.bundle()), *code, Asset(_asset("charts.js"))]
    text = str(
        _template("report.html").render(
            policy=policy(scripts=[early, *code], styles=[css]),
            css=css,
            early=early,
            code=code,
            sections=_sections(tables, pictures),
            facts=_facts(report),
            data=Json(_chart_data(drawings)) if drawings else "",
        )
    )
    return text.lstrip()


def _sections(tables: Sequence[Table], pictures: Sequence[Picture]) -> list[Section]:
    rest = list(tables)
    found = []
    for name, title, prefixes, kinds, lead in _SECTIONS:
        mine = [table for table in rest if table.name.startswith(prefixes)] if prefixes else []
        rest = [table for table in rest if table not in mine]
        shown = [picture for picture in pictures if picture.chart.kind in kinds]
        if len(kinds) > 1:  # kinds that belong beside each other, benchmark by benchmark
            subjects = [picture.chart.subject for picture in shown]
            shown.sort(key=lambda picture: subjects.index(picture.chart.subject))
        if mine or shown:
            found.append(Section(name, title, mine, shown, lead if shown else ""))
    return found


def _facts(report: Report) -> str:
    """What the report is about, in a line."""
    chains = sum(int(result.get("chains") or 0) for result in report.results)
    parts = []
    if report.runs:
        parts = [
            _count(len(report.models), "model"),
            _count(len({run.benchmark for run in report.runs}), "benchmark"),
            _count(len(report.runs), "run"),
            _count(chains, "chain"),
        ]
    if report.published:
        parts.append(_count(len(report.published), "published score"))
    if report.training:
        parts.append("training of " + ", ".join(training.recipe for training in report.training))
    if report.baseline is not None:
        parts.append(f"compared with {report.baseline}")
    return " · ".join(parts)


class Span(NamedTuple):
    """A heading over several columns."""

    title: str
    width: int


def _spans(columns: Sequence[Column]) -> list[Span]:
    found = [(title, len(list(same))) for title, same in groupby(columns, lambda column: column.group)]
    return [Span(title, width) for title, width in found]


def _groups(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    return [(title, list(same)) for title, same in groupby(rows, lambda row: row.group)]


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _static(chart: Chart) -> str:
    if chart.kind not in _STATIC:
        return ""
    svg = drawn(chart.spec, config(), "svg")
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode("ascii")


def _chart_data(drawings: Sequence[Chart]) -> dict[str, Any]:
    """What the script draws: specifications without titles, which the page has as headings."""
    return {
        "light": config(page=True),
        "dark": config(page=True, dark=True),
        "charts": {
            chart.name: {key: value for key, value in chart.spec.items() if key != "title"}
            for chart in drawings
        },
    }


def _asset(name: str) -> str:
    return files(__package__).joinpath("assets", name).read_text(encoding="utf-8")


def _template(name: str) -> Any:
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError:
        raise HarnessError(
            'the html report needs jinja2, which is not installed: pip install "fathom-harness[report]"'
        ) from None
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"plain": lambda text: one_row(str(text)), "spans": _spans, "runs": _groups}
    text = files(__package__).joinpath("templates", name).read_text(encoding="utf-8")
    return environment.from_string(text)

"""Comparison report in markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

from harness import HarnessError, Reporter, hookimpl
from harness.report import Report

from .markdown_text import escape, notes_of, table_lines
from .table import Table
from .tables import all_tables
from .tested import tested

NOTHING: Final = "no results: nothing is measured here, and --published was not given\n"


class Markdown(Reporter):
    name = "markdown"
    endings = (".md", ".markdown", ".txt")
    description = (
        "overview, comparisons and runs as tables for READMEs and terminals; with -o, charts beside them"
    )

    def render(self, report: Report) -> str:
        return _document(report, [], [])

    def render_file(self, report: Report, path: Path) -> tuple[str, Mapping[str, bytes]]:
        if report.charts is None or not (report.runs or report.published or report.training):
            return self.render(report), {}
        try:
            from .charts import chart_files

            charts = chart_files(tested(report).readable, report.charts)
        except HarnessError as error:
            return _document(report, [f"No charts: {escape(str(error))}"], []), {}
        folder = re.sub(r"[^\w.-]", "_", f"{path.stem}_files")
        files = {f"{folder}/{name}": data for name, data in charts.items()}
        return _document(report, [], [f"![{_words(file)}]({quote(file)})" for file in files]), files


def _words(file: str) -> str:
    """What a chart shows, after its file's name."""
    return escape(re.sub(r"[-_]", " ", Path(file).stem))


def _document(report: Report, remarks: Sequence[str], images: Sequence[str]) -> str:
    tables = all_tables(report)
    if not tables:
        return NOTHING
    # What decides comes first: the scores with their figure, the comparisons, the training; then the other charts.
    figures = [image for image in images if image.startswith("![figure")]
    learning = [image for image in images if image.startswith("![learning")]
    rest = [image for image in images if image not in (*figures, *learning)]
    scores = [table for table in tables if table.name.startswith(("overview", "published"))]
    tests = [table for table in tables if table.name == "comparisons"]
    training = [table for table in tables if table.name.startswith("training")]
    others = [table for table in tables if table not in (*scores, *tests, *training)]
    blocks = [
        *(block for table in scores for block in _section(table)),
        *remarks,
        *figures,
        *(block for table in tests for block in _section(table)),
        *(block for table in training for block in _section(table)),
        *learning,
        *(["## Charts", *rest] if rest else []),
        *(block for table in others for block in _section(table)),
    ]
    return "\n\n".join(blocks) + "\n"


def _section(table: Table) -> list[str]:
    title = f"## {escape(table.title)}"
    rows = ["\n".join(table_lines(table))] if table.rows else []
    # A list, so that each note is a line of its own wherever the text is rendered.
    notes = "\n".join(f"- {note}" for note in notes_of(table))
    return [title, *rows, *([notes] if notes else [])]


@hookimpl
def harness_reporters() -> Sequence[Reporter]:
    return [Markdown()]

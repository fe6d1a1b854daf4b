"""Reports as LaTeX: booktabs tables to be put into a paper with \\input."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from harness import Reporter, hookimpl
from harness.report import Report
from harness.text import one_row

from .comparisons import comparisons_table
from .costs import training_tables
from .overview import overviews
from .table import Cell, Column, Table

_HEAD: Final = (
    "% Needs \\usepackage{booktabs,graphicx}; names in other scripts than Latin need XeLaTeX or LuaLaTeX."
)
_SPECIAL: Final = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\char34{}",
    "`": r"\textasciigrave{}",
    "-": "{-}",  # two of them would become a dash
    "±": r"$\pm$",
    "−": "$-$",
    "×": r"$\times$",
    "≥": r"$\geq$",
    "∞": r"$\infty$",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "\u00a0": "~",
}
_MARK: Final = re.compile("|".join(map(re.escape, _SPECIAL)))


class Latex(Reporter):
    name = "latex"
    endings = (".tex",)
    description = "overview, comparisons and costs as booktabs tables"

    def render(self, report: Report) -> str:
        tables = overviews(report)
        if len(report.runs) > 1:
            tables.append(comparisons_table(report))
        tables += [table for table in training_tables(report) if table.rows]
        if not tables:
            return "% no results\n"
        return "\n".join([_HEAD, *(line for table in tables for line in _lines(table))]) + "\n"


def escape(text: str) -> str:
    """Text of which LaTeX runs nothing."""
    return _MARK.sub(lambda found: _SPECIAL[found[0]], one_row(text))


def _lines(table: Table) -> Iterator[str]:
    yield ""
    yield r"\begin{table}"
    yield r"\centering"
    yield rf"\caption{{{escape(table.title)}}}"
    yield rf"\label{{tab:{table.name}}}"
    if table.rows:
        yield from _tabular(table)
    notes = [rf"\textsuperscript{{{escape(mark)}}}\,{escape(text)}" for mark, text in table.footnotes]
    notes += map(escape, table.notes)
    if notes:
        yield r"\par\smallskip\begin{minipage}{\linewidth}\footnotesize\raggedright"
        yield "\\par\n".join(notes)
        yield r"\end{minipage}"
    yield r"\end{table}"


def _tabular(table: Table) -> Iterator[str]:
    spec = "".join("r" if column.numeric else "l" for column in table.columns)
    # Shrunk to the width of the text where it is wider, never stretched.
    yield r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
    yield rf"\begin{{tabular}}{{@{{}}{spec}@{{}}}}"
    yield r"\toprule"
    if any(column.group for column in table.columns):
        yield from _groups(table.columns)
    yield _row([escape(column.title) for column in table.columns])
    yield r"\midrule"
    for place, (group, rows) in enumerate(groupby(table.rows, key=lambda row: row.group)):
        if group:
            if place:
                yield r"\addlinespace"
            yield rf"\multicolumn{{{len(table.columns)}}}{{@{{}}l}}{{\textit{{{escape(group)}}}}} \\"
        for row in rows:
            yield _row([_cell(*pair) for pair in zip(row.cells, table.columns, strict=True)])
    yield r"\bottomrule"
    yield r"\end{tabular}}"


def _groups(columns: Sequence[Column]) -> Iterator[str]:
    """Headings over several columns, with a rule below each."""
    cells, rules, place = [], [], 1
    for group, members in groupby(columns, key=lambda column: column.group):
        width = len(list(members))
        cells.append(
            rf"\multicolumn{{{width}}}{{c}}{{{escape(group)}}}" if group else " & ".join([""] * width)
        )
        if group:
            rules.append(rf"\cmidrule(lr){{{place}-{place + width - 1}}}")
        place += width
    yield _row(cells)
    yield "".join(rules)


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _cell(cell: Cell, column: Column) -> str:
    text, bracket, rest = cell.text.partition(" (") if column.numeric else (cell.text, "", "")
    shown = rf"\textbf{{{escape(text)}}}" if cell.bold and text else escape(text)
    if cell.note:
        shown += rf"\textsuperscript{{{escape(cell.note)}}}"
    if not bracket:
        return shown
    # The interval below its score: six of them fit on a page side by side.
    return rf"\begin{{tabular}}[t]{{@{{}}r@{{}}}}{shown}\\{{\footnotesize ({escape(rest)}}}\end{{tabular}}"


@hookimpl
def harness_reporters() -> Sequence[Reporter]:
    return [Latex()]

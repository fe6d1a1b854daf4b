"""Tables written as markdown that also reads well as plain text, and text that cannot break out of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Final

from harness.text import one_row

from .table import Cell, Column, Table

_MARKUP: Final = re.compile(r"[\\`*\[\]|$~]|(?<![^\W_])_|_(?![^\W_])")
_ENTITIES: Final = (
    (re.compile(r"&(?=[#\w])"), "&amp;"),
    (re.compile(r"<(?=[^\s\d])"), "&lt;"),
    (re.compile(">"), "&gt;"),
)
"""What could begin an entity or a tag; "p < 0.05" stays readable as plain text."""


def escape(text: str) -> str:
    """Text that cannot break out of a table cell or put markup into the page; underscores within words stay."""
    plain = _MARKUP.sub(r"\\\g<0>", one_row(text))
    for mark, safe in _ENTITIES:
        plain = mark.sub(safe, plain)
    return plain


def table_lines(table: Table) -> list[str]:
    """A table: columns padded, numbers to the right, each group's heading in a row of its own."""
    columns = table.columns
    header = [_title(column) for column in columns]
    rows: list[list[str]] = []
    for group, members in groupby(table.rows, key=lambda row: row.group):
        if group:
            rows.append([f"*{escape(group)}*", *[""] * (len(columns) - 1)])
        rows += [[_cell(cell) for cell in row.cells] for row in members]
    widths = [max(3, *(len(line[place]) for line in (header, *rows))) for place in range(len(columns))]
    pads: list[Callable[[str, int], str]] = [str.rjust if c.numeric else str.ljust for c in columns]

    def line(cells: list[str]) -> str:
        padded = [pad(cell, width) for pad, cell, width in zip(pads, cells, widths, strict=True)]
        return "| " + " | ".join(padded) + " |"

    rule = "|".join(
        "-" * (width + 1) + ":" if column.numeric else "-" * (width + 2)
        for width, column in zip(widths, columns, strict=True)
    )
    return [line(header), f"|{rule}|", *map(line, rows)]


def _title(column: Column) -> str:
    return escape(" ".join(filter(None, (column.group, column.title))))


def _cell(cell: Cell) -> str:
    text = escape(cell.text)
    if cell.bold and text:
        text = f"**{text}**"
    return f"{text} [{escape(cell.note)}]" if cell.note else text


def notes_of(table: Table) -> Iterator[str]:
    """Footnotes and notes, one line each."""
    yield from (f"[{mark}] {escape(text)}" for mark, text in table.footnotes)
    yield from map(escape, table.notes)

"""Tables as data: what stands in which cell, before any format writes it down."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    value: float | None = None
    """What the cell sorts by where it is a number; None sorts last."""
    bold: bool = False
    note: str = ""
    """Marks of footnotes, such as "a" or "a,b"."""


@dataclass(frozen=True, slots=True)
class Column:
    title: str
    group: str = ""
    """Heading over several columns, such as the benchmark's name."""
    numeric: bool = True
    better: str = ""
    """Which values are better, "high" or "low"; empty where neither is."""


@dataclass(frozen=True, slots=True)
class Row:
    cells: tuple[Cell, ...]
    group: str = ""
    """Heading under which the row stands; rows of a group come one after the other."""


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    """A short word, such as "overview", fit for an anchor or a file name."""
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    footnotes: tuple[tuple[str, str], ...] = ()
    """Mark and text of each footnote."""
    notes: tuple[str, ...] = field(default=())
    """Sentences below the table: what the figures are, and what a reader must not overlook."""

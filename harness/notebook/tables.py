"""Small tables as notebooks and prompts show them: HTML that a model's name cannot break, and plain text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from ..text import one_row, printable

MOST_ROWS: Final = 60
"""More are counted, not shown: the frames have them all."""

_LEFT: Final = "text-align:left"
_RIGHT: Final = "text-align:right;white-space:nowrap"


def percent(value: float | None, stderr: float | None, sign: str = "") -> str:
    """A share in percent, or a difference of two in points, with its standard error where that is known.

    Args:
        sign: "+" writes one before a positive number too.
    """
    if value is None:
        return ""
    return f"{100 * value:{sign}.2f}" + ("" if stderr is None else f" ± {100 * stderr:.2f}")


def html_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "", notes: Iterable[str] = ()
) -> str:
    """Every text is escaped; columns but the first two are numbers, aligned to the right."""

    def row(cells: Sequence[str], tag: str) -> str:
        parts = [
            f'<{tag} style="{_LEFT if i < 2 else _RIGHT}">{_escaped(cell)}</{tag}>'
            for i, cell in enumerate(cells)
        ]
        return f"<tr>{''.join(parts)}</tr>"

    title = f"<caption>{_escaped(caption)}</caption>" if caption else ""
    body = "".join(row(cells, "td") for cells in rows[:MOST_ROWS])
    below = "".join(f"<p>{_escaped(note)}</p>" for note in (*notes, *_more(rows)))
    return f"<table>{title}<thead>{row(header, 'th')}</thead><tbody>{body}</tbody></table>{below}"


def text_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "", notes: Iterable[str] = ()
) -> str:
    """The same as plain text, one line a row."""
    shown = [[one_row(printable(cell)) for cell in cells] for cells in (header, *rows[:MOST_ROWS])]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]

    def line(cells: Sequence[str]) -> str:
        parts = [
            c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True))
        ]
        return "  ".join(parts).rstrip()

    texts = [one_row(note) for note in (*notes, *_more(rows))]
    return "\n".join([*([caption] if caption else []), *map(line, shown), *texts])


def _escaped(text: str) -> str:
    return escape(one_row(printable(text)))


def _more(rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"and {len(rows) - MOST_ROWS:,} more"] if len(rows) > MOST_ROWS else []

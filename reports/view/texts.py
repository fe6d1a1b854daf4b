"""Texts of chains: found without reading the whole file, cut into pieces, made fit to be looked at."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from harness import HarnessError
from harness.text import printable

from .cache import Cache
from .places import Place
from .stored import reading

_KEPT_BYTES: Final = 64 << 20
_BATCH: Final = 32
"""Rows of a table that are unpacked at once."""

HEAD, TAIL = 60_000, 30_000
"""Characters of a long text that a page shows; the rest is fetched when asked for."""
PIECE: Final = 250_000
"""Characters of a piece of plain text."""


class Texts(NamedTuple):
    text: str
    reasoning: str


class Shown(NamedTuple):
    """A text as a page shows it."""

    head: str
    tail: str
    left_out: int
    """Characters between the two."""


class ChainTexts:
    """Reads texts out of chains.parquet, by row."""

    def __init__(self) -> None:
        self._kept: Cache[Texts] = Cache(_KEPT_BYTES)

    def get(self, place: Place, row: int) -> Texts:
        """The texts of one row.

        Raises:
            HarnessError: the file is gone or damaged.
        """

        def read() -> Texts:
            for _, texts in read_rows(place, [row]):
                return texts
            raise HarnessError(f"{place.path / 'chains.parquet'} has no row {row}: load the page again")

        state = place.state("chains.parquet")
        return self._kept.get(
            (place.path, row), state, read, lambda t: 4 * (len(t.text) + len(t.reasoning)) + 200
        )


def read_rows(place: Place, rows: Sequence[int]) -> Iterator[tuple[int, Texts]]:
    """Texts of some rows, in the file's order, with their row numbers; only the row groups that hold them are read.

    Raises:
        HarnessError: the file is gone or damaged.
    """
    import pyarrow.parquet as pq

    path = place.path / "chains.parquet"
    if place.state("chains.parquet") is None:
        raise HarnessError(f"{path} is missing: load the page again")
    wanted = sorted(rows)
    with reading(place, "chains.parquet"), pq.ParquetFile(path, pre_buffer=False) as file:
        names = [name for name in ("text", "reasoning") if name in file.schema_arrow.names]
        start = 0
        for group in range(file.num_row_groups):
            end = start + file.metadata.row_group(group).num_rows
            here = [row for row in wanted if start <= row < end]
            if here:
                yield from _of_group(file, group, start, here, names)
            start = end


def _of_group(
    file: Any, group: int, start: int, wanted: list[int], names: list[str]
) -> Iterator[tuple[int, Texts]]:
    left = iter(wanted)
    row = next(left, None)
    for batch in file.iter_batches(batch_size=_BATCH, row_groups=[group], columns=names):
        end = start + batch.num_rows
        while row is not None and row < end:
            values = {name: batch.column(name)[row - start].as_py() or "" for name in names}
            yield row, Texts(values.get("text", ""), values.get("reasoning", ""))
            row = next(left, None)
        if row is None:
            return
        start = end


# -- what a reader sees ------------------------------------------------------------------------------

_PICTURES: Final = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\n\t"} | {0x7F: "␡"}
_INVISIBLE: Final = [
    *range(0x80, 0xA0),
    0x61C,
    *range(0x200B, 0x2010),
    *range(0x2028, 0x202F),
    *range(0x2060, 0x2070),
    0xFEFF,
    *range(0xE0000, 0xE0080),
]
_VISIBLE: Final = _PICTURES | {code: f"⟨U+{code:04X}⟩" for code in _INVISIBLE}
_UNBROKEN: Final = re.compile(r"\S{1000}(?=\S)")
_HARMLESS: Final = re.compile(r"[\x20-\x7e\n\t]*")


def visible(text: str) -> str:
    """The text as it is fit for a page.

    Control characters, which could reorder or hide parts of it, are replaced by signs that name them, and a line ends
    where a thousand characters have no blank among them.
    """
    if not _HARMLESS.fullmatch(text):
        text = printable(text.replace("\r\n", "\n")).translate(_VISIBLE)
    # Browsers take seconds to lay out what they cannot break: a model caught in a loop writes such texts.
    return _UNBROKEN.sub(r"\g<0>\n", text)


def shown(text: str) -> Shown:
    """Head and tail of a text; the whole where it is short enough."""
    if len(text) <= HEAD + TAIL:
        return Shown(text, "", 0)
    return Shown(text[:HEAD], text[-TAIL:], len(text) - HEAD - TAIL)


_THINKING: Final = (("<think>", "</think>"), ("<|begin_of_thought|>", "<|end_of_thought|>"))
"""Tags that models put around their reasoning."""


def reasoning_of(texts: Texts) -> tuple[str, str]:
    """Reasoning and conclusion, without blank lines around them.

    Text without think tags is all conclusion; what was cut off while thinking is all reasoning.
    """
    text = texts.text
    if texts.reasoning:
        return texts.reasoning.strip("\n"), text.strip("\n")
    for opening, closing in _THINKING:
        before, found, after = text.rpartition(closing)
        if found:
            return before.lstrip().removeprefix(opening).strip("\n"), after.strip("\n")
        if text.lstrip().startswith(opening):
            return text.lstrip().removeprefix(opening).strip("\n"), ""
    return "", text.strip("\n")

"""Rows on their way: on the disk, with what filters and order ask of them in memory."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

import orjson

from harness.files import disk_error
from harness.rows import line_of


@dataclass(frozen=True, slots=True)
class Entry:
    """A row in the spool."""

    offset: int
    length: int
    pass_rate: float | None
    difficulty: float | None
    tokens: int | None
    order: float | None
    """What it is sorted by; None where it has nothing of the kind, or nothing is sorted."""
    sampled_tokens: float | None
    """Mean of the chains that were sampled on its problem."""


class Spool:
    """A file that is gone when its process ends, however that ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[bytes] = self._opened()
        self._end = 0

    def _opened(self) -> IO[bytes]:
        try:
            return tempfile.TemporaryFile(dir=self._folder)
        except OSError as error:
            raise disk_error(error, self._folder) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        with suppress(OSError):  # what a full disk has not taken is written again, and fails again
            self._file.close()

    def add(self, row: Mapping[str, Any], order: float | None, sampled_tokens: float | None) -> Entry:
        """
        Raises:
            HarnessError: the disk is full.
        """
        line = line_of(row)
        entry = Entry(
            self._end, len(line), row["pass_rate"], row["difficulty"], row["tokens"], order, sampled_tokens
        )
        try:
            self._file.write(line)
        except OSError as error:
            raise disk_error(error, self._folder) from None
        self._end += len(line)
        return entry

    def row(self, entry: Entry) -> dict[str, Any]:
        try:
            self._file.seek(entry.offset)  # which also writes what is still held back
            row: dict[str, Any] = orjson.loads(self._file.read(entry.length))
        except OSError as error:
            raise disk_error(error, self._folder) from None
        return row

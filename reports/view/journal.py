"""Reads the journal of a run that another process is writing: only what was appended since, and without a lock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final, NamedTuple

import orjson

from harness import HarnessError

from .cache import Cache
from .places import FileState, Place

NAME: Final = "chains.jsonl"

_BLOCK: Final = 1 << 20  # bytes read at once
_LONGEST: Final = 256 << 20
"""Bytes of a line beyond which it is no chain."""

Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Entry:
    """A chain of the journal, its texts left on disk."""

    problem_id: str
    index: int
    finish_reason: str | None
    completion_tokens: int | None
    seed: int | None
    score: float | None
    offset: int
    length: int


class Journal:
    """What a journal holds, kept up to date by reading what is new.

    A last line without a line feed is still being written, and is looked at again the next time.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._lock = Lock()
        self._entries: dict[Key, Entry] = {}
        self._inode = 0
        self._end = 0

    def entries(self) -> dict[Key, Entry]:
        """The chains so far; empty where there is no journal (any more)."""
        with self._lock:
            state = self._place.state(NAME)
            if state is None or state.inode != self._inode or state.size < self._end:
                self._entries, self._end = {}, 0
            if state is None:
                return {}
            self._inode = state.inode
            if state.size > self._end:
                new = dict(self._entries)  # those who hold the old one keep what they were given
                for entry in self._read():
                    new.setdefault((entry.problem_id, entry.index), entry)
                self._entries = new
            return self._entries

    def _read(self) -> Iterator[Entry]:
        try:
            with (self._place.path / NAME).open("rb") as file:
                file.seek(self._end)
                while (line := file.readline(_LONGEST)).endswith(b"\n"):
                    offset, self._end = self._end, self._end + len(line)
                    if (entry := _entry(line, offset)) is not None:
                        yield entry
        except OSError:  # gone: the run was completed in the meantime
            return

    def texts(self, entry: Entry) -> tuple[str, str]:
        """Text and reasoning of a chain.

        Raises:
            HarnessError: the journal went, or is not what it was.
        """
        try:
            with (self._place.path / NAME).open("rb") as file:
                file.seek(entry.offset)
                row = orjson.loads(file.read(entry.length))
            if (row["problem_id"], row["index"]) == (entry.problem_id, entry.index):
                return str(row["text"]), str(row.get("reasoning") or "")
        except (OSError, ValueError, KeyError, TypeError):
            pass
        raise HarnessError(f"{self._place.path / NAME} changed while it was read: load the page again")


def _entry(line: bytes, offset: int) -> Entry | None:
    try:
        row: dict[str, Any] = orjson.loads(line)
        problem_id, index, text = row["problem_id"], row["index"], row["text"]
    except (ValueError, KeyError, TypeError):
        return None
    if not isinstance(problem_id, str) or type(index) is not int or not isinstance(text, str):
        return None
    reason, score = row.get("finish_reason"), row.get("score")
    return Entry(
        problem_id,
        index,
        reason if isinstance(reason, str) else None,
        _whole(row.get("completion_tokens")),
        _whole(row.get("seed")),
        float(score) if isinstance(score, int | float) else None,
        offset,
        len(line),
    )


def _whole(value: object) -> int | None:
    return value if type(value) is int else None


class _Counted(NamedTuple):
    inode: int
    end: int
    """Just behind the last line feed, in bytes."""
    lines: int


class LineCounts:
    """How many chains journals hold, by counting line feeds: for tables of many runs, where no line is parsed."""

    def __init__(self) -> None:
        self._counts: dict[str, _Counted] = {}
        self._kept: Cache[int] = Cache(10_000)

    def count(self, place: Place, state: FileState) -> int:
        return self._kept.get(place.path, state, lambda: self._count(place, state))

    def _count(self, place: Place, state: FileState) -> int:
        name = str(place.path)
        before = self._counts.get(name)
        if before is None or before.inode != state.inode or before.end > state.size:
            before = _Counted(state.inode, 0, 0)
        end, lines, position = before.end, before.lines, before.end
        try:
            with (place.path / NAME).open("rb") as file:
                file.seek(position)
                while block := file.read(_BLOCK):
                    if feeds := block.count(b"\n"):
                        lines += feeds
                        end = position + block.rindex(b"\n") + 1
                    position += len(block)
        except OSError:
            return lines
        self._counts[name] = _Counted(state.inode, end, lines)
        return lines

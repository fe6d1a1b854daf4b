"""Reads the journals of a run that another process is writing: only what was appended since, and without a lock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from threading import Lock
from typing import Any, Final, NamedTuple, TypeVar

import orjson

from harness import HarnessError
from harness.grades import grade_of
from harness.records import Grade

from .cache import Cache
from .places import FileState, Place

NAME: Final = "chains.jsonl"
GRADES: Final = "grades.jsonl"

_BLOCK: Final = 1 << 20  # bytes read at once
_LONGEST: Final = 256 << 20
"""Bytes of a line beyond which it is no chain."""
_LONGEST_GRADE: Final = 64 << 10
_MARK: Final = 200  # bytes by which a file is known again

Key = tuple[str, int]
ValueT = TypeVar("ValueT")
ByProblem = Mapping[str, Mapping[int, ValueT]]
"""Problem id -> sample index -> something."""

_versions = count(1)
"""No two states of any two journals share a number."""


class Tail:
    """The lines of a file that somebody else appends to, each told once.

    A last line without a line feed is still being written, and is looked at again the next time. Lines longer than
    `longest` bytes are passed over.
    """

    def __init__(self, place: Place, name: str, longest: int) -> None:
        self._place = place
        self._name = name
        self._longest = longest
        self._inode = 0
        self._end = 0
        self._mark = b""
        self._skipping = False

    def look(self) -> tuple[bool, Iterator[tuple[int, bytes]]]:
        """Whether this is another file than before, to be read from its start; and the new lines with their offsets."""
        state = self._place.state(self._name)
        if state is None:
            another = self._end > 0
            self._begin(0)
            return another, iter(())
        another = state.inode != self._inode or state.size < self._end
        # A file that was removed and made again may get the number of the one before it.
        another = another or (state.size > self._end and not self._goes_on())
        if another:
            self._begin(state.inode)
        return another, self._read() if state.size > self._end else iter(())

    def _begin(self, inode: int) -> None:
        self._inode, self._end, self._mark, self._skipping = inode, 0, b"", False

    def _goes_on(self) -> bool:
        try:
            with (self._place.path / self._name).open("rb") as file:
                file.seek(self._end - len(self._mark))
                return file.read(len(self._mark)) == self._mark
        except OSError:
            return False

    def _read(self) -> Iterator[tuple[int, bytes]]:
        try:
            with (self._place.path / self._name).open("rb") as file:
                file.seek(self._end)
                while line := file.readline(self._longest):
                    ended = line.endswith(b"\n")
                    if not ended and not self._skipping and len(line) < self._longest:
                        return
                    skipped = self._skipping or not ended
                    offset, self._end = self._end, self._end + len(line)
                    self._skipping, self._mark = not ended, line[-_MARK:]
                    if not skipped:
                        yield offset, line
        except OSError:  # gone: the run was completed in the meantime
            return


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


def _with(
    old: ByProblem[ValueT], new: Iterable[tuple[Key, ValueT]], *, first: bool = False
) -> ByProblem[ValueT]:
    """The old values and the new ones; of a chain that comes twice the last, or the first.

    Those who hold the old ones keep what they were given, and problems without anything new keep their very dict.
    """
    found = dict(old)
    touched: dict[str, dict[int, ValueT]] = {}
    for (problem_id, index), value in new:
        if (mine := touched.get(problem_id)) is None:
            mine = touched[problem_id] = found[problem_id] = dict(found.get(problem_id, {}))
        if not first or index not in mine:
            mine[index] = value
    return found


@dataclass(frozen=True, slots=True)
class Entries:
    """The chains of a journal."""

    version: int
    """Another one whenever they are others."""
    chains: ByProblem[Entry]


class Journal:
    """The chains that a journal holds, kept up to date by reading what is new."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._lock = Lock()
        self._tail = Tail(place, NAME, _LONGEST)
        self._now = Entries(next(_versions), {})

    def now(self) -> Entries:
        """The chains so far; none where there is no journal (any more)."""
        with self._lock:
            another, lines = self._tail.look()
            new = [entry for offset, line in lines if (entry := _entry(line, offset)) is not None]
            if another or new:
                of_keys = (((entry.problem_id, entry.index), entry) for entry in new)
                chains = _with({} if another else self._now.chains, of_keys, first=True)
                self._now = Entries(next(_versions), chains)
            return self._now

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


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The grades of a run that is open."""

    version: int
    """Another one whenever they are others."""
    grader: str
    """Empty where there is no journal of grades, or none that can be read."""
    grades: ByProblem[Grade]


class GradeJournal:
    """The grades that a journal holds, kept up to date by reading what is new."""

    def __init__(self, place: Place) -> None:
        self._lock = Lock()
        self._tail = Tail(place, GRADES, _LONGEST_GRADE)
        self._now = Verdicts(next(_versions), "", {})

    def now(self) -> Verdicts:
        """The grades so far; a chain that was graded twice has its latest."""
        with self._lock:
            another, lines = self._tail.look()
            grader, new = "" if another else self._now.grader, []
            for offset, line in lines:
                if offset == 0:
                    grader = _grader(line)
                elif grader and (found := grade_of(line)) is not None:
                    new.append(found)
            if another or new or grader != self._now.grader:
                grades = _with({} if another else self._now.grades, new)
                self._now = Verdicts(next(_versions), grader, grades)
            return self._now


def _grader(line: bytes) -> str:
    """Whom the first line names; empty where it names nobody."""
    try:
        grader = orjson.loads(line)["grader"]
    except (ValueError, KeyError, TypeError):
        return ""
    return grader if isinstance(grader, str) else ""


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

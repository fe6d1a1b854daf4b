"""Draws the progress of a run on standard error: a live line a benchmark on a terminal, else plain lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..progress import Progress
from ..records import Chain, Grade
from ..text import one_row
from . import say

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

_PLAIN_SECONDS = 10.0
_REDRAWS_PER_SECOND = 4.0
_TELLING_SHARE = 20


@dataclass
class _Tally:
    """Counts of one benchmark's run."""

    total: int
    stored: int
    tokens: int = 0
    graded: int = 0
    correct: int = 0
    sampled: int = 0
    started: float = field(default_factory=time.monotonic)
    shown: float = 0.0

    @property
    def done(self) -> int:
        return self.stored + self.sampled

    def text(self) -> str:
        """tokens/s, running pass@1 and time left."""
        parts = []
        seconds = time.monotonic() - self.started
        if self.tokens and seconds > 0:
            parts.append(f"{self.tokens / seconds:,.0f} tok/s")
        if self.graded:
            parts.append(f"pass@1 {100 * self.correct / self.graded:.1f}")
        # The first chains to finish are the shortest: what is left cannot be told from a handful of them.
        if self.sampled * _TELLING_SHARE >= self.total - self.stored and self.done < self.total:
            parts.append(f"{_duration(seconds / self.sampled * (self.total - self.done))} left")
        return ", ".join(parts)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class _Counting(Progress):
    def __init__(self) -> None:
        self._tallies: dict[str, _Tally] = {}

    def started(self, label: str, total: int, stored: int) -> None:
        self._tallies[label] = _Tally(total, stored)

    def sampling(self) -> None:
        for tally in self._tallies.values():
            tally.started = time.monotonic()

    def stored(self, label: str, chain: Chain) -> None:
        tally = self._tallies[label]
        if not tally.sampled:
            tally.shown = time.monotonic()
            if any(other.sampled for other in self._tallies.values()):
                tally.started = tally.shown  # until now the engine was busy with another benchmark
        tally.sampled += 1
        tally.tokens += chain.completion_tokens or 0

    def graded(self, label: str, grade: Grade) -> None:
        tally = self._tallies[label]
        tally.graded += 1
        tally.correct += grade.correct
        now = time.monotonic()
        last = tally.graded == tally.total
        if tally.sampled and (last or now - tally.shown >= self._pause):
            tally.shown = now
            self._show(label, tally)

    def note(self, text: str) -> None:
        say(text)

    _pause: float

    def _show(self, label: str, tally: _Tally) -> None:
        raise NotImplementedError


class PlainProgress(_Counting):
    """A line every ten seconds, for logs."""

    _pause = _PLAIN_SECONDS

    def started(self, label: str, total: int, stored: int) -> None:
        super().started(label, total, stored)
        have = f", {stored:,} stored already" if stored else ""
        say(f"{label}: {total:,} chains{have}")

    def _show(self, label: str, tally: _Tally) -> None:
        say(f"{label}: {tally.done:,}/{tally.total:,} chains, {tally.text()}".rstrip(", "))


class LiveProgress(_Counting):
    """A bar a benchmark, redrawn in place."""

    _pause = 1 / _REDRAWS_PER_SECOND

    def __init__(self, bars: RichProgress) -> None:
        super().__init__()
        self._bars = bars
        self._ids: dict[str, TaskID] = {}

    def started(self, label: str, total: int, stored: int) -> None:
        super().started(label, total, stored)
        self._ids[label] = self._bars.add_task(label, total=total, completed=stored, figures="")

    def note(self, text: str) -> None:
        from rich.markup import escape

        self._bars.console.print(f"harness: {escape(one_row(text))}", highlight=False)

    def _show(self, label: str, tally: _Tally) -> None:
        self._bars.update(self._ids[label], completed=tally.done, figures=tally.text())


@contextmanager
def open_progress() -> Iterator[Progress]:
    """The progress display that suits standard error."""
    if not sys.stderr.isatty():
        yield PlainProgress()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as RichProgress

    bars = RichProgress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}", markup=False),
        console=Console(stderr=True),
        refresh_per_second=_REDRAWS_PER_SECOND,
    )
    with bars:
        yield LiveProgress(bars)

"""Shows the progress of a run that Python code has started: one line that changes, in a notebook or a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from typing import Any, Final

from ..progress import Progress
from ..records import Chain, Grade
from ..text import one_row, printable

_PAUSE: Final = 0.5  # seconds between two redraws
_MOST_NOTES: Final = 20


class _Counts:
    def __init__(self, total: int, stored: int) -> None:
        self.total = total
        self.done = stored
        self.graded = 0
        self.correct = 0

    def text(self, label: str) -> str:
        share = f", pass@1 {100 * self.correct / self.graded:.1f}" if self.graded else ""
        return f"{label}: {self.done:,}/{self.total:,} chains{share}"


class LineProgress(Progress):
    """Counts chains and hands a few lines of text to `show`, at most twice a second."""

    def __init__(self, show: Callable[[str], None], note: Callable[[str], None] | None = None) -> None:
        self._show = show
        self._note = note
        self._counts: dict[str, _Counts] = {}
        self._notes: list[str] = []
        self._shown = 0.0

    def started(self, label: str, total: int, stored: int) -> None:
        self._counts[label] = _Counts(total, stored)
        self.draw()

    def stored(self, label: str, chain: Chain) -> None:
        self._counts[label].done += 1

    def graded(self, label: str, grade: Grade) -> None:
        counts = self._counts[label]
        counts.graded += 1
        counts.correct += grade.correct
        if time.monotonic() - self._shown >= _PAUSE:
            self.draw()

    def note(self, text: str) -> None:
        line = one_row(printable(text))
        if self._note is not None:
            self._note(line)
        else:
            self._notes = [*self._notes, line][-_MOST_NOTES:]
            self.draw()

    def draw(self) -> None:
        self._shown = time.monotonic()
        lines = [one_row(printable(counts.text(label))) for label, counts in self._counts.items()]
        self._show("\n".join([*lines, *self._notes]))


class _Lines:
    """Text as a notebook shows it."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return f"<pre>{escape(self.text)}</pre>"


@contextmanager
def watching(progress: bool | Progress) -> Iterator[Progress]:
    """What a run is to tell: the user's own object, nothing, or a display that suits where this code runs."""
    if isinstance(progress, Progress):
        yield progress
        return
    if not progress:
        yield Progress()
        return
    shown = _in_notebook() or _on_terminal()
    try:
        yield shown
    finally:
        shown.draw()
        if _notebook_shell() is None and sys.stderr.isatty():
            sys.stderr.write("\n")


def _notebook_shell() -> Any:
    """The kernel that runs this code, or None."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell if getattr(shell, "kernel", None) is not None else None


def _in_notebook() -> LineProgress | None:
    if _notebook_shell() is None:
        return None
    from IPython.display import display

    handle = display(_Lines(""), display_id=True)
    return LineProgress(lambda text: handle.update(_Lines(text)))


def _on_terminal() -> LineProgress:
    live = sys.stderr.isatty()

    def show(text: str) -> None:
        if live:
            sys.stderr.write("\r\x1b[K" + "  ".join(text.split("\n")))
            sys.stderr.flush()

    def note(text: str) -> None:
        sys.stderr.write(f"{chr(13) + chr(27) + '[K' if live else ''}harness: {text}\n")

    return LineProgress(show, note)

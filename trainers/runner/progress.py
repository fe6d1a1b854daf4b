"""How a stage goes, on standard error: a live line on a terminal, else a line every ten seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from harness.cli import say
from harness.text import one_row

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

_PLAIN_SECONDS: Final = 10.0
_SHOWN: Final = {"loss": "loss", "reward": "reward", "mean_tokens": "tokens a chain"}
_LAST: Final = 20
"""Log entries by which speed and time left are told."""


class Show:
    """Shows nothing but what is said: for --quiet."""

    def say(self, text: str) -> None:
        say(text)

    def began(self, stage: str, steps: int | None) -> None:
        """A stage begins, or goes on."""

    def logged(self, log: Sequence[dict[str, Any]]) -> None:
        """What the stage has logged so far."""

    def ended(self) -> None:
        """The stage is over."""


class Plain(Show):
    """For logs."""

    def __init__(self) -> None:
        self._stage, self._shown, self._step = "", 0.0, 0

    def began(self, stage: str, steps: int | None) -> None:
        self._stage, self._shown, self._step = stage, time.monotonic(), 0

    def logged(self, log: Sequence[dict[str, Any]]) -> None:
        last = log[-1]
        ended = last["step"] == last.get("steps")
        if last["step"] == self._step or (time.monotonic() - self._shown < _PLAIN_SECONDS and not ended):
            return
        self._shown, self._step = time.monotonic(), last["step"]
        say(f"{self._stage}: step {last['step']:,}/{last.get('steps') or '?'}, {figures(log)}".rstrip(", "))


class Live(Show):
    """A bar, redrawn in place."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._task: TaskID | None = None

    def say(self, text: str) -> None:
        from rich.markup import escape

        self._bars.console.print(f"harness: {escape(one_row(text))}", highlight=False)

    def began(self, stage: str, steps: int | None) -> None:
        self._task = self._bars.add_task(stage, total=steps, figures="starting")

    def logged(self, log: Sequence[dict[str, Any]]) -> None:
        if self._task is not None:
            last = log[-1]
            self._bars.update(
                self._task, completed=last["step"], total=last.get("steps"), figures=figures(log)
            )

    def ended(self) -> None:
        if self._task is not None:
            self._bars.stop_task(self._task)
            self._task = None


@contextmanager
def open_show(quiet: bool = False) -> Iterator[Show]:
    """The display that suits standard error."""
    if quiet or not sys.stderr.isatty():
        yield Show() if quiet else Plain()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    bars = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}", markup=False),
        console=Console(stderr=True),
        refresh_per_second=4,
    )
    with bars:
        yield Live(bars)


def figures(log: Sequence[dict[str, Any]]) -> str:
    """Loss or reward, tokens/s and time left, as far as they are known."""
    last = log[-1]
    parts = [f"{label} {last[name]:.4g}" for name, label in _SHOWN.items() if _is_number(last.get(name))]
    first = log[max(0, len(log) - 1 - _LAST)]
    seconds, steps = _between(first, last, "seconds"), _between(first, last, "step")
    tokens = _between(first, last, "tokens")
    if seconds > 0:
        if tokens > 0:
            parts.append(f"{tokens / seconds:,.0f} tok/s")
        left = (last.get("steps") or 0) - last["step"]
        if steps > 0 and left > 0:
            parts.append(f"{_duration(seconds / steps * left)} left")
    return ", ".join(parts)


def _between(first: dict[str, Any], last: dict[str, Any], name: str) -> float:
    a, b = first.get(name), last.get(name)
    return float(b - a) if _is_number(a) and _is_number(b) else 0.0  # type: ignore[operator]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

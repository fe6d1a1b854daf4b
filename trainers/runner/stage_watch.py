"""Looks at a stage's folder while its processes work in it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from harness import HarnessError
from harness.text import one_row

from ..ledger import Session
from .curves import read_log
from .layout import LOG, states
from .progress import Show

_NOTE_SECONDS: Final = 60.0
"""How much of the bill a kill may cost, at most."""
_LOG_SECONDS: Final = 0.5


class StageWatch:
    """To be called several times a second: tells of saved states, notes what was spent, shows how it goes.

    Args:
        work: the stage's folder.
        passed: is given each state that appears from now on, by step.
    """

    def __init__(self, work: Path, session: Session, show: Show, passed: Callable[[int, Path], None]) -> None:
        self._work, self._session, self._show, self._passed = work, session, show, passed
        self._known = set(states(work))
        self._noted = self._looked = time.monotonic()
        self._stamp: tuple[int, int] | None = None
        self._said: set[str] = set()

    def __call__(self) -> None:
        """Raises nothing of what goes wrong here: it would end the training, less its last steps."""
        try:
            self._look()
        except (HarnessError, OSError) as error:
            if str(error) not in self._said:
                self._said.add(str(error))
                self._show.say(one_row(str(error)))

    def _look(self) -> None:
        saved = {step: path for step, path in states(self._work).items() if step not in self._known}
        for step, path in saved.items():
            self._known.add(step)
            self._passed(step, path)
        now = time.monotonic()
        if saved or now - self._noted > _NOTE_SECONDS:
            self._noted = now
            self._session.note()
        if now - self._looked > _LOG_SECONDS:
            self._looked = now
            self._look_at_log()

    def _look_at_log(self) -> None:
        try:
            found = (self._work / LOG).stat()
        except OSError:
            return
        stamp = (found.st_size, found.st_mtime_ns)
        if stamp != self._stamp and (log := read_log(self._work)):
            self._stamp = stamp
            self._show.logged(log)

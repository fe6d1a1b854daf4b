"""Looks at a folder again and again, and has each new checkpoint in it evaluated once it is whole.

By looking, not by being told: files of a server that another machine writes raise no events here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from harness.errors import HarnessError

from .complete import SETTLE_SECONDS, Looks, Signature, is_adapter, problem, signature
from .naming import Found, checkpoints_in

PATIENCE_SECONDS: Final = 60.0
"""After so long without a change, a checkpoint that is not whole is worth a line."""


class Watch:
    """
    Args:
        submit: is given each whole checkpoint once, and again when it has been replaced by another.
        told: is given one line for each checkpoint that is left out.
        run: what the training run is called in results; None: as the folder.
        settle: seconds for which a checkpoint must be unchanged.
    """

    def __init__(
        self,
        folder: Path,
        submit: Callable[[Found], None],
        told: Callable[[str], None],
        *,
        run: str | None = None,
        settle: float = SETTLE_SECONDS,
    ) -> None:
        self._folder = folder.resolve()
        self._submit = submit
        self._told = told
        self._run = run
        self._settle = settle
        self._looks = Looks(self._folder)
        self._submitted: dict[Path, Signature | None] = {}
        self._said: set[tuple[Path, str]] = set()

    def once(self) -> int:
        """Submit every checkpoint that is whole now, and tell of those that are not. Returns how many are whole.

        Raises:
            HarnessError: the folder cannot be read.
        """
        try:
            for found in checkpoints_in(self._folder, self._run):
                self._looks.quiet_for(found.folder)
            time.sleep(self._settle)
            self._round(patience=0.0)
        except OSError as error:
            raise HarnessError(f"{self._folder} cannot be read: {error.strerror or error}") from None
        return len(self._submitted)

    def forever(self, interval: float) -> None:
        """Until it is interrupted.

        Args:
            interval: seconds between two looks.
        """
        while True:
            try:
                self._round(PATIENCE_SECONDS)
            except FileNotFoundError:
                self._say(self._folder, f"{self._folder} is not there (yet): waiting for it")
            except OSError as error:
                self._say(self._folder, f"{self._folder} cannot be read just now: {error.strerror or error}")
            time.sleep(interval)

    def _round(self, patience: float) -> None:
        """
        Args:
            patience: seconds after which a checkpoint that is not whole is told of.
        """
        for found in checkpoints_in(self._folder, self._run):
            quiet = self._looks.quiet_for(found.folder)
            if quiet < self._settle:
                if patience <= 0:
                    self._say(found.folder, f"{found.folder} is left out: it is still being written")
                continue
            current = signature(found.folder, model_only=True)
            if current is None or self._submitted.get(found.folder) == current:
                continue
            if (why := problem(found.folder)) is None:
                self._submitted[found.folder] = current
                self._submit(found)
            elif is_adapter(found.folder) or quiet >= patience:
                self._say(found.folder, f"{found.folder} is left out: {why}")

    def _say(self, folder: Path, text: str) -> None:
        if (folder, text) not in self._said:
            self._said.add((folder, text))
            self._told(text)

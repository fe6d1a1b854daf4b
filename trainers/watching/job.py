"""A model that waits to be evaluated: where its files are, and whether they are still there and whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.models import folder_problem

from .complete import SETTLE_SECONDS, Signature, signature, whole
from .holding import let_go


@dataclass(slots=True)
class Job:
    name: str
    """Of the model, in results."""
    model: Path | str
    flags: Mapping[str, Any]
    """Of `harness run`."""
    aside: Path | None = None
    """Links to the model's files, which are ours to remove."""
    seen: Signature | None = None
    """How the files were when they were last known to be whole."""

    @property
    def folder(self) -> Path | None:
        """Where the model's files are; None where that is not known here."""
        return self.aside or (self.model if isinstance(self.model, Path) else None)

    def look(self) -> None:
        """Remember how the files are now, when they are whole."""
        if self.folder is not None:
            self.seen = signature(self.folder, model_only=True)

    def gone(self) -> str | None:
        """Why there is nothing to evaluate any more: whoever saves checkpoints removes the oldest, file by file."""
        if self.aside is not None:
            return None if self.aside.is_dir() else f"{self.aside} is gone"
        if not isinstance(self.model, Path):
            return None
        if not self.model.is_dir():
            return f"{self.model} is gone"
        problem = folder_problem(self.model)
        return None if problem is None else f"{self.model} is no whole model any more: {problem}"

    def still_written(self) -> str | None:
        """Whether somebody writes to a model that was whole when it was submitted: links share its files."""
        if self.folder is None or signature(self.folder, model_only=True) == self.seen:
            return None
        if (why := whole(self.folder, SETTLE_SECONDS)) is not None:
            return f"{self.folder} cannot be used: {why}"
        self.look()
        return None

    def leave(self) -> None:
        """Let go of files that are held, and leave them where they are: the same command finds them."""
        if self.aside is not None:
            let_go(self.aside, remove=False)

    def done(self) -> None:
        if self.aside is not None:
            let_go(self.aside, remove=True)

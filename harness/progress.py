"""What a run tells whoever watches it. The command line draws it; a notebook may do otherwise."""

from __future__ import annotations

from .records import Chain, Grade


class Progress:
    """Hears how a run goes on. This one keeps silent."""

    def started(self, label: str, total: int, stored: int) -> None:
        """A benchmark's run begins: how many chains it wants and how many of those are stored already."""

    def sampling(self) -> None:
        """The engine is loaded and begins to sample."""

    def stored(self, label: str, chain: Chain) -> None:
        """A chain is on disk."""

    def graded(self, label: str, grade: Grade) -> None:
        """A chain is graded."""

    def note(self, text: str) -> None:
        """Something worth a line: which sampler was chosen and why, a plugin that failed, a warning."""

"""Whether chains of one problem differ, as samples at a temperature do."""

from __future__ import annotations

from collections.abc import Hashable

LONG = 200
"""Characters from which two samples at a usual temperature are not the same by chance."""

_ENOUGH = 8
_SHARE = 0.5


class Variety:
    """Counts the long chains that repeat another one of their problem, word for word."""

    def __init__(self) -> None:
        self._seen: dict[Hashable, set[int]] = {}
        self._chains = 0
        self._repeats = 0

    def add(self, problem: Hashable, text: str) -> None:
        if len(text) < LONG:
            return
        seen = self._seen.setdefault(problem, set())
        mark = hash(text)
        if seen:
            self._chains += 1
            self._repeats += mark in seen
        seen.add(mark)

    @property
    def warning(self) -> str | None:
        """What a reader of the scores must know, or None."""
        if self._chains < _ENOUGH or self._repeats < _SHARE * self._chains:
            return None
        return (
            f"{self._repeats:,} of {self._chains:,} chains repeat another one of their problem word for word: the "
            "server seems to ignore the temperature, so they are no independent samples"
        )

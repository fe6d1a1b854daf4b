"""What an engine hears of its requests, across threads."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from queue import SimpleQueue

from harness import Chain, HarnessError

_PATIENCE = 0.1  # seconds


@dataclass(frozen=True, slots=True)
class Lost:
    """Chains that cannot be had."""

    chains: int


@dataclass(frozen=True, slots=True)
class Gone:
    """Chains that were dropped."""

    chains: int


@dataclass(frozen=True, slots=True)
class Note:
    """Something to tell the user."""

    text: str


Event = Chain | Lost | Gone | Note | HarnessError | str | None
"""A chain, an end without one, something to say, the error that ends it all, a piece of the text of a live request;
None: look whether there is room for more."""


class Events:
    """Events from the event loop to the thread that takes chains, a few together where there is time: waking a thread
    costs more than much of what is done for a chain."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[list[Event]] = SimpleQueue()
        self._batch: list[Event] = []
        self._taken: deque[Event] = deque()

    def tell(self, event: Event, *, urgent: bool = True) -> None:
        """To be called in the loop.

        Args:
            urgent: somebody waits for it, or for what the other thread does next.
        """
        self._batch.append(event)
        if urgent:
            self._hand_over()
        elif len(self._batch) == 1:
            asyncio.get_running_loop().call_later(_PATIENCE, self._hand_over)

    def _hand_over(self) -> None:
        if self._batch:
            batch, self._batch = self._batch, []
            self._queue.put(batch)

    def get(self) -> Event:
        """The next event; waits for it."""
        if not self._taken:
            self._taken.extend(self._queue.get())
        return self._taken.popleft()

    @property
    def empty(self) -> bool:
        return not self._taken and self._queue.empty()

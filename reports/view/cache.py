"""Keeps what was made of a file until the file changes, or until too much is kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

ValueT = TypeVar("ValueT")


class Cache(Generic[ValueT]):
    """The most recently used values, by name, each good for one state of what it was made of.

    Args:
        most: what the costs of all values may add up to; bytes, say. The latest one is kept whatever it costs.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._total = 0
        self._kept: OrderedDict[Hashable, tuple[Hashable, ValueT, int]] = OrderedDict()
        self._lock = Lock()

    def get(
        self,
        name: Hashable,
        state: Hashable,
        make: Callable[[], ValueT],
        cost: Callable[[ValueT], int] = lambda value: 1,
    ) -> ValueT:
        """The value, made anew where none of this state is kept. Two threads may make the same one at once."""
        with self._lock:
            found = self._kept.get(name)
            if found is not None and found[0] == state:
                self._kept.move_to_end(name)
                return found[1]
        value = make()
        with self._lock:
            self._forget(name)
            self._kept[name] = (state, value, price := cost(value))
            self._total += price
            while self._total > self._most and len(self._kept) > 1:
                self._forget(next(iter(self._kept)))
        return value

    def last(self, name: Hashable) -> ValueT | None:
        """The value that is kept, of whatever state."""
        with self._lock:
            found = self._kept.get(name)
            return None if found is None else found[1]

    def _forget(self, name: Hashable) -> None:
        if (old := self._kept.pop(name, None)) is not None:
            self._total -= old[2]

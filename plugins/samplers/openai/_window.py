"""How many chains are asked for at once, and when a request that failed is tried again."""

from __future__ import annotations

import random
from dataclasses import dataclass

_CUT = 0.5
_TOLERATED = 0.2
"""Share of refusals that is no sign of too much at once: some servers fail now and then, whatever they have to do."""
LONGEST_WAIT = 600.0
"""Seconds. A server that asks to wait longer is not waited for."""


class Window:
    """Additive increase, multiplicative decrease, from the ceiling down.

    It begins at the ceiling, since an engine with a queue of its own takes what comes, and one with a rate limit says
    so at once. It is halved when more than a fifth of what was sent since the last cut is refused; every answer that
    begins widens it: by its own size up to where the server was content before, by one in a round beyond.
    """

    def __init__(self, ceiling: int) -> None:
        self.ceiling = ceiling
        self.paused_until = 0.0
        """Nothing is sent before, in the seconds of `time.monotonic`."""
        self._limit = float(ceiling)
        self._content = float(ceiling)
        """Up to here the window grows back quickly."""
        self._cut_at = 0.0
        self._accepted = self._refused = 0
        """Since then."""

    @property
    def limit(self) -> int:
        return max(1, int(self._limit))

    def accepted(self, chains: int) -> None:
        """An answer has begun."""
        self._accepted += 1
        step = chains if self._limit < self._content else chains / self._limit
        self._limit = min(self._limit + step, float(self.ceiling))

    def refused(self, sent: float, now: float, in_flight: int, wait: float | None) -> bool:
        """The server has too much to do.

        Args:
            sent: when the refused request was sent.
            in_flight: chains that were.
            wait: seconds that the server asks to wait.

        Returns:
            Whether the window was cut. Refusals of what was sent before the last cut do not count.
        """
        if wait is not None:
            self.paused_until = max(self.paused_until, now + wait)
        if sent < self._cut_at:
            return False
        self._refused += 1
        if self._refused <= _TOLERATED * max(in_flight, self._accepted + self._refused):
            return False
        self._limit = max(1.0, min(self._limit, in_flight) * _CUT)
        if self._accepted:  # else the last cut was not enough, and says nothing of what is
            self._content = self._limit
        self._cut_at, self._accepted, self._refused = now, 0, 0
        return True


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential back-off with full jitter (Brooker, "Exponential Backoff And Jitter", AWS 2015)."""

    first: float
    """Longest first wait, in seconds."""
    longest: float = 60.0

    def delay(self, failures: int, wait: float | None) -> float:
        """Seconds until the next try.

        Args:
            failures: of this request so far, from 1.
            wait: what the server asks for: kept to, and spread a little beyond.
        """
        span = min(self.longest, self.first * 2.0 ** min(failures - 1, 20))
        jitter = random.random()
        return jitter * span if wait is None else wait + jitter * min(span, 0.1 * wait + self.first)

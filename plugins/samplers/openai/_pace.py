"""When streams are read: at intervals, since a read costs the same whether it brings one token or fifty."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._connection import Connection

_SHARE = 0.04  # of a stream's age: how long it is left unread, which makes a chain 2 % later on average
_MOST = 0.4  # seconds
_EARLY, _FIRST = 0.3, 2.0  # of the usual age at the end, and seconds: up to here an answer is seldom complete
_NEWS = 0.05  # weight of an answer in what is usual
_TICKS = (0.01, 0.1)
"""Least and most seconds between two rounds: many streams at a time, since a thread that wakes up is slow."""
_TICK_SHARE = 0.03  # of the usual age


class Pacer:
    """Reads the streams that are due, all of them in one go, and lets the event loop sleep meanwhile.

    What comes in between waits in the kernel. Plain connections are read right here, past the transport, which is
    paused: that takes a third of the time of having the loop watch the socket for one read. Where this cannot be done
    (TLS; systems without readv) the transport is resumed and reads once.
    """

    def __init__(self) -> None:
        self._due: dict[Connection, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._usual = 0.0
        """Seconds that an answer takes, lately."""

    def pause(self, connection: Connection, age: float) -> None:
        """Leave a connection unread for a while.

        Args:
            age: seconds since its request.
        """
        pause = min(max(age * _SHARE, self._tick), _MOST)
        early = min(_EARLY * self._usual, _FIRST) - age
        self._due[connection] = time.monotonic() + max(pause, early)
        if connection.transport.is_reading():
            connection.transport.pause_reading()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._tick, self._sweep)

    @property
    def _tick(self) -> float:
        least, most = _TICKS
        return min(max(self._usual * _TICK_SHARE, least), most)

    def forget(self, connection: Connection, age: float) -> None:
        """Its answer is complete: from now on the loop watches it again."""
        self._usual += (age - self._usual) * (_NEWS if self._usual else 1)
        self._due.pop(connection, None)
        connection.transport.resume_reading()

    def leave(self, connection: Connection) -> None:
        """It is closed."""
        self._due.pop(connection, None)

    def _sweep(self) -> None:
        self._timer = None
        now = time.monotonic()
        for connection in [c for c, due in self._due.items() if due <= now]:
            if self._due.pop(connection, None) is not None:  # another one's end may have closed it
                self._read(connection)
        if self._due and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._tick, self._sweep)

    def _read(self, connection: Connection) -> None:
        descriptor = connection.descriptor
        if descriptor is None:
            connection.transport.resume_reading()
            return
        try:
            count = os.readv(descriptor, [connection.get_buffer(-1)])
        except BlockingIOError:
            connection.unheard()
            return
        except OSError:
            count = 0
        if count:
            connection.buffer_updated(count)
        else:  # its end: the transport is to find that itself
            connection.transport.resume_reading()

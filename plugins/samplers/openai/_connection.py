"""One connection to a server, and the exchange that it is busy with."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from dataclasses import dataclass
from typing import Protocol

from ._pace import Pacer
from ._wire import Head, NotHTTP, Reply

_READ = 256 * 2**10  # most bytes that are read at once
_DRAIN_SECONDS = (
    1.0  # how long the end of a reply may lag behind its last event, for its connection to be kept
)


class Dropped(Exception):
    """The connection ended before the reply did. `stale`: it was a kept one, and nothing had come."""

    def __init__(self, text: str, *, stale: bool = False) -> None:
        super().__init__(text)
        self.stale = stale


class TimedOut(Exception):
    """A time limit has passed. `queued`: before the reply began."""

    def __init__(self, text: str, *, queued: bool) -> None:
        super().__init__(text)
        self.queued = queued


class Sink(Protocol):
    """Where a reply goes. `finished` ends the exchange although the reply may go on."""

    finished: bool
    begun: bool
    """Something of the answer has come: from now on the time limit for pauses holds."""

    @property
    def resting(self) -> bool:
        """All that is wanted has come: what may follow is waited for a moment only."""

    def head(self, head: Head) -> None: ...
    def shortcut(self, data: bytes) -> bytes:
        """Take whole chunks of the body as they stand, framing and all, if that is quicker; the rest of `data`."""

    def feed(self, data: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class Patience:
    """Time limits of a request, in seconds."""

    total: float
    first: float
    """Until the answer begins."""
    idle: float
    """Between two pieces of it."""


class Exchange:
    """One request under way."""

    def __init__(self, sink: Sink, patience: Patience, paced: bool, loop: asyncio.AbstractEventLoop) -> None:
        self.sink, self.patience, self.paced = sink, patience, paced
        self.reply = Reply()
        self.done: asyncio.Future[None] = loop.create_future()
        self.started = self.heard = time.monotonic()

    def settle(self, error: Exception | None = None) -> None:
        if not self.done.done():
            if error is None:
                self.done.set_result(None)
            else:
                self.done.set_exception(error)

    def check(self, now: float) -> bool:
        """Settle it if it takes too long; whether it is settled."""
        if self.sink.resting and now - self.heard > _DRAIN_SECONDS:
            self.settle()
        elif (late := self._overdue(now)) is not None:
            self.settle(late)
        return self.done.done()

    def _overdue(self, now: float) -> TimedOut | None:
        limits = self.patience
        if now - self.started > limits.total:
            return TimedOut(f"no complete answer within {limits.total:g} s", queued=not self.sink.begun)
        if not self.sink.begun:
            if now - self.started > limits.first:
                return TimedOut(f"no answer began within {limits.first:g} s", queued=True)
        elif now - self.heard > limits.idle:
            return TimedOut(f"the stream stood still for {limits.idle:g} s", queued=False)
        return None


class Connection(asyncio.BufferedProtocol):
    """A connection that is kept for one exchange after the other."""

    transport: asyncio.Transport

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._exchange: Exchange | None = None
        self._used = False
        self._timer: asyncio.TimerHandle | None = None
        self.alive = False
        self.descriptor: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.alive = True
        # Where it can be read past the transport: there is nothing in between, and the system can do it.
        sock = transport.get_extra_info("socket")
        plain = sock is not None and transport.get_extra_info("ssl_object") is None and hasattr(os, "readv")
        self.descriptor = sock.fileno() if plain else None
        self._pool.open.add(self)

    def begin(self, request: bytes, exchange: Exchange) -> None:
        self._exchange = exchange
        self.transport.write(request)

    def get_buffer(self, sizehint: int) -> memoryview:
        # One for all: what comes is taken out at once. A plain protocol is given a new buffer of 256 KiB each time.
        return self._pool.buffer

    def buffer_updated(self, nbytes: int) -> None:
        data = bytes(self._pool.buffer[:nbytes])
        exchange = self._exchange
        if exchange is None:  # nobody asked
            self.abort()
            return
        reply, sink = exchange.reply, exchange.sink
        exchange.heard = time.monotonic()
        began = reply.head is None
        try:
            if reply.between_chunks and not exchange.done.done():
                data = sink.shortcut(data)
            body = reply.feed(data) if data else b""
            if began and reply.head is not None:
                sink.head(reply.head)
            if body and not exchange.done.done():
                sink.feed(body)
        except NotHTTP as error:
            hint = " (is it https?)" if data[:1] == b"\x15" else ""
            self._fail(exchange, Dropped(f"it does not speak HTTP, it says {str(error)!r}{hint}"))
        except Exception as error:  # noqa: BLE001 - whoever waits for the exchange is told, instead of the loop
            self._fail(exchange, error)
        else:
            self._go_on(exchange)

    def _go_on(self, exchange: Exchange) -> None:
        if exchange.reply.complete:
            exchange.settle()
            self._release(keep=exchange.reply.keep_alive)
        elif exchange.sink.finished:
            if not exchange.done.done():
                exchange.settle()
                self._timer = asyncio.get_running_loop().call_later(_DRAIN_SECONDS, self.abort)
        elif exchange.paced and exchange.reply.head is not None:
            self._pool.pacer.pause(self, exchange.heard - exchange.started)

    def unheard(self) -> None:
        """It was read, and nothing has come."""
        if (exchange := self._exchange) is not None:
            self._pool.pacer.pause(self, time.monotonic() - exchange.started)

    def _release(self, keep: bool) -> None:
        self._stop_timer()
        exchange, self._exchange, self._used = self._exchange, None, True
        age = exchange.heard - exchange.started if exchange is not None else 0.0
        if keep and self.alive:
            self._pool.pacer.forget(self, age)
            self._pool.idle.append(self)
        else:
            self.abort()

    def _fail(self, exchange: Exchange, error: Exception) -> None:
        exchange.settle(error)
        self.abort()

    def eof_received(self) -> None:
        return None

    def connection_lost(self, error: Exception | None) -> None:
        self.alive = False
        self._stop_timer()
        self._pool.pacer.leave(self)
        self._pool.open.discard(self)
        with contextlib.suppress(ValueError):
            self._pool.idle.remove(self)
        exchange, self._exchange = self._exchange, None
        if exchange is None or exchange.done.done():
            return
        if exchange.reply.end():
            exchange.settle()
            return
        nothing = exchange.reply.head is None
        how = "was reset" if isinstance(error, ConnectionResetError) else "was dropped"
        when = "before an answer came" if nothing else "in the middle of an answer"
        exchange.settle(Dropped(f"the connection {how} {when}", stale=nothing and self._used))

    def abort(self) -> None:
        """Close at once. The server sees that nobody waits any more."""
        self.alive = False
        self._stop_timer()
        self._pool.pacer.leave(self)
        self.transport.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Pool:
    """The connections to one server, and what they share."""

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(_READ))
        self.open: set[Connection] = set()
        self.idle: list[Connection] = []
        self.pacer = Pacer()

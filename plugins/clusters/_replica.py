"""One engine of a cluster: opened, fed and emptied from afar. Knows nothing of Ray, which only carries the calls.

Everything the engine does happens in one thread of its own. The calls from outside put requests into a queue and
take finished chains out; they never wait for the engine.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import replace
from typing import Final

from harness import Chain, ChainKey, Engine, HarnessError, Opening, Prompt, Request, __version__
from harness.errors import one_line

from ._messages import Failure, Feed, Hello, Opened, Report

_LINGER: Final = 0.02
"""Seconds that a finished chain waits for others to travel with it."""

_PATIENCE: Final = 10.0
"""Seconds that an engine with chains in flight stands still for want of an answer, before it is told that no more
requests come for now."""

_KEPT_PROMPTS: Final = 256
_KEPT_NOTES: Final = 100


class Replica:
    """The calls from outside; any thread may make them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._engine: Engine | None = None
        self._opened: Opened | None = None
        self._failure: Failure | None = None
        self._closing = False
        self._prompts: OrderedDict[Prompt, Prompt] = OrderedDict()
        # Of the current epoch:
        self._epoch = 0
        self._number = -1
        self._queue: deque[Request] = deque()
        self._received = 0
        self._more = True
        self._low = 0
        self._taken: dict[ChainKey, None] = {}
        self._dropped: set[ChainKey] = set()
        self._running = False
        self._hungry = False
        # Of the next report:
        self._chains: list[Chain] = []
        self._missing: list[ChainKey] = []
        self._notes: deque[tuple[str, str]] = deque(maxlen=_KEPT_NOTES)
        self._usage: Mapping[str, int] | None = None
        self._warnings: tuple[str, ...] = ()
        self._news = False
        """Something that the driver should know at once."""

    # -- calls -----------------------------------------------------------------------------------

    def hello(self) -> Hello:
        """Who and where this replica is."""
        return Hello(socket.gethostname(), os.getpid(), __version__)

    def open(self, opening: Opening, threads: int | None) -> Opened:
        """Open the engine and say how that went. Takes as long as loading the model takes.

        Args:
            threads: processor threads to use, for samplers that have an option `threads`.
        """
        if threads and "threads" in opening.sampler.options and "threads" not in opening.options:
            opening = replace(opening, options={**opening.options, "threads": str(threads)})
        self._thread = threading.Thread(target=self._work, args=(opening,), name="engine", daemon=True)
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._opened is not None)
            assert self._opened is not None
            return self._opened

    def feed(self, feed: Feed) -> None:
        with self._changed:
            if feed.epoch < self._epoch:
                return
            if feed.epoch > self._epoch:
                self._begin(feed.epoch)
            if feed.number > self._number:
                self._number, self._more, self._low = feed.number, feed.more, feed.low
            self._queue.extend(map(self._with_shared_prompt, feed.requests))
            self._received += len(feed.requests)
            if self._queue or not self._more:
                self._hungry = False
            self._changed.notify_all()

    def take(self, seconds: float) -> Report:
        """What has happened, as soon as something has, or after so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._news or self._chains or self._notes), seconds)
            if not self._news:
                self._changed.wait_for(lambda: self._news, _LINGER)
            report = Report(
                epoch=self._epoch,
                chains=self._chains,
                missing=self._missing,
                received=self._received,
                backlog=len(self._queue),
                hungry=self._hungry,
                idle=not self._running and not self._queue,
                usage=self._usage,
                warnings=self._warnings,
                notes=list(self._notes),
                failure=self._failure,
            )
            self._chains, self._missing, self._news = [], [], False
            self._notes.clear()
            return report

    def drop(self, epoch: int, keys: Collection[ChainKey]) -> None:
        """These chains are no longer wanted."""
        with self._changed:
            if epoch != self._epoch:
                return
            self._dropped.update(keys)
            self._queue = deque(request for request in self._queue if request.key not in self._dropped)
            begun = [key for key in keys if key in self._taken]
            self._tell_if_low()
        self._drop_begun(begun)

    def close(self, seconds: float) -> bool:
        """Stop the work and give the engine's memory back. Returns whether that was done in time."""
        with self._changed:
            self._closing = True
            begun = list(self._taken)
            self._begin(self._epoch + 1)
            self._changed.notify_all()
        self._drop_begun(begun)
        if self._thread is not None:
            self._thread.join(seconds)
            return not self._thread.is_alive()
        return True

    # -- inside ----------------------------------------------------------------------------------

    def _begin(self, epoch: int) -> None:
        """A new epoch: nothing of the old one matters any more. What the engine has in flight ends with the next chain
        that it yields; it is not dropped by key, since the new epoch may ask for the same keys."""
        self._epoch, self._number, self._more = epoch, -1, True
        self._queue.clear()
        self._dropped.clear()
        self._taken = {}
        self._received = 0
        self._chains, self._missing = [], []
        self._hungry = False
        self._changed.notify_all()

    def _drop_begun(self, keys: Collection[ChainKey]) -> None:
        # Never under the lock: an engine may hold a lock of its own while it waits for a request.
        if self._engine is not None and keys:
            with suppress(Exception):  # an engine that cannot drop finishes them
                self._engine.drop(keys)

    def _with_shared_prompt(self, request: Request) -> Request:
        """Requests that share a prompt share the object again, which they lose on the way here."""
        prompt = self._prompts.setdefault(request.prompt, request.prompt)
        self._prompts.move_to_end(prompt)
        if len(self._prompts) > _KEPT_PROMPTS:
            self._prompts.popitem(last=False)
        return request if prompt is request.prompt else replace(request, prompt=prompt)

    def _tell(self) -> None:
        self._news = True
        self._changed.notify_all()

    def _tell_if_low(self) -> None:
        if self._more and len(self._queue) <= self._low:
            self._tell()

    # -- the engine's thread ---------------------------------------------------------------------

    def _work(self, opening: Opening) -> None:
        handler = _Notes(self._notes)
        logger = logging.getLogger("harness")
        logger.addHandler(handler)
        failure = Failure("the engine ended", expected=False)
        try:
            _check_files(opening)
            with opening.open() as engine:
                self._engine = engine
                self._look()
                self._say_opened(Opened(None, engine.lazy, dict(engine.info)))
                while (epoch := self._wait_for_work()) is not None:
                    self._round(engine, epoch)
        except HarnessError as error:
            failure = Failure(" ".join(str(error).split()), expected=True)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's engine
            failure = Failure(one_line(error), expected=False)
        finally:
            logger.removeHandler(handler)
            self._engine = None
            with self._changed:
                self._failure = failure
                self._running = False
                self._tell()
            self._say_opened(Opened(failure))

    def _say_opened(self, opened: Opened) -> None:
        with self._changed:
            if self._opened is None:
                self._opened = opened
            self._changed.notify_all()

    def _wait_for_work(self) -> int | None:
        """The epoch whose first requests are there; None to close."""
        with self._changed:
            self._running = False
            self._tell()
            self._changed.wait_for(lambda: bool(self._queue) or self._closing)
            if self._closing:
                return None
            self._running = True
            return self._epoch

    def _round(self, engine: Engine, epoch: int) -> None:
        """One call of the engine's `sample`: until its requests end and all their chains have come."""
        requests = _Requests(self, epoch) if engine.lazy else self._take_all(epoch)
        with closing(engine.sample(requests)) as chains:  # type: ignore[type-var]
            for chain in chains:
                self._look()
                with self._changed:
                    if self._epoch != epoch:
                        return
                    if chain.key in self._taken:
                        del self._taken[chain.key]
                        self._chains.append(chain)
                        self._changed.notify_all()
        self._look()
        with self._changed:
            if self._epoch == epoch:
                self._missing.extend(key for key in self._taken if key not in self._dropped)
                self._taken = {}

    def _look(self) -> None:
        """Read what the engine says of itself, in the thread that it runs in."""
        if self._engine is not None:
            usage = self._engine.usage
            self._usage = None if usage is None else dict(usage)
            self._warnings = tuple(map(str, self._engine.warnings))

    def _take_all(self, epoch: int) -> list[Request]:
        with self._changed:
            if self._epoch != epoch:
                return []
            requests = list(self._queue)
            self._queue.clear()
            self._taken.update((request.key, None) for request in requests)
            return requests

    def take_one(self, epoch: int) -> Request | None:
        """The next request of a lazy engine. Waits for one, unless no more are to come for now."""
        with self._changed:
            deadline = time.monotonic() + _PATIENCE
            while self._epoch == epoch:
                if self._queue:
                    request = self._queue.popleft()
                    self._taken[request.key] = None
                    self._tell_if_low()
                    return request
                if not self._more:
                    return None
                if not self._hungry:
                    self._hungry = True
                    self._tell()
                in_flight = any(key not in self._dropped for key in self._taken)
                if in_flight and time.monotonic() > deadline:
                    self._hungry = False
                    return None
                self._changed.wait(1.0)
            return None


class _Requests(Iterator[Request]):
    """The requests of one round, for as long as they come without a break."""

    def __init__(self, replica: Replica, epoch: int) -> None:
        self._replica = replica
        self._epoch = epoch
        self._ended = False

    def __next__(self) -> Request:
        request = None if self._ended else self._replica.take_one(self._epoch)
        if request is None:
            self._ended = True
            raise StopIteration
        return request


class _Notes(logging.Handler):
    """Keeps the lines that an engine has for the user."""

    def __init__(self, notes: deque[tuple[str, str]]) -> None:
        super().__init__(logging.WARNING)
        self._notes_of = notes

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(Exception):
            self._notes_of.append((record.name, " ".join(record.getMessage().split())))


def _check_files(opening: Opening) -> None:
    """The model's files must be here too, not only where the command was given."""
    path = opening.model.folder or opening.model.file
    if path is not None and not path.exists():
        raise HarnessError(
            f"{path} is not on node {socket.gethostname()}: put the model into a folder that all nodes share, or "
            "name it by its Hub id"
        )

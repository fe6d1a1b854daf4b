"""The engine: requests go to an event loop in a thread of its own, chains come back through a queue."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Mapping, Sequence
from itertools import chain as chained
from typing import Any, Literal, TypeVar

from harness import Chain, ChainKey, Engine, HarnessError, Prompt, Request

from ._ask import MOST_STOPS, stops_of
from ._events import Events, Gone, Lost, Note
from ._server import Server
from ._session import Ask, Session

_LOG = logging.getLogger("harness.openai")
_LOOK_AHEAD = (
    16  # a sixteenth of what is in flight is taken from the input beforehand: the next request starts at once
)
_PULLED = 32  # most requests that are taken from the input before chains are handed on
_STOP_SECONDS = 5.0
_AUTO_N = 8  # most chains in one request where the prompt is paid for each time
_COSTLY_PROMPT = 0.25  # of the token budget
_BYTES_PER_TOKEN = 4  # of usual text

T = TypeVar("T")


class Loop:
    """An event loop in a thread of its own, so that one which runs already (a notebook) does not matter."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._at_close: list[Callable[[], None]] = []
        self._thread = threading.Thread(target=self._run, name="harness-openai", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine; an interrupt cancels it."""
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def call(self, function: Callable[..., None], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self.loop.call_soon_threadsafe(function, *arguments)

    def at_close(self, function: Callable[[], None]) -> None:
        """Call this in the loop before it ends."""
        self._at_close.append(function)

    def close(self) -> None:
        future = asyncio.run_coroutine_threadsafe(self._wind_up(), self.loop)
        with contextlib.suppress(TimeoutError):
            future.result(_STOP_SECONDS)
        self.call(self.loop.stop)
        self._thread.join(_STOP_SECONDS)
        if not self._thread.is_alive():
            self.loop.close()

    async def _wind_up(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_STOP_SECONDS / 2)
        for function in self._at_close:
            function()
        for _ in range(3):  # aborted connections are closed by callbacks
            await asyncio.sleep(0)


class OpenAIEngine(Engine):
    """Samples from a server. See `OpenAI` for what is sent.

    Args:
        n: most chains in one request; "auto" decides prompt by prompt.
        info: facts to be stored with the run.
    """

    lazy = True

    def __init__(
        self, loop: Loop, server: Server, n: int | Literal["auto"], hosted: bool, info: Mapping[str, Any]
    ) -> None:
        self._loop = loop
        self._server = server
        self._n = n
        self._hosted = hosted
        self._info = dict(info)
        self._session: Session | None = None
        self._dropped: set[ChainKey] = set()

    @property
    def info(self) -> Mapping[str, Any]:
        return self._info

    @property
    def usage(self) -> Mapping[str, int] | None:
        server = self._server
        if not server.counts:
            return None
        return {"prompt_tokens": server.prompt_tokens, "completion_tokens": server.completion_tokens}

    @property
    def warnings(self) -> Sequence[str]:
        server = self._server
        warnings = [warning] if (warning := server.variety.warning) is not None else []
        if server.filtered:
            warnings.append(f"{server.filtered:,} chains were cut off by the server's content filter")
        return warnings

    # -- sampling --------------------------------------------------------------------------------------------

    def sample(self, requests: Iterable[Request]) -> Iterator[Chain]:
        self._dropped = set()
        events = Events()
        session = self._session = self._loop.run(self._new_session(events))
        source = _Source(iter(requests), self._dropped)
        outstanding = 0
        try:
            while True:
                pulled = 0
                while outstanding < self._room() and (pulled < _PULLED or events.empty):
                    ask = self._next_ask(source)
                    if ask is None:
                        break
                    outstanding += len(ask.requests)
                    pulled += len(ask.requests)
                    session.submit(ask)
                if outstanding == 0 and source.ended:
                    break
                event = events.get()
                if isinstance(event, Chain):
                    outstanding -= 1
                    yield event
                elif isinstance(event, (Lost, Gone)):
                    outstanding -= event.chains
                elif isinstance(event, Note):
                    _LOG.warning("%s", event.text)
                elif isinstance(event, HarnessError):
                    raise event
            self._say_what_is_left(events)
            if session.lost:
                raise _missing(session, source.count, self._server.url)
        finally:
            self._session = None
            self._loop.run(_stopped(session))

    async def _new_session(self, events: Events) -> Session:
        def note(text: str) -> None:
            events.tell(Note(text))

        self._server.note = note
        return Session(self._server, events)

    def _room(self) -> int:
        limit = self._server.window.limit
        return limit + limit // _LOOK_AHEAD

    def _next_ask(self, source: _Source) -> Ask | None:
        first = source.next()
        if first is None:
            return None
        self._server.asking.endpoint_of(first.prompt)  # refuses prompts that it cannot ask
        wanted = min(self._together(first.prompt), self._server.window.limit)
        return Ask(first.prompt, [first, *source.more(first.prompt, wanted - 1)])

    def _together(self, prompt: Prompt) -> int:
        """How many chains of a prompt to ask for in one request."""
        server = self._server
        if not server.fields.n or len(stops_of(prompt)) > MOST_STOPS:
            return 1
        if self._n != "auto":
            return self._n
        costly = prompt.size > _COSTLY_PROMPT * server.asking.settings.max_tokens * _BYTES_PER_TOKEN
        return _AUTO_N if self._hosted and costly else 1

    def _say_what_is_left(self, events: Events) -> None:
        while not events.empty:
            if isinstance(event := events.get(), Note):
                _LOG.warning("%s", event.text)

    def drop(self, keys: Collection[ChainKey]) -> None:
        self._dropped |= set(keys)
        if (session := self._session) is not None:
            self._loop.call(session.drop, frozenset(keys))

    def stream(self, request: Request, on_text: Callable[[str], None]) -> Chain:
        events = Events()
        self._server.asking.endpoint_of(request.prompt)
        session = self._loop.run(self._new_session(events))
        session.submit(Ask(request.prompt, [request], live=True))
        chain: Chain | None = None
        try:
            while chain is None:
                event = events.get()
                if isinstance(event, str):
                    on_text(event)
                elif isinstance(event, Chain):
                    chain = event
                elif isinstance(event, Note):
                    _LOG.warning("%s", event.text)
                elif isinstance(event, HarnessError):
                    raise event
                elif isinstance(event, Lost):
                    raise HarnessError(f"{self._server.url}: {next(iter(session.lost))}")
        finally:
            self._loop.run(_stopped(session))
        return chain


class _Source:
    """The requests that are still to be asked, with a look at the next one."""

    def __init__(self, requests: Iterator[Request], dropped: set[ChainKey]) -> None:
        self._requests = requests
        self._dropped = dropped
        self.ended = False
        self.count = 0

    def next(self) -> Request | None:
        for request in self._requests:
            if request.key not in self._dropped:
                self.count += 1
                return request
        self.ended = True
        return None

    def more(self, prompt: Prompt, most: int) -> Iterator[Request]:
        """Up to `most` further requests of the same prompt."""
        while most > 0 and (request := self.next()) is not None:
            if request.prompt is not prompt:
                self.count -= 1
                self._requests = chained([request], self._requests)
                return
            most -= 1
            yield request


async def _stopped(session: Session) -> None:
    session.stop()


def _missing(session: Session, asked: int, url: str) -> HarnessError:
    reasons = session.lost.most_common()
    lost = sum(session.lost.values())
    others = f" (the others: {reasons[1][0]})" if len(reasons) == 2 else ""
    if len(reasons) > 2:
        others = f" (the others for {len(reasons) - 1} more reasons)"
    return HarnessError(
        f"{lost:,} of {asked:,} chains could not be had from {url}: {reasons[0][0]}{others}; those that came are "
        "stored, run the same command to ask for the others again"
    )

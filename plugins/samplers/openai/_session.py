"""The requests of one `sample`: which are under way, which wait, and what becomes of each. Lives in the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections import Counter, deque
from collections.abc import Sequence, Set
from dataclasses import dataclass
from functools import partial

from harness import Chain, ChainKey, HarnessError, Prompt, Request

from ._answer import Answer, Choice, TooMuch
from ._ask import Endpoint, cut_at_stop, encode, finish_reason, sent_stops, stops_of
from ._connection import Dropped, TimedOut
from ._errors import Refusal
from ._events import Events, Gone, Lost
from ._http import Unreachable
from ._judge import Outcome, is_complete, judge
from ._server import Server, final_error
from ._sink import AnswerSink
from ._variety import LONG
from ._window import LONGEST_WAIT

_MOST_STALE = 3
_DEAD = 3
"""So many requests given up in a row, with no word of an answer meanwhile, and the server counts as gone."""


@dataclass(slots=True, eq=False)
class Ask:
    """Chains that are asked for together. `requests` shrinks as they come."""

    prompt: Prompt
    requests: list[Request]
    live: bool = False
    """Its text is told as it comes."""
    failures: int = 0
    stale: int = 0
    first_sent: float = 0.0
    last_sent: float = 0.0
    last_failed: float = 0.0
    task: asyncio.Task[None] | None = None
    timer: asyncio.TimerHandle | None = None


class Session:
    """Runs asks against a server, as many at once as the window has room for.

    Args:
        events: where chains and news go; another thread takes them there.
    """

    def __init__(self, server: Server, events: Events) -> None:
        self.lost: Counter[str] = Counter()
        """Chains that cannot be had, by reason."""
        self._server = server
        self._events = events
        self._loop = asyncio.get_running_loop()
        self._inbox: deque[Ask] = deque()
        self._woken = False
        self._waiting: deque[Ask] = deque()
        self._asks: set[Ask] = set()
        self._sinks: dict[Ask, AnswerSink] = {}
        self._in_flight = 0
        self._bad_prompts: dict[int, tuple[Prompt, str]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._over = False
        self._answered = 0
        self._last_word = 0.0
        self._given_up = 0

    # -- what the engine asks for ----------------------------------------------------------------------------

    def submit(self, ask: Ask) -> None:
        """Take an ask up. May be called from another thread.

        The loop is woken only where there is room at once: else it looks here itself when there is.
        """
        self._inbox.append(ask)
        if self._in_flight < self._server.window.limit and not self._woken:
            self._woken = True
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._pump)

    def _empty_inbox(self) -> None:
        self._woken = False
        while self._inbox:
            ask = self._inbox.popleft()
            self._asks.add(ask)
            self._waiting.append(ask)

    def drop(self, keys: Set[ChainKey]) -> None:
        self._empty_inbox()
        gone = 0
        for ask in list(self._asks):
            kept = [request for request in ask.requests if request.key not in keys]
            if len(kept) < len(ask.requests):
                gone += len(ask.requests) - len(kept)
                ask.requests = kept
                if not kept:
                    self._forget(ask)
        if gone:
            self._events.tell(Gone(gone))
        self._pump()

    def stop(self) -> None:
        """End everything at once."""
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        for ask in list(self._asks):
            self._forget(ask)
        self._waiting.clear()

    # -- starting --------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        self._empty_inbox()
        window = self._server.window
        now = time.monotonic()
        while self._waiting and not self._over:
            ask = self._waiting[0]
            if ask not in self._asks:
                self._waiting.popleft()
                continue
            if now < window.paused_until:
                if self._timer is None:
                    self._timer = asyncio.get_running_loop().call_later(window.paused_until - now, self._wake)
                return
            if (bad := self._bad_prompts.get(id(ask.prompt))) is not None:
                self._waiting.popleft()
                self._give_up(ask, bad[1])
                continue
            if len(ask.requests) > 1 and not self._server.fields.n:
                self._waiting.popleft()
                self._split(ask)
                continue
            if self._in_flight and self._in_flight + len(ask.requests) > window.limit:
                return
            self._waiting.popleft()
            self._in_flight += len(ask.requests)
            ask.task = asyncio.create_task(self._attempt(ask))
            ask.task.add_done_callback(partial(self._ended, ask, len(ask.requests)))

    def _wake(self) -> None:
        self._timer = None
        self._pump()

    def _split(self, ask: Ask) -> None:
        """One request for each chain from now on."""
        self._asks.discard(ask)
        for request in reversed(ask.requests):
            single = Ask(ask.prompt, [request], ask.live, failures=ask.failures, first_sent=ask.first_sent)
            self._asks.add(single)
            self._waiting.appendleft(single)

    def _forget(self, ask: Ask) -> None:
        self._asks.discard(ask)
        if ask.timer is not None:
            ask.timer.cancel()
        if ask.task is not None:
            ask.task.cancel()

    # -- one attempt -----------------------------------------------------------------------------------------

    async def _attempt(self, ask: Ask) -> None:
        try:
            await self._try(ask)
        except HarnessError as error:
            self._fail_all(error)
        except Exception as error:  # noqa: BLE001 - a fault of ours must not leave its chains waited for
            self._fail_all(HarnessError(f"the openai sampler failed: {type(error).__name__}: {error}"))

    def _ended(self, ask: Ask, slots: int, task: asyncio.Task[None]) -> None:
        # Not in the task itself, which never begins where it is cancelled at once.
        ask.task = None
        self._sinks.pop(ask, None)
        self._in_flight -= slots
        self._pump()

    async def _try(self, ask: Ask) -> None:
        server, requests = self._server, list(ask.requests)
        n = len(requests)
        body = server.asking.body(ask.prompt, n, requests[0].seed, server.fields)
        sent_fields = server.fields.sent(body)
        stops = stops_of(ask.prompt)
        here = stops if "stop" not in body else stops[len(sent_stops(ask.prompt)) :]
        answer = Answer(server.asking.most_text(n))
        sink = AnswerSink(
            answer,
            n,
            server.asking.most_bytes(n),
            stops=here if n == 1 else (),
            on_begun=lambda: self._begun(n),
            on_text=self._events.tell if ask.live else None,
        )
        self._sinks[ask] = sink
        ask.last_sent = time.monotonic()
        ask.first_sent = ask.first_sent or ask.last_sent
        path = f"{server.client.address.path}/{_PATHS[server.asking.endpoint_of(ask.prompt)]}"
        outcome = Outcome()
        in_flight = self._in_flight
        try:
            await server.client.exchange(
                "POST", path, encode(body), sink, server.patience, paced=not ask.live
            )
            sink.close(complete=True)
        except Unreachable as error:
            outcome.refusal = Refusal("final" if error.final else "passing", str(error))
            outcome.overload = True
        except Dropped as error:
            outcome.refusal, outcome.stale = Refusal("passing", str(error)), error.stale
        except TimedOut as error:
            outcome.refusal, outcome.overload = Refusal("passing", str(error)), error.queued
        except TooMuch as error:
            outcome.refusal = Refusal("chain", f"its answer is too large: {error}")
        if outcome.refusal is None:
            outcome = judge(server, sink, sent_fields, known=self._answered > 0)
        server.count(answer)
        self._deliver(ask, requests, sink, outcome, stops)
        self._settle(ask, n, outcome, in_flight)

    def _begun(self, chains: int) -> None:
        """An answer has begun: the server sustains what it has."""
        self._last_word = time.monotonic()
        window = self._server.window
        before = window.limit
        window.accepted(chains)
        if window.limit > before:
            self._pump()
            self._events.tell(None)

    # -- what came -------------------------------------------------------------------------------------------

    def _deliver(
        self, ask: Ask, requests: Sequence[Request], sink: AnswerSink, outcome: Outcome, stops: Sequence[str]
    ) -> None:
        """Hand over the choices that are complete; the others stay asked for."""
        server, choices, n = self._server, sink.answer.choices, len(requests)
        if outcome.complete and len(choices) > n:
            server.say("extra", f"the server answers with more choices than are asked for: only {n} are kept")
        good = {
            i: choice
            for i in range(n)
            if (choice := choices.get(i)) is not None and is_complete(choice, n, outcome)
        }
        if (
            n > 1
            and len(good) > 1
            and server.warm
            and len({(c.reasoning, c.text) for c in good.values()}) == 1
        ):
            only = good[min(good)]
            if only.size >= LONG:
                server.no_more_n(f"the server gives {n} identical texts for n={n}")
                good = {min(good): only}
        for index, choice in good.items():
            request = requests[index]
            if request in ask.requests:
                ask.requests.remove(request)
                chain = self._chain(request, choice, sink.answer, n, stops)
                # While asks wait here, nothing stands still for want of what the other thread takes from its input.
                self._events.tell(chain, urgent=not self._waiting and not self._inbox)
                self._answered += 1
        if good:
            self._last_word, self._given_up = time.monotonic(), 0
            if not sink.begun:
                self._begun(n)
        if n > 1 and outcome.complete and len(good) < n:
            garbled = any(choice.garbled or choice.ends > 1 for choice in choices.values())
            fault = "mixes its choices up" if garbled else f"gives {len(choices)} choices for n={n}"
            server.no_more_n(f"the server {fault}")

    def _chain(self, request: Request, choice: Choice, answer: Answer, n: int, stops: Sequence[str]) -> Chain:
        text, finish = choice.text, finish_reason(choice.finish)
        # Some servers leave the stop in the text.
        if stops and (cut := cut_at_stop(text, stops)) is not None:
            text, finish = cut, "stop"
        if choice.finish == "content_filter":
            self._server.filtered += 1
        completion, prompt_tokens = self._server.tokens(answer)
        chain = request.chain(
            text,
            reasoning=choice.reasoning,
            finish_reason=finish,
            completion_tokens=completion if n == 1 else None,
            prompt_tokens=prompt_tokens,
        )
        self._server.notice(request, chain)
        seeded = n == 1 and self._server.fields.seed
        return chain if seeded else dataclasses.replace(chain, seed=None)

    # -- what is next ----------------------------------------------------------------------------------------

    def _settle(self, ask: Ask, n: int, outcome: Outcome, in_flight: int) -> None:
        """Decide what becomes of the chains that have not come."""
        server = self._server
        if ask not in self._asks:
            return
        if not ask.requests:
            self._asks.discard(ask)
            return
        refusal = outcome.refusal
        if refusal is None:
            if n == len(ask.requests):
                refusal = Refusal("passing", "its answer holds no usable choice")
            else:  # some came: the rest is asked for again, without blame
                self._waiting.appendleft(ask)
                return
        if outcome.overload:
            now = time.monotonic()
            wait = refusal.wait if refusal.wait is not None and refusal.wait <= LONGEST_WAIT else None
            if server.window.refused(ask.last_sent, now, in_flight, wait):
                server.say(
                    "window", f"the server is busy ({refusal.words}): fewer requests at once from here on"
                )
        if refusal.wait is not None and refusal.wait > LONGEST_WAIT:
            words = (
                f"{refusal.words}; it asks to come back in {refusal.wait:,.0f} s: run the same command then"
            )
            self._fail_all(HarnessError(f"{server.url}: {words}"))
        elif refusal.kind == "final":
            self._fail_all(final_error(server, refusal))
        elif refusal.kind == "field":
            server.without(refusal)
            self._waiting.appendleft(ask)
        elif refusal.kind == "chain":
            self._give_up(ask, refusal.words)
        elif refusal.kind == "prompt":
            self._refuse_prompt(ask, refusal.words)
        elif refusal.kind == "unclear":
            others = [prompt for prompt, _ in self._bad_prompts.values() if prompt is not ask.prompt]
            if self._answered == 0 and others:
                self._fail_all(final_error(server, refusal))
            else:
                self._refuse_prompt(ask, refusal.words)
        elif outcome.stale and ask.stale < _MOST_STALE:
            ask.stale += 1
            self._waiting.appendleft(ask)
        else:
            self._try_again(ask, refusal)

    def _try_again(self, ask: Ask, refusal: Refusal) -> None:
        server = self._server
        # Where others get through meanwhile, a refusal for being busy says nothing about this request.
        if refusal.kind != "busy" or self._last_word < ask.last_failed:
            ask.failures += 1
        ask.last_failed = time.monotonic()
        sink = self._sinks.get(ask)
        if ask.failures > server.retries or (ask.live and sink is not None and sink.begun):
            tries = f" (tried {ask.failures} times)" if ask.failures > 1 else ""
            self._give_up(ask, f"{refusal.words}{tries}")
            return
        server.retried += 1
        delay = server.backoff.delay(max(1, ask.failures), refusal.wait)
        ask.timer = asyncio.get_running_loop().call_later(delay, self._requeue, ask)

    def _requeue(self, ask: Ask) -> None:
        ask.timer = None
        self._waiting.appendleft(ask)
        self._pump()

    def _refuse_prompt(self, ask: Ask, words: str) -> None:
        self._bad_prompts[id(ask.prompt)] = (ask.prompt, words)
        self._give_up(ask, words)

    def _give_up(self, ask: Ask, reason: str) -> None:
        self._asks.discard(ask)
        self.lost[reason] += len(ask.requests)
        self._events.tell(Lost(len(ask.requests)))
        tried = ask.failures > self._server.retries
        # Streams that go on are a word of an answer, too.
        streaming = any(sink.begun for other, sink in self._sinks.items() if other is not ask)
        if not tried or streaming or self._last_word > ask.first_sent:
            return
        self._given_up += 1
        if self._given_up >= _DEAD and self._asks:
            words = f"no answer comes any more: {reason}; is the server still running? Chains that came are stored"
            self._fail_all(HarnessError(f"{self._server.url}: {words}, run the same command to go on"))

    def _fail_all(self, error: HarnessError) -> None:
        if not self._over:
            self._over = True
            self._events.tell(error)
            for ask in list(self._asks):
                if ask.task is not asyncio.current_task():
                    self._forget(ask)


_PATHS: dict[Endpoint, str] = {"chat": "chat/completions", "completions": "completions"}

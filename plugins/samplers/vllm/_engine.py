"""Keeps vLLM's scheduler full: what is handed in when, and what comes out as chains.

vLLM computes in processes of its own. Its event loop runs in a thread of ours; requests go to it in handfuls, and
each finished one comes back through a queue to the thread that samples.
"""

from __future__ import annotations

import asyncio
import itertools
import queue
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from harness import Chain, ChainKey, Engine, HarnessError, Prompt, Request, SamplingSettings

_LEAST_MARGIN = 8
_MARGIN = (
    4  # one waits for every four in flight, so that a place is filled in the very step in which it comes free
)


@dataclass(frozen=True, slots=True)
class _Encoded:
    """A prompt as tokens, made once for all its chains."""

    prompt: Prompt
    ids: list[int]
    budget: int
    """Most tokens to generate: the protocol's, or what the context leaves."""


@dataclass(frozen=True, slots=True, eq=False)
class _Flight:
    """A chain that vLLM has been asked for."""

    id: str
    request: Request
    encoded: _Encoded


@dataclass(frozen=True, slots=True)
class _Arrival:
    """News of a flight: what vLLM gave, or how it failed. vLLM's last output of a request says that it is finished."""

    flight: _Flight
    output: Any = None
    error: BaseException | None = None


_News = queue.SimpleQueue[_Arrival]


class VLLMEngine(Engine):
    """A running vLLM.

    Args:
        llm: vLLM's asynchronous engine.
        loop: the running event loop that it is to live in.
        tokenizer: of the model; used in the thread that samples.
        seeded: each request carries its chain's seed.
        death: why vLLM's processes died, as a clause.
    """

    lazy = True

    def __init__(
        self,
        llm: Any,
        loop: asyncio.AbstractEventLoop,
        tokenizer: Any,
        settings: SamplingSettings,
        *,
        info: Mapping[str, Any],
        seeded: bool = True,
        death: Callable[[], str] = lambda: "it does not say why",
    ) -> None:
        self._llm = llm
        self._loop = loop
        self._tokenizer = tokenizer
        self._settings = settings
        self._info = info
        self._seeded = seeded
        self._death = death
        self.died = False
        # Think tags must stay in the text; where a model calls them special, nothing special is left out.
        self._skip_special = "<think>" not in tokenizer.all_special_tokens
        self._context = int(info["context"])
        in_flight = int(info["max_in_flight"])
        self._room = in_flight + max(_LEAST_MARGIN, in_flight // _MARGIN)
        self._numbers = itertools.count()
        self._last: _Encoded | None = None
        self._lock = threading.Lock()
        self._flying: dict[ChainKey, _Flight] = {}
        self._dropped: set[ChainKey] = set()
        self._usage = {"prompt_tokens": 0, "completion_tokens": 0}
        self._tasks: set[asyncio.Task[None]] = set()  # the loop itself holds its tasks but weakly

    @property
    def info(self) -> Mapping[str, Any]:
        return self._info

    @property
    def usage(self) -> Mapping[str, int]:
        """Tokens that were computed, those of dropped chains included; prompts found in the prefix cache are not."""
        return dict(self._usage)

    def close(self) -> None:
        """Let go of vLLM, which has been shut down."""
        self._llm = None

    def sample(self, requests: Iterable[Request]) -> Iterator[Chain]:
        source = iter(requests)
        news: _News = queue.SimpleQueue()
        try:
            more = self._fill(source, news)
            while self._flying:
                landed = self._landed(news)
                failure: HarnessError | None = None
                # Handed in before the others are taken out: what the caller does with a chain costs vLLM nothing.
                try:
                    more = more and self._fill(source, news)
                except HarnessError as error:
                    failure = error
                for arrival in landed:
                    if (chain := self._chain(arrival)) is not None:
                        yield chain
                if failure is not None:
                    raise failure
        finally:
            self._abort(self._flying.keys())
            with self._lock:
                self._flying.clear()
                self._dropped.clear()

    def drop(self, keys: Collection[ChainKey]) -> None:
        with self._lock:
            self._dropped.update(keys)
        self._abort(keys)

    def stream(self, request: Request, on_text: Callable[[str], None]) -> Chain:
        from vllm.sampling_params import RequestOutputKind

        news: _News = queue.SimpleQueue()
        flight = self._flight(request)
        told = ""
        ids: list[int] = []
        self._hand_in([flight], news, RequestOutputKind.DELTA)
        try:
            while True:
                arrival = self._next(news)
                piece = arrival.output.outputs[0]
                ids += piece.token_ids
                if piece.text:
                    told += piece.text
                    on_text(piece.text)
                if arrival.output.finished:
                    chain = self._finished(flight, arrival.output, ids, told)
                    if chain.text.startswith(told) and chain.text != told:
                        on_text(chain.text[len(told) :])  # bytes that might have become a character
                    return chain
        finally:
            self._abort([request.key])
            with self._lock:
                self._flying.clear()

    # -- towards vLLM ----------------------------------------------------------------------------------------

    def _fill(self, source: Iterator[Request], news: _News) -> bool:
        """Hand in as many requests as there is room for. Whether there may be more."""
        from vllm.sampling_params import RequestOutputKind

        flights: list[_Flight] = []
        more = True
        while len(self._flying) + len(flights) < self._room:
            request = next(source, None)
            if request is None:
                more = False
                break
            flights.append(self._flight(request))
        self._hand_in(flights, news, RequestOutputKind.FINAL_ONLY)
        return more

    def _flight(self, request: Request) -> _Flight:
        if self._last is None or self._last.prompt != request.prompt:
            self._last = self._encode(request)
        return _Flight(str(next(self._numbers)), request, self._last)

    def _hand_in(self, flights: Sequence[_Flight], news: _News, kind: Any) -> None:
        launches = [(flight, self._parameters(flight, kind)) for flight in flights]

        def begin() -> None:
            for flight, parameters in launches:
                task = self._loop.create_task(self._fly(flight, parameters, news))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

        with self._lock:
            launches = [launch for launch in launches if launch[0].request.key not in self._dropped]
            self._flying.update((flight.request.key, flight) for flight, _ in launches)
            # Under the lock: whoever finds a flight to abort finds it already on its way.
            if launches:
                self._loop.call_soon_threadsafe(begin)

    async def _fly(self, flight: _Flight, parameters: Any, news: _News) -> None:
        prompt = {"type": "token", "prompt_token_ids": flight.encoded.ids}
        try:
            async for output in self._llm.generate(prompt, parameters, flight.id):
                news.put(_Arrival(flight, output))
        except Exception as error:  # noqa: BLE001 - raised again where the chain is waited for
            news.put(_Arrival(flight, error=error))

    def _parameters(self, flight: _Flight, kind: Any) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        settings, stop = self._settings, flight.request.prompt.stop
        greedy = settings.temperature <= 0
        return SamplingParams(
            temperature=max(0.0, settings.temperature),
            top_p=1.0 if greedy else settings.top_p,
            max_tokens=flight.encoded.budget,
            seed=flight.request.seed if self._seeded and not greedy else None,
            stop=list(stop) or None,
            # Unless stop texts are looked for, one decoding at the end is all that is needed.
            detokenize=bool(stop) or kind == RequestOutputKind.DELTA,
            skip_special_tokens=self._skip_special,
            output_kind=kind,
        )

    def _encode(self, request: Request) -> _Encoded:
        problem, prompt = request.key.problem_id, request.prompt
        if prompt.text is not None:
            ids = list(self._tokenizer(prompt.text)["input_ids"])
        else:
            ids = list(self._tokenizer(self._rendered(request), add_special_tokens=False)["input_ids"])
        if not ids:
            raise HarnessError(f"the prompt of problem {problem} is empty")
        budget = min(self._settings.max_tokens, self._context - len(ids))
        if budget < 1:
            raise HarnessError(
                f"the prompt of problem {problem} has {len(ids):,} tokens and the context is {self._context:,}: "
                "leave the problem out, raise --sampler-option context or use a model with a longer context"
            )
        return _Encoded(prompt, ids, budget)

    def _rendered(self, request: Request) -> str:
        if not getattr(self._tokenizer, "chat_template", None):
            raise HarnessError(
                "the model's tokenizer has no chat template: add chat_template.jinja to its folder"
            )
        from jinja2 import TemplateError  # type: ignore[import-not-found,unused-ignore]  # of transformers

        messages = [{"role": m.role, "content": m.content} for m in request.prompt.messages]
        try:
            return str(
                self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            )
        except (TemplateError, ValueError, TypeError) as error:
            text = " ".join(str(error).split())[:200]
            raise HarnessError(
                f"the model's chat template cannot render problem {request.key.problem_id}: {text}"
            ) from None

    def _abort(self, keys: Collection[ChainKey]) -> None:
        with self._lock:
            ids = [self._flying[key].id for key in keys if key in self._flying]
        if ids and not self.died:
            with suppress(RuntimeError):  # the loop is closed: so is vLLM
                asyncio.run_coroutine_threadsafe(self._llm.abort(ids), self._loop)

    # -- from vLLM -------------------------------------------------------------------------------------------

    def _landed(self, news: _News) -> list[_Arrival]:
        """Everything that has finished; waits for one."""
        arrivals = [self._next(news)]
        with suppress(queue.Empty):
            while (arrival := news.get_nowait()).error is None:
                arrivals.append(arrival)
            news.put(arrival)  # what has finished comes first
        arrivals = [arrival for arrival in arrivals if arrival.output.finished]
        with self._lock:
            for arrival in arrivals:
                self._flying.pop(arrival.flight.request.key, None)
        return arrivals

    def _next(self, news: _News) -> _Arrival:
        return self._checked(news.get())

    def _checked(self, arrival: _Arrival) -> _Arrival:
        if arrival.error is None:
            return arrival
        from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

        error = arrival.error
        if isinstance(error, EngineGenerateError) and error.__cause__ is not None:
            error = error.__cause__
        if isinstance(error, EngineDeadError):
            self.died = True
            raise HarnessError(
                f"vLLM died: {self._death()}; chains that it finished are stored, run the same command to go on"
            )
        text = " ".join(str(error).split())[:300]
        problem = arrival.flight.request.key.problem_id
        raise HarnessError(f"vLLM refused a request of problem {problem}: {type(error).__name__}: {text}")

    def _chain(self, arrival: _Arrival) -> Chain | None:
        """The finished chain, or None where it was dropped."""
        flight, output = arrival.flight, arrival.output.outputs[0]
        if output.finish_reason == "abort":
            self._count(arrival.output, len(output.token_ids))
            return None
        return self._finished(flight, arrival.output, list(output.token_ids), output.text)

    def _finished(self, flight: _Flight, output: Any, ids: list[int], text: str) -> Chain:
        """The chain of these tokens. `text` is vLLM's own, cut off before a stop text."""
        self._count(output, len(ids))
        last = output.outputs[0]
        if last.finish_reason not in ("stop", "length"):
            raise HarnessError(
                f"vLLM gave a chain of problem {flight.request.key.problem_id} up ({last.finish_reason}); run the "
                "same command to go on"
            )
        if not isinstance(last.stop_reason, str):
            ended = last.finish_reason == "stop"
            text = self._decoded(ids[:-1] if ended else ids)
        return flight.request.chain(
            text,
            finish_reason=last.finish_reason,
            completion_tokens=len(ids),
            prompt_tokens=len(flight.encoded.ids),
        )

    def _decoded(self, ids: list[int]) -> str:
        return str(
            self._tokenizer.decode(
                ids, skip_special_tokens=self._skip_special, clean_up_tokenization_spaces=False
            )
        )

    def _count(self, output: Any, tokens: int) -> None:
        cached = getattr(output, "num_cached_tokens", None) or 0
        self._usage["prompt_tokens"] += max(0, len(output.prompt_token_ids or ()) - cached)
        self._usage["completion_tokens"] += tokens

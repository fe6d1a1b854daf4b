"""The loop that keeps OpenVINO's scheduler busy: what is let in when, and what comes out as chains."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness import Chain, Engine, HarnessError, Prompt, Request, SamplingSettings

BLOCK = 32
"""Tokens in a block of OpenVINO's key-value cache on the processor."""

_LEADERS = 8  # prompts whose first chain may be waiting for its prefill at once

# Models mark the end of an answer with either of their end tokens; a GGUF names only one.
_END_TOKENS = ("<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<｜end▁of▁sentence｜>")


@dataclass(frozen=True, slots=True)
class Limits:
    max_in_flight: int
    """Most chains in flight."""
    blocks: int
    """Blocks in the key-value cache."""
    context: int
    """Longest sequence the model takes, prompt included, in tokens."""


@dataclass(slots=True)
class _Group:
    """Requests that share a prompt. The first goes ahead; the others then find the prompt in the cache."""

    ids: Any
    """Tokens of the rendered prompt, as the engine's tensor of shape [1, length]."""
    length: int
    budget: int
    """Most tokens to generate: the protocol's, or what the model's context leaves."""
    blocks: int
    """Cache blocks that one chain may come to need."""
    warm: bool = False


@dataclass(slots=True)
class _Flight:
    request: Request
    group: _Group
    handle: Any
    leader: bool


@dataclass(slots=True)
class _Admission:
    """Which request goes in next, and whether there is room for it.

    Every chain in flight has its whole possible length reserved, so that the engine never has to throw a
    half-written chain out of its cache: doing that over and over makes it crash.
    """

    limits: Limits
    cold: deque[tuple[_Group, list[Request]]]
    ready: deque[tuple[_Group, Request]] = field(default_factory=deque)
    waiting: dict[int, list[Request]] = field(default_factory=dict)
    used: int = 0
    leaders: int = 0

    def next(self, in_flight: int) -> tuple[_Group, Request, bool] | None:
        if in_flight >= self.limits.max_in_flight:
            return None
        if self.ready:
            group, request = self.ready[0]
            if self.used + group.blocks > self.limits.blocks:
                return None
            self.ready.popleft()
            self.used += group.blocks
            return group, request, False
        if self.cold and self.leaders < _LEADERS:
            group, requests = self.cold[0]
            if self.used + group.blocks > self.limits.blocks:
                return None
            self.cold.popleft()
            self.used += group.blocks
            self.leaders += 1
            self.waiting[id(group)] = requests[1:]
            return group, requests[0], True
        return None

    def warmed(self, group: _Group) -> None:
        """The group's prompt is in the cache: its other requests may come."""
        group.warm = True
        self.leaders -= 1
        self.ready.extend((group, request) for request in self.waiting.pop(id(group)))

    def landed(self, group: _Group) -> None:
        self.used -= group.blocks

    @property
    def done(self) -> bool:
        return not (self.cold or self.ready or self.waiting)


class OpenVINOEngine(Engine):
    """A loaded pipeline."""

    def __init__(
        self, pipeline: Any, settings: SamplingSettings, limits: Limits, info: Mapping[str, Any]
    ) -> None:
        self._pipeline = pipeline
        self._tokenizer = pipeline.get_tokenizer()
        self._settings = settings
        self._limits = limits
        self._info = info
        self._numbers = itertools.count()
        self._stop_ids = self._end_tokens()
        # Think tags must stay in the text; where a model calls them special, nothing special is left out.
        tags = self._tokenizer.encode("<think></think>", add_special_tokens=False).input_ids
        self._skip_special = "<think>" in self._decode_ids(tags.data[0].tolist(), skip=True)

    @property
    def info(self) -> Mapping[str, Any]:
        return self._info

    def close(self) -> None:
        """Give the memory back."""
        self._pipeline = self._tokenizer = None

    def sample(self, requests: Iterable[Request]) -> Iterator[Chain]:
        by_prompt: dict[Prompt, list[Request]] = {}
        for request in requests:
            by_prompt.setdefault(request.prompt, []).append(request)
        admission = _Admission(self._limits, deque((self._group(rs[0]), rs) for rs in by_prompt.values()))
        flights: list[_Flight] = []
        try:
            while flights or not admission.done:
                while (entry := admission.next(len(flights))) is not None:
                    flights.append(self._start(*entry))
                self._step()
                still: list[_Flight] = []
                landed: list[_Flight] = []
                for flight in flights:
                    finished = flight.handle.get_status() != self._running
                    if flight.leader and not flight.group.warm and (finished or flight.handle.can_read()):
                        admission.warmed(flight.group)
                    (landed if finished else still).append(flight)
                flights = still
                for flight in landed:
                    admission.landed(flight.group)
                for flight in landed:
                    yield self._chain(flight)
        finally:
            for flight in flights:
                flight.handle.cancel()
            while flights and self._pipeline is not None and self._pipeline.has_non_finished_requests():
                self._step()

    @property
    def _running(self) -> Any:
        from openvino_genai import GenerationStatus

        return GenerationStatus.RUNNING

    def _group(self, request: Request) -> _Group:
        messages = [{"role": m.role, "content": m.content} for m in request.prompt.messages]
        try:
            text = self._tokenizer.apply_chat_template(messages, True)
        except RuntimeError as error:
            raise HarnessError(
                f"the model's chat template cannot render problem {request.key.problem_id}: {one_line(error)}"
            ) from None
        ids = self._tokenizer.encode(text, add_special_tokens=False).input_ids
        length = int(ids.shape[1])
        budget = min(self._settings.max_tokens, self._limits.context - length)
        if budget < 1:
            raise HarnessError(
                f"the prompt of problem {request.key.problem_id} has {length:,} tokens and the model's context is "
                f"{self._limits.context:,}: leave the problem out or use a model with a longer context"
            )
        blocks = -(-(length + budget) // BLOCK) + 1
        if blocks > self._limits.blocks:
            raise HarnessError(
                f"a chain of problem {request.key.problem_id} ({length:,} prompt tokens and up to {budget:,} more) "
                f"does not fit in a key-value cache of {self._limits.blocks * BLOCK:,} tokens: lower --max-tokens "
                "or set --sampler-option cache_gb"
            )
        return _Group(ids, length, budget, blocks)

    def _start(self, group: _Group, request: Request, leader: bool) -> _Flight:
        from openvino_genai import GenerationConfig

        config = GenerationConfig()
        config.max_new_tokens = group.budget
        config.stop_token_ids = self._stop_ids
        config.apply_chat_template = False
        config.do_sample = self._settings.temperature > 0
        if config.do_sample:
            config.temperature = self._settings.temperature
            config.top_p = self._settings.top_p
            config.rng_seed = request.seed
        handle = self._pipeline.add_request(next(self._numbers), group.ids, config)
        return _Flight(request, group, handle, leader)

    def _step(self) -> None:
        try:
            self._pipeline.step()
        except RuntimeError as error:
            raise HarnessError(
                f"OpenVINO stopped: {one_line(error)}; finished chains are stored, the same command goes on"
            ) from None

    def _chain(self, flight: _Flight) -> Chain:
        outputs = flight.handle.read_all()
        if not outputs:
            raise HarnessError(
                f"OpenVINO refused a request of problem {flight.request.key.problem_id} "
                f"({flight.handle.get_status().name.lower()})"
            )
        ids = list(outputs[0].generated_ids)
        stopped = bool(ids) and ids[-1] in self._stop_ids
        return flight.request.chain(
            self._decode_ids(ids[:-1] if stopped else ids, skip=self._skip_special),
            finish_reason="stop" if stopped else "length",
            completion_tokens=len(ids),
            prompt_tokens=flight.group.length,
        )

    def _decode_ids(self, ids: list[int], *, skip: bool) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=skip)) if ids else ""

    def _end_tokens(self) -> set[int]:
        stop = set(self._pipeline.get_config().stop_token_ids)
        eos = self._tokenizer.get_eos_token_id()
        if eos >= 0:
            stop.add(eos)
        for token in _END_TOKENS:
            ids = self._tokenizer.encode(token, add_special_tokens=False).input_ids
            if ids.shape[1] == 1:
                stop.add(int(ids.data[0][0]))
        return stop


def one_line(error: Exception) -> str:
    """The telling last line of a C++ exception."""
    lines = [line.strip() for line in str(error).split("\n") if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300]

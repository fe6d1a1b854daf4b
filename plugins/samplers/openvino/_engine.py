"""The loop that keeps OpenVINO's scheduler busy, and what comes out as chains."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness import Chain, ChainKey, Engine, HarnessError, Request, SamplingSettings

from ..weights._codec import Codec
from ._admission import Admission, Group, Limits, grouped
from ._watch import Watch

_NO_TOKEN = 2**31 - 1  # an id that no model has: OpenVINO wants to know of an end token


@dataclass(slots=True, eq=False)
class _Flight:
    request: Request
    group: Group
    handle: Any
    leader: bool
    """Its prompt is still to be read, and others wait for that."""
    watch: Watch | None
    """Follows the text, where something depends on it while it is written."""

    @property
    def stopped(self) -> bool:
        return self.watch is not None and self.watch.stopped


class OpenVINOEngine(Engine):
    """A loaded pipeline."""

    lazy = True

    def __init__(
        self,
        pipeline: Any,
        codec: Codec,
        settings: SamplingSettings,
        limits: Limits,
        info: Mapping[str, Any],
    ) -> None:
        self._pipeline = pipeline
        self._codec = codec
        self._settings = settings
        self._limits = limits
        self._info = info
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._unwanted: set[ChainKey] = set()
        self._news = False  # keys were added since they were last looked at

    @property
    def info(self) -> Mapping[str, Any]:
        return self._info

    def close(self) -> None:
        """Give the memory back."""
        self._pipeline = None

    def drop(self, keys: Collection[ChainKey]) -> None:
        with self._lock:
            self._unwanted.update(keys)
            self._news = True

    def sample(self, requests: Iterable[Request]) -> Iterator[Chain]:
        return self._sample(requests, None)

    def stream(self, request: Request, on_text: Callable[[str], None]) -> Chain:
        for chain in self._sample([request], on_text):
            return chain
        raise HarnessError("the engine gave no answer")

    def _sample(self, requests: Iterable[Request], on_text: Callable[[str], None] | None) -> Iterator[Chain]:
        admission = Admission(requests, self._limits, self._group, self._unwanted.__contains__)
        flights: list[_Flight] = []
        leaving: list[
            Group
        ] = []  # of cancelled chains: the next step gives their blocks back, and then their room
        try:
            while True:
                flights = self._without_unwanted(flights, admission, leaving)
                while (entry := admission.next()) is not None:
                    flights.append(self._start(*entry, on_text))
                if not flights and not leaving:
                    break
                self._step()
                for group in leaving:
                    admission.landed(group)
                leaving.clear()
                still: list[_Flight] = []
                landed: list[_Flight] = []
                for flight in flights:
                    (landed if self._has_landed(flight, admission) else still).append(flight)
                flights = still
                for flight in landed:
                    if flight.handle.get_status() == self._running:  # a stop text ended it, not the engine
                        flight.handle.cancel()
                        leaving.append(flight.group)
                    else:
                        admission.landed(flight.group)
                for flight in landed:
                    yield self._chain(flight)
            if admission.failure is not None:
                raise admission.failure
        finally:
            self._cancel(flights)
            with self._lock:
                self._unwanted.clear()
                self._news = False

    def _has_landed(self, flight: _Flight, admission: Admission) -> bool:
        """Take up what a step has brought a chain, and whether it was the last of it."""
        finished = bool(flight.handle.get_status() != self._running)
        if flight.leader and (finished or flight.handle.can_read()):
            flight.leader = False
            admission.read(flight.group)
        if flight.watch is not None:
            while flight.handle.can_read():
                for output in flight.handle.read().values():
                    flight.watch.add(output.generated_ids)
        return finished or flight.stopped

    def _without_unwanted(
        self, flights: list[_Flight], admission: Admission, leaving: list[Group]
    ) -> list[_Flight]:
        """The chains in flight, those less that were dropped."""
        if not self._news:
            return flights
        with self._lock:
            self._news = False
            unwanted = set(self._unwanted)
        admission.forget(unwanted, {id(flight.group): flight.group for flight in flights}.values())
        still = []
        for flight in flights:
            if flight.request.key not in unwanted:
                still.append(flight)
                continue
            flight.handle.cancel()
            leaving.append(flight.group)
            if flight.leader:
                admission.lost(flight.group)
        return still

    @property
    def _running(self) -> Any:
        from openvino_genai import GenerationStatus

        return GenerationStatus.RUNNING

    def _group(self, request: Request) -> Group:
        import numpy as np
        import openvino

        def as_tensor(tokens: list[int]) -> Any:
            return openvino.Tensor(np.array([tokens], np.int64))

        try:
            tokens = self._codec.encode(request.prompt)
        except HarnessError as error:
            raise HarnessError(f"problem {request.key.problem_id}: {error}") from None
        return grouped(request, tokens, self._settings.max_tokens, self._limits, as_tensor)

    def _start(self, group: Group, request: Request, on_text: Callable[[str], None] | None) -> _Flight:
        from openvino_genai import GenerationConfig

        ends = self._codec.end_ids
        config = GenerationConfig()
        config.max_new_tokens = group.budget
        config.eos_token_id = min(ends, default=_NO_TOKEN)
        config.stop_token_ids = {config.eos_token_id, *ends}
        config.apply_chat_template = False
        config.do_sample = self._settings.temperature > 0
        if config.do_sample:
            config.temperature = self._settings.temperature
            config.top_p = self._settings.top_p
            config.rng_seed = request.seed
        handle = self._pipeline.add_request(next(self._numbers), group.ids, config)
        watch = None
        if request.prompt.stop or on_text is not None:
            watch = Watch(self._codec.decode, request.prompt.stop, ends, on_text)
        return _Flight(request, group, handle, group.leading, watch)

    def _step(self) -> None:
        try:
            self._pipeline.step()
        except RuntimeError as error:
            raise HarnessError(
                f"OpenVINO stopped: {one_line(error)}; finished chains are stored, the same command goes on"
            ) from None

    def _cancel(self, flights: list[_Flight]) -> None:
        for flight in flights:
            flight.handle.cancel()
        while self._pipeline is not None and self._pipeline.has_non_finished_requests():
            self._step()

    def _chain(self, flight: _Flight) -> Chain:
        if flight.watch is not None:
            ids = flight.watch.ids
        else:
            outputs = flight.handle.read_all()
            ids = list(outputs[0].generated_ids) if outputs else []
        if not ids:
            raise HarnessError(
                f"OpenVINO refused a request of problem {flight.request.key.problem_id} "
                f"({flight.handle.get_status().name.lower()})"
            )
        ended = ids[-1] in self._codec.end_ids
        watch = flight.watch
        text = self._codec.decode(ids[:-1] if ended else ids) if watch is None else watch.finish()
        return flight.request.chain(
            text,
            finish_reason="stop" if ended or flight.stopped else "length",
            completion_tokens=len(ids),
            prompt_tokens=flight.group.length,
        )


def one_line(error: Exception) -> str:
    """The telling last line of a C++ exception."""
    lines = [line.strip() for line in str(error).split("\n") if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300]

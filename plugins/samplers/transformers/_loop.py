"""The loop of the transformers sampler: requests go in where there is room, chains come out as they end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import torch

from harness import Chain, HarnessError, Request

from .._token_text import TokenText
from ._batch import Batch, Ids, Row
from ._kv_cache import ReadPrompt
from ._load import one_line

if TYPE_CHECKING:
    from ._engine import TransformersEngine


class Sampling:
    """One call of `sample`: what is in flight, and what is to come."""

    def __init__(
        self,
        engine: TransformersEngine,
        requests: Iterable[Request],
        on_text: Callable[[str], None] | None = None,
    ) -> None:
        self._engine = engine
        self._source = _Source(requests, engine.dropped)
        self._on_text = on_text
        self._batch: Batch | None = None
        self._most: int | None = None  # chains at once, after memory ran out
        self._prompt: tuple[Ids, ReadPrompt] | None = None  # the last one that was read
        self._ids: Ids | None = None

    def chains(self) -> Iterator[Chain]:
        try:
            while True:
                self._guarded(self._fill)
                yield from self._land()  # a chain may be over with its first token
                if not self._flying:
                    if self._ended:
                        return
                    continue
                self._guarded(self._step)
                yield from self._land()
        finally:
            self._batch = self._prompt = None

    @property
    def _flying(self) -> list[Row]:
        return [] if self._batch is None else self._batch.flying

    _ended = False

    def _guarded(self, work: Callable[[], None]) -> None:
        """Do some work; where memory runs out, go on with fewer chains at once."""
        try:
            with torch.inference_mode():
                work()
            return
        except RuntimeError as error:  # torch.OutOfMemoryError is one
            if not _out_of_memory(error):
                raise HarnessError(f"transformers failed: {one_line(error)}") from None
        self._shrink()  # only here, since the error held on to what the work had taken

    def _fill(self) -> None:
        """Let chains in while there is room: consecutive ones of one prompt share its reading."""
        while room := 1 if self._batch is None else len(self._batch.free):
            taken = self._source.take(room)
            if not taken:
                self._ended = True
                return
            joined = False
            try:
                joined = self._join(taken)
            finally:
                if not joined:
                    self._source.put_back(taken)
            if not joined and self._flying:
                return  # too long for these slots: once they are empty, there will be others

    def _join(self, requests: Sequence[Request]) -> bool:
        """Whether the requests are in flight now. If not, there are no slots for them yet."""
        ids = self._tokens(requests[0])
        if self._batch is None or ids.columns > self._batch.columns:
            if not self._flying:
                self._batch = None
                self._batch = self._new_batch(ids)
            return False
        prompt = self._read(ids)
        rows = [Row(request, ids, self._text(ids)) for request in requests]
        self._batch.begin(prompt, rows)
        self._engine.used(completion=len(rows))
        return True

    def _tokens(self, request: Request) -> Ids:
        if self._ids is None or self._ids.prompt != request.prompt:
            self._ids = self._engine.ids(request)
        return self._ids

    def _read(self, ids: Ids) -> ReadPrompt:
        if self._prompt is None or self._prompt[0] is not ids:
            self._prompt = None
            self._prompt = (ids, ReadPrompt.read(self._engine.model, ids.ids))
            self._engine.used(prompt=len(ids.ids))
        return self._prompt[1]

    def _text(self, ids: Ids) -> TokenText | None:
        if self._on_text is None and not ids.prompt.stop:
            return None
        return TokenText(self._engine.text, ids.prompt.stop, self._on_text)

    def _new_batch(self, ids: Ids) -> Batch:
        columns = max(self._engine.columns(ids), ids.columns)
        rows = self._engine.rows_that_fit(columns, columns - ids.budget)
        rows = max(1, rows if self._most is None else min(rows, self._most))
        settings = self._engine.settings
        budget = min(settings.max_tokens, columns)
        return Batch(self._engine.model, rows, columns, budget, (settings.temperature, settings.top_p))

    def _step(self) -> None:
        assert self._batch is not None
        self._engine.used(completion=self._batch.step())

    def _land(self) -> Iterator[Chain]:
        if self._batch is None:
            return
        with torch.inference_mode():
            landed = self._batch.land(lambda row: self._engine.dropped(row.request))
        for row in landed:
            if not row.unwanted:
                yield self._engine.chain(row)

    def _shrink(self) -> None:
        """After running out of memory: half as many chains at once. The longest stay; the others begin again with
        the same random numbers, so they come out the same."""
        rows = 0 if self._batch is None else len(self._batch.slots)
        if rows <= 1:
            raise HarnessError(
                "there is not enough memory for one chain: lower --max-tokens, use a smaller model or dtype=bfloat16"
            )
        self._prompt = None
        flying = self._flying
        self._most = max(1, (len(flying) or rows) // 2)
        try:
            with torch.inference_mode():
                assert self._batch is not None
                lost = self._batch.keep(self._most) if flying else []
        except RuntimeError as error:
            if not _out_of_memory(error):
                raise
            lost = flying
        if len(lost) == len(flying):
            self._batch = None
        self._source.put_back([row.request for row in lost])
        self._ended = False
        empty_cache()


def _out_of_memory(error: RuntimeError) -> bool:
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in text or "allocate memory" in text


def empty_cache() -> None:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


class _Source:
    """Requests, taken one by one as they are needed."""

    def __init__(self, requests: Iterable[Request], dropped: Callable[[Request], bool]) -> None:
        self._requests = iter(requests)
        self._again: deque[Request] = deque()
        self._dropped = dropped

    def take(self, most: int) -> list[Request]:
        """The next requests, at most so many and all of one prompt; none where there are no more."""
        taken: list[Request] = []
        while len(taken) < most and (request := self._next()) is not None:
            if taken and request.prompt != taken[0].prompt:
                self._again.appendleft(request)
                break
            taken.append(request)
        return taken

    def put_back(self, requests: Sequence[Request]) -> None:
        self._again.extendleft(reversed(requests))

    def _next(self) -> Request | None:
        while True:
            request = self._again.popleft() if self._again else next(self._requests, None)
            if request is None or not self._dropped(request):
                return request

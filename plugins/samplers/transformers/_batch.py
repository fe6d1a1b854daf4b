"""The chains in flight of the transformers sampler: which slot each has, and the step that all take together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import torch

from harness import Prompt, Request

from .._token_text import TokenText
from ._draw import draw
from ._kv_cache import ReadPrompt, Run, Slots, columns_of, runs_of

_RUNS = 4  # attention calls a layer
_LEAST_SAVING = 1024  # columns over all rows that make up for one more call
_CUT_EVERY = 16  # steps, at most
_SORT_EVERY = 64  # steps, at most; sorting rows copies their keys and values


class Ids(NamedTuple):
    """A prompt as tokens."""

    prompt: Prompt
    ids: list[int]
    budget: int
    """Most tokens to generate: the protocol's, or what the model's context leaves."""
    end: frozenset[int]
    """Tokens that end a chain."""

    @property
    def columns(self) -> int:
        return len(self.ids) + self.budget


@dataclass(slots=True, eq=False)
class Row:
    """One chain in the making."""

    request: Request
    prompt: Ids
    text: TokenText | None
    """Its text so far, where somebody has to know."""
    tokens: list[int] = field(default_factory=list)
    finished: Literal["stop", "length"] | None = None
    unwanted: bool = False

    @property
    def length(self) -> int:
        """Tokens whose keys and values are stored: the last one's are not yet."""
        return len(self.prompt.ids) + max(0, len(self.tokens) - 1)

    def add(self, token: int) -> None:
        self.tokens.append(token)
        if token in self.prompt.end or (self.text is not None and self.text.add(token)):
            self.finished = "stop"
        elif len(self.tokens) >= self.prompt.budget:
            self.finished = "length"


class Batch:
    """Slots, and what is in them.

    Args:
        rows, columns: of the slots.
        budget: most tokens that any chain may generate.
    """

    def __init__(
        self, model: Any, rows: int, columns: int, budget: int, drawing: tuple[float, float]
    ) -> None:
        device = model.device
        self._model = model
        self._temperature, self._top_p = drawing
        self._store = Slots(rows, columns)
        self.slots: list[Row | None] = [None] * rows
        self._tokens = torch.zeros(rows, dtype=torch.long, device=device)
        self._lengths = torch.zeros(rows, dtype=torch.long, device=device)
        self._alive = torch.zeros(rows, dtype=torch.long, device=device)
        self._drawn = torch.zeros(rows, dtype=torch.long, device=device)
        numbers = budget if self._temperature > 0 else 1
        self._numbers = torch.zeros(rows, numbers, dtype=_number(device), device=device)
        self._runs: list[Run] | None = None
        self._changed = False
        self._steps = self._cut_at = self._sorted_at = 0

    @property
    def flying(self) -> list[Row]:
        return [row for row in self.slots if row is not None]

    @property
    def free(self) -> list[int]:
        return [slot for slot, row in enumerate(self.slots) if row is None]

    @property
    def columns(self) -> int:
        return self._store.columns

    def begin(self, prompt: ReadPrompt, rows: Sequence[Row]) -> None:
        """Let chains of one prompt in and draw their first tokens. There must be room for them."""
        slots = self.free[: len(rows)]
        self._store.place(prompt, slots)
        device = self._lengths.device
        index = torch.tensor(slots, device=device)
        if self._temperature > 0:
            width = self._numbers.shape[1]
            numbers = torch.stack([_random(row.request.seed, width) for row in rows])
            self._numbers[index] = numbers.to(self._numbers.dtype).to(device)
        tokens = self._draw(prompt.logits.expand(len(rows), -1), self._numbers[index, 0])
        self._tokens[index], self._lengths[index] = tokens, prompt.length
        self._drawn[index] = self._alive[index] = 1
        for slot, row, token in zip(slots, rows, tokens.tolist(), strict=True):
            self.slots[slot] = row
            row.add(token)
        self._admit(slots, prompt.length)

    def step(self) -> int:
        """One more token for every chain in flight. Returns how many were drawn."""
        runs = self._arranged()
        rows = runs[-1].stop
        logits = self._store.forward(self._model, self._tokens[:rows], self._lengths[:rows], runs)
        at = self._drawn[:rows].clamp(max=self._numbers.shape[1] - 1)
        tokens = self._draw(logits, self._numbers[:rows].gather(1, at[:, None])[:, 0])
        known = (
            tokens.tolist()
        )  # the only time that a step waits for the device, but for rare flat distributions
        # From here on nothing can fail.
        self._tokens[:rows] = tokens
        self._lengths[:rows] += self._alive[:rows]
        self._drawn[:rows] += self._alive[:rows]
        self._runs = [run._replace(columns=run.columns + 1) for run in runs]
        self._steps += 1
        drawn = 0
        for row, token in zip(self.slots[:rows], known, strict=True):
            if row is not None:
                row.add(token)
                drawn += 1
        return drawn

    def land(self, unwanted: Callable[[Row], bool]) -> list[Row]:
        """Take out the chains that have ended or are no longer wanted."""
        landed: list[Row] = []
        slots = []
        for slot, row in enumerate(self.slots):
            if row is None:
                continue
            row.unwanted = unwanted(row)
            if row.unwanted or row.finished:
                landed.append(row)
                slots.append(slot)
                self.slots[slot] = None
        if slots:
            # The row of a chain that has ended is computed on until another takes it, at its first column.
            index = torch.tensor(slots, device=self._lengths.device)
            self._alive[index] = self._lengths[index] = 0
            self._changed = True
        return landed

    def keep(self, most: int) -> list[Row]:
        """Give the memory of all but so many slots back. Returns the chains that lost theirs, the youngest ones."""
        order = self._sorted()
        self._move(order)
        lost = [row for row in self.slots[most:] if row is not None]
        self.slots = self.slots[:most]
        self._store.shrink(most)
        for name in ("_tokens", "_lengths", "_alive", "_drawn", "_numbers"):
            setattr(self, name, getattr(self, name)[:most].clone())
        self._runs = None
        return lost

    def _draw(self, logits: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        return draw(logits, numbers, self._temperature, self._top_p)

    def _admit(self, slots: Sequence[int], length: int) -> None:
        """Make the runs cover rows that a chain of that length has begun in. They are cut anew some steps later."""
        if self._runs is None:
            return
        last = self._runs[-1]
        self._runs[-1] = last._replace(stop=max(last.stop, max(slots) + 1))
        for number, run in enumerate(self._runs):
            if any(run.start <= slot < run.stop for slot in slots):
                self._runs[number] = run._replace(columns=max(run.columns, length + 1), even=False)
        self._changed = True

    def _arranged(self) -> list[Run]:
        """The runs, cut anew from time to time; rows are sorted by length before that where it pays."""
        used = self._runs[-1].stop if self._runs else len(self.slots)
        gaps = sum(row is None for row in self.slots[:used])
        fresh = not self._changed or self._steps - self._cut_at < _CUT_EVERY
        if self._runs is not None and fresh and gaps <= used // 8:
            return self._runs
        runs = self._cut()
        order = self._sorted()
        ideal = runs_of([self._length(slot) for slot in order if self.slots[slot]], _RUNS, _LEAST_SAVING)
        wasteful = columns_of(runs) > 1.2 * columns_of(ideal) + _LEAST_SAVING
        gaps = runs[-1].stop - len(self.flying)
        if gaps > runs[-1].stop // 8 or (wasteful and self._steps - self._sorted_at >= _SORT_EVERY):
            self._move(order)
            self._sorted_at = self._steps
            runs = self._cut()
        self._runs, self._changed, self._cut_at = runs, False, self._steps
        return runs

    def _cut(self) -> list[Run]:
        used = max((slot + 1 for slot, row in enumerate(self.slots) if row is not None), default=1)
        return runs_of([self._length(slot) for slot in range(used)], _RUNS, _LEAST_SAVING)

    def _length(self, slot: int) -> int:
        row = self.slots[slot]
        return 0 if row is None else row.length

    def _sorted(self) -> list[int]:
        """Slots, those of the longest chains first, the empty ones last."""
        return sorted(range(len(self.slots)), key=lambda slot: -self._length(slot))

    def _move(self, order: Sequence[int]) -> None:
        used = len(self.flying)
        # Empty rows need not be copied: whatever is in them will do.
        self._store.move(order[:used])
        index = torch.tensor(order, device=self._lengths.device)
        for name in ("_tokens", "_lengths", "_alive", "_drawn", "_numbers"):
            setattr(self, name, getattr(self, name)[index])
        self.slots = [self.slots[slot] for slot in order]


def _random(seed: int, count: int) -> torch.Tensor:
    """A chain's random numbers in [0, 1): the first ones are the same however many are wanted."""
    return torch.rand(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _number(device: torch.device) -> torch.dtype:
    return torch.float32 if device.type == "mps" else torch.float64

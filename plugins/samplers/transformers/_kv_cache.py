"""Keys and values of the chains in flight, in slots of fixed length, and the attention over them. Imports torch.

Every chain has a slot: one row in each layer's two buffers, filled from the left. Nothing is copied as chains grow,
end and are followed by others, and the memory is the same from the first token to the last.

Rows of very different length would make a short chain attend over the columns of the longest. So the rows are cut
into a few runs of similar length (`Run`), each with an attention call of its own, while all else in the model still
sees one batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

ATTENTION = "harness_slots"
"""Name under which the attention over slots is known to the transformers library."""

_ALIGNED = 8  # columns; kernels want masks whose rows begin at multiples of 16 bytes
_CLEARED = 256  # columns made zero at a time


class Run(NamedTuple):
    """Neighbouring rows whose attention is computed together."""

    start: int
    stop: int
    columns: int
    """Of the longest row, the token to come included."""
    even: bool
    """All rows are of that length, so that no mask is needed."""


class LayerShape(NamedTuple):
    heads: int
    key_size: int
    value_size: int


class Slots:
    """The buffers of all layers.

    Args:
        rows: how many chains there is room for.
        columns: the most tokens of a chain, prompt included.
    """

    def __init__(self, rows: int, columns: int) -> None:
        self.rows = rows
        self.columns = -(-columns // _ALIGNED) * _ALIGNED
        self._layers: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._cleared = (0, 0)
        self._step: _Step | None = None

    def place(self, prompt: ReadPrompt, slots: Sequence[int]) -> None:
        """Begin a chain in each of these slots: they hold the prompt."""
        if not self._layers:
            self._allocate(prompt)
        self._clear(max(slots) + 1, prompt.length)
        index = torch.tensor(slots, device=prompt.logits.device)
        for (keys, values), (prompt_keys, prompt_values) in zip(self._layers, prompt.layers, strict=True):
            keys[index, :, : prompt.length] = prompt_keys
            values[index, :, : prompt.length] = prompt_values

    def forward(
        self, model: Any, tokens: torch.Tensor, lengths: torch.Tensor, runs: Sequence[Run]
    ) -> torch.Tensor:
        """Append one token to each of the first rows and return the logits after it, [rows, vocabulary].

        Doing it again after a failure half-way is safe: the same columns are written.

        Args:
            tokens: [rows].
            lengths: [rows], how many tokens each row holds.
            runs: cover these rows.
        """
        self._clear(len(tokens), max(run.columns for run in runs))
        self._step = _Step(lengths, runs, torch.arange(len(tokens), device=tokens.device))
        try:
            return _forward(model, self, tokens[:, None], lengths[:, None])
        finally:
            self._step = None

    def move(self, order: Sequence[int]) -> None:
        """Row i becomes what row order[i] was; rows beyond are left as they are."""
        moved = [row for row, source in enumerate(order) if row != source]
        if not moved or not self._layers:
            return
        device = self._layers[0][0].device
        rows = torch.tensor(moved, device=device)
        sources = torch.tensor([order[row] for row in moved], device=device)
        for layer in self._layers:
            for buffer in layer:
                used = buffer[:, :, : self._cleared[1]]
                used[rows] = used[sources]  # the right side is a copy already

    def shrink(self, rows: int) -> None:
        """Keep the first rows and give the memory of the others back, layer by layer."""
        for number, (keys, values) in enumerate(self._layers):
            self._layers[number] = (self._copy(keys, rows), self._copy(values, rows))
        self.rows = rows
        self._cleared = (min(rows, self._cleared[0]), self._cleared[1])

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, rule: Rule
    ) -> torch.Tensor:
        """Store the new tokens' keys and values, [rows, heads, 1, size], and attend over all of the rows'."""
        assert self._step is not None
        step = self._step
        keys, values = self._layers[layer]
        keys[step.index, :, step.lengths] = key[:, :, 0]
        values[step.index, :, step.lengths] = value[:, :, 0]
        # Query heads that share a head of keys are taken as its queries: keys need not be repeated for them.
        packed = query.reshape(len(query), keys.shape[1], -1, query.shape[-1])
        outputs = []
        for run, mask in zip(step.runs, step.masks(rule.window, query.dtype), strict=True):
            columns = run.columns if mask is None else mask.shape[-1]
            part = slice(run.start, run.stop)
            outputs.append(
                rule.attend(packed[part], keys[part, :, :columns], values[part, :, :columns], mask)
            )
        output = outputs[0] if len(outputs) == 1 else torch.cat(outputs)
        return output.reshape(len(query), query.shape[1], 1, -1)

    def _allocate(self, prompt: ReadPrompt) -> None:
        try:
            for keys, values in prompt.layers:
                shape = (self.rows, keys.shape[1], self.columns)
                self._layers.append(
                    (keys.new_empty(*shape, keys.shape[3]), values.new_empty(*shape, values.shape[3]))
                )
        except RuntimeError:
            self._layers = []
            raise

    def _clear(self, rows: int, columns: int) -> None:
        """What is attended to must hold numbers, also where a row has no token and they weigh nothing.

        Cleared as it comes into use: on a processor memory is taken when it is first written.
        """
        old_rows, old_columns = self._cleared
        if columns + _ALIGNED > old_columns:
            columns = min(self.columns, columns + _CLEARED)
        rows, columns = max(rows, old_rows), max(columns, old_columns)
        if (rows, columns) != self._cleared:
            for layer in self._layers:
                for buffer in layer:
                    buffer[:rows, :, old_columns:columns] = 0
                    buffer[old_rows:rows, :, :old_columns] = 0
            self._cleared = (rows, columns)

    def _copy(self, buffer: torch.Tensor, rows: int) -> torch.Tensor:
        copy = buffer.new_empty(rows, *buffer.shape[1:])
        columns = self._cleared[1]
        copy[:, :, :columns] = buffer[:rows, :, :columns]
        return copy


@dataclass(slots=True)
class ReadPrompt:
    """A prompt that the model has read: its keys and values, and what it says comes next."""

    length: int
    logits: torch.Tensor = field(default_factory=lambda: torch.empty(0))
    """[1, vocabulary]"""
    layers: list[tuple[torch.Tensor, torch.Tensor]] = field(default_factory=list)
    """Keys and values of each layer, [1, heads, length, size]."""

    @classmethod
    def read(cls, model: Any, ids: Sequence[int]) -> ReadPrompt:
        prompt = cls(len(ids))
        tokens = torch.tensor([list(ids)], device=model.device)
        prompt.logits = _forward(model, prompt, tokens, torch.arange(len(ids), device=model.device)[None])
        return prompt

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, rule: Rule
    ) -> torch.Tensor:
        if layer != len(self.layers):
            raise NotImplementedError("the layers do not attend one after the other")
        self.layers.append((key, value))
        repeated = query.shape[1] // key.shape[1]
        key, value = (part.repeat_interleave(repeated, 1) if repeated > 1 else part for part in (key, value))
        if rule.plain and (rule.window is None or rule.window >= self.length):
            return scaled_dot_product_attention(query, key, value, is_causal=True, scale=rule.scaling)
        at = torch.arange(self.length, device=query.device)
        seen = at <= at[:, None]
        if rule.window is not None:
            seen &= at > at[:, None] - rule.window
        mask = _additive(seen, query.dtype)[None, None]
        return rule.attend(query, key, value, mask)

    @property
    def shapes(self) -> list[LayerShape]:
        return [LayerShape(k.shape[1], k.shape[3], v.shape[3]) for k, v in self.layers]


@dataclass(frozen=True, slots=True)
class Rule:
    """How a layer attends."""

    scaling: float | None
    window: int | None = None
    """A token sees itself and the window - 1 tokens before it."""
    softcap: float | None = None
    sinks: torch.Tensor | None = None
    """[heads]: a logit beside the tokens' that takes weight and gives nothing."""

    @property
    def plain(self) -> bool:
        return self.softcap is None and self.sinks is None

    def attend(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        if self.plain:
            return scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=self.scaling)
        scaling = query.shape[-1] ** -0.5 if self.scaling is None else self.scaling
        logits = (query @ key.transpose(-1, -2)).float() * scaling
        if self.softcap is not None:
            logits = torch.tanh(logits / self.softcap) * self.softcap
        if mask is not None:
            logits = logits + mask
        if self.sinks is not None:
            # Heads may be packed, several to a head of keys: [rows, heads, queries, columns] in either case.
            sinks = self.sinks.float().reshape(1, logits.shape[1], -1, 1)
            logits = torch.cat([logits, sinks.expand(*logits.shape[:3], 1)], dim=-1)
        weights = torch.softmax(logits, dim=-1)[..., : key.shape[2]]
        return weights.to(value.dtype) @ value


@dataclass(slots=True)
class _Step:
    """What the layers share while one token is appended."""

    lengths: torch.Tensor
    runs: Sequence[Run]
    index: torch.Tensor
    _masks: dict[int | None, list[torch.Tensor | None]] = field(default_factory=dict)

    def masks(self, window: int | None, dtype: torch.dtype) -> list[torch.Tensor | None]:
        """For every run: 0 where a row may look and -inf elsewhere, [rows, 1, 1, columns]; or None."""
        if window not in self._masks:
            self._masks[window] = [self._mask(run, window, dtype) for run in self.runs]
        return self._masks[window]

    def _mask(self, run: Run, window: int | None, dtype: torch.dtype) -> torch.Tensor | None:
        if run.even and (window is None or window >= run.columns):
            return None
        at = torch.arange(-(-run.columns // _ALIGNED) * _ALIGNED, device=self.lengths.device)
        last = self.lengths[run.start : run.stop, None]
        seen = at <= last
        if window is not None:
            seen &= at > last - window
        return _additive(seen, dtype)[:, None, None]


def runs_of(lengths: Sequence[int], most: int, least_saving: int) -> list[Run]:
    """Cut rows into runs, so that few columns are attended to for nothing.

    Args:
        lengths: tokens that each row holds, 0 for rows without a chain.
        most: how many runs there may be.
        least_saving: what a further cut must save, in columns over all rows and as compared to a call of its own.
    """
    cuts = [(0, len(lengths))]
    most_saving = len(lengths) * max(lengths) - sum(lengths)
    while len(cuts) < most and most_saving >= least_saving:
        saving, at, number = max((*_best_cut(lengths, *cut), number) for number, cut in enumerate(cuts))
        if saving < max(least_saving, 0.05 * _cost(lengths, cuts)):
            break
        start, stop = cuts[number]
        cuts[number : number + 1] = [(start, at), (at, stop)]
    runs = []
    for start, stop in cuts:
        alive = [length for length in lengths[start:stop] if length]
        longest = max(alive, default=0)
        runs.append(Run(start, stop, longest + 1, even=not alive or min(alive) == longest))
    return runs


def columns_of(runs: Sequence[Run]) -> int:
    """Columns attended to, over all rows."""
    return sum((run.stop - run.start) * run.columns for run in runs)


def _cost(lengths: Sequence[int], cuts: Sequence[tuple[int, int]]) -> int:
    return sum((stop - start) * max(lengths[start:stop]) for start, stop in cuts)


def _best_cut(lengths: Sequence[int], start: int, stop: int) -> tuple[int, int]:
    """The most columns that one cut saves, and where to make it."""
    after = [0] * (stop - start + 1)
    for at in range(stop - 1, start - 1, -1):
        after[at - start] = max(after[at - start + 1], lengths[at])
    whole, before, best = (stop - start) * after[0], 0, (0, start)
    for at in range(start + 1, stop):
        before = max(before, lengths[at - 1])
        saving = whole - (at - start) * before - (stop - at) * after[at - start]
        best = max(best, (saving, at))
    return best


def _additive(seen: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, -torch.inf)


def _forward(model: Any, store: Any, tokens: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Logits after the last token, [rows, vocabulary]; the layers' attention goes to `store.attend`."""
    output = model(
        input_ids=tokens, position_ids=positions, use_cache=False, logits_to_keep=1, harness_store=store
    )
    logits: torch.Tensor = output.logits[:, -1]
    return logits


def _attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None = None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: torch.Tensor | None = None,
    position_bias: torch.Tensor | None = None,
    harness_store: Slots | ReadPrompt | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """What the library's layers call."""
    if harness_store is None or position_bias is not None:
        raise NotImplementedError("its attention does not say where its keys and values belong")
    rule = Rule(scaling, sliding_window, softcap, s_aux)
    output = harness_store.attend(module.layer_idx, query, key, value, rule)
    return output.transpose(1, 2).contiguous(), None


AttentionInterface.register(ATTENTION, _attention)

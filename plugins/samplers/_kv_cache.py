"""Key-value caches of a batch whose rows have different lengths and come and go. Imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicLayer

_GROW = 256  # columns added at a time


class GrowingLayer(DynamicLayer):  # type: ignore[misc]  # the base class is untyped
    """One layer's keys and values, [rows, heads, columns, head size], with room for columns to come.

    The library's own layer copies the whole cache for every token.
    """

    _buffers: tuple[torch.Tensor, torch.Tensor] | None = None

    def hold(self, keys: torch.Tensor, values: torch.Tensor, columns: int) -> None:
        """Take over buffers of which the first `columns` are filled."""
        if not self.is_initialized:
            self.lazy_initialization(keys, values)
        self._buffers = (keys, values)
        self.keys, self.values = keys[:, :, :columns], values[:, :, :columns]

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        if self._buffers is None or self._buffers[0].shape[-2] < end:
            buffers = tuple(
                new.new_empty(*new.shape[:2], end + _GROW, new.shape[3]) for new in (key_states, value_states)
            )
            if start:
                buffers[0][:, :, :start], buffers[1][:, :, :start] = self.keys, self.values
            self.hold(buffers[0], buffers[1], start)
        assert self._buffers is not None
        keys, values = self._buffers
        keys[:, :, start:end], values[:, :, start:end] = key_states, value_states
        self.keys, self.values = keys[:, :, :end], values[:, :, :end]
        return self.keys, self.values

    def release(self) -> None:
        """Give the memory back."""
        self._buffers = None
        self.reset()


class KeyValues:
    """The cache of some rows, and which of its columns belong to each. Shorter rows are padded on the left."""

    def __init__(self, cache: Any, mask: torch.Tensor) -> None:
        self.cache = cache
        self.mask = mask
        """[rows, columns], True where a row has a token."""

    @classmethod
    def empty(cls, device: torch.device) -> KeyValues:
        """One row without a token."""
        mask = torch.zeros(1, 0, dtype=torch.bool, device=device)
        return cls(Cache(layer_class_to_replicate=GrowingLayer), mask)

    @classmethod
    def stack(cls, parts: Sequence[tuple[KeyValues, Sequence[int]]]) -> KeyValues:
        """The given rows of the given caches as one cache; a row may be taken several times.

        The parts are used up: each layer's memory is given back as soon as its copy is made.
        """
        device = parts[0][0].mask.device
        picks = [(part, torch.tensor(rows, device=device)) for part, rows in parts]
        masks = [part.mask[rows] for part, rows in picks]
        masks = [mask[:, _padding(mask) :] for mask in masks]
        columns = max(mask.shape[1] for mask in masks)
        mask = torch.cat([torch.nn.functional.pad(mask, (columns - mask.shape[1], 0)) for mask in masks])
        stacked = Cache(layer_class_to_replicate=GrowingLayer)
        for number in range(len(parts[0][0].cache.layers)):
            layer = GrowingLayer()
            filled = []
            for which in ("keys", "values"):
                sources = [getattr(part.cache.layers[number], which) for part, _ in picks]
                _, heads, _, size = sources[0].shape
                buffer = sources[0].new_empty(len(mask), heads, columns + _GROW, size)
                top = 0
                for source, (_, rows), own in zip(sources, picks, masks, strict=True):
                    target = buffer[top : top + len(rows)]
                    start = columns - own.shape[1]
                    target[:, :, :start] = 0  # masked out, but must be numbers
                    tokens = source[:, :, source.shape[2] - own.shape[1] :]
                    target[:, :, start:columns] = tokens if len(tokens) == 1 else tokens[rows]
                    top += len(rows)
                filled.append(buffer)
            layer.hold(filled[0], filled[1], columns)
            stacked.layers.append(layer)
            for part, _ in picks:
                part.cache.layers[number].release()
        return cls(stacked, mask)

    def forward(self, model: Any, tokens: torch.Tensor) -> torch.Tensor:
        """Append tokens, [rows, new], and return the logits after the last of them, [rows, vocabulary]."""
        rows, new = tokens.shape
        start = self.mask.sum(-1, keepdim=True)
        mask = torch.cat([self.mask, self.mask.new_ones(rows, new)], dim=-1)
        output = model(
            input_ids=tokens,
            attention_mask=mask.long(),
            position_ids=start + torch.arange(new, device=tokens.device),
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self.mask = mask
        logits: torch.Tensor = output.logits[:, -1]
        return logits


def _padding(mask: torch.Tensor) -> int:
    """Columns on the left in which no row has a token."""
    return int(mask.any(0).int().argmax())

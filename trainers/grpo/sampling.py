"""Samples chains without paying for those that have ended. Imports torch: import it only when a stage runs.

A step's chains differ in length, and transformers goes on with all of them until the longest ends. Here those that
ended are taken out of the batch. The keys and values of attention lie in buffers with room for more, where
transformers copies all of them for each token.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer

_ROOM: Final = 128
"""Tokens that a buffer has room for, beside those in it, when it is made."""
_WORTH: Final = 8
"""Chains that ended are taken out when they are a `_WORTH`th of those in the batch: it costs a copy of the rest."""


class RoomyLayer(DynamicLayer):  # type: ignore[misc,unused-ignore]
    """Keys and values of a layer, in buffers that are longer than they are."""

    keys: torch.Tensor
    values: torch.Tensor
    _keys: torch.Tensor | None = None
    _values: torch.Tensor | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        before = self.get_seq_length()
        after = before + key_states.shape[-2]
        if self._keys is None or after > self._keys.shape[-2]:
            self._keys = self._longer(self.keys, key_states, after + after // 2 + _ROOM)
            self._values = self._longer(self.values, value_states, after + after // 2 + _ROOM)
        assert self._values is not None
        self._keys[..., before:after, :] = key_states
        self._values[..., before:after, :] = value_states
        self.keys, self.values = self._keys[..., :after, :], self._values[..., :after, :]
        return self.keys, self.values

    @staticmethod
    def _longer(now: torch.Tensor, states: torch.Tensor, length: int) -> torch.Tensor:
        batch, heads, _, width = states.shape
        buffer = states.new_empty((batch, heads, length, width))
        if now.numel():
            buffer[..., : now.shape[-2], :] = now
        return buffer

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        super().batch_select_indices(indices)
        self._keys = self._values = None  # made anew, with as many rows as there are now


def can_drop_ended(model: Any) -> bool:
    """Whether this version of transformers has the parts that `sample` is made of."""
    prepare = getattr(model, "prepare_inputs_for_generation", None)
    return (
        hasattr(model, "_prefill")
        and "next_sequence_length" in inspect.signature(prepare or print).parameters
    )


@contextmanager
def dropping_ended(model: Any) -> Iterator[None]:
    """While this holds, `model.generate` samples as `sample` does."""
    model.generate = partial(model.generate, custom_generate=sample)
    try:
        yield
    finally:
        del model.generate


def sample(
    model: Any,
    input_ids: torch.Tensor,
    logits_processor: Any,
    stopping_criteria: Any,
    generation_config: Any,
    **kwargs: Any,
) -> torch.Tensor:
    """The loop of transformers' sampling, for what TRL asks of it.

    Returns:
        prompts and chains, [rows, length]; after their ends chains are filled up with padding.
    """
    kwargs = {name: value for name, value in kwargs.items() if name not in ("synced_gpus", "streamer")}
    cache = kwargs.get("past_key_values")
    if isinstance(cache, DynamicCache) and all(type(layer) is DynamicLayer for layer in cache.layers):
        cache.layers = [RoomyLayer() for _ in cache.layers]
        cache.layer_class_to_replicate = RoomyLayer
    pad = generation_config.pad_token_id
    chains = [input_ids]
    rows = torch.arange(input_ids.shape[0], device=input_ids.device)
    ended = torch.zeros_like(rows, dtype=torch.bool)
    first = True
    while True:
        if first:
            outputs = model._prefill(input_ids, generation_config, kwargs)
        else:
            inputs = model.prepare_inputs_for_generation(input_ids, next_sequence_length=1, **kwargs)
            outputs = model(**inputs, return_dict=True)
        first = False
        kwargs = model._update_model_kwargs_for_generation(outputs, kwargs, is_encoder_decoder=False)
        scores = logits_processor(input_ids, outputs.logits[:, -1].to(copy=True, dtype=torch.float32))
        del outputs
        tokens = torch.multinomial(torch.softmax(scores, dim=-1), num_samples=1).squeeze(1)
        tokens = torch.where(ended, pad, tokens)
        chains.append(torch.full_like(chains[0][:, :1], pad))
        chains[-1][rows, 0] = tokens
        input_ids = torch.cat([input_ids, tokens[:, None]], dim=1)
        ended = ended | stopping_criteria(input_ids, scores)
        alive = int((~ended).sum())
        if not alive:
            return torch.cat(chains, dim=1)
        if (len(rows) - alive) * _WORTH >= len(rows):
            left = (~ended).nonzero().squeeze(1)
            kwargs = {name: _select(value, left, len(rows)) for name, value in kwargs.items()}
            rows, input_ids, ended = rows[left], input_ids[left], ended[left]


def _select(value: Any, left: torch.Tensor, rows: int) -> Any:
    """What belongs to some of the rows."""
    if isinstance(value, torch.Tensor) and value.dim() > 0 and value.shape[0] == rows:
        return value[left]
    if hasattr(value, "batch_select_indices"):
        value.batch_select_indices(left)
    return value

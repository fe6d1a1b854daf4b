"""How many chains memory holds at full length, by arithmetic that is done before the first one begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ._draw import WORKSPACE
from ._kv_cache import LayerShape

_FLOAT = 4  # bytes of a float32


@dataclass(frozen=True, slots=True)
class Footprint:
    """What sampling takes besides the weights, in bytes. Upper bounds, from the model's shape alone."""

    layers: Sequence[LayerShape]
    """As they were seen in the keys and values of a prompt that the model read."""
    heads: int
    """Of queries."""
    width: int
    """Numbers per token that the widest layer holds at once besides attention."""
    vocabulary: int
    itemsize: int
    """Bytes of a number in keys, values and activations."""

    @classmethod
    def of(cls, model: Any, config: Any, layers: Sequence[LayerShape]) -> Footprint:
        """Of a loaded model; `config` is that of its text part."""
        hidden = config.hidden_size
        # A mixture of experts works on several experts' layers at once; their total stands in for the one.
        inner = max(
            getattr(config, name, None) or 0 for name in ("intermediate_size", "moe_intermediate_size")
        )
        inner = inner or 4 * hidden
        active = getattr(config, "num_experts_per_tok", None) or 1
        heads = config.num_attention_heads
        attention = heads * sum(
            max(getattr(shape, name) for shape in layers) for name in ("key_size", "value_size")
        )
        # The residual, norms in float32 and their results; gate, up and their product; queries and outputs, twice.
        width = 8 * hidden + 4 * inner * active + 3 * attention
        return cls(layers, heads, width, config.vocab_size, model.dtype.itemsize)

    @property
    def token(self) -> int:
        """Keys and values of one token in all layers."""
        return sum(map(self._layer, self.layers))

    def row(self, columns: int, budget: int) -> int:
        """One chain: its slot, its random numbers, its share of every layer's work, its logits."""
        largest = max(map(self._layer, self.layers))
        # Of one layer at a time: a copy of the keys or values when rows are moved, or both in float32 and the
        # attention's weights where no fused kernel takes them; and masks.
        passing = columns * (2 * largest * _FLOAT // self.itemsize + 2 * self.heads * _FLOAT + 4 * _FLOAT)
        slot = columns * self.token + budget * 8
        return slot + passing + self.width * _FLOAT + self.vocabulary * (self.itemsize + _FLOAT)

    def fixed(self, prompt: int) -> int:
        """What does not grow with the number of chains: a prompt of so many tokens being read, and drawing."""
        largest = max(map(self._layer, self.layers))
        kv_heads = min(shape.heads for shape in self.layers)
        repeated = largest * max(1, self.heads // kv_heads)
        return prompt * (self.token + repeated + self.width * _FLOAT) + WORKSPACE

    def rows(self, free: float, columns: int, budget: int, prompt: int) -> int:
        """How many chains of that many columns fit in `free` bytes; 0 where not even one does."""
        return max(0, int((free - self.fixed(prompt)) // self.row(columns, budget)))

    def total(self, rows: int, columns: int, budget: int, prompt: int) -> int:
        return self.fixed(prompt) + rows * self.row(columns, budget)

    def _layer(self, shape: LayerShape) -> int:
        return shape.heads * (shape.key_size + shape.value_size) * self.itemsize

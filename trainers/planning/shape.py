"""A transformer's shape, from its config.json: how many weights it has, and how they are used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

FAMILIES: Final = ("qwen2", "qwen3", "llama", "mistral")
"""Values of `model_type` whose weights are counted to the last one."""
_LARGEST: Final = 10**9
_NEAR: Final = 0.015
"""Share by which a published, rounded count may be off."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A decoder of the family that Llama began: rotary attention with grouped keys, gated MLP, RMS norms."""

    family: str
    vocabulary: int
    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    tied: bool = False
    """Whether the output takes the embedding's weights."""
    qkv_bias: bool = False
    o_bias: bool = False
    mlp_bias: bool = False
    qk_norm: bool = False

    @classmethod
    def of(cls, config: Mapping[str, Any] | None) -> Shape | None:
        """The shape that a config.json tells of, or None where it is of another family, or makes no sense."""
        if config is None or (family := config.get("model_type")) not in FAMILIES:
            return None
        whole = {
            name: config.get(name)
            for name in (
                "vocab_size",
                "hidden_size",
                "intermediate_size",
                "num_hidden_layers",
                "num_attention_heads",
            )
        }
        if not all(_is_size(value) for value in whole.values()):
            return None
        vocabulary, hidden, intermediate, layers, heads = (int(value) for value in whole.values() if value)
        kv_heads = config.get("num_key_value_heads") or heads
        head_dim = config.get("head_dim") or (128 if family == "qwen3" else hidden // heads)
        if not (_is_size(kv_heads) and _is_size(head_dim)):
            return None
        bias = bool(config.get("attention_bias", False))
        return cls(
            family=family,
            vocabulary=vocabulary,
            hidden=hidden,
            intermediate=intermediate,
            layers=layers,
            heads=heads,
            kv_heads=int(kv_heads),
            head_dim=int(head_dim),
            tied=bool(config.get("tie_word_embeddings", False)),
            qkv_bias=bias or family == "qwen2",  # Qwen2 has them and does not say so
            o_bias=bias and family in ("llama", "qwen3"),
            mlp_bias=bool(config.get("mlp_bias", False)) and family == "llama",
            qk_norm=family == "qwen3",
        )

    @classmethod
    def near(cls, weights: float | None) -> Shape | None:
        """The shape of a well-known model of about that many weights, where its config.json cannot be had."""
        if not weights:
            return None
        best = min(_KNOWN, key=lambda shape: abs(shape.weights - weights))
        return best if abs(best.weights - weights) <= _NEAR * weights else None

    @property
    def query(self) -> int:
        """Width of all queries of a token together."""
        return self.heads * self.head_dim

    @property
    def key(self) -> int:
        """Width of all keys of a token together, and that of its values."""
        return self.kv_heads * self.head_dim

    @property
    def embedding(self) -> int:
        """Weights of the embedding."""
        return self.vocabulary * self.hidden

    @property
    def output(self) -> int:
        """Weights of the output layer that are its own."""
        return 0 if self.tied else self.embedding

    @property
    def linears(self) -> dict[str, tuple[int, int]]:
        """The matrices of a layer: name -> (values in, values out)."""
        return {
            "q_proj": (self.hidden, self.query),
            "k_proj": (self.hidden, self.key),
            "v_proj": (self.hidden, self.key),
            "o_proj": (self.query, self.hidden),
            "gate_proj": (self.hidden, self.intermediate),
            "up_proj": (self.hidden, self.intermediate),
            "down_proj": (self.intermediate, self.hidden),
        }

    @property
    def layer(self) -> int:
        """Weights of one layer."""
        count = sum(inner * outer for inner, outer in self.linears.values()) + 2 * self.hidden
        count += (self.query + 2 * self.key) if self.qkv_bias else 0
        count += self.hidden if self.o_bias else 0
        count += (2 * self.intermediate + self.hidden) if self.mlp_bias else 0
        return count + (2 * self.head_dim if self.qk_norm else 0)

    @property
    def weights(self) -> int:
        """All weights, those that are used twice counted once."""
        return self.embedding + self.output + self.layers * self.layer + self.hidden

    @property
    def multiplied(self) -> int:
        """Weights that each token is multiplied with: all but the embedding, which is looked up."""
        return self.weights - (0 if self.tied else self.embedding)

    def kv_bytes(self, bytes_per_value: int = 2) -> int:
        """Bytes that a token takes in the cache of keys and values."""
        return 2 * self.layers * self.key * bytes_per_value

    def adapters(self, rank: int, targets: object = "all-linear") -> int:
        """Weights of low-rank adapters on the named matrices of every layer."""
        names = set(targets) if isinstance(targets, list | tuple) else set(self.linears)
        wanted = [sizes for name, sizes in self.linears.items() if name in names]
        return self.layers * sum(rank * (inner + outer) for inner, outer in wanted)


def _qwen(
    hidden: int,
    intermediate: int,
    layers: int,
    heads: int,
    kv_heads: int,
    *,
    vocabulary: int,
    tied: bool = False,
) -> Shape:
    return Shape(
        "qwen2",
        vocabulary,
        hidden,
        intermediate,
        layers,
        heads,
        kv_heads,
        hidden // heads,
        tied,
        qkv_bias=True,
    )


# By their config.json. The R1 distillations have the shapes of the models that they were trained from.
_KNOWN: Final = (
    Shape("llama", 49_152, 576, 1_536, 30, 9, 3, 64, tied=True),  # SmolLM2-135M
    _qwen(896, 4_864, 24, 14, 2, vocabulary=151_936, tied=True),  # Qwen2.5-0.5B
    _qwen(1_536, 8_960, 28, 12, 2, vocabulary=151_936, tied=True),  # Qwen2.5-1.5B
    _qwen(2_048, 11_008, 36, 16, 2, vocabulary=151_936, tied=True),  # Qwen2.5-3B
    _qwen(3_584, 18_944, 28, 28, 4, vocabulary=152_064),  # Qwen2.5-7B
    Shape("llama", 128_256, 4_096, 14_336, 32, 32, 8, 128),  # Llama-3.1-8B
    _qwen(5_120, 13_824, 48, 40, 8, vocabulary=152_064),  # Qwen2.5-14B
    _qwen(5_120, 27_648, 64, 40, 8, vocabulary=152_064),  # Qwen2.5-32B
    _qwen(8_192, 29_568, 80, 64, 8, vocabulary=152_064),  # Qwen2.5-72B
)


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < _LARGEST

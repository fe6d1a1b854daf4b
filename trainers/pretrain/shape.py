"""The hyper-parameters of the model that is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from harness import HarnessError

SMALLEST_VOCABULARY: Final = 256 + 3
"""Every byte and the special tokens."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Of a Qwen2, by its config's own names; what is not given is small enough for a processor without a GPU."""

    hidden_size: int = 256
    intermediate_size: int = 768
    num_hidden_layers: int = 4
    num_attention_heads: int = 4
    num_key_value_heads: int = 2
    max_position_embeddings: int = 1024
    tie_word_embeddings: bool = True
    vocab_size: int = 512
    """Most tokens of the tokenizer; it has fewer where the rows hold too little text."""
    digits: bool = True
    """Numbers are split into single digits; transformers lets this family do nothing else."""

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> Shape:
        """
        Raises:
            HarnessError: a number is out of range, or they do not go together.
        """
        shape = cls(**{f.name: parameters[f.name] for f in fields(cls) if f.name in parameters})
        for name, value in asdict(shape).items():
            if name in ("tie_word_embeddings", "digits"):
                if not isinstance(value, bool):
                    raise HarnessError(f"parameter {name} is {value!r:.60}, neither true nor false")
            elif type(value) is not int or not 0 < value <= 1 << 20:
                raise HarnessError(f"parameter {name} is {value!r:.60}, not a whole number above 0")
        if not shape.digits:
            raise HarnessError(
                "digits: false cannot be had: tokenizers of this family split numbers into digits"
            )
        if shape.vocab_size < SMALLEST_VOCABULARY:
            raise HarnessError(
                f"parameter vocab_size is {shape.vocab_size}, below {SMALLEST_VOCABULARY}: bytes alone"
            )
        if (
            shape.hidden_size % shape.num_attention_heads
            or shape.hidden_size // shape.num_attention_heads % 2
        ):
            raise HarnessError(
                f"hidden_size {shape.hidden_size} is not an even number for each of {shape.num_attention_heads} heads"
            )
        if shape.num_attention_heads % shape.num_key_value_heads:
            raise HarnessError(
                f"{shape.num_attention_heads} attention heads cannot share {shape.num_key_value_heads} key-value heads"
            )
        return shape

    def config(self) -> dict[str, Any]:
        """What of it stands in the model's config.json, but for the vocabulary."""
        return {name: value for name, value in asdict(self).items() if name not in ("vocab_size", "digits")}


NAMES: Final = tuple(f.name for f in fields(Shape) if f.name not in ("vocab_size", "digits"))
"""Parameters that go to the model's config."""

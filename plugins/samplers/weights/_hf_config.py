"""What config.json says of a model, checked for everything that the engine would compute otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import HarnessError
from harness.safetensors import read_object

from . import _rope

FAMILIES = ("llama", "qwen2", "qwen3")
"""Values of config.json's model_type that can be converted."""

OTHERWISE = "use --sampler transformers"

_LARGEST = 1 << 31  # of any number that a shape is made of


@dataclass(frozen=True, slots=True)
class Shape:
    """The hyper-parameters of a decoder of the Llama kind."""

    family: str
    layers: int
    width: int
    inner: int
    """Width of the feed-forward layers."""
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    """Rows of the embedding, which may be more than the tokenizer has tokens."""
    context: int
    epsilon: float
    rope_base: float
    tied: bool
    """The output layer is the embedding."""
    biased: frozenset[str]
    """Linear layers with a bias, by their names in a checkpoint's layer."""
    rotation: _rope.Rotation
    scaled: bool
    """Positions are rotated at other rates than a base and nothing else would give."""


def read_config(folder: Path) -> Mapping[str, Any]:
    """config.json as it stands.

    Raises:
        HarnessError: it is not there, or not a JSON object.
    """
    config = read_object(folder / "config.json")
    if config is None:
        raise HarnessError(f"{folder / 'config.json'} is not a JSON object")
    return config


def unsuitable(config: Mapping[str, Any]) -> str | None:
    """Why the engine cannot run such a model, as a clause; None if it can."""
    family = config.get("model_type")
    if family not in FAMILIES:
        return f"it is a {str(family)[:40]} model; the openvino sampler converts {', '.join(FAMILIES)}"
    if config.get("quantization_config"):
        return "its weights are quantised"
    if config.get("hidden_act", "silu") not in ("silu", "swish"):
        return f"its activation is {str(config['hidden_act'])[:40]}, not silu"
    if _slides(config):
        return "its attention slides over a window"
    if config.get("partial_rotary_factor", 1) not in (1, None):
        return "it rotates a part of each head only"
    if (kind := _rope.kind(config)) not in _rope.KINDS:
        return f"its positions are scaled in a way that is not known here ({kind[:40]})"
    return None


def shape_of(config: Mapping[str, Any], where: Path) -> Shape:
    """The hyper-parameters.

    Args:
        where: the folder, for messages.

    Raises:
        HarnessError: the engine would compute something else than this model, or a number is missing or absurd.
    """
    if (reason := unsuitable(config)) is not None:
        raise HarnessError(f"{where}: {reason}; {OTHERWISE}")

    def number(name: str, default: int | None = None) -> int:
        value = config.get(name)
        value = default if value is None else value
        if type(value) is not int or not 0 < value < _LARGEST:
            raise HarnessError(f"{where / 'config.json'}: {name} is {str(value)[:40]}, not a number above 0")
        return value

    def real(name: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e30:
            raise HarnessError(f"{where / 'config.json'}: {name} is {str(value)[:40]}, not a number above 0")
        return float(value)

    heads, width = number("num_attention_heads"), number("hidden_size")
    head_size = number("head_dim", _default_head_size(config, width, heads))
    context, base = number("max_position_embeddings"), real("rope_theta", _rope.base(config))
    try:
        rotation = _rope.rotation(config, base, head_size, context)
    except ValueError as error:
        raise HarnessError(
            f"{where / 'config.json'}: the scaling of positions lacks a sensible {error}"
        ) from None
    shape = Shape(
        family=str(config["model_type"]),
        layers=number("num_hidden_layers"),
        width=width,
        inner=number("intermediate_size"),
        heads=heads,
        kv_heads=number("num_key_value_heads", heads),
        head_size=head_size,
        vocabulary=number("vocab_size"),
        context=context,
        epsilon=real("rms_norm_eps", config.get("rms_norm_eps", 1e-6)),
        rope_base=base,
        tied=config.get("tie_word_embeddings", False) is True,
        biased=_biased(config),
        rotation=rotation,
        scaled=_rope.kind(config) != "default",
    )
    if shape.head_size % 2 or shape.heads % shape.kv_heads:
        raise HarnessError(f"{where / 'config.json'}: its heads do not add up")
    return shape


def _biased(config: Mapping[str, Any]) -> frozenset[str]:
    inward = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"}
    if config.get("model_type") == "qwen2":
        return frozenset(inward)
    found = {*inward, "self_attn.o_proj"} if config.get("attention_bias") is True else set()
    if config.get("mlp_bias") is True and config.get("model_type") == "llama":
        found |= {"mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"}
    return frozenset(found)


def _default_head_size(config: Mapping[str, Any], width: int, heads: int) -> int:
    return 128 if config.get("model_type") == "qwen3" else max(width // heads, 1)


def _slides(config: Mapping[str, Any]) -> bool:
    """Whether some layer looks at the last tokens only."""
    window = config.get("sliding_window")
    if not isinstance(window, int) or config.get("use_sliding_window") is not True:
        return False
    context = config.get("max_position_embeddings")
    if isinstance(context, int) and window >= context:
        return False
    kinds = config.get("layer_types")
    return "sliding_attention" in kinds if isinstance(kinds, list) else True

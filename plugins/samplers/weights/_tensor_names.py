"""Which tensor of a checkpoint is which in a GGUF file, and of which shape it must be."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from harness import HarnessError
from harness.safetensors import WIDTHS, Checkpoint, Stored

from ._hf_config import OTHERWISE, Shape

_LAYER = re.compile(r"layers\.(\d{1,5})\.(.+)")

# Names in a GGUF file by names in a checkpoint.
_OUTSIDE = {
    "embed_tokens.weight": "token_embd.weight",
    "norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
_INSIDE = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


@dataclass(frozen=True, slots=True)
class Place:
    """What a GGUF file calls a tensor, and how large it is there."""

    name: str
    shape: tuple[int, ...]
    """Row length last, as in the checkpoint."""
    heads: int = 0
    """Where rows are ordered otherwise in the file: of how many heads they are."""


def place_of(name: str, shape: Shape) -> Place | None:
    """Where a tensor of the checkpoint belongs; None for one that is no weight of such a model."""
    name = name.removeprefix("model.")
    if name in _OUTSIDE:
        whole = (shape.vocabulary, shape.width)
        return Place(_OUTSIDE[name], whole[1:] if name == "norm.weight" else whole)
    found = _LAYER.fullmatch(name)
    if found is None or int(found[1]) >= shape.layers:
        return None
    part, _, leaf = found[2].rpartition(".")
    if part not in _INSIDE or leaf not in ("weight", "bias"):
        return None
    size = _sizes(shape)[part]
    if leaf == "bias" and part not in shape.biased:
        return None
    if part.endswith("_norm") and shape.family != "qwen3":
        return None
    # In GGUF files the two halves of a Llama head are interleaved, which OpenVINO's reader undoes for weights and
    # forgets for biases; those of the other families stay as they are.
    heads = {"self_attn.q_proj": shape.heads, "self_attn.k_proj": shape.kv_heads}.get(part, 0)
    interleaved = heads if shape.family == "llama" and leaf == "weight" else 0
    size = size[:1] if leaf == "bias" else size
    return Place(f"blk.{int(found[1])}.{_INSIDE[part]}.{leaf}", size, interleaved)


def match(checkpoint: Checkpoint, shape: Shape, folder: Path) -> list[tuple[Stored, Place]]:
    """The model's tensors, each with its place.

    Raises:
        HarnessError: one is missing, of another shape than config.json says, or no part of such a model.
    """
    found: dict[str, tuple[Stored, Place]] = {}
    for name, stored in checkpoint.tensors.items():
        if ignored(name, shape):
            continue
        place = place_of(name, shape)
        if place is None:
            if "lora_" in name:
                raise HarnessError(
                    f"{folder} holds a LoRA adapter, not a model: merge it into its base model first"
                )
            raise HarnessError(
                f"{folder}: tensor {name[:80]} is no part of a {shape.family} model of {shape.layers} layers; "
                f"{OTHERWISE}"
            )
        if stored.type not in WIDTHS:
            raise HarnessError(
                f"{folder}: tensor {name} is of type {stored.type}, not one of {', '.join(WIDTHS)}"
            )
        if stored.shape != place.shape:
            raise HarnessError(
                f"{folder}: tensor {name} has the shape {list(stored.shape)}, and by config.json it is "
                f"{list(place.shape)}"
            )
        if place.name in found:
            raise HarnessError(f"{folder}: {name} and {found[place.name][0].name} are the same tensor")
        found[place.name] = (stored, place)
    if missing := needed(shape) - found.keys():
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise HarnessError(f"{folder} lacks the tensor {min(missing)}{more} (by their names in GGUF files)")
    return list(found.values())


def needed(shape: Shape) -> set[str]:
    """Names, in a GGUF file, of all tensors without which there is no such model."""
    parts = set(_INSIDE.values())
    if shape.family != "qwen3":
        parts -= {"attn_q_norm", "attn_k_norm"}
    names = {f"blk.{layer}.{part}.weight" for layer in range(shape.layers) for part in parts}
    names |= {f"blk.{layer}.{_INSIDE[part]}.bias" for layer in range(shape.layers) for part in shape.biased}
    names |= {"token_embd.weight", "output_norm.weight"}
    return names if shape.tied else names | {"output.weight"}


def ignored(name: str, shape: Shape) -> bool:
    """Whether a tensor says nothing that is not known without it."""
    return name.endswith("rotary_emb.inv_freq") or (name == "lm_head.weight" and shape.tied)


def _sizes(shape: Shape) -> dict[str, tuple[int, ...]]:
    all_heads, all_kv_heads = shape.heads * shape.head_size, shape.kv_heads * shape.head_size
    return {
        "self_attn.q_proj": (all_heads, shape.width),
        "self_attn.k_proj": (all_kv_heads, shape.width),
        "self_attn.v_proj": (all_kv_heads, shape.width),
        "self_attn.o_proj": (shape.width, all_heads),
        "self_attn.q_norm": (shape.head_size,),
        "self_attn.k_norm": (shape.head_size,),
        "mlp.gate_proj": (shape.inner, shape.width),
        "mlp.up_proj": (shape.inner, shape.width),
        "mlp.down_proj": (shape.width, shape.inner),
        "input_layernorm": (shape.width,),
        "post_attention_layernorm": (shape.width,),
    }

"""A checkpoint of a few thousand weights, written from the formats' specifications: no torch needed."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 300,
    "max_position_embeddings": 128,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
    "eos_token_id": 257,
}


def tensors(seed: int = 0) -> dict[str, Any]:
    """Name -> float32 values of a model as `CONFIG` describes it."""
    import numpy as np

    random = np.random.default_rng(seed)

    def values(*shape: int) -> Any:
        return (0.3 * random.standard_normal(shape)).astype(np.float32)

    found = {"model.embed_tokens.weight": values(300, 32), "model.norm.weight": values(32)}
    for layer in range(2):
        name = f"model.layers.{layer}."
        found |= {
            name + "self_attn.q_proj.weight": values(32, 32),
            name + "self_attn.k_proj.weight": values(16, 32),
            name + "self_attn.v_proj.weight": values(16, 32),
            name + "self_attn.o_proj.weight": values(32, 32),
            name + "mlp.gate_proj.weight": values(64, 32),
            name + "mlp.up_proj.weight": values(64, 32),
            name + "mlp.down_proj.weight": values(32, 64),
            name + "input_layernorm.weight": values(32),
            name + "post_attention_layernorm.weight": values(32),
        }
    return found


def safetensors(found: dict[str, Any]) -> bytes:
    """A file of float32 tensors."""
    header, data = {}, b""
    for name, values in found.items():
        raw = values.tobytes()
        span = [len(data), len(data) + len(raw)]
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": span}
        data += raw
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def byte_letters() -> list[str]:
    """The letters by which byte-level tokenizers write the 256 bytes (as GPT-2 defined them)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(b) if b in plain else chr(next(others)) for b in range(256)]


def tokenizer(*, pairs: bool = True) -> dict[str, Any]:
    """A tokenizer of 256 bytes, a merge of two, three special tokens and a think tag."""
    letters = byte_letters()
    vocabulary = {letter: byte for byte, letter in enumerate(letters)}
    specials = ["<|im_end|>", "<|im_start|>", "<|endoftext|>"]
    added = [*specials, "<think>"]
    vocabulary["th"] = 256
    merges: list[Any] = [["t", "h"]]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": 257 + i,
                "content": text,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": text in specials,
            }
            for i, text in enumerate(added)
        ],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "ByteLevel",
            "add_prefix_space": False,
            "trim_offsets": True,
            "use_regex": True,
        },
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "vocab": vocabulary,
            "merges": merges if pairs else [" ".join(merge) for merge in merges],
        },
    }


def write(folder: Path, found: dict[str, Any] | None = None, **config: Any) -> Path:
    """A model's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**CONFIG, **config}))
    (folder / "model.safetensors").write_bytes(safetensors(tensors() if found is None else found))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer()))
    settings = {
        "eos_token": "<|im_end|>",
        "chat_template": "{% for m in messages %}{{ m.content }}{% endfor %}",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder

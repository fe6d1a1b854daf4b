"""Checkpoints of a few tensors, written from the format's specification, and read back the same way."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Tensors = Mapping[str, np.ndarray[Any, Any]]
"""uint16 stands for bf16."""

KINDS = {"float32": "F32", "float16": "F16", "uint16": "BF16"}

CONFIG: dict[str, Any] = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "hidden_size": 8,
    "vocab_size": 11,
    "tie_word_embeddings": True,
    "torch_dtype": "float32",
}
TOKENIZER: dict[str, Any] = {
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []},
    "added_tokens": [{"id": 2, "content": "<think>"}],
}


def made(seed: int, dtype: str = "float32", scale: float = 1.0) -> dict[str, np.ndarray[Any, Any]]:
    """Tensors of odd sizes, one of them larger than what is merged at a time, a scalar and an empty one."""
    random = np.random.default_rng(seed)
    shapes = {
        "big.weight": (397, 401),
        "odd.weight": (3, 5, 7),
        "norm.weight": (13,),
        "scale": (),
        "none": (0, 4),
    }
    return {
        name: stored(scale * random.standard_normal(shape).astype(np.float32), dtype)
        for name, shape in shapes.items()
    }


def stored(values: np.ndarray[Any, Any], dtype: str) -> np.ndarray[Any, Any]:
    values = np.asarray(values, np.float32)
    return bf16(values) if dtype == "uint16" else values.astype(dtype)


def bf16(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The nearest bf16 of each number, of two equally near the even one; by comparing the neighbours."""
    exact = np.asarray(values, np.float64)
    below = (exact.astype(np.float32).view(np.uint32) >> np.uint32(16)).astype(np.uint32)
    candidates = np.stack([below - (below & 0x7FFF > 0), below, below + 1])
    distances = np.abs((candidates << 16).astype(np.uint32).view(np.float32).astype(np.float64) - exact)
    rank = np.where(distances == distances.min(axis=0), candidates % 2, 2)
    return np.take_along_axis(candidates, rank.argmin(axis=0)[None], 0)[0].astype(np.uint16)


def numbers(tensor: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Values of a stored tensor as float64."""
    if tensor.dtype == np.uint16:
        return (tensor.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return tensor.astype(np.float64)


def write(
    folder: Path,
    tensors: Tensors,
    *,
    files: int = 1,
    tokenizer: Mapping[str, Any] | None = TOKENIZER,
    **config: Any,
) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | config))
    if tokenizer is not None:
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    names = list(tensors)
    if files == 1:
        (folder / "model.safetensors").write_bytes(encoded(tensors, names))
        return folder
    parts = {f"part-{i}.safetensors": names[i::files] for i in range(files)}
    for file, part in parts.items():
        (folder / file).write_bytes(encoded(tensors, part))
    weight_map = {name: file for file, part in parts.items() for name in part}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return folder


def encoded(tensors: Tensors, names: Sequence[str]) -> bytes:
    header, data = {}, b""
    for name in names:
        raw = tensors[name].tobytes()
        span = [len(data), len(data) + len(raw)]
        kind = KINDS[tensors[name].dtype.name]
        header[name] = {"dtype": kind, "shape": list(tensors[name].shape), "data_offsets": span}
        data += raw
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def read(folder: Path) -> dict[str, np.ndarray[Any, Any]]:
    """All tensors of a folder."""
    found: dict[str, np.ndarray[Any, Any]] = {}
    dtypes = {kind: dtype for dtype, kind in KINDS.items()}
    for file in sorted(folder.glob("*.safetensors")):
        data = file.read_bytes()
        (length,) = struct.unpack_from("<Q", data)
        header = json.loads(data[8 : 8 + length])
        header.pop("__metadata__")
        for name, entry in header.items():
            begin, end = (8 + length + at for at in entry["data_offsets"])
            values = np.frombuffer(data[begin:end], dtypes[entry["dtype"]])
            found[name] = values.reshape(entry["shape"])
    return found

"""Folders of models that are whole as far as names, sizes and headers tell."""

from __future__ import annotations

import json
import struct
from pathlib import Path


def shard(values: int = 4, cut: int = 0) -> bytes:
    header = json.dumps({"w": {"dtype": "F32", "shape": [values], "data_offsets": [0, 4 * values]}}).encode()
    data = struct.pack("<Q", len(header)) + header + bytes(4 * values)
    return data[: len(data) - cut]


def model(folder: Path, *, parts: int = 1) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text('{"model_type": "qwen2"}')
    (folder / "tokenizer.json").write_text("{}")
    names = [f"model-{i:05}-of-{parts:05}.safetensors" for i in range(1, parts + 1)]
    if parts == 1:
        names = ["model.safetensors"]
    else:
        index = {"weight_map": {f"w{i}": name for i, name in enumerate(names)}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    for name in names:
        (folder / name).write_bytes(shard())
    return folder

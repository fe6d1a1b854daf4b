"""Where every merged tensor will lie: files, their headers and the places in them, known before a value is.

Files are laid out byte by byte as the safetensors library does it, and named as transformers names them.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from harness.safetensors import SINGLE, WIDTHS

_ALIGNMENT: Final = 8
_ORDER: Final = ("F32", "BF16", "F16")
"""Types as they follow each other in a file."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A tensor to be written."""

    name: str
    type: str
    shape: tuple[int, ...]

    @property
    def values(self) -> int:
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        return self.values * WIDTHS[self.type]


@dataclass(frozen=True, slots=True)
class Placed:
    """A tensor's place."""

    tensor: Wanted
    file: str
    begin: int
    """From the start of the file, in bytes."""


@dataclass(frozen=True, slots=True)
class Layout:
    headers: Mapping[str, bytes]
    """What each file begins with, length included."""
    sizes: Mapping[str, int]
    """Bytes of each file."""
    places: Sequence[Placed]
    """In the order of files and of places in them."""

    @property
    def bytes(self) -> int:
        return sum(self.sizes.values())

    def index(self) -> dict[str, Any] | None:
        """The content of model.safetensors.index.json; None for a single file."""
        if len(self.sizes) == 1:
            return None
        return {
            "metadata": {
                "total_parameters": sum(placed.tensor.values for placed in self.places),
                "total_size": sum(placed.tensor.bytes for placed in self.places),
            },
            "weight_map": {
                placed.tensor.name: placed.file
                for placed in sorted(self.places, key=lambda placed: placed.tensor.name)
            },
        }


def lay_out(tensors: Iterable[Wanted], shard_bytes: int) -> Layout:
    """Spread tensors over files of at most so many bytes of weights, in their order; larger ones get their own."""
    shards: list[list[Wanted]] = [[]]
    room = shard_bytes
    for tensor in tensors:
        if tensor.bytes > room and shards[-1]:
            shards.append([])
            room = shard_bytes
        shards[-1].append(tensor)
        room -= tensor.bytes
    headers, sizes, places = {}, {}, []
    for number, shard in enumerate(shards, 1):
        file = SINGLE if len(shards) == 1 else f"model-{number:05}-of-{len(shards):05}.safetensors"
        shard.sort(key=lambda tensor: (_ORDER.index(tensor.type), tensor.name.encode()))
        headers[file] = _header(shard)
        end = len(headers[file])
        for tensor in shard:
            places.append(Placed(tensor, file, end))
            end += tensor.bytes
        sizes[file] = end
    return Layout(headers, sizes, places)


def _header(tensors: Iterable[Wanted]) -> bytes:
    table: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for tensor in tensors:
        span = [end, end + tensor.bytes]
        table[tensor.name] = {"dtype": tensor.type, "shape": list(tensor.shape), "data_offsets": span}
        end = span[1]
    text = json.dumps(table, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return struct.pack("<Q", len(text)) + text

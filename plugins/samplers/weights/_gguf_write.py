"""Writing GGUF files: metadata, and tensors whose bytes come a piece at a time."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ._gguf import TENSOR_TYPES, Tensor

ALIGNMENT = 32
"""Bytes to whose multiples tensors are aligned, where the metadata say nothing else."""

# Value types, from the GGUF specification (ggml's gguf.md).
_U32, _I32, _F32, _BOOL, _STRING, _ARRAY = 4, 5, 6, 7, 8, 9


class Metadata:
    """Keys and values, encoded as they are added."""

    def __init__(self) -> None:
        self.count = 0
        self._parts: list[bytes] = []

    def text(self, key: str, value: str) -> None:
        self._add(key, _STRING, _text(value))

    def number(self, key: str, value: int) -> None:
        self._add(key, _U32, struct.pack("<I", value))

    def real(self, key: str, value: float) -> None:
        self._add(key, _F32, struct.pack("<f", value))

    def flag(self, key: str, value: bool) -> None:
        self._add(key, _BOOL, struct.pack("<?", value))

    def texts(self, key: str, values: Sequence[str]) -> None:
        self._add(key, _ARRAY, struct.pack("<IQ", _STRING, len(values)), *map(_text, values))

    def numbers(self, key: str, values: Sequence[int]) -> None:
        self._add(key, _ARRAY, struct.pack(f"<IQ{len(values)}i", _I32, len(values), *values))

    def encoded(self) -> bytes:
        return b"".join(self._parts)

    def _add(self, key: str, kind: int, *value: bytes) -> None:
        self.count += 1
        self._parts += [_text(key), struct.pack("<I", kind), *value]


@dataclass(frozen=True, slots=True)
class Written:
    """A tensor to be written."""

    name: str
    shape: tuple[int, ...]
    """Row length first, as in the file."""
    type: int
    pieces: Callable[[], Iterable[bytes]]
    """Its bytes, made when they are wanted."""

    @property
    def bytes(self) -> int:
        return Tensor(self.name, self.shape, self.type, 0).bytes


def write_gguf(
    target: Path,
    metadata: bytes,
    metadata_count: int,
    tensors: Sequence[Written],
    progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    version: int = 3,
    alignment: int = ALIGNMENT,
) -> None:
    """Write a file from scratch and sync it to disk.

    Args:
        metadata: keys and values as they lie in a file.
        progress: called with bytes of tensor data written so far and in all.

    Raises:
        ValueError: a tensor's pieces are not as long as its shape says.
    """
    sizes = [-(-tensor.bytes // alignment) * alignment for tensor in tensors]
    total = sum(sizes)
    with target.open("wb") as out:
        out.write(struct.pack("<4sIQQ", b"GGUF", version, len(tensors), metadata_count))
        out.write(metadata)
        offset = 0
        for tensor, size in zip(tensors, sizes, strict=True):
            out.write(_text(tensor.name) + struct.pack("<I", len(tensor.shape)))
            out.write(struct.pack(f"<{len(tensor.shape)}QIQ", *tensor.shape, tensor.type, offset))
            offset += size
        out.write(b"\0" * (-out.tell() % alignment))
        done = 0
        for tensor, size in zip(tensors, sizes, strict=True):
            written = 0
            for piece in tensor.pieces():
                out.write(piece)
                written += len(piece)
                progress(done + written, total)
            if written != tensor.bytes:
                raise ValueError(f"tensor {tensor.name} has {written:,} bytes, not {tensor.bytes:,}")
            out.write(b"\0" * (size - written))
            done += size
        out.flush()
        os.fsync(out.fileno())


def type_number(name: str) -> int:
    """The number of a tensor type in the file."""
    return next(number for number, (known, _, _) in TENSOR_TYPES.items() if known == name)


def _text(value: str) -> bytes:
    encoded = value.encode("utf-8", "replace")
    return struct.pack("<Q", len(encoded)) + encoded

"""GGUF files: what the header says.

The header is read here rather than with the `gguf` package because that takes seconds for a vocabulary of 150,000
words, and because the counts and lengths in it are bounded here: the file may come from anywhere.
"""

from __future__ import annotations

import math
import mmap
import struct
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from harness import HarnessError

# Numbers from the GGUF specification (ggml's gguf.md): value types of the metadata ...
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9

# ... and tensor types: name, values per block, bytes per block.
TENSOR_TYPES = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    30: ("BF16", 1, 2),
}
_MAX_HEADER = 512 << 20
_MAX_TENSORS = 100_000
_KEPT_ARRAY = 64
_LONGEST_ARRAY = 4_000_000


@dataclass(frozen=True, slots=True)
class Tensor:
    name: str
    shape: tuple[int, ...]
    """Row length first, as in the file."""
    type: int
    offset: int
    """From the start of the data section."""

    @property
    def values(self) -> int:
        return math.prod(self.shape)

    @property
    def type_name(self) -> str:
        return TENSOR_TYPES[self.type][0]

    @property
    def bytes(self) -> int:
        _, values, size = TENSOR_TYPES[self.type]
        return self.values // values * size


@dataclass(frozen=True, slots=True)
class Header:
    version: int
    metadata: dict[str, Any]
    """Scalars, strings, and the arrays that were to be kept."""
    tensors: tuple[Tensor, ...]
    metadata_span: tuple[int, int]
    """Where the metadata lie in the file, for copying them as they are."""
    metadata_count: int
    data_start: int

    @property
    def architecture(self) -> str:
        return str(self.metadata.get("general.architecture", ""))

    def number(self, key: str) -> int | None:
        """An integer of the architecture's own section, such as "context_length"."""
        value = self.metadata.get(f"{self.architecture}.{key}")
        return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None

    def types(self) -> set[str]:
        return {tensor.type_name for tensor in self.tensors}


class KeptArrays(Enum):
    """Which arrays of the metadata are kept: vocabularies take a while, and most readers have no use for them."""

    SHORT = _KEPT_ARRAY
    ALL = _LONGEST_ARRAY


class _Cursor:
    def __init__(self, data: mmap.mmap, kept: KeptArrays) -> None:
        self.data = data
        self.kept = kept.value
        self.at = 0
        self.end = min(len(data), _MAX_HEADER)

    def skip(self, count: int) -> None:
        if count < 0 or self.at + count > self.end:
            raise ValueError("the header is cut off")
        self.at += count

    def number(self, kind: str) -> Any:
        size = struct.calcsize("<" + kind)
        self.skip(size)
        return struct.unpack_from("<" + kind, self.data, self.at - size)[0]

    def text(self) -> str:
        length = self.number("Q")
        self.skip(length)
        return self.data[self.at - length : self.at].decode("utf-8", "replace")

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.text()
        if kind != _ARRAY:
            return self.number(_SCALARS[kind])
        inner, count = self.number("I"), self.number("Q")
        if inner in _SCALARS and count > self.kept:
            self.skip(count * struct.calcsize(_SCALARS[inner]))
            return None
        if inner == _ARRAY:
            raise ValueError("an array of arrays")
        if count > self.end:
            raise ValueError("an array longer than the file")
        kept: list[Any] = []
        for _ in range(count):
            if inner == _STRING and count > self.kept:
                self.skip(self.number("Q"))
            else:
                kept.append(self.value(inner))
        return kept if count <= self.kept else None


def read_header(file: Path, kept: KeptArrays = KeptArrays.SHORT) -> Header:
    """The header of a GGUF file, checked against the file's size.

    Raises:
        HarnessError: not a GGUF file, damaged, cut off, or with tensors of an unknown type.
    """
    try:
        with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _parse(data, kept)
    except OSError as error:
        raise HarnessError(f"GGUF file {file} cannot be read: {error.strerror or error}") from None
    except (ValueError, KeyError, struct.error, OverflowError) as error:
        raise HarnessError(f"GGUF file {file} is damaged: {error}") from None


def _parse(data: mmap.mmap, kept: KeptArrays) -> Header:
    cursor = _Cursor(data, kept)
    cursor.skip(4)
    if data[:4] != b"GGUF":
        raise ValueError("it does not start with GGUF")
    version = cursor.number("I")
    if version not in (2, 3):
        raise ValueError(f"version {version} of the format is not known")
    tensor_count, metadata_count = cursor.number("Q"), cursor.number("Q")
    if tensor_count > _MAX_TENSORS or metadata_count > _MAX_TENSORS:
        raise ValueError("it claims an absurd number of tensors")
    start = cursor.at
    metadata = {}
    for _ in range(metadata_count):
        key = cursor.text()
        metadata[key] = cursor.value(cursor.number("I"))
    span = (start, cursor.at)

    tensors = []
    for _ in range(tensor_count):
        name = cursor.text()
        dimensions = cursor.number("I")
        if not 1 <= dimensions <= 4:
            raise ValueError(f"tensor {name} has {dimensions} dimensions")
        shape = tuple(cursor.number("Q") for _ in range(dimensions))
        tensor = Tensor(name, shape, cursor.number("I"), cursor.number("Q"))
        if tensor.type not in TENSOR_TYPES:
            raise ValueError(f"tensor {name} is of type {tensor.type}, which is not known here")
        if shape[0] % TENSOR_TYPES[tensor.type][1]:
            raise ValueError(f"tensor {name} has rows of {shape[0]} values, not whole blocks")
        tensors.append(tensor)
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or not 1 <= alignment <= 1 << 16:
        raise ValueError("its alignment is absurd")
    data_start = -(-cursor.at // alignment) * alignment
    end = max((data_start + tensor.offset + tensor.bytes for tensor in tensors), default=data_start)
    if end > len(data):
        raise ValueError(f"it is cut off: {len(data):,} of {end:,} bytes")
    return Header(version, metadata, tuple(tensors), span, metadata_count, data_start)

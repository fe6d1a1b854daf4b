"""Safetensors files: what is in them, and their values a few rows at a time.

The format is eight bytes of length, a JSON header of that length, and the raw values. It is read here rather than with
its library because that hands out bf16 as torch tensors only, and this must work without torch.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from .errors import HarnessError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WIDTHS: Final = {"F32": 4, "F16": 2, "BF16": 2}
"""Bytes of a value, by the types that weights come in."""

INDEX: Final = "model.safetensors.index.json"
SINGLE: Final = "model.safetensors"

_OTHER_WIDTHS: Final = {
    "F64": 8,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
}
_MAX_HEADER: Final = 100 << 20  # the format's own limit
_MAX_JSON: Final = 64 << 20
_MAX_DIMENSIONS: Final = 8
_VALUES_AT_A_TIME: Final = 1 << 22  # 16 MB as float32


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor as it lies in a file."""

    name: str
    file: Path
    type: str
    shape: tuple[int, ...]
    """Row length last."""
    begin: int
    """From the start of the file, in bytes."""

    @property
    def values(self) -> int:
        return math.prod(self.shape)

    @property
    def rows(self) -> int:
        return self.shape[0] if self.shape else 1

    @property
    def row_values(self) -> int:
        return math.prod(self.shape[1:])


class Checkpoint:
    """The open files of a checkpoint."""

    def __init__(self, tensors: Mapping[str, Stored], data: Mapping[Path, mmap.mmap]) -> None:
        self.tensors = tensors
        self._data = data

    def rows(self, stored: Stored, first: int, count: int) -> NDArray[np.float32]:
        """Some rows of a tensor as float32, which all three types fit into without loss; shape [count, row]."""
        import numpy as np

        width = WIDTHS[stored.type]
        start = stored.begin + first * stored.row_values * width
        raw = np.frombuffer(self._data[stored.file], dtype_of(stored.type), count * stored.row_values, start)
        if stored.type == "BF16":  # the upper half of a float32
            values = (raw.astype(np.uint32) << np.uint32(16)).view(np.float32)
        else:
            values = raw.astype(np.float32)
        return values.reshape(count, stored.row_values)

    def pieces(self, stored: Stored, unit: int = 1) -> Iterator[NDArray[np.float32]]:
        """The values of a tensor, a whole number of `unit` rows at a time."""
        count = max(1, _VALUES_AT_A_TIME // max(1, stored.row_values * unit)) * unit
        for first in range(0, stored.rows, count):
            yield self.rows(stored, first, min(count, stored.rows - first))

    def raw(self, stored: Stored) -> NDArray[np.generic]:
        """All values of a tensor as they lie in the file; bf16 as the 16 bits of each. Nothing is read yet."""
        import numpy as np

        return np.frombuffer(
            self._data[stored.file], dtype_of(stored.type), stored.values, stored.begin
        ).reshape(stored.shape)


def dtype_of(kind: str) -> np.dtype[np.generic]:
    """How numpy sees values of one of the types of `WIDTHS`; bf16, which it does not know, as 16 bits."""
    import numpy as np

    return np.dtype({"F32": np.float32, "F16": np.float16, "BF16": np.uint16}[kind])


def check_finite(stored: Stored, values: NDArray[np.float32]) -> None:
    """
    Raises:
        HarnessError: some of a tensor's values are no numbers.
    """
    import numpy as np

    if not np.isfinite(values).all():
        raise not_finite(stored)


def not_finite(stored: Stored) -> HarnessError:
    return HarnessError(f"{stored.file}: tensor {stored.name} holds values that are not numbers (NaN or Inf)")


@contextmanager
def opened(folder: Path) -> Iterator[Checkpoint]:
    """The tensors of a model's folder, mapped into memory.

    Raises:
        HarnessError: a file is missing, damaged or cut off, or two hold a tensor of the same name.
    """
    data: dict[Path, mmap.mmap] = {}
    with ExitStack() as stack:
        tensors = read_headers(folder)
        for file in sorted({stored.file for stored in tensors.values()}):
            try:
                stream = stack.enter_context(file.open("rb"))
                data[file] = stack.enter_context(_map(stream.fileno()))
            except (OSError, ValueError) as error:  # ValueError: emptied since its header was read
                raise HarnessError(f"{file} cannot be read: {error}") from None
            if any(s.begin + _size(s) > len(data[file]) for s in tensors.values() if s.file == file):
                raise HarnessError(f"{file} became shorter while it was read")
        yield Checkpoint(tensors, data)


def read_headers(folder: Path) -> dict[str, Stored]:
    """What a model's folder holds, in the order of its files; no weights are read.

    Raises:
        HarnessError: a file is missing, damaged or cut off, or two hold a tensor of the same name.
    """
    tensors: dict[str, Stored] = {}
    for file in weight_files(folder):
        try:
            with file.open("rb") as stream:
                found = _parse(file, stream)
        except OSError as error:
            raise HarnessError(f"{file} cannot be read: {error.strerror or error}") from None
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise HarnessError(f"{file} is not a sound safetensors file: {error}") from None
        for stored in found:
            if stored.name in tensors:
                raise HarnessError(f"{folder}: two files hold a tensor {stored.name}")
            tensors[stored.name] = stored
    return tensors


def weight_files(folder: Path) -> list[Path]:
    """The files that hold the weights: those of the index, else the single one, else all there are.

    Raises:
        HarnessError: there are none, or the index is damaged or names files that are not there.
    """
    index = folder / INDEX
    if index.is_file():
        weight_map = (read_object(index) or {}).get("weight_map")
        if not isinstance(weight_map, dict) or not weight_map:
            raise HarnessError(f"{index} has no weight_map")
        names = sorted({str(name) for name in weight_map.values()})
        for name in names:
            if Path(name).name != name or not (folder / name).is_file():
                raise HarnessError(f"{index} names {name[:80]!r}, which is not a file beside it")
        return [folder / name for name in names]
    if (folder / SINGLE).is_file():
        return [folder / SINGLE]
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise HarnessError(f"{folder} has no weights (*.safetensors)")
    return files


def read_object(file: Path) -> dict[str, Any] | None:
    """A JSON object out of a file, or None where there is none."""
    try:
        if file.stat().st_size > _MAX_JSON:
            return None
        value = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


@contextmanager
def _map(descriptor: int) -> Iterator[mmap.mmap]:
    mapped = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    try:
        yield mapped
    finally:
        # An array that still looks at the file (in a traceback, for instance) keeps the map open; it goes with it.
        with suppress(BufferError):
            mapped.close()


def _parse(file: Path, stream: BinaryIO) -> list[Stored]:
    end = os.fstat(stream.fileno()).st_size
    head = stream.read(8)
    if len(head) < 8:
        raise ValueError("it is cut off")
    (length,) = struct.unpack("<Q", head)
    if not 2 <= length <= min(_MAX_HEADER, end - 8):
        raise ValueError("its header is cut off")
    header = json.loads(stream.read(length))
    if not isinstance(header, dict):
        raise ValueError("its header is not a JSON object")
    header.pop("__metadata__", None)
    return [_entry(file, name, entry, 8 + length, end) for name, entry in header.items()]


def _entry(file: Path, name: str, entry: Any, base: int, end: int) -> Stored:
    kind, shape, (begin, stop) = entry["dtype"], entry["shape"], entry["data_offsets"]
    numbers = [begin, stop, *shape]
    if len(shape) > _MAX_DIMENSIONS or any(type(n) is not int or n < 0 for n in numbers):
        raise ValueError(f"tensor {name[:80]} has no sensible shape")
    width = WIDTHS.get(kind) or _OTHER_WIDTHS.get(kind)
    if width is None:
        raise ValueError(f"tensor {name[:80]} is of type {str(kind)[:20]}, which is not known here")
    if stop - begin != math.prod(shape) * width:
        raise ValueError(f"tensor {name[:80]} is not as large as its shape")
    if base + stop > end:
        raise ValueError(f"it is cut off: {end:,} of {base + stop:,} bytes")
    return Stored(name, file, kind, tuple(shape), base + begin)


def _size(stored: Stored) -> int:
    return stored.values * (WIDTHS.get(stored.type) or _OTHER_WIDTHS[stored.type])

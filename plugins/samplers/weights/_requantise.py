"""A copy of a GGUF file whose tensors the engine can read."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from harness import HarnessError

from ._gguf import TENSOR_TYPES, Tensor, read_header
from ._gguf_write import Written, type_number, write_gguf

_F16, _Q8_0 = type_number("F16"), type_number("Q8_0")
_LARGEST_F16 = 65504.0
_VALUES_AT_A_TIME = 1 << 20  # 4 MB as float32


def readable(tensor: Tensor, types: frozenset[str]) -> bool:
    """Whether a tensor can stay as it is, where such types can be read; float32 ones in vectors only."""
    return tensor.type_name in types and (tensor.type_name != "F32" or len(tensor.shape) == 1)


def requantise(
    source: Path,
    target: Path,
    types: frozenset[str],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write a copy of `source` in which matrices of float32 are float16 and tensors of a type outside `types` Q8_0.

    Q8_0 is one scale per 32 values of 8 bits each: exact for Q5_0, and for the others at least ten times finer
    than the steps they were stored in. Metadata and all other tensors are copied byte for byte.

    Args:
        source: a GGUF file.
        target: written from scratch and synced to disk; not renamed.
        types: names of tensor types to leave as they are.
        progress: called with bytes of tensor data written so far and in all.

    Memory: a few tens of megabytes, whatever the size of the tensors.
    """
    header = read_header(source)
    with source.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        tensors = []
        for old in header.tensors:
            kind = old.type if readable(old, types) else _F16 if old.type_name == "F32" else _Q8_0
            if old.shape[0] % TENSOR_TYPES[kind][1]:
                raise HarnessError(f"GGUF file {source}: tensor {old.name} cannot be written as Q8_0")
            pieces = partial(_pieces, data, header.data_start + old.offset, old, kind)
            tensors.append(Written(old.name, old.shape, kind, pieces))
        start, end = header.metadata_span
        write_gguf(
            target,
            data[start:end],
            header.metadata_count,
            tensors,
            progress,
            version=header.version,
            alignment=int(header.metadata.get("general.alignment") or 32),
        )


def _pieces(data: mmap.mmap, begin: int, old: Tensor, kind: int) -> Iterator[bytes]:
    name, per_block, block_bytes = TENSOR_TYPES[old.type]
    step = max(1, _VALUES_AT_A_TIME // per_block) * block_bytes
    for at in range(begin, begin + old.bytes, step):
        chunk = data[at : min(at + step, begin + old.bytes)]
        if old.type == kind:
            yield chunk
        elif kind == _F16:
            yield _to_f16(chunk, old.name)
        else:
            yield _to_q8_0(chunk, name, block_bytes)


def _to_f16(chunk: bytes, name: str) -> bytes:
    import numpy as np

    values = np.frombuffer(chunk, np.float32)
    if not (np.abs(values) <= _LARGEST_F16).all():
        raise HarnessError(f"tensor {name} of the GGUF file has values that float16 does not hold")
    return values.astype(np.float16).tobytes()


def _to_q8_0(chunk: bytes, kind: str, block_bytes: int) -> bytes:
    """Whole blocks of some type as Q8_0 blocks: a float16 scale and 32 signed bytes each."""
    import numpy as np
    from gguf import GGMLQuantizationType, quants

    raw = np.frombuffer(chunk, np.uint8).reshape(1, -1)
    values = quants.dequantize(raw, GGMLQuantizationType[kind])
    if kind != "Q5_0":
        return bytes(quants.quantize(values, GGMLQuantizationType.Q8_0).tobytes())
    # A Q5_0 value is its block's scale times a whole number from -16 to 15: with the same scale nothing is lost.
    scales = raw.reshape(-1, block_bytes)[:, :2]
    divisors = scales.copy().view(np.float16).astype(np.float32)
    steps = values.reshape(-1, 32) / np.where(divisors == 0, 1, divisors)
    return np.concatenate([scales, np.rint(steps).astype(np.int8).view(np.uint8)], axis=1).tobytes()

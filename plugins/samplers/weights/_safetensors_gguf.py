"""A checkpoint of safetensors as one GGUF file that OpenVINO can read, tensor by tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from harness import HarnessError
from harness.safetensors import Checkpoint, Stored, check_finite, opened

from ._cache import check_disk
from ._gguf_write import Metadata, Written, type_number, write_gguf
from ._hf_config import Shape, read_config, shape_of
from ._hf_tokenizer import read_tokenizer, write_tokenizer
from ._tensor_names import Place, match

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Kind = Literal["f16", "q8_0"]
"""What matrices become. OpenVINO's reader takes neither float32 nor bf16 ones."""

_FILE_TYPES = {"f16": 1, "q8_0": 7}  # general.file_type, as llama.cpp numbers them
_LARGEST_F16 = 65504.0


@dataclass(frozen=True, slots=True)
class _Planned:
    stored: Stored
    place: Place
    type: str


def convert(folder: Path, target: Path, kind: Kind, progress: Callable[[int, int], None]) -> None:
    """Write the model in `folder` to the GGUF file `target`.

    Takes about as long as reading and writing the weights. Memory: a few tens of megabytes beside the tokenizer.

    Args:
        progress: called with bytes of tensor data written so far and in all.

    Raises:
        HarnessError: the model is of no family that can be converted, its files are damaged or do not fit each other,
            a weight is not a number, or the disk is too full.
    """
    shape = shape_of(read_config(folder), folder)
    if shape.scaled:
        raise HarnessError(
            f"{folder}: OpenVINO's GGUF reader does not scale positions as this model does; leave "
            "--sampler-option weights out"
        )
    tokenizer = read_tokenizer(folder)
    metadata = Metadata()
    _write_shape(shape, folder, kind, metadata)
    write_tokenizer(tokenizer, shape.vocabulary, metadata)
    with opened(folder) as checkpoint:
        tensors = [
            Written(
                planned.place.name,
                planned.place.shape[::-1],
                type_number(planned.type),
                partial(_pieces, checkpoint, planned),
            )
            for planned in _plan(checkpoint, shape, kind, folder)
        ]
        check_disk(target.parent, sum(tensor.bytes for tensor in tensors) + len(metadata.encoded()))
        write_gguf(target, metadata.encoded(), metadata.count, tensors, progress)


def _write_shape(shape: Shape, folder: Path, kind: Kind, metadata: Metadata) -> None:
    family = shape.family
    metadata.text("general.architecture", family)
    metadata.text("general.name", folder.name)
    metadata.number("general.file_type", _FILE_TYPES[kind])
    metadata.number(f"{family}.block_count", shape.layers)
    metadata.number(f"{family}.context_length", shape.context)
    metadata.number(f"{family}.embedding_length", shape.width)
    metadata.number(f"{family}.feed_forward_length", shape.inner)
    metadata.number(f"{family}.attention.head_count", shape.heads)
    metadata.number(f"{family}.attention.head_count_kv", shape.kv_heads)
    metadata.number(f"{family}.attention.key_length", shape.head_size)
    metadata.number(f"{family}.attention.value_length", shape.head_size)
    metadata.number(f"{family}.rope.dimension_count", shape.head_size)
    metadata.number(f"{family}.vocab_size", shape.vocabulary)
    metadata.real(f"{family}.attention.layer_norm_rms_epsilon", shape.epsilon)
    metadata.real(f"{family}.rope.freq_base", shape.rope_base)


def _plan(checkpoint: Checkpoint, shape: Shape, kind: Kind, folder: Path) -> list[_Planned]:
    """Every tensor of the file, in the order of the model's layers."""
    planned = [
        _Planned(stored, place, _type(checkpoint, stored, kind))
        for stored, place in match(checkpoint, shape, folder)
    ]
    return sorted(planned, key=lambda each: _order(each.place.name))


def _order(name: str) -> tuple[int, str]:
    parts = name.split(".")
    return (int(parts[1]), name) if parts[0] == "blk" else (-1, name)


def _type(checkpoint: Checkpoint, stored: Stored, kind: Kind) -> str:
    """What a tensor becomes. Vectors stay as they are: they are small, and what they scale is not.

    Raises:
        HarnessError: float16 does not hold its values.
    """
    import numpy as np

    if len(stored.shape) < 2:
        return "F32"
    if kind == "q8_0" and stored.shape[-1] % 32 == 0:
        return "Q8_0"
    if stored.type != "F16":
        for values in checkpoint.pieces(stored):
            check_finite(stored, values)
            if np.abs(values).max(initial=0) > _LARGEST_F16:
                raise HarnessError(
                    f"{stored.file}: tensor {stored.name} has values that {kind} does not hold"
                )
    return "F16"


def _pieces(checkpoint: Checkpoint, planned: _Planned) -> Iterator[bytes]:
    import numpy as np

    stored, heads = planned.stored, planned.place.heads
    head_size = stored.rows // heads if heads else 1
    for values in checkpoint.pieces(stored, head_size):
        check_finite(stored, values)
        if heads:
            values = _interleaved(values, head_size)
        match planned.type:
            case "F32":
                yield values.tobytes()
            case "F16":
                yield values.astype(np.float16).tobytes()
            case _:
                yield quantised(values)


def _interleaved(values: NDArray[np.float32], head_size: int) -> NDArray[np.float32]:
    """Rows of whole heads, the first half of each and the second in turns."""
    split = values.reshape(-1, 2, head_size // 2, values.shape[1])
    return split.swapaxes(1, 2).reshape(values.shape)


def quantised(values: NDArray[np.float32]) -> bytes:
    """Q8_0 blocks: for each 32 values a float16 scale and 32 signed bytes."""
    import numpy as np

    blocks = values.reshape(-1, 32)
    scales = np.abs(blocks).max(axis=1, keepdims=True) / np.float32(127)
    inverse = np.divide(1, scales, out=np.zeros_like(scales), where=scales > 0)
    steps = np.rint(blocks * inverse).astype(np.int8)
    return np.concatenate([scales.astype(np.float16).view(np.uint8), steps.view(np.uint8)], axis=1).tobytes()

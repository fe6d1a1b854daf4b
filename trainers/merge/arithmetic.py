"""Weights as they lie in files -> float32 -> weights as they lie in files, in pieces that stay in the cache.

bf16 is the upper half of a float32: it is widened by a shift and narrowed by rounding half to even, as processors and
torch do it. numpy has no bf16, and this needs no torch.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

PIECE: Final = 1 << 17
"""Values at a time: half a megabyte as float32, so that a few arrays fit into the cache of one core."""

LIMITS: Final = {
    "F32": np.float32(np.finfo(np.float32).max),
    "F16": np.nextafter(np.float32(65520), np.float32(0)),
    "BF16": np.uint32(0x7F7F7FFF).view(np.float32),
}
"""The largest float32 that is rounded to a number rather than to infinity, by type."""


def widen(raw: NDArray[np.generic], kind: str, out: NDArray[np.float32]) -> None:
    """Values of a type as float32, without loss."""
    if kind == "BF16":
        bits = out.view(np.uint32)
        np.copyto(bits, raw, casting="unsafe")
        np.left_shift(bits, 16, out=bits)
    else:
        np.copyto(out, raw, casting="unsafe")


def narrow(
    values: NDArray[np.float32], kind: str, out: NDArray[np.generic], scratch: NDArray[np.uint32]
) -> None:
    """float32 as values of a type, rounded half to even. They must be within `LIMITS`.

    Args:
        scratch: as long as the values.
    """
    if kind != "BF16":
        np.copyto(out, values, casting="unsafe")
        return
    bits = values.view(np.uint32)
    np.right_shift(bits, 16, out=scratch)
    np.bitwise_and(scratch, 1, out=scratch)
    np.add(scratch, 0x7FFF, out=scratch)
    np.add(bits, scratch, out=scratch)
    np.right_shift(scratch, 16, out=scratch)
    np.copyto(out, scratch, casting="unsafe")


def within(values: NDArray[np.float32], limit: np.float32) -> bool:
    """Whether all values lie in -limit..limit; NaN does not."""
    return not len(values) or bool(values.max() <= limit and values.min() >= -limit)

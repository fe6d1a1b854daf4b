"""Operations, and how long they take: training is bound by arithmetic, writing chains by memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .devices import Device
from .shape import Shape

UTILISATION: Final = 0.4
"""Share of a GPU's peak that training reaches: Llama 3's authors report 0.38 to 0.43 on H100s (arXiv 2407.21783,
table 4). Nobody measured it for these trainers."""
CPU_UTILISATION: Final = 0.5
DECODING: Final = 0.5
"""Share of the memory's bandwidth that writing chains reaches. Assumed."""
PREFILL: Final = 0.4


def training_flops(shape: Shape, tokens: float, length: float, *, recomputed: bool) -> float:
    """Operations of training on `tokens` tokens in sequences of `length` tokens.

    Two for each weight and token forwards, four backwards (arXiv 2001.08361, section 2.1), and another two where
    activations are not kept but computed again. Attention adds for each token and layer two products with half of
    the sequence, as a token sees only what stands before it (arXiv 2204.02311, appendix B, which counts all of it).
    """
    return tokens * _forward(shape, length) * (4 if recomputed else 3)


def scoring_flops(shape: Shape, tokens: float, length: float) -> float:
    """Operations of going through `tokens` tokens forwards alone."""
    return tokens * _forward(shape, length)


def _forward(shape: Shape, length: float) -> float:
    return 2.0 * shape.multiplied + 2.0 * shape.layers * shape.query * length


def seconds_of(flops: float, device: Device) -> float:
    """Seconds of one device of the kind, or the sum over several that share it."""
    return flops / (device.flops * (UTILISATION if device.gpu else CPU_UTILISATION))


@dataclass(frozen=True, slots=True)
class Decoding:
    """How fast an engine writes chains that it holds side by side."""

    tokens_per_second: float
    """Of all devices of the engine together."""
    chains: int
    """That it holds at once."""


def decoding(
    shape: Shape,
    device: Device,
    *,
    devices: int,
    cache_bytes: float,
    length: float,
    chains: int,
    bytes_per_weight: int = 2,
    least_seconds: float = 0.0,
) -> Decoding:
    """The throughput of an engine whose steps each write one token of every chain.

    A step reads all weights once, and the keys and values of all chains; or is bound by arithmetic, where there are
    many chains. Waiting for the longest chain of a batch, and for Python, is not in it.

    Args:
        devices: that share the weights and the cache.
        cache_bytes: room for keys and values on all of them together.
        length: mean tokens of a chain, its prompt included.
        chains: that there are to write.
        least_seconds: of a step.
    """
    each = shape.kv_bytes() * length
    held = max(1, min(chains, int(cache_bytes // each) if cache_bytes > 0 else 1))
    moved = (
        shape.weights * bytes_per_weight + held * each / 2
    )  # chains grow: on average they are half as long
    by_memory = moved / (devices * device.bandwidth * DECODING)
    # `_forward` itself counts that a token sees only what stands before it: half of the chain, on average.
    by_arithmetic = held * _forward(shape, length) / (devices * device.flops * PREFILL)
    return Decoding(held / max(by_memory, by_arithmetic, least_seconds), held)

"""Memory of one device while a stage trains, part by part.

Weights, gradients and optimiser are counted exactly. What layers keep for the way back was counted in tensors that
torch holds (a test counts them again); what buffers, allocators and drivers take besides is assumed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .devices import GB, Device
from .shape import Shape

_TILE_TOKENS: Final = 4096
_TILE_WORDS: Final = 32_768
"""Size of the piece of the logits that TRL 1.16 holds at once: trl/kernels/chunked_logprob.py, trl/trainer/utils.py."""
_GPU_OVERHEAD: Final = 2 * GB
"""Driver, kernels, and the buffers of NCCL and cuBLAS. Assumed."""
_FRAGMENTATION: Final = 0.1
"""Of the activations: gaps that the allocator cannot use. Assumed."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a model is laid out over devices for training."""

    devices: int = 1
    sharded: bool = False
    """FSDP or ZeRO-3: weights, gradients and optimiser are shared out; otherwise each device holds them whole."""
    bf16: bool = True
    """Products in bfloat16; float32 otherwise."""
    checkpointing: bool = True
    master_bytes: int = 4
    """Of a trained weight, between steps."""
    optimiser_bytes: float = 8
    """Adam: two figures for each trained weight, of the weights' own type."""
    frozen_bytes: int = 2
    adapters: int | None = None
    """Weights of low-rank adapters, the only ones that are trained; None: all are."""
    gpu: bool = True


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of one device at the fullest moment."""

    weights: float
    gradients: float
    optimiser: float
    gathered: float
    """Copies in bfloat16 of the weights that are at work, and their gradients before they are shared out."""
    kept: float
    """Of each layer what it takes to go back through it: its input, or all that it computed."""
    working: float
    """The layer or the output that is being gone back through."""
    overhead: float
    reference: float = 0
    """A second model, which does not change."""
    engine: float = 0
    """What is set aside for writing chains."""

    @property
    def total(self) -> float:
        return float(sum(getattr(self, name) for name in self.__slots__))

    def told(self) -> str:
        """All parts, as a line: "weights 7.4 + gradients 7.4 + ... = 50.1 GB"."""
        parts = [(name, getattr(self, name) / GB) for name in self.__slots__]
        shown = [f"{name} {size:.3g}" for name, size in parts if size >= 0.01]
        return f"{' + '.join(shown)} = {self.total / GB:.3g} GB"


def training_memory(shape: Shape, layout: Layout, micro_batch: int, length: float) -> Memory:
    """Memory of one device that trains on `micro_batch` sequences of `length` tokens at a time."""
    share = layout.devices if layout.sharded else 1
    trained = shape.weights if layout.adapters is None else layout.adapters
    frozen = 0 if layout.adapters is None else shape.weights
    tokens = micro_batch * length
    if layout.checkpointing:
        kept = shape.layers * tokens * shape.hidden * _stream_bytes(layout)
        layer = tokens * (layer_bytes(shape, layout) + _going_back(shape, layout))
    else:
        kept = shape.layers * tokens * layer_bytes(shape, layout)
        layer = tokens * _going_back(shape, layout)
    working = max(layer, output_bytes(shape, layout, tokens))
    return Memory(
        weights=(trained * layout.master_bytes + frozen * layout.frozen_bytes) / share,
        gradients=trained * layout.master_bytes / share,
        optimiser=trained * layout.optimiser_bytes / share,
        gathered=_gathered(shape, layout),
        kept=kept,
        working=working,
        overhead=(_GPU_OVERHEAD if layout.gpu else 0) + _FRAGMENTATION * (kept + working),
    )


def layer_bytes(shape: Shape, layout: Layout) -> float:
    """Bytes that a layer keeps of each token for the way back, with attention that does not keep its scores.

    By type of a value: two for each of gate, up, their activation and product, the queries, keys, values and the
    attention's result; the residual stream before each norm, in float32; and what the norms and products take in.
    """
    size = 2 if layout.bf16 else 4
    stream = 24 if not layout.bf16 else 16 if layout.sharded else 26  # casts under autocast keep both types
    per_token: float = stream * shape.hidden + 8
    per_token += 2 * size * (shape.query + shape.key) + 4 * shape.heads + 4 * size * shape.intermediate
    if shape.qk_norm:
        norm = 6 if layout.bf16 else 8
        per_token += norm * (shape.query + shape.key) + 4 * (shape.heads + shape.kv_heads)
    return per_token


def output_bytes(shape: Shape, layout: Layout, tokens: float) -> float:
    """Bytes that the output layer and the loss take: logits in tiles, gradients in float32."""
    size = 2 if layout.bf16 else 4
    tile = min(tokens, _TILE_TOKENS) * min(shape.vocabulary, _TILE_WORDS) * size
    states = tokens * shape.hidden * (2 * size + 4)
    return tile + states + (4 * shape.embedding if layout.adapters is None else 0)


def logits_bytes(shape: Shape, tokens: float) -> float:
    """Bytes of the logits of all tokens in float32, where they are held at once; their gradient takes as many again."""
    return 4.0 * tokens * shape.vocabulary


def _stream_bytes(layout: Layout) -> int:
    """Of a value of the residual stream: autocast leaves it in the weights' float32, FSDP's policy does not."""
    return 2 if layout.bf16 and layout.sharded else 4


def _going_back(shape: Shape, layout: Layout) -> float:
    """Bytes a token of the gradients that are alive at once within a layer: those of the MLP and of its input."""
    size = 2 if layout.bf16 else 4
    return size * (3 * shape.intermediate + 4 * shape.hidden)


def _gathered(shape: Shape, layout: Layout) -> float:
    if layout.sharded:
        # The layer at work and the next one, the output (which stays), and their gradients.
        at_once = 2 * shape.layer + shape.embedding
        return 2.0 * at_once * (2 if layout.adapters is None else 1)
    if layout.bf16 and layout.adapters is None:
        return 2.0 * shape.weights  # autocast keeps what it has cast until the step is done
    return 0.0


def fits(memory: Memory, device: Device) -> bool:
    return not device.memory or memory.total <= device.memory

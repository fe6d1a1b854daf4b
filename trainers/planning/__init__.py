"""What a stage is likely to take: steps, tokens, device hours and memory, by arithmetic, before anything runs."""

from .compute import training_flops
from .devices import Device, device_of
from .grpo import estimate_grpo
from .memory import Layout, Memory, training_memory
from .sft import estimate_sft
from .shape import Shape

__all__ = [
    "Device",
    "Layout",
    "Memory",
    "Shape",
    "device_of",
    "estimate_grpo",
    "estimate_sft",
    "training_flops",
    "training_memory",
]

"""Parameters of a stage, read leniently: an estimate must not fail where the trainer itself will say what is wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True, slots=True)
class Reading:
    """A stage's parameters, with the trainers' defaults where they say nothing."""

    values: Mapping[str, Any]
    gpu: bool = True

    def number(self, name: str, default: float) -> float:
        value = self.values.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return default
        return float(value)

    def whole(self, name: str, default: int) -> int:
        return max(0, int(self.number(name, default)))

    def flag(self, name: str, default: bool) -> bool:
        value = self.values.get(name, default)
        return value if isinstance(value, bool) else default

    @property
    def micro_batch(self) -> int:
        return max(1, self.whole("per_device_train_batch_size", 1))

    @property
    def accumulation(self) -> int:
        return max(1, self.whole("gradient_accumulation_steps", 1))

    @property
    def epochs(self) -> float:
        return max(0.0, self.number("num_train_epochs", 1.0))

    @property
    def max_steps(self) -> int | None:
        """None: as many as the epochs have."""
        steps = int(self.number("max_steps", -1))
        return steps if steps > 0 else None

    @property
    def checkpointing(self) -> bool:
        """Whether activations are computed again instead of kept."""
        old = self.flag("gradient_checkpointing", self.gpu)
        return self.flag("activation_checkpointing", old)

    @property
    def bf16(self) -> bool:
        return self.flag("bf16", True)

    @property
    def master_bytes(self) -> int:
        """Bytes of a weight that is trained, as it is held between steps."""
        return _BYTES.get(str(self.values.get("dtype", "float32")), 4)

    @property
    def optimiser_bytes(self) -> float:
        """Bytes of the optimiser's state for each trained weight."""
        name = str(self.values.get("optim", "adamw_torch_fused"))
        if "8bit" in name:
            return 2.0
        if name == "adafactor":
            return 0.1  # a row and a column for each matrix
        return 0.0 if name == "sgd" else 2.0 * self.master_bytes

    @property
    def adapters(self) -> tuple[int, object] | None:
        """Rank and targets of low-rank adapters; None: all weights are trained."""
        given = self.values.get("lora")
        if given is True:
            return 16, "all-linear"
        if not isinstance(given, Mapping):
            return None
        rank = given.get("r", 16)
        return (rank if isinstance(rank, int) and rank > 0 else 16), given.get("target_modules", "all-linear")


def steps_of(reading: Reading, batches: float) -> int:
    """Steps of the optimiser, as transformers counts them: the last of an epoch may be a smaller one.

    Args:
        batches: of an epoch, each of which all devices learn from together.
    """
    if reading.max_steps is not None:
        return reading.max_steps
    return max(1, math.ceil(math.ceil(batches / reading.accumulation) * reading.epochs))

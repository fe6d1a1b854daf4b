"""What is to be merged, and how."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

from harness import HarnessError, closest

METHODS: Final = ("linear", "slerp", "ties", "dare_ties")
OF_DIFFERENCES: Final = ("ties", "dare_ties")
"""Methods that merge what models changed in a base model."""

DTYPES: Final = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}
SHARD_BYTES: Final = 5_000_000_000

_NO_SUM: Final = 1e-8


@dataclass(frozen=True, slots=True)
class Part:
    """One of the models that are merged."""

    model: str
    """Folder, Hub id or known name."""
    weight: float = 1.0
    density: float = 1.0
    """Share of its changes that ties and dare_ties keep, in 0..1."""


@dataclass(frozen=True, slots=True)
class MergeSettings:
    """One merge.

    Raises:
        HarnessError: it makes no sense.
    """

    parts: tuple[Part, ...]
    method: str = "linear"
    base: str | None = None
    """What the parts were trained from: ties and dare_ties merge the differences from it. For slerp the model that
    t = 0 stands for, and not among the parts. Tokenizer and
    settings are carried over from it, else from the first part.
    """
    dtype: str | None = None
    """Type of the weights that are written, a key of `DTYPES`; None keeps the type of each tensor."""
    normalize: bool = True
    """Divide by the sum of the weights."""
    t: float = 0.5
    """slerp: where between the base (0) and the other model (1)."""
    scale: float = 1.0
    """ties and dare_ties: factor of the merged differences (mergekit's lambda)."""
    rescale: bool = True
    """dare_ties: divide the changes that are left by the density."""
    seed: int = 0
    """dare_ties: which changes are dropped."""
    shard_bytes: int = SHARD_BYTES
    """Most bytes of weights in one file; a larger tensor has a file of its own."""
    where: str = ""
    """The file that said so, for messages."""

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise self._error(f"no method is called {self.method!r:.40}: {closest(self.method, METHODS)}")
        if self.dtype is not None and self.dtype not in DTYPES:
            raise self._error(f"no dtype is called {self.dtype!r:.40}: {closest(self.dtype, DTYPES)}")
        self._check_models()
        for part in self.parts:
            if not math.isfinite(part.weight):
                raise self._error(f"{part.model}: weight {part.weight} is not a number")
            if not 0 < part.density <= 1:
                raise self._error(f"{part.model}: density {part.density} is not above 0 and at most 1")
        if not 0 <= self.t <= 1:
            raise self._error(f"t is {self.t}: it is to be between 0 and 1")
        if not math.isfinite(self.scale):
            raise self._error(f"lambda is {self.scale}, not a number")
        if self.shard_bytes < 1:
            raise self._error("a shard holds at least one byte")
        if (
            self.normalize
            and self.method == "linear"
            and abs(sum(part.weight for part in self.parts)) < _NO_SUM
        ):
            raise self._error("the weights add up to 0: they cannot be normalised")

    def _check_models(self) -> None:
        if self.method == "linear":
            if len(self.parts) < 2:
                raise self._error("a merge takes at least two models")
            if self.base is not None and self.base not in self.models:
                raise self._error(
                    f"linear merges models as they are: name {self.base} among them too, or no base"
                )
        elif self.method == "slerp":
            if self.base is None or len(self.parts) != 1:
                raise self._error("slerp goes from one model to one other: name two, the base among them")
        elif self.base is None:
            raise self._error(
                f"{self.method} merges what models changed: name the base model they started from"
            )
        elif not self.parts:
            raise self._error(f"{self.method} takes at least one model besides the base")

    def _error(self, text: str) -> HarnessError:
        return HarnessError(f"{self.where}: {text}" if self.where else text)

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(part.model for part in self.parts)

    def parameters(self) -> dict[str, Any]:
        """What of the settings matters to the method, models and their weights apart."""
        named: dict[str, Any] = {"dtype": self.dtype, "shard_bytes": self.shard_bytes}
        if self.method == "slerp":
            return {"t": self.t, **named}
        named |= {"normalize": self.normalize}
        if self.method in OF_DIFFERENCES:
            named |= {"lambda": self.scale}
        if self.method == "dare_ties":
            named |= {"rescale": self.rescale, "seed": self.seed}
        return named

"""What a trainer is: the plugin that runs one stage of a recipe, what it is given, and what it says beforehand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal


@dataclass(frozen=True, slots=True)
class StageJob:
    """One stage of a recipe, ready to run: what a trainer is given. Its folders are made by who runs it."""

    stage: str
    """RECIPE:STAGE"""
    starts_from: tuple[Path, ...]
    """Folders of the models that it starts from, in the recipe's order; none where it starts from nothing."""
    data: Path | None
    """Training rows in the order in which they are to be seen (JSON lines, see docs/training-data.md)."""
    parameters: Mapping[str, Any]
    """As the recipe has them, for each of `devices` processes."""
    out: Path
    """Folder of the finished model. It does not exist yet: it is written under another name and renamed."""
    work: Path
    """Folder for what the stage needs to go on after it was killed, and for its log (`log.jsonl`)."""
    devices: int = 1
    """Processes that share the work, each with a device of its own."""


@dataclass(frozen=True, slots=True)
class StageSize:
    """How much there is to do in a stage, as far as it is known before anything runs."""

    parameters: Mapping[str, Any]
    """Of the stage."""
    config: Mapping[str, Any] | None
    """config.json of the model that it starts from; None where it cannot be had."""
    weights: float | None
    """Number of the model's weights; None where nobody knows."""
    rows: int | None
    prompt_tokens: float | None
    """Mean of a row."""
    completion_tokens: float | None
    """Mean of a row."""
    device: str | None
    """Such as "H100"."""
    devices: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a stage is likely to take. None: not known."""

    steps: int | None = None
    """Of the optimiser."""
    trained_tokens: float | None = None
    """That go through the model forwards and backwards, all epochs together."""
    sampled_tokens: float | None = None
    """That it generates while it trains."""
    device_hours: float | None = None
    memory_bytes: float | None = None
    """Peak of one device."""
    notes: tuple[str, ...] = ()
    """What the figures rest on, and what will not fit."""


class Trainer(ABC):
    """Runs one stage of a recipe."""

    name: str
    description: str = ""
    apart: ClassVar[bool] = True
    """Whether a stage runs in processes of its own, so that its memory and devices are free when it ends."""
    needs: ClassVar[Literal["chains", "golds"] | None] = "chains"
    """What its training rows hold: chains to imitate, or golds to be rewarded by; None: a stage has no rows."""

    def check(self, parameters: Mapping[str, Any], models: int) -> None:  # noqa: B027 - not every trainer has something to say
        """Look at a stage before anything runs. Must not import anything heavy.

        Args:
            models: how many models the stage starts from.

        Raises:
            HarnessError: a parameter that does not exist or is out of range, too many or too few models.
        """

    def estimate(self, size: StageSize) -> Estimate:
        """What a stage is likely to take."""
        return Estimate()

    @abstractmethod
    def train(self, job: StageJob) -> None:
        """Make `job.out`, going on from what `job.work` holds. Called in each of `job.devices` processes.

        Raises:
            HarnessError: bad rows, another kind of model, no room on the disk.
            Interrupted: SIGTERM or Ctrl-C; what was reached is saved.
        """

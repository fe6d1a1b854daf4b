"""training.json: what a recipe's run leaves for reports: its costs, and how its stages went, step by step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from .errors import HarnessError
from .files import read_json, write_json

FILE: Final = "training.json"
_MOST_STEPS: Final = 1_000_000

Figures = tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a checkpoint took, with everything that it comes from."""

    checkpoint: str
    """Its name in results."""
    made_from: str
    device_hours: float | None
    """None: not known."""
    usd: float | None
    energy_kwh: float | None = None
    complete: bool = True
    """False: a stage of it has not come to its end."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A stage's figures at its logged steps."""

    stage: str
    """RECIPE:STAGE"""
    trainer: str
    checkpoint: str
    """Name in results of the checkpoint that the stage makes or leads to."""
    steps: tuple[int, ...]
    """Of the optimiser, rising."""
    series: Mapping[str, Figures]
    """Name -> a figure for each of `steps`, None where it was not logged: loss, reward (mean over a step's chains),
    mean_tokens (of a step's chains), truncated (share of them), and what else the trainer logs."""
    budget: int | None = None
    """Most tokens that a chain could have while it was trained on."""


@dataclass(frozen=True, slots=True)
class Training:
    """A recipe's run."""

    recipe: str
    device: str | None
    """What its device-hours are hours of."""
    base: str | None
    """Name in results of the model that it started from."""
    costs: tuple[Cost, ...] = ()
    curves: tuple[Curve, ...] = ()


_ADAPTER: Final = TypeAdapter(Training)


def write_training(folder: Path, training: Training) -> None:
    """
    Raises:
        HarnessError: the disk is full or the folder cannot be written.
    """
    write_json(folder / FILE, _finite(asdict(training)))


def read_training(folder: Path) -> Training:
    """
    Raises:
        HarnessError: there is no such file, or it holds something else.
    """
    path = folder / FILE
    if not path.is_file():
        raise HarnessError(f"{folder} has no {FILE}: name the folder that harness train wrote to")
    try:
        training = _ADAPTER.validate_python(read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise HarnessError(f"{path}: {where}: {first['msg']}") from None
    for curve in training.curves:
        odd = next((name for name, row in curve.series.items() if len(row) != len(curve.steps)), None)
        if odd is not None or len(curve.steps) > _MOST_STEPS:
            raise HarnessError(f"{path}: {curve.stage}: {odd or 'steps'} has not one figure for each step")
    return training


def _finite(value: Any) -> Any:
    """JSON has no infinities: a loss that overflowed is a figure that is not known."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value

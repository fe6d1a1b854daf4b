"""How stages went, read from their logs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from harness import HarnessError
from harness.training import Curve

from .layout import LOG

_LONGEST_LINE: Final = 1_000_000
_MOST_STEPS: Final = 1_000_000
_ABOUT_THE_RUN: Final = ("step", "steps", "epoch", "seconds")
"""What is no figure of a step."""


def read_log(work: Path) -> list[dict[str, Any]]:
    """What a stage has logged, steps rising; a line that is torn or makes no sense is left out.

    Raises:
        HarnessError: the file cannot be read.
    """
    found: list[dict[str, Any]] = []
    try:
        with (work / LOG).open("rb") as file:
            while (line := file.readline(_LONGEST_LINE)) and len(found) < _MOST_STEPS:
                entry = _parsed(line)
                if entry is not None and (not found or entry["step"] > found[-1]["step"]):
                    found.append(entry)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise HarnessError(f"cannot read {work / LOG}: {error.strerror or error}") from None
    return found


def steps_of(work: Path) -> int | None:
    """How many steps a stage has in all, as it has logged."""
    log = read_log(work)
    steps = log[-1].get("steps") if log else None
    return steps if type(steps) is int and steps > 0 else None


def curve_of(
    log: list[dict[str, Any]], stage: str, trainer: str, checkpoint: str, parameters: Mapping[str, Any]
) -> Curve | None:
    """A stage's curve; None where it has logged nothing.

    Args:
        checkpoint: name in results of the model that the stage makes or leads to.
    """
    if not log:
        return None
    names = dict.fromkeys(
        name for entry in log for name, value in entry.items() if _figure(value) is not None
    )
    wanted = [name for name in names if name not in _ABOUT_THE_RUN]
    series = {name: tuple(_figure(entry.get(name)) for entry in log) for name in wanted}
    budget = parameters.get("max_completion_length")
    return Curve(
        stage,
        trainer,
        checkpoint,
        tuple(entry["step"] for entry in log),
        series,
        budget if type(budget) is int else None,
    )


def _figure(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _parsed(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) and type(entry.get("step")) is int else None

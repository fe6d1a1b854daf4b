"""How many processes share a stage, so that its batch stays what the recipe says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from harness import HarnessError

from ..recipes import Node

_ACCUMULATION: Final = "gradient_accumulation_steps"
_GENERATION: Final = "steps_per_generation"
_BATCH: Final = "per_device_train_batch_size"
_MOST: Final = 4096


def parameters_for(node: Node, processes: int) -> Mapping[str, Any]:
    """The stage's parameters for each of that many processes, with the same number of rows in each step.

    Raises:
        HarnessError: so many cannot share it evenly; says how many can.
    """
    parameters = dict(node.stage.parameters)
    meant = node.hardware.devices or 1
    if processes == meant or not _has_batch(parameters):
        return parameters
    total = _whole(parameters.get(_ACCUMULATION, 1)) * meant
    if total % processes:
        work = ", ".join(map(str, fitting(node, _MOST)))
        raise HarnessError(
            f"stage {node.id}: {processes} processes cannot share steps of {total} micro-batches evenly: "
            f"these numbers of devices work: {work}"
        )
    parameters[_ACCUMULATION] = total // processes
    if parameters.get(_GENERATION) is not None:
        generation = _whole(parameters[_GENERATION]) * meant
        if generation % processes:
            raise HarnessError(
                f"stage {node.id}: {processes} processes cannot share {_GENERATION}: {parameters[_GENERATION]} evenly"
            )
        parameters[_GENERATION] = generation // processes
    return parameters


def fitting(node: Node, most: int) -> list[int]:
    """Numbers of processes that can share a stage, rising."""
    if not _has_batch(node.stage.parameters):
        return [1] if most < (node.hardware.devices or 1) else [node.hardware.devices or 1]
    meant = node.hardware.devices or 1
    total = _whole(node.stage.parameters.get(_ACCUMULATION, 1)) * meant
    generation = node.stage.parameters.get(_GENERATION)
    each = [total] if generation is None else [total, _whole(generation) * meant]
    return [n for n in range(1, min(most, total) + 1) if not any(number % n for number in each)] or [1]


def _has_batch(parameters: Mapping[str, Any]) -> bool:
    return _ACCUMULATION in parameters or _BATCH in parameters


def _whole(value: Any) -> int:
    """What is no whole number is the trainer's to refuse."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 1

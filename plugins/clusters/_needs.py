"""What a replica occupies of a cluster: processors and graphics processors."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from harness import HarnessError, Opening

GPUS: Final = "HARNESS_RAY_NUM_GPUS"
CPUS: Final = "HARNESS_RAY_NUM_CPUS"


@dataclass(frozen=True, slots=True)
class Needs:
    """Of one replica."""

    cpus: float
    gpus: float

    def __str__(self) -> str:
        cpus = f"{self.cpus:g} CPU{'s' if self.cpus > 1 else ''}"
        return f"{self.gpus:g} GPU{'s' if self.gpus > 1 else ''} and {cpus}" if self.gpus else cpus

    @property
    def threads(self) -> int | None:
        """Processor threads for an engine that computes on processors."""
        return None if self.gpus else max(1, int(self.cpus))


def needs(opening: Opening, nodes: Sequence[Mapping[str, float]], replicas: int) -> Needs:
    """What each replica is to get.

    The sampler says how many devices its engine occupies. Processors are shared out so that all replicas fit on the
    nodes, where they can.

    Args:
        nodes: resources of each node, by Ray's names ("CPU", "GPU").
    """
    gpus = _number(GPUS)
    if gpus is None:
        gpus = devices(opening) if any(node.get("GPU", 0) >= 1 for node in nodes) else 0
    if gpus > 1 and gpus != int(gpus):
        raise HarnessError(f"{GPUS}={gpus:g}: more than one GPU must be a whole number")
    cpus = _number(CPUS)
    if cpus is None:
        cpus = 1 if gpus else _fair_share([node.get("CPU", 0) for node in nodes], replicas)
    return Needs(cpus, gpus)


def devices(opening: Opening) -> int:
    """How many devices the sampler's engine occupies with these options, where there are any."""
    sampler, options = opening.sampler, opening.options
    if not sampler.runs_here or options.get("device", "").strip().lower().startswith("cpu"):
        return 0
    return sampler.devices(options)


def resources(ray: Any) -> list[Mapping[str, float]]:
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def total(nodes: Sequence[Mapping[str, float]]) -> str:
    cpus, gpus = (int(sum(node.get(name, 0) for node in nodes)) for name in ("CPU", "GPU"))
    return f"{gpus} GPUs and {cpus} CPUs on {len(nodes)} node{'s' if len(nodes) != 1 else ''}"


def _fair_share(cpus: Sequence[float], replicas: int) -> int:
    """The most processors that each replica can have if all are to fit on nodes with so many; at least 1."""
    share = int(max(cpus, default=1))
    while share > 1 and sum(int(count) // share for count in cpus) < replicas:
        share -= 1
    return max(1, share)


def _number(variable: str) -> float | None:
    text = os.environ.get(variable, "").strip()
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 10_000:
        raise HarnessError(f"{variable}={text!r} is not a number from 0")
    return number

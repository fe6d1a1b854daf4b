"""What this machine trains on."""

from __future__ import annotations

import shutil
import subprocess

from harness import HarnessError

from ..launch import Machines, gpu_names, gpus, named
from .plan import CPU, Machine


def this_machine(evaluating: str | None = None) -> Machine:
    """Imports no torch.

    Args:
        evaluating: devices that are kept for evaluations, as CUDA_VISIBLE_DEVICES names them.
    """
    count = gpus()
    if not count:
        return Machine(CPU, 1)
    kept = len(named(evaluating)) if evaluating else 0
    return Machine(_gpu_name() or "GPU", max(1, count - kept))


def devices_for_training(count: int, evaluating: str | None = None) -> list[str]:
    """Names of this machine's graphics processors that a stage uses, as CUDA_VISIBLE_DEVICES has them; none on a CPU.

    No others are shown to it: one process that sees several would split each batch among them.

    Args:
        count: how many it takes, on all machines together.

    Raises:
        HarnessError: those for evaluations leave it too few.
    """
    kept = set(named(evaluating)) if evaluating else set()
    names = gpu_names()
    free = [name for name in names if name not in kept]
    here = -(-count // Machines.here().count)
    if kept and names and len(free) < here:
        raise HarnessError(
            f"training takes {here} devices and --evaluate-devices {evaluating} leaves {len(free)}: name fewer there, "
            "or take fewer with --devices"
        )
    return free[:here]


def devices_left(training: int) -> str | None:
    """Graphics processors that no stage uses, as CUDA_VISIBLE_DEVICES names them; None where there are none."""
    return ",".join(gpu_names()[training:]) or None


def _gpu_name() -> str | None:
    if (tool := shutil.which("nvidia-smi")) is None:
        return None
    command = [tool, "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    names = [line.strip() for line in done.stdout.split("\n") if line.strip()]
    return names[0][:100] if names else None

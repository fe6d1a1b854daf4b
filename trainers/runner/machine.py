"""What this machine trains on."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Final

from ..launch import gpus
from .plan import CPU, Machine

_VISIBLE: Final = "CUDA_VISIBLE_DEVICES"


def this_machine(evaluating: str | None = None) -> Machine:
    """Imports no torch.

    Args:
        evaluating: devices that are kept for evaluations, as CUDA_VISIBLE_DEVICES names them.
    """
    count = gpus()
    if not count:
        return Machine(CPU, 1)
    kept = len(_names(evaluating)) if evaluating else 0
    return Machine(_gpu_name() or "GPU", max(1, count - kept))


def devices_for_training(count: int, evaluating: str | None = None) -> list[str]:
    """Names of the graphics processors that training may use, first those that it takes; empty where it may use all
    that are visible.

    Args:
        count: how many it takes.
    """
    if evaluating is None:
        return []
    visible = os.environ.get(_VISIBLE)
    all_ = _names(visible) if visible is not None else [str(number) for number in range(gpus())]
    kept = set(_names(evaluating))
    return [name for name in all_ if name not in kept][:count]


def devices_left(training: int) -> str | None:
    """Graphics processors that no stage uses, as CUDA_VISIBLE_DEVICES names them; None where there are none."""
    visible = os.environ.get(_VISIBLE)
    all_ = _names(visible) if visible is not None else [str(number) for number in range(gpus())]
    return ",".join(all_[training:]) or None


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


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

"""The command that runs a stage in processes of its own."""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from harness import HarnessError, closest
from harness.config import read_yaml

from .machines import Machines, gpus

CONFIGS: Final = Path(__file__).parent
"""Folder of the accelerate configurations that come with the harness."""
STAGE: Final = "harness_trainers.launch.stage"
"""Module that runs one process of a stage."""
_ENDINGS: Final = (".yaml", ".yml")


@cache
def shipped_configs() -> tuple[str, ...]:
    """Names of the accelerate configurations that come with the harness."""
    return tuple(sorted(path.stem for path in CONFIGS.glob("*.yaml")))


def command(job_file: Path, processes: int, accelerate: str | None = None) -> list[str]:
    """What to start, so that `processes` processes run a stage together.

    Several machines: each starts its share of them, see `Machines.here`.

    Args:
        job_file: a StageJob as JSON.
        processes: on all machines together; each has a device of its own.
        accelerate: an accelerate configuration, by its shipped name or as a file. None chooses: one process needs
            none, several share the weights among GPUs (fsdp), and where there is no GPU each has them whole (cpu).

    Raises:
        HarnessError: no such configuration, more processes than GPUs, or accelerate is not installed.
    """
    if processes < 1:
        raise HarnessError(f"{processes} processes cannot run a stage: devices is at least 1")
    machines = Machines.here()
    run = ["-m", STAGE, str(job_file)]
    if processes == 1 and accelerate is None and machines.count == 1:
        return [sys.executable, *run]
    if processes % machines.count:
        raise HarnessError(
            f"{processes} processes cannot be shared among {machines.count} machines: devices is a multiple of that"
        )
    here = processes // machines.count
    config = _config(accelerate, here)
    values = read_yaml(config)
    _check_packages(values)
    return [
        sys.executable,
        *("-m", "accelerate.commands.launch"),
        *("--config_file", str(config)),
        *("--num_processes", str(processes)),
        *_meeting(machines, values),
        *_threads(values, here),
        *run,
    ]


def _config(accelerate: str | None, here: int) -> Path:
    if accelerate is None:
        available = gpus()
        if available and available < here:
            raise HarnessError(
                f"{here} processes need {here} GPUs, and this machine shows {available}: train with --devices "
                f"{available}, or share the processor with the accelerate configuration cpu"
            )
        accelerate = "fsdp" if available else "cpu"
    if accelerate in shipped_configs():
        return CONFIGS / f"{accelerate}.yaml"
    path = Path(accelerate).expanduser()
    if not accelerate.lower().endswith(_ENDINGS):
        raise HarnessError(
            f"no accelerate configuration is called {accelerate!r:.60}: {closest(accelerate, shipped_configs())} "
            "(a file's name ends in .yaml)"
        )
    if not path.is_file():
        raise HarnessError(
            f"{path} is no file: name an accelerate configuration, or {', '.join(shipped_configs())}"
        )
    return path.absolute()


def _check_packages(values: dict[str, Any]) -> None:
    needed = {"accelerate": "'fathom-harness[train]'"}
    if values.get("distributed_type") == "DEEPSPEED":
        needed["deepspeed"] = "deepspeed"
    for module, package in needed.items():
        if find_spec(module) is None:
            raise HarnessError(f"training in several processes needs {module}: pip install {package}")


def _meeting(machines: Machines, values: dict[str, Any]) -> list[str]:
    """Where the processes find each other."""
    if machines.count > 1:
        return [
            *("--num_machines", str(machines.count)),
            *("--machine_rank", str(machines.rank)),
            *("--main_process_ip", machines.address),
            *("--main_process_port", str(machines.port)),
        ]
    if values.get("main_process_port") is not None or _machines_of(values) > 1:
        return []  # the file says it all
    return ["--main_process_port", "0"]  # any that is free: several stages may run on one machine


def _machines_of(values: dict[str, Any]) -> int:
    said = values.get("num_machines", 1)
    return said if isinstance(said, int) else 1


def _threads(values: dict[str, Any], here: int) -> list[str]:
    """On the processor its cores are shared out; accelerate would count physical ones, which containers hide."""
    if not values.get("use_cpu") or os.environ.get("OMP_NUM_THREADS"):
        return []
    return ["--num_cpu_threads_per_process", str(max(1, _cores() // here))]


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

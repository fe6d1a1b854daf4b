"""What processes are started on: the graphics processors of this machine, and which of several machines it is."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Final

from harness import HarnessError

_PORT: Final = 29_500
_NOTHING: Final = ("", "-1", "NoDevFiles")


def gpus(environ: Mapping[str, str] = os.environ) -> int:
    """How many graphics processors a process that is started here can use. Imports no torch."""
    for variable in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"):
        if (said := environ.get(variable)) is not None:
            return len(named(said))
    if tool := shutil.which("nvidia-smi"):
        try:
            listed = subprocess.run(
                [tool, "-L"], capture_output=True, text=True, timeout=20, check=True
            ).stdout
            return sum(line.startswith("GPU ") for line in listed.split("\n"))
        except (OSError, subprocess.SubprocessError):
            pass  # a driver without its tool, or one that hangs: the device files say it as well
    files = sum(path.name[6:].isdigit() for path in Path("/dev").glob("nvidia[0-9]*"))
    # One file for each AMD device; an integrated display has one too where the compute driver is missing.
    return files or (len(list(Path("/dev/dri").glob("renderD*"))) if Path("/dev/kfd").exists() else 0)


def gpu_names(environ: Mapping[str, str] = os.environ) -> list[str]:
    """The same ones as CUDA_VISIBLE_DEVICES names them: by number, or as it does already. None where AMD's own variable
    names them: the two must not contradict each other.
    """
    if (said := environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return named(said)
    return [] if "HIP_VISIBLE_DEVICES" in environ else [str(number) for number in range(gpus(environ))]


def named(visible: str) -> list[str]:
    """As CUDA reads the variable: the first entry that is no device hides all after it."""
    return list(takewhile(lambda name: name not in _NOTHING, (entry.strip() for entry in visible.split(","))))


@dataclass(frozen=True, slots=True)
class Machines:
    """The machines that share a stage, and the place of this one among them."""

    count: int = 1
    rank: int = 0
    """0: the one that everybody meets at, and that `harness train` runs on."""
    address: str = ""
    """Of the machine of rank 0."""
    port: int = _PORT

    @classmethod
    def here(cls, environ: Mapping[str, str] = os.environ) -> Machines:
        """As NUM_MACHINES, MACHINE_RANK, MAIN_PROCESS_IP and MAIN_PROCESS_PORT say.

        Raises:
            HarnessError: one of them is missing or makes no sense.
        """
        count = _number(environ, "NUM_MACHINES", 1, 1, 100_000)
        if count == 1:
            return cls()
        rank = _number(environ, "MACHINE_RANK", None, 0, count - 1)
        if not (address := environ.get("MAIN_PROCESS_IP", "").strip()):
            raise HarnessError(
                f"NUM_MACHINES is {count}: set MAIN_PROCESS_IP to the address of the machine of rank 0 as well"
            )
        return cls(count, rank, address, _number(environ, "MAIN_PROCESS_PORT", _PORT, 1, 65_535))


def _number(environ: Mapping[str, str], name: str, default: int | None, low: int, high: int) -> int:
    text = environ.get(name, "").strip()
    if not text and default is not None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and low <= int(text) <= high):
        said = f"is {text!r:.40}" if text else "is not set"
        raise HarnessError(f"the environment's {name} {said}: give a whole number from {low} to {high}")
    return int(text)

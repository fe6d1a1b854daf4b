"""What a command costs: CPU time, wall time and peak memory, its own and its children's, from the kernel."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# The kernel carries the peak memory of the forking process over into the command, so the command is started by
# an interpreter that has imported next to nothing (9 MiB: the floor of what can be measured).
_LAUNCHER = """
import os, sys, time
report, command = sys.argv[1], sys.argv[2:]
began = time.perf_counter()
pid = os.posix_spawn(command[0], command, os.environ)
_, status, usage = os.wait4(pid, 0)
wall = time.perf_counter() - began
with open(report, "w") as file:
    file.write(f"[{os.waitstatus_to_exitcode(status)}, {usage.ru_utime}, {usage.ru_stime}, {wall}, {usage.ru_maxrss}]")
"""

_PEAK_UNITS_PER_MIB = 2**20 if sys.platform == "darwin" else 2**10


class CommandFailed(Exception):
    """A measured command did not end well; the message says which, how, and quotes its last words."""


@dataclass(frozen=True, slots=True)
class Cost:
    """One execution of a command, children that it has waited for included."""

    user: float
    """CPU seconds in user mode."""
    system: float
    """CPU seconds in the kernel."""
    wall: float
    """Seconds from start to end."""
    peak: float
    """Peak resident memory of its largest process, in MiB."""
    stdout: bytes


def measure(
    command: Sequence[str | Path], *, env: Mapping[str, str], cwd: Path, timeout: float = 600
) -> Cost:
    """Run a command and wait for it.

    Args:
        command: the program's absolute path, then its arguments.
        timeout: seconds until it is given up.

    Raises:
        CommandFailed: it exits with another code than 0, or is not done in time.
    """
    words = [str(word) for word in command]
    name = " ".join([Path(words[0]).name, *words[1:3]])
    with tempfile.TemporaryDirectory(prefix="meter-") as folder:
        report = Path(folder, "report")
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(report), *words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env=dict(env),
                cwd=cwd,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired:
            raise CommandFailed(f"{name} is not done after {timeout:.0f} s") from None
        if done.returncode:
            raise CommandFailed(f"{name} cannot be started: {_last_words(done.stderr)}")
        code, user, system, wall, peak = json.loads(report.read_text())
    if code:
        raise CommandFailed(f"{name} exited with {code}: {_last_words(done.stderr or done.stdout)}")
    return Cost(user, system, wall, peak / _PEAK_UNITS_PER_MIB, done.stdout)


def processor() -> str:
    """The model of this machine's processor."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in text.split("\n") if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _last_words(output: bytes) -> str:
    lines = [line.strip() for line in output.decode("utf-8", "replace").split("\n") if line.strip()]
    return " / ".join(lines[-3:])[:600] or "it said nothing"

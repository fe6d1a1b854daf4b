"""Work in a process of its own, which no Ctrl-C meant for us reaches and which never outlives us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

from harness.errors import HarnessError
from harness.files import read_json, write_json
from harness.plugins import PluginManager

from .child import JOB, OUTCOME
from .outcome import Outcome, line

_LOOK_SECONDS: Final = 0.2
_GRACE_SECONDS: Final = 15.0
_TAIL_BYTES: Final = 8192
_KINDS: Final = ("done", "failed", "refused", "busy", "stopped")

_OF_TRAINING: Final = (
    "ACCELERATE_",
    "TORCHELASTIC_",
    "FSDP_",
    "DEEPSPEED_",
    "OMPI_COMM_WORLD_",
    "PMI_",
    "PMIX_",
)
_OF_TRAINING_EXACTLY: Final = frozenset(
    {
        *("RANK", "LOCAL_RANK", "GROUP_RANK", "ROLE_RANK", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT"),
        *("WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE", "ROLE_WORLD_SIZE", "ROLE_NAME"),
    }
)


def run_apart(
    job: Mapping[str, Any], plugins: PluginManager, stop: threading.Event, devices: str | None = None
) -> Outcome:
    """Have `child.py` do a job.

    Args:
        job: `flags` of an evaluation, or `report`: what write_report takes.
        plugins: the child loads the same ones.
        stop: once it is set, the child is told to stop; it stores what it has.
        devices: the child's CUDA_VISIBLE_DEVICES; None: as here.
    """
    with tempfile.TemporaryDirectory(prefix="harness-") as name:
        folder = Path(name)
        try:
            write_json(folder / JOB, {**job, **plugins.selection, "parent": os.getpid()})
            process = subprocess.Popen(
                # -P: nothing in the working folder is taken for a module.
                [sys.executable, "-P", "-m", "harness_trainers.watching.child", name],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=_environment(devices),
            )
        except (OSError, HarnessError) as error:
            return Outcome("failed", line(f"no process could be started: {error}"))
        tail = _Tail(process.stdout)
        try:
            stopped = _wait(process, stop)
        finally:
            _kill(process)
        return _outcome(folder, process.returncode, tail.text(), stopped)


def _environment(devices: str | None) -> dict[str, str]:
    """Ours, less what tells a process that it is one of several which train together: an engine would join them."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in _OF_TRAINING_EXACTLY and not name.startswith(_OF_TRAINING)
    }
    return kept if devices is None else {**kept, "CUDA_VISIBLE_DEVICES": devices}


def _wait(process: subprocess.Popen[bytes], stop: threading.Event) -> bool:
    """Until it ends. Returns whether it was told to."""
    deadline = None
    while True:
        try:
            process.wait(_LOOK_SECONDS)
            return deadline is not None
        except subprocess.TimeoutExpired:
            if deadline is None and stop.is_set():
                process.terminate()
                deadline = time.monotonic() + _GRACE_SECONDS
            if deadline is not None and time.monotonic() > deadline:
                return True


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The child, and what its engine may have left running in the child's session."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _outcome(folder: Path, code: int, tail: str, stopped: bool) -> Outcome:
    try:
        told = read_json(folder / OUTCOME)
        kind, reason, results = told["kind"], told["reason"], told.get("results", ())
        if kind in _KINDS:
            return Outcome(kind, line(str(reason)), results)
    except (HarnessError, KeyError, TypeError, AttributeError):
        pass  # it died before it could say
    if stopped or code == 130:
        return Outcome("stopped", "interrupted")
    last = next((found for part in reversed(tail.split("\n")) if (found := line(part))), "it said nothing")
    if code < 0:
        try:
            what = signal.Signals(-code).name
        except ValueError:
            what = f"signal {-code}"
        hint = ", is there enough memory?" if what == "SIGKILL" else "."
        return Outcome("failed", line(f"its process was ended by {what}{hint} Last it said: {last}"))
    return Outcome("failed", line(f"its process ended with code {code}: {last}"))


class _Tail:
    """The end of what a process prints; the rest is read and let go of."""

    def __init__(self, stream: IO[bytes] | None) -> None:
        self._data = b""
        self._stream = stream
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        if self._stream is None:
            return
        with suppress(OSError, ValueError), self._stream:
            while data := os.read(self._stream.fileno(), 65536):
                self._data = (self._data + data)[-_TAIL_BYTES:]

    def text(self) -> str:
        self._thread.join(2)
        return self._data.decode("utf-8", "replace")

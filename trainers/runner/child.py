"""A stage's processes, seen from outside: started, watched, asked to stop, and what they said when they fail."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from harness import HarnessError
from harness.errors import Busy, Interrupted
from harness.files import disk_error, lock
from harness.text import one_row

from ..launch.stage import STOP
from .layout import OUTPUT

_LOOK_SECONDS: Final = 0.2
_WAIT_SECONDS: Final = 600.0
_TAIL_BYTES: Final = 64 << 10
_PREFIX: Final = "harness: "


def run_child(
    command: Sequence[str], work: Path, stage: str, each: Callable[[], None], environment: Mapping[str, str]
) -> bool:
    """Run a stage's processes to their end.

    Ctrl-C asks them to stop with what they reached saved; a second one ends them at once.

    Args:
        work: the stage's folder; what they print goes to a file there.
        each: is called several times a second.
        environment: in place of and beside ours.

    Returns:
        whether they were asked to stop and came to their end nevertheless.

    Raises:
        HarnessError: they failed; says why in their own words.
        Interrupted: they were stopped; the same command goes on.
    """
    log, stop = work / OUTPUT, work / STOP
    stop.unlink(missing_ok=True)
    try:
        output = log.open("ab")
    except OSError as error:
        raise disk_error(error, log) from None
    with output:
        begin = output.tell()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # A session of their own: Ctrl-C reaches them once, from here. PYTHONSAFEPATH: no file of the working
            # folder is taken for a module.
            start_new_session=True,
            env={**os.environ, "PYTHONSAFEPATH": "1", **environment},
        )
        asked = False
        try:
            while True:
                try:
                    code = _wait(process, each)
                    break
                except KeyboardInterrupt:
                    if asked:
                        raise Interrupted(_stopped(stage)) from None
                    asked = True
                    stop.touch()
        finally:
            _kill(process)  # what is left of the session, whatever happened
            stop.unlink(missing_ok=True)
    each()
    if code == 0:
        return asked
    if asked or code == Interrupted.exit_code:
        raise Interrupted(_stopped(stage))
    raise HarnessError(f"stage {stage} failed: {_why(log, begin, code)}")


def wait_for_orphans(work: Path, stage: str, told: Callable[[str], None]) -> None:
    """Processes that a killed command has left notice that, save and go; until then the stage's folder is theirs.

    Raises:
        HarnessError: they are still there after ten minutes, or the folder cannot be locked.
    """
    deadline, said = time.monotonic() + _WAIT_SECONDS, False
    while True:
        try:
            with lock(work):
                return
        except Busy as error:
            if time.monotonic() > deadline:
                raise
            if not said:
                told(f"{stage}: waiting for what an earlier command left: {error}")
            said = True
            time.sleep(_LOOK_SECONDS)


def _wait(process: subprocess.Popen[bytes], each: Callable[[], None]) -> int:
    while True:
        try:
            return process.wait(_LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            each()


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _stopped(stage: str) -> str:
    return f"stage {stage} was interrupted: the same command goes on from its last saved step"


def _why(log: Path, begin: int, code: int) -> str:
    lines = [line for part in _tail(log, begin).split("\n") if (line := " ".join(one_row(part).split()))]
    said = [line.removeprefix(_PREFIX) for line in lines if line.startswith(_PREFIX)]
    # Of several processes the first to fail knows why; the others lost their partner.
    text = (said[0] if said else (lines[-1] if lines else "it said nothing"))[:500]
    if said:
        return text
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        memory = ": was there too little memory?" if name == "SIGKILL" else ""
        return f"ended by {name}{memory} The same command goes on from its last saved step (it said: {text})"
    return f"{text} (exit code {code}, see {log})"


def _tail(log: Path, begin: int) -> str:
    try:
        with log.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(begin, end - _TAIL_BYTES))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""

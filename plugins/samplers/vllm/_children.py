"""The processes that vLLM starts: where their output goes, why they died, and that none outlives its parent.

Imports no vLLM.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final, TextIO

stream: TextIO = sys.stderr
"""Where vLLM's logger writes. Its children import this module and write to their standard error; this process
points it at the log file, so that nothing but the harness speaks to the user."""

STREAM_NAME: Final = f"ext://{__name__}.stream"
"""The same, as the logging configuration names it."""

_TAIL = 1 << 20  # bytes of the log that are searched for a cause

# A process of its own, told the process ids as they start. When its standard input ends, our process is gone, by
# whatever means: what it leaves behind would keep the GPU's memory for ever.
_REAPER = """
import os, select, signal, sys
handles = []
for line in sys.stdin.buffer:
    try:
        handles.append(os.pidfd_open(int(line)))
    except OSError:
        pass
for number, seconds in ((signal.SIGTERM, float(sys.argv[1])), (signal.SIGKILL, 5.0)):
    for handle in handles:
        try:
            signal.pidfd_send_signal(handle, number)
        except OSError:
            pass
    while handles and seconds > 0:
        done = select.select(handles, [], [], 0.2)[0]
        handles = [handle for handle in handles if handle not in done]
        seconds -= 0.2
"""
_GRACE = 6  # seconds between asking a leftover process to end and killing it

_CAUSE = re.compile(r"^(?:\([^)]*\) )?(?:ERROR [^\]]*\] )?(?:[\w.]+\.)?(\w*(?:Error|Exception)): (\S.*)$")
_NO_CAUSE = re.compile(
    r"initialization failed|root cause|EngineDead|EngineCore encountered|[Bb]roken pipe|cancelled|ZMQError"
)


class Children:
    """The processes of one engine.

    Args:
        shown: leave what they print on standard error, for debugging.
    """

    def __init__(self, *, shown: bool = False) -> None:
        self._processes: list[BaseProcess] = []
        self._reaper: subprocess.Popen[bytes] | None = None
        self._file: TextIO | None = None
        self._checked = 0
        if not shown:
            handle, name = tempfile.mkstemp(prefix="fathom-vllm-", suffix=".log")
            self._file = os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace", buffering=1)
            self.log: Path | None = Path(name)
        else:
            self.log = None

    def capture(self) -> None:
        """vLLM's logger in this process writes to the log too, also while it is being imported."""
        global stream
        if self._file is None:
            return
        stream = self._file
        logger = logging.getLogger("vllm")
        logger.addHandler(logging.StreamHandler(self._file))
        logger.propagate = False

    @contextlib.contextmanager
    def adopted(self) -> Iterator[None]:
        """Processes that this thread starts meanwhile write to the log and are looked after.

        vLLM offers no way to say where its processes write, so their descriptors are set while each is started.
        """
        start, thread = BaseProcess.start, threading.get_ident()

        def start_adopted(process: BaseProcess) -> None:
            if threading.get_ident() != thread:
                start(process)
                return
            with _descriptors(2 if self._file is None else self._file.fileno()):
                start(process)
            self._watch(process)

        BaseProcess.start = start_adopted  # type: ignore[method-assign,assignment]
        try:
            yield
        finally:
            BaseProcess.start = start  # type: ignore[method-assign]

    def _watch(self, process: BaseProcess) -> None:
        self._processes.append(process)
        if self._reaper is None:
            if not hasattr(os, "pidfd_open"):  # not Linux
                return
            self._reaper = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _REAPER, str(_GRACE)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is not for it
            )
        assert self._reaper.stdin is not None
        with contextlib.suppress(OSError):
            self._reaper.stdin.write(b"%d\n" % (process.pid or 0))
            self._reaper.stdin.flush()

    def started(self) -> None:
        """What is in the log so far explains no death from here on."""
        if self.log is not None:
            self._checked = self.log.stat().st_size

    def cause(self) -> str | None:
        """Why a process died, as far as it can be told: the first error in the log, or the signal that ended it."""
        if self.log is not None and (found := first_error(_read(self.log, self._checked))):
            return found
        for process in self._processes:
            with contextlib.suppress(ValueError):  # a closed process has no exit code
                process.join(1)
                if process.exitcode is not None and process.exitcode < 0:
                    memory = ", perhaps for want of memory" if process.exitcode == -9 else ""
                    return f"its process {process.name} was ended by signal {-process.exitcode}{memory}"
        return None

    def death(self) -> str:
        """The same as a clause for people, with the log's path."""
        log = "" if self.log is None else f" (vLLM's log: {self.log})"
        return f"{(self.cause() or 'it does not say why')[:400]}{log}"

    def close(self, *, keep_log: bool) -> None:
        """End what is left of the processes; waits for them."""
        global stream
        if self._reaper is not None:
            assert self._reaper.stdin is not None
            with contextlib.suppress(OSError):
                self._reaper.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._reaper.wait(_GRACE + 6)
        for process in self._processes:
            with contextlib.suppress(ValueError):
                process.join(0)  # no zombies
        if self._file is not None and self.log is not None:
            logger: Any = logging.getLogger("vllm")
            for handler in logger.handlers[:]:
                if getattr(handler, "stream", None) is self._file:
                    logger.removeHandler(handler)
            logger.addHandler(logging.NullHandler())
            if stream is self._file:
                stream = sys.stderr
            self._file.close()
            if not keep_log:
                self.log.unlink(missing_ok=True)


def first_error(text: str) -> str | None:
    """The first error of a log that is not merely the echo of another one."""
    for line in text.split("\n"):
        match = _CAUSE.match(line.strip())
        if match and not _NO_CAUSE.search(line):
            return f"{match[1]}: {match[2]}"
    return None


def _read(file: Path, start: int) -> str:
    try:
        with file.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(start, size - _TAIL))
            return log.read().decode("utf-8", "replace")
    except OSError:
        return ""


@contextlib.contextmanager
def _descriptors(target: int) -> Iterator[None]:
    """Standard output and standard error lead to `target`."""
    saved = []
    for number in (1, 2):
        with contextlib.suppress(OSError):  # closed
            saved.append((number, os.dup(number)))
    try:
        for number, _ in saved:
            if number != target:
                os.dup2(target, number)
        yield
    finally:
        for number, copy in saved:
            os.dup2(copy, number)
            os.close(copy)

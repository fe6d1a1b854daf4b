"""Runs graders over cases, each in a process that is killed where a case takes too long."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from grading_cases import Case, Outcome
from meter import CommandFailed

LIMIT = 12.0
"""Seconds that a case may take."""
START_LIMIT = 120.0
BLOCK = 40
"""Cases that one grader is given before it is the next one's turn."""

_CHILD = Path(__file__).with_name("grading_child.py")


class Grader:
    """One grader in a process of its own, started again after it was killed.

    Args:
        title: for tables.
        kind: one of `grading_child.GRADERS`.
        python: of the environment that the grader is installed in.
    """

    def __init__(self, title: str, kind: str, python: Path) -> None:
        self.title = title
        self.start_seconds = 0.0
        """From nothing to the first answer: interpreter, imports, warm-up."""
        self._command = [str(python), str(_CHILD), kind]
        self._process: subprocess.Popen[bytes] | None = None
        self._unread = bytearray()
        self._user_before = 0.0

    def grade(self, case: Case) -> Outcome:
        """The grader's judgement on one case."""
        self._start()
        began = time.perf_counter()
        reply = self._ask(case.task(), LIMIT)
        if reply is None:
            self.close()
            return Outcome(None, None, "killed", time.perf_counter() - began, killed=True)
        return Outcome(
            same=reply["same"],
            answer=reply["answer"],
            rule=reply["rule"],
            seconds=reply["seconds"],
            pooled=reply.get("pooled", False),
        )

    @property
    def user_seconds(self) -> float:
        """CPU time in user mode since it was warm, worker processes included; 0 where there is no /proc."""
        return self._user_before + (0.0 if self._process is None else _user_seconds(self._process.pid))

    def close(self) -> None:
        if self._process is not None:
            self._user_before = self.user_seconds
            # Its workers too: they are in its session.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.communicate()
            self._process = None

    def _start(self) -> None:
        if self._process is not None:
            return
        self._unread.clear()
        began = time.perf_counter()
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        ready = self._read(START_LIMIT)
        if ready is None:
            self.close()
            raise CommandFailed(f"{self.title} does not start: try {' '.join(self._command)}")
        self.start_seconds = self.start_seconds or time.perf_counter() - began
        self._user_before -= _user_seconds(self._process.pid)

    def _ask(self, task: dict[str, Any], seconds: float) -> dict[str, Any] | None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(task).encode("ascii") + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return None
        return self._read(seconds)

    def _read(self, seconds: float) -> dict[str, Any] | None:
        """The next reply; None where it does not come in time or the process has died."""
        assert self._process is not None
        assert self._process.stdout is not None
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    return None
                data = os.read(self._process.stdout.fileno(), 1 << 16)
                if not data:
                    return None
                self._unread += data
        line, _, rest = bytes(self._unread).partition(b"\n")
        self._unread = bytearray(rest)
        reply: dict[str, Any] = json.loads(line)
        return reply


def run(graders: Sequence[Grader], cases: Sequence[Case]) -> list[list[Outcome]]:
    """What each grader makes of the cases: they take turns, so that a slow spell of the machine falls on all."""
    outcomes: list[list[Outcome]] = [[] for _ in graders]
    for begin in range(0, len(cases), BLOCK):
        for grader, own in zip(graders, outcomes, strict=True):
            own.extend(grader.grade(case) for case in cases[begin : begin + BLOCK])
    return outcomes


def _user_seconds(pid: int) -> float:
    """CPU time in user mode of a process and its children, dead and alive."""
    total = 0
    try:
        children = [
            p for task in Path(f"/proc/{pid}/task").glob("*/children") for p in task.read_text().split()
        ]
        for process in (pid, *children):
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[13])
    except OSError:
        return 0.0
    return float(total) / os.sysconf("SC_CLK_TCK")

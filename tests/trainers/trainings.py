"""Runs stages in processes that can be killed, without importing the libraries of training for each of them.

A server imports them once; each stage then runs in a process that it forks.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness import StageJob

SERVER = """
import json, os, sys
from pathlib import Path
import torch; torch.set_num_threads(1)
import transformers, trl
from harness import HarnessError, StageJob
import harness_trainers.{trainer}.training
import harness_trainers.launch.stage as launched
from harness.plugins import PluginManager

def train(asked):
    os.environ.update(asked["environment"])
    sys.path[:0] = filter(None, [asked["environment"].get("PYTHONPATH")])
    paths = {{name: Path(asked[name]) for name in ("data", "out", "work")}}
    starts_from = tuple(Path(parent) for parent in asked["starts_from"])
    said = os.open(asked["said"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 1); os.dup2(said, 2)
    job = StageJob(**{{**asked["job"], **paths, "starts_from": starts_from}})
    try:
        told = launched.Job(job, "{trainer}", asked["plugins"], None)
        launched.train(told, PluginManager(**told.plugins).load())
    except HarnessError as error:
        print("error:", error, file=sys.stderr)
        return error.exit_code
    return 0

print("ready", flush=True)
for line in sys.stdin:
    child = os.fork()
    if not child:
        code = 99
        try:
            code = train(json.loads(line))
        except BaseException:
            import traceback; traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Trainings:
    """Stages of one trainer, run one after the other."""

    def __init__(self, trainer: str) -> None:
        self.said = ""
        """What the last stage printed."""
        # A group of its own: a Ctrl-C at the terminal is for the tests.
        self._server = subprocess.Popen(
            [sys.executable, "-c", SERVER.format(trainer=trainer)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
            start_new_session=True,
        )
        assert self._line() == "ready"

    def run(
        self,
        job: StageJob,
        when: Callable[[], object] | None = None,
        number: signal.Signals = signal.SIGKILL,
        timeout: float = 120,
        without: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> int:
        """Run a stage.

        Args:
            when: as soon as this is true, the stage gets the signal.
            without: plugins that are left out, as by `--no-plugin`.
            environment: variables beside those that there are.

        Returns:
            its exit code; less than zero: the signal that ended it.
        """
        said = job.work / "said.txt"
        names = ("stage", "parameters", "devices")
        asked: dict[str, Any] = {"job": {name: getattr(job, name) for name in names}, "said": str(said)}
        asked |= {"plugins": {"block": list(without), "only": None}, "environment": dict(environment or {})}
        asked |= {"data": str(job.data), "out": str(job.out), "work": str(job.work)}
        asked["starts_from"] = [str(parent) for parent in job.starts_from]
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(asked) + "\n")
        self._server.stdin.flush()
        child = int(self._line())
        end = time.monotonic() + timeout
        while when is not None and Path(f"/proc/{child}/status").exists():
            if when():
                os.kill(child, number)
                break
            assert time.monotonic() < end, "the stage did not come so far"
            time.sleep(0.0005)
        code = int(self._line())
        self.said = said.read_text()
        return code

    def close(self) -> None:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait(timeout=30)
        self._server.stdout.close()

    def _line(self) -> str:
        assert self._server.stdout is not None
        return self._server.stdout.readline().strip()

"""What runs on all but the first of several machines: `python -m harness_trainers.launch.join RUN-FOLDER [CONFIG]`.

The folder is one that all machines see. `harness train` on the first machine writes each stage's job there; this starts
the other machines' processes of it, one stage after the other, until all of the recipe are done.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Final

from harness import HarnessError
from harness.errors import Interrupted
from harness.plugins import PluginManager
from harness.text import one_row

from .commands import command
from .machines import Machines
from .stage import Job, process_mark, read_job, write_job

_LOOK_SECONDS: Final = 1.0
_STOP_SECONDS: Final = 45.0
"""A launcher gives the processes that hang 30 seconds, and only then ends them."""


@dataclass(frozen=True, slots=True)
class Found:
    """A stage's job, as it was written last."""

    path: Path
    written: tuple[int, int]
    """Changes whenever the first machine starts the stage anew."""
    job: Job


def newest(folder: Path) -> Found | None:
    """The unfinished job that was written last, of those that run in processes of their own."""
    dated = []
    for path in folder.glob("stages/*/job.json"):
        with suppress(OSError):
            facts = path.stat()
            dated.append((facts.st_mtime_ns, facts.st_ino, path))
    if not dated:
        return None
    time_, inode, path = max(dated)
    if (path.parent / "done.json").exists():
        return None
    job = _apart(path, (time_, inode))
    return Found(path, (time_, inode), job) if job is not None and not job.job.out.exists() else None


@lru_cache(maxsize=64)
def _apart(path: Path, written: tuple[int, int]) -> Job | None:
    """A job, if it runs in processes of its own."""
    try:
        job = read_job(path)
    except HarnessError as error:
        _say(str(error))
        return None
    trainer = PluginManager(**job.plugins).load().trainers.get(job.trainer)
    if trainer is None:
        _say(
            f"{job.job.stage}: no trainer is called {job.trainer!r:.60} here: install the same plugins on all machines"
        )
        return None
    return job if trainer.apart else None


class Joining:
    """This machine's part of a recipe's run."""

    def __init__(self, folder: Path, accelerate: str | None) -> None:
        self._folder, self._accelerate = folder, accelerate
        self._found: Found | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def look(self) -> None:
        """Start what there is to start, and end what is no longer wanted."""
        found = newest(self._folder)
        if found is not None and (self._found is None or found.written != self._found.written):
            self.end()
            self._found = found
            self._start(found)
        elif self._process is not None and (code := self._process.poll()) is not None:
            self._process = None
            assert self._found is not None
            stage = self._found.job.job.stage
            _say(
                f"{stage}: done here"
                if code == 0
                else f"{stage}: ended here with exit code {code}, waiting for the next"
            )

    def end(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _start(self, found: Found) -> None:
        # Processes here are for this one's sake: who started the stage is on another machine, and not to be seen.
        own = found.path.with_name(f"job-{Machines.here().rank}.json")
        write_job(own, replace(found.job, runner=process_mark(os.getpid())))
        line = command(own, found.job.job.devices, self._accelerate)
        _say(f"{found.job.job.stage}: joining, {found.job.job.devices} processes on all machines")
        self._process = subprocess.Popen(
            line, stdin=subprocess.DEVNULL, env={**os.environ, "PYTHONSAFEPATH": "1"}
        )


def is_done(folder: Path) -> bool:
    """Whether every stage of the folder's recipe is."""
    from ..recipes import load_recipe

    try:
        nodes = load_recipe(folder / "recipe.yaml").wanted()
    except HarnessError:
        return False  # not there yet
    return all(
        (folder / "stages" / f"{node.recipe.name}.{node.name}" / "done.json").exists() for node in nodes
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Take part until the recipe is done: 0, 1 with a line on stderr, or 130 when interrupted."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if not 1 <= len(given) <= 2:
            raise HarnessError(
                "name the folder of a recipe's run, and, if the first machine was given one, the configuration"
            )
        if Machines.here().rank == 0:
            raise HarnessError(
                "this is for machines other than the first: set NUM_MACHINES, MACHINE_RANK from 1 on and "
                "MAIN_PROCESS_IP, and run harness train on the first"
            )
        joining = Joining(Path(given[0]), given[1] if len(given) > 1 else None)
        try:
            while not is_done(Path(given[0])):
                joining.look()
                time.sleep(_LOOK_SECONDS)
        finally:
            joining.end()
    except HarnessError as error:
        _say(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        _say("interrupted")
        return Interrupted.exit_code
    return 0


def _say(text: str) -> None:
    print(f"harness: {one_row(text)}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""One process of a stage: `python -m harness_trainers.launch.stage JOB.json`. It does not outlive who started it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from harness import HarnessError, StageJob
from harness.errors import Interrupted, closest, one_line
from harness.files import lock, read_json, write_json
from harness.plugins import PluginManager
from harness.text import one_row

from ..loop.plugins import running_with

STOP: Final = "stop"
"""A file in the stage's folder that asks its processes to stop. Signals would pass through a launcher, which passes
them on a second time and waits for seconds only."""
_LOOK_SECONDS: Final = 0.5
_OUT_OF_MEMORY: Final = ("OutOfMemoryError", "MemoryError")


@dataclass(frozen=True, slots=True)
class Job:
    """What a process of a stage is told: the job, and with which plugins it is done."""

    job: StageJob
    trainer: str
    plugins: Mapping[str, Any]
    """`PluginManager.selection`"""
    runner: tuple[int, str] | None
    """Process that all this is for, as `process_mark` gives it: the stage stops when it is gone. None: nobody's."""


def write_job(path: Path, job: Job, **more: Any) -> None:
    """
    Args:
        more: what else the file is to hold, for people and for whoever goes on.

    Raises:
        HarnessError: the disk is full.
    """
    stage = job.job
    values = {
        "stage": stage.stage,
        "trainer": job.trainer,
        "starts_from": [str(folder) for folder in stage.starts_from],
        "data": None if stage.data is None else str(stage.data),
        "parameters": dict(stage.parameters),
        "out": str(stage.out),
        "work": str(stage.work),
        "devices": stage.devices,
        "plugins": dict(job.plugins),
        "runner": job.runner,
    }
    write_json(path, {**values, **more})


def read_job(path: Path) -> Job:
    """
    Raises:
        HarnessError: there is no such file, or it holds something else.
    """
    values = read_json(path)
    try:
        stage = StageJob(
            stage=str(values["stage"]),
            starts_from=tuple(Path(folder) for folder in values["starts_from"]),
            data=None if values["data"] is None else Path(values["data"]),
            parameters=dict(values["parameters"]),
            out=Path(values["out"]),
            work=Path(values["work"]),
            devices=int(values["devices"]),
        )
        runner = values["runner"]
        mark = None if runner is None else (int(runner[0]), str(runner[1]))
        return Job(stage, str(values["trainer"]), dict(values["plugins"]), mark)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise HarnessError(f"{path} is no stage's job: {one_line(error)}") from None


def process_mark(pid: int) -> tuple[int, str] | None:
    """A process and when it began, so that a later one of the same number is told apart; None: it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return None if fields[0] in "ZX" else (pid, fields[19])
    except (OSError, IndexError):
        pass
    if Path("/proc/self/stat").exists():
        return None
    try:  # no /proc here
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return pid, ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run this process's part of a stage: 0 done, 1 failed (one line says why), 130 stopped and resumable."""
    signal.signal(signal.SIGTERM, _as_interrupt)
    given = sys.argv[1:] if arguments is None else arguments
    try:
        if len(given) != 1:
            raise HarnessError("name the file of one job")
        job = read_job(Path(given[0]))
        _stop_when_told(job)
        with _alone(job.job.work):
            train(job, PluginManager(**job.plugins).load())
    except HarnessError as error:
        _say(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        _say("interrupted")
        return Interrupted.exit_code
    except Exception as error:  # noqa: BLE001 - whatever a trainer's libraries raise
        traceback.print_exc()
        _say(_what_failed(error))
        return 1
    return 0


def train(job: Job, plugins: PluginManager) -> None:
    """Have the trainer do its job.

    Raises:
        HarnessError: no trainer is called so, it failed, or it said that it is done and made nothing.
    """
    if (trainer := plugins.trainers.get(job.trainer)) is None:
        raise HarnessError(
            f"no trainer is called {job.trainer!r:.60}: {closest(job.trainer, plugins.trainers)}"
        )
    with running_with(plugins):
        trainer.train(job.job)
    if _rank() == 0 and not job.job.out.is_dir():
        raise HarnessError(
            f"stage {job.job.stage}: the trainer {trainer.name} ended and has not made {job.job.out}"
        )


def _rank() -> int:
    rank = os.environ.get("RANK", "0")
    return int(rank) if rank.isascii() and rank.isdigit() else 0


def _alone(work: Path) -> AbstractContextManager[None]:
    """The first of the processes holds the stage's folder for all of them."""
    return nullcontext() if _rank() else lock(work)


def _stop_when_told(job: Job) -> None:
    """Stop as for Ctrl-C, with what was reached saved: when asked to, and when who started this, or who that is for, is
    gone.
    """
    parent, stop = os.getppid(), job.job.work / STOP

    def told() -> bool:
        gone = os.getppid() != parent or (
            job.runner is not None and process_mark(job.runner[0]) != job.runner
        )
        return gone or os.path.exists(stop)  # never raises: a file server may be gone for a moment

    threading.Thread(target=_watch, args=(told,), daemon=True, name="watch").start()


def _watch(told: Callable[[], bool]) -> None:
    while not told():
        time.sleep(_LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


def _what_failed(error: Exception) -> str:
    if type(error).__name__ in _OUT_OF_MEMORY or "out of memory" in str(error).lower():
        return (
            f"out of memory ({one_line(error)[:160]}): halve per_device_train_batch_size and double "
            "gradient_accumulation_steps, or set activation_checkpointing"
        )
    return one_line(error)


def _say(text: str) -> None:
    print(f"harness: {one_row(text)}", file=sys.stderr, flush=True)


def _as_interrupt(signum: int, frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())

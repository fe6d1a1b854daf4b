"""Runs a stage several times in processes of its own, some of which are killed; torch is imported once for all.

    python -m tests.trainers.stage_forks TRAINER JOB.json WHEN...

WHEN is `step:N` (SIGKILL once the log has step N), `saving:N` (SIGKILL in the middle of the save at step N: the weights
are written, the optimiser's state in part), `stripping:N` (SIGKILL in the middle of making the state of step N a mere
model), `term:N` (SIGTERM once the log has step N) or `end`. A line for each tells
how it ended.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

from harness import HarnessError
from harness_trainers.launch.stage import read_job
from harness_trainers.pretrain import Pretrain
from harness_trainers.sft import SFT


def run(trainer, job, when: str) -> int:
    kind, _, step = when.partition(":")
    child = os.fork()
    if child == 0:
        code = 0
        try:
            if kind == "saving":
                die_while_saving(int(step))
            if kind == "stripping":
                die_while_stripping(int(step))
            trainer.train(job)
        except HarnessError as error:
            print(error, file=sys.stderr, flush=True)
            code = error.exit_code
        os._exit(code)
    if kind in ("step", "term"):
        while last_step(job.work) < int(step) and os.waitpid(child, os.WNOHANG) == (0, 0):
            time.sleep(0.001)
        os.kill(child, signal.SIGKILL if kind == "step" else signal.SIGTERM)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def die_while_saving(step: int) -> None:
    import torch

    save = torch.save

    def half(value, path, *args, **kwargs):
        if f"checkpoint-{step}/optimizer" in str(path):
            Path(path).write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
        return save(value, path, *args, **kwargs)

    torch.save = half


def die_while_stripping(step: int) -> None:
    unlink = Path.unlink

    def last(path, *args, **kwargs):
        unlink(path, *args, **kwargs)
        if path.parent.name == f"checkpoint-{step}" and path.suffix == ".pt":
            os.kill(os.getpid(), signal.SIGKILL)

    Path.unlink = last


def last_step(work: Path) -> int:
    try:
        lines = (work / "log.jsonl").read_bytes().split(b"\n")
        return json.loads(lines[-2])["step"] if len(lines) > 1 else 0
    except (OSError, ValueError, KeyError):
        return 0


if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)
    import harness_trainers.sft.training  # noqa: F401

    trainers = {"sft": SFT(), "pretrain": Pretrain()}
    for when in sys.argv[3:]:
        print(
            json.dumps([when, run(trainers[sys.argv[1]], read_job(Path(sys.argv[2])).job, when)]), flush=True
        )

"""A trainer of a stranger: it learns nothing, but saves, stops, goes on and fails as one that does."""

import json
import os
import shutil
import signal
import struct
import time
from pathlib import Path

from harness import Estimate, HarnessError, Interrupted, Trainer, closest, hookimpl

PARAMETERS = (
    "steps",
    "seconds",
    "save_steps",
    "fail_at",
    "die_at",
    "learning_rate",
    "deaf",
    "gradient_accumulation_steps",
    "save_strategy",
    "values",
)


class Pupil(Trainer):
    name = "pupil"

    def check(self, parameters, models):
        for name in parameters:
            if name not in PARAMETERS:
                raise HarnessError(f"pupil has no parameter {name!r}: {closest(name, PARAMETERS)}")

    def estimate(self, size):
        return Estimate(steps=size.parameters.get("steps", 4), device_hours=0.5, memory_bytes=1e9)

    def train(self, job):
        stop = []
        asked = {"steps": 4, "seconds": 0, "save_steps": 2, **job.parameters}
        signal.signal(signal.SIGTERM, lambda *_: None if asked.get("deaf") else stop.append(True))
        rows = job.data.read_text().count("\n")
        state = job.work / "state"
        state.mkdir(exist_ok=True)
        done = max((int(path.name.split("-")[1]) for path in state.glob("checkpoint-*")), default=0)
        log = [json.loads(line) for line in lines(job.work / "log.jsonl")]
        log = [entry for entry in log if entry["step"] <= done]
        (job.work / "log.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in log))
        note(job.work / "sessions", f"{os.getpid()} from {done}")
        for step in range(done + 1, asked["steps"] + 1):
            time.sleep(asked["seconds"])
            if step == asked.get("fail_at") and not done:
                raise HarnessError(f"the pupil does not understand step {step}")
            if step == asked.get("die_at") and not done:
                os.kill(os.getpid(), signal.SIGKILL)
            entry = {
                "step": step,
                "steps": asked["steps"],
                "seconds": step,
                "tokens": 10 * step,
                "loss": 1 / step,
                "epoch": step / 4,
            }
            with (job.work / "log.jsonl").open("a") as file:
                file.write(json.dumps(entry) + "\n")
            if step % asked["save_steps"] == 0 or stop:
                write(job, state / f"checkpoint-{step}", step, rows)
                for old in sorted(state.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))[
                    :-2
                ]:
                    shutil.rmtree(old)
            if stop:
                raise Interrupted("the pupil was called away")
        write(job, job.out, asked["steps"], rows)


def write(job, folder, step, rows):
    """A whole checkpoint: the parent's, with one weight that tells what it has learnt."""
    making = folder.with_name(f".saving-{folder.name}")
    shutil.rmtree(making, ignore_errors=True)
    if job.starts_from:
        shutil.copytree(job.starts_from[0], making)
    else:
        making.mkdir()
        (making / "tokenizer.json").write_text("{}")
        (making / "config.json").write_text('{"model_type": "qwen2"}')
    values = job.parameters.get("values", 2)
    tensor = {"dtype": "F32", "shape": [values], "data_offsets": [0, 4 * values]}
    header = json.dumps({"__metadata__": {}, "learnt": tensor}).encode()
    data = struct.pack("<Q", len(header)) + header + struct.pack("<2f", step, rows)
    with (making / "model.safetensors").open("wb") as file:
        file.write(data)
        file.truncate(8 + len(header) + 4 * values)
    making.rename(folder)


def lines(path):
    return [line for line in path.read_text().split("\n") if line] if path.exists() else []


def note(path, text):
    with Path(path).open("a") as file:
        file.write(text + "\n")


@hookimpl
def harness_trainers():
    return [Pupil()]


@hookimpl
def harness_checkpoint_saved(path, stage, step):
    if folder := os.environ.get("PUPIL_HEARD"):
        note(Path(folder), f"{stage} {step} {Path(path).name}")

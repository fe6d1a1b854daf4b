"""Parts for tests of automatic evaluation: tiny models, and a sampler of a stranger that can be slow and can fail."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.samplers.tiny import make_tiny_model

ASKED = {"bench": "fresh:level=1,size=2", "n": 2, "max_tokens": 16}
FLAGS = ["--bench", ASKED["bench"], "--n", ASKED["n"], "--max-tokens", ASKED["max_tokens"]]
CHAINS = 4
"""Two problems, two chains each."""

MOODY = """
import os, sys, time
from contextlib import contextmanager
from pathlib import Path
from harness import Engine, Fit, HarnessError, Sampler, hookimpl
from harness.models import folder_problem

HERE = Path(__file__).parent

def write(name, text):
    with (HERE / name).open("a") as file:
        file.write(text + "\\n")

def number(name):
    path = HERE / name
    return float(path.read_text()) if path.exists() else 0

class MoodyEngine(Engine):
    def __init__(self, name):
        self.name = name
    def sample(self, requests):
        for request in requests:
            time.sleep(number("seconds"))
            yield request.chain("\\\\boxed{7}", completion_tokens=3)
            write("chains", f"{self.name} {request.key.problem_id} {request.key.index}")

class Moody(Sampler):
    name = "moody"
    def fit(self, model):
        return Fit(0, "moody")
    @contextmanager
    def open(self, model, settings, options):
        write("opened", f"{model.name} {os.getpid()} {os.environ.get('CUDA_VISIBLE_DEVICES')} {os.environ.get('RANK')}")
        if (problem := folder_problem(model.folder)):
            write("half", f"{model.name}: {problem}")
        if number("exits"):
            (HERE / "exits").unlink()
            sys.exit("the engine has had enough")
        if number("rewrites"):  # somebody saves other weights under the same name meanwhile
            (HERE / "rewrites").unlink()
            file = model.folder / "model.safetensors"
            file.write_bytes(file.read_bytes()[:-4] + bytes([7, 7, 1, 60]))
        if (left := number("failures")) > 0:
            (HERE / "failures").write_text(str(left - 1))
            if left % 2:
                os.abort()
            raise HarnessError("not in the mood")
        yield MoodyEngine(model.name)

@hookimpl
def harness_samplers():
    return [Moody()]
"""


class Moody:
    """The sampler `moody`, installed in a folder by itself, in which it writes down what it does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        info = folder / "moody-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: moody\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[harness]\nmoody = harness_moody\n")
        (folder / "harness_moody.py").write_text(MOODY)

    @property
    def path(self) -> str:
        """PYTHONPATH with which it is found."""
        return os.pathsep.join(filter(None, [str(self.folder), os.environ.get("PYTHONPATH")]))

    def set(self, name: str, value: float) -> None:
        (self.folder / name).write_text(str(value))

    def lines(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text().split("\n")[:-1] if path.exists() else []


def copies(model: Path, *folders: Path) -> None:
    """The same architecture with other weights, as training makes them."""
    for folder in folders:
        shutil.copytree(model, folder)
        other_weights(folder, seed=len(str(folder)) + hash(folder.name) % 1000)


def other_weights(folder: Path, seed: int) -> None:
    file = folder / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-4:] = bytes([seed % 251, seed // 251 % 251, 1, 60])  # one small float
    file.write_bytes(data)


def scores_of(results: Path) -> dict[str, dict[str, Any]]:
    """Model -> the scores of its one finished run."""
    found: dict[str, dict[str, Any]] = {}
    for file in results.glob("*/*/*/scores.json"):
        scores = json.loads(file.read_text())
        assert scores["model"] not in found
        found[scores["model"]] = scores
    return found


def wait_until(true: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def python(code: str, *arguments: object, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **env},
    )


__all__ = ["ASKED", "CHAINS", "FLAGS", "Moody", "copies", "make_tiny_model", "scores_of", "wait_until"]

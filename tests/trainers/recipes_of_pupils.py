"""Recipes whose stages take no time: a stranger's trainer in the place of those that need torch."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.cli import _main as harness_main

from ..clusters.stranger import install
from ..conftest import Command
from .checkpoints import write as write_model
from .tiny_training import sums, write_rows

EVALUATE = {"bench": ["fresh:level=1,size=2"], "n": 2, "max_tokens": 16, "sampler": "moody"}


class School:
    """A folder with a base model, rows and a recipe; the command in it knows the trainer `pupil`.

    Needs a monkeypatch that lasts as long.
    """

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        folder.mkdir()
        patch.setenv("PYTHONPATH", install("pupil", folder / "site"))
        patch.syspath_prepend(str(folder / "site"))
        patch.setenv("PUPIL_HEARD", str(folder / "heard"))
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.delenv("HARNESS_DATA", raising=False)
        patch.chdir(folder)
        self.command = Command(folder)
        self.base = write_model(folder / "base", {"learnt": _two(0)})
        write_rows(folder / "rows.jsonl", sums(6))

    def recipe(self, name: str = "school", evaluate: dict[str, Any] | None = None, **stages: Any) -> None:
        """Write NAME.yaml; stages as `pupil` makes them."""
        values = {"name": name, "base": str(self.base), "hardware": {"device": "CPU", "usd_per_hour": 3.6}}
        values |= {"evaluate": evaluate} if evaluate else {}
        text = yaml.safe_dump({**values, "stages": stages}, sort_keys=False)
        (self.folder / f"{name}.yaml").write_text(text)

    def usual(self, evaluate: dict[str, Any] | None = None, **first: Any) -> None:
        """Two pupils of one base, and their mean."""
        self.recipe(
            evaluate=evaluate,
            first=pupil(title="First", **first),
            second=pupil(title="Second", steps=2),
            mean={"trainer": "merge", "init_from": ["first", "second"], "title": "Mean"},
        )

    def train(self, *flags: object, recipe: str = "school.yaml") -> int:
        """`harness train` in this process, less what its stages do in theirs. Returns its exit code."""
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            return harness_main(["train", recipe, *map(str, flags)])
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def start(self, *flags: object, recipe: str = "school.yaml") -> subprocess.Popen[str]:
        """`harness train` in a process that can be killed."""
        return self.command.start("train", recipe, *flags)

    def plan(self, *flags: object) -> subprocess.CompletedProcess[str]:
        return self.command("train", "school.yaml", "--dry-run", *flags)

    @property
    def out(self) -> Path:
        return self.folder / "trained" / "school"

    def work(self, stage: str) -> Path:
        return self.out / "stages" / f"school.{stage}"

    def lines(self, path: Path) -> list[Any]:
        return [json.loads(line) for line in path.read_text().split("\n") if line]

    def sessions(self, stage: str) -> list[str]:
        """Of a stage: from which step each went on."""
        path = self.work(stage) / "sessions"
        return (
            [line.split(" ", 1)[1] for line in path.read_text().split("\n") if line] if path.exists() else []
        )


def pupil(**values: Any) -> dict[str, Any]:
    """A stage; what is no key of a stage is a parameter of the trainer."""
    keys = ("init_from", "title", "data", "hardware", "checkpoint", "evaluate", "device_hours")
    stage = {"trainer": "pupil", "init_from": "base", "data": {"source": "rows.jsonl"}}
    own = {key: value for key, value in values.items() if key in keys}
    return {**stage, **own, "parameters": {key: value for key, value in values.items() if key not in keys}}


def _two(value: float) -> Any:
    import numpy as np

    return np.full(2, value, np.float32)

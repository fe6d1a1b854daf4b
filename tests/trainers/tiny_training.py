"""Tiny models, training rows and stages for the tests of trainers."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness import StageJob

from ..samplers.tiny import make_tiny_model

SUMS = {
    "max_length": 96,
    "per_device_train_batch_size": 2,
    "learning_rate": 1.0e-3,
    "num_train_epochs": 1,
    "train_sampling_strategy": "sequential",
    "threads": 1,
    "seed": 7,
}
"""Parameters of a small stage of fine-tuning."""


def sums(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Rows that ask for sums, from easy to hard."""
    source = random.Random(seed)
    pairs = sorted(((source.randint(0, 99), source.randint(0, 99)) for _ in range(count)), key=sum)
    return [
        {
            "id": f"sum-{number}",
            "prompt": [{"role": "user", "content": f"What is {a} + {b}?"}],
            "completion": f"<think>\n{a} plus {b} is {a + b}.\n</think>\n\\boxed{{{a + b}}}",
            "gold": str(a + b),
            "normalizer": "integer",
            "difficulty": float(a + b),
        }
        for number, (a, b) in enumerate(pairs)
    ]


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def stage(
    folder: Path,
    parent: Path | None,
    rows: list[dict[str, Any]] | Path | None,
    *,
    devices: int = 1,
    **parameters: Any,
) -> StageJob:
    """A stage in a folder of its own, as the runner makes them."""
    work = folder / "stages" / "tiny.stage"
    work.mkdir(parents=True, exist_ok=True)
    (folder / "models").mkdir(exist_ok=True)
    data = write_rows(folder / "data" / "rows.jsonl", rows) if isinstance(rows, list) else rows
    return StageJob(
        stage="tiny:stage",
        starts_from=(parent,) if parent is not None else (),
        data=data,
        parameters=parameters,
        out=folder / "models" / "tiny-stage",
        work=work,
        devices=devices,
    )


def base_model(folder: Path, **settings: Any) -> Path:
    """A model of random weights, with a tokenizer and a chat template."""
    return make_tiny_model(folder, **settings)


def logged(job: StageJob) -> list[dict[str, Any]]:
    """What a stage's log says."""
    return [json.loads(line) for line in (job.work / "log.jsonl").read_text().split("\n") if line]


def weights(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return {name: t for file in sorted(folder.glob("*.safetensors")) for name, t in load_file(file).items()}


def same_weights(one: Path, other: Path) -> bool:
    import torch

    a, b = weights(one), weights(other)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)

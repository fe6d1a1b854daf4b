"""A recipe from its base to its report with nothing made up: real fine-tuning, a real merge, real chains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.safetensors import opened
from harness.training import read_training

from ..conftest import Command
from .tiny_training import SUMS, base_model, sums, write_rows
from .watched import scores_of

pytest.importorskip("trl")
pytest.importorskip("openvino_genai")


def test_sft_and_merge_are_trained_and_evaluated(harness: Command) -> None:
    base_model(harness.folder / "tiny-base")
    write_rows(harness.folder / "rows.jsonl", sums(8))
    stage = {"trainer": "sft", "init_from": "base", "data": {"source": "rows.jsonl"}}
    recipe = {
        "name": "tiny",
        "base": "./tiny-base",
        "hardware": {"device": "CPU", "devices": 2, "usd_per_hour": 0.1},
        "evaluate": {"bench": ["fresh:level=1,size=4"], "n": 2, "max_tokens": 8, "sampler": "openvino"},
        "stages": {
            "one": {**stage, "title": "Tiny-1", "parameters": {**SUMS, "gradient_accumulation_steps": 1}},
            "soup": {
                "trainer": "merge",
                "init_from": ["one", "base"],
                "title": "Tiny-Soup",
                "parameters": {"weights": [0.5, 0.5]},
            },
        },
    }
    (harness.folder / "tiny.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    done = harness("train", "tiny.yaml", timeout=400, HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stderr
    out = harness.folder / "trained" / "tiny"
    scores = scores_of(harness.folder / "results")
    assert set(scores) == {"tiny-base", "Tiny-1", "Tiny-Soup"}
    assert all(score["problems"] == 4 for score in scores.values())

    # Two processes were meant and one was there: it takes twice the steps for each update.
    job = json.loads((out / "stages" / "tiny.one" / "job.json").read_text())
    assert (job["devices"], job["parameters"]["gradient_accumulation_steps"]) == (1, 2)
    curve = {curve.stage: curve for curve in read_training(out).curves}["tiny:one"]
    assert curve.steps == (1, 2)
    assert all(loss is not None and loss > 0 for loss in curve.series["loss"])

    folders = (out / "models" / "Tiny-1", harness.folder / "tiny-base", out / "models" / "Tiny-Soup")
    a, b, mean = map(some_weights, folders)
    assert (a != b).any()
    assert abs((a + b) / 2 - mean).max() < 1e-6
    assert "Training: tiny" in done.stdout
    cost = harness("cost", str(out))
    assert cost.returncode == 0, cost.stderr
    assert "Tiny-Soup" in cost.stdout
    assert "measured" in cost.stdout


def some_weights(folder: Path) -> Any:
    with opened(folder) as checkpoint:
        return next(iter(checkpoint.pieces(checkpoint.tensors["model.layers.0.mlp.up_proj.weight"])))

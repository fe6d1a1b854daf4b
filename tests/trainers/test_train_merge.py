"""A merge among a recipe's stages that is killed with -9: the same command makes it, once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from harness.training import read_training
from harness_trainers.ledger import Ledger

from .checkpoints import read
from .recipes_of_pupils import School, pupil

NEVER = ("--evaluate", "never")
VALUES = 1 << 25
"""128 MB: long enough to be killed in the middle."""


def test_the_command_is_killed_in_the_middle_of_a_merge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    school = School(tmp_path / "school", monkeypatch)
    school.recipe(
        first=pupil(title="First", values=VALUES),
        second=pupil(title="Second", steps=2, values=VALUES),
        mean={"trainer": "merge", "init_from": ["first", "second"], "title": "Mean"},
    )
    models, work = school.out / "models", school.work("mean")
    merging = models / ".Mean.merging" / "model.safetensors"
    process = school.start(*NEVER)
    while not (merging.exists() and merging.stat().st_blocks):
        assert process.poll() is None
        time.sleep(0.0005)
    process.kill()
    process.communicate()
    assert merging.exists(), "killed in the middle"
    assert not (models / "Mean").exists()
    assert not (work / "done.json").exists()
    (first,) = [entry for entry in Ledger(school.out).entries() if entry.stage == "school:mean"]
    assert not first.complete

    assert school.train(*NEVER) == 0
    assert {path.name for path in models.iterdir()} == {"First", "Second", "Mean"}
    merged = read(models / "Mean")["learnt"]
    assert list(merged[:3]) == [3, 6, 0]
    assert not merged[2:].any()
    sessions = [(entry.stage, entry.complete) for entry in Ledger(school.out).entries()]
    assert sessions == [
        ("school:first", True),
        ("school:second", True),
        ("school:mean", False),
        ("school:mean", True),
    ]
    assert all(cost.complete for cost in read_training(school.out).costs)
    assert [len(school.sessions(stage)) for stage in ("first", "second")] == [1, 1]

    made = (models / "Mean" / "model.safetensors").stat()
    assert school.train(*NEVER) == 0
    assert (models / "Mean" / "model.safetensors").stat() == made
    assert len(Ledger(school.out).entries()) == 4

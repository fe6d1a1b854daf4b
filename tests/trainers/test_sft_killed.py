"""A stage that is killed goes on with the same command and ends as if nothing had happened; two processes learn what
one learns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness_trainers.launch.commands import command
from harness_trainers.launch.stage import Job, write_job

from .tiny_training import SUMS, base_model, logged, same_weights, stage, sums, weights

ROOT = Path(__file__).parents[2]
TIMED = {"seconds"}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return base_model(tmp_path_factory.mktemp("killed") / "base")


def forks(trainer, job, *whens):
    path = job.work / "job.json"
    write_job(path, Job(job, trainer, {}, None))
    done = subprocess.run(
        [sys.executable, "-m", "tests.trainers.stage_forks", trainer, str(path), *whens],
        cwd=ROOT,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(line) for line in done.stdout.split("\n") if line), done.stderr


def untimed(job):
    return [{key: value for key, value in entry.items() if key not in TIMED} for entry in logged(job)]


def test_a_stage_that_is_killed_again_and_again_ends_as_one_that_was_not(base, tmp_path):
    parameters = {
        **SUMS,
        "num_train_epochs": 2,
        "gradient_accumulation_steps": 2,
        "save_steps": 3,
        "train_sampling_strategy": "random",
    }
    calm = stage(tmp_path / "calm", base, sums(26), **parameters)
    ended, _ = forks("sft", calm, "end")
    assert ended == {"end": 0}

    # 7 steps an epoch: killed in the first epoch, in the save of step 6, in the second epoch, and asked to stop there
    job = stage(tmp_path / "killed", base, calm.data, **parameters)
    ended, said = forks("sft", job, "step:2", "saving:6", "step:10", "term:11", "end")
    assert ended == {"step:2": -9, "saving:6": -9, "step:10": -9, "term:11": 130, "end": 0}
    assert "was stopped and its state saved" in said
    assert said.count("\n") == 1, said

    assert untimed(job) == untimed(calm)
    assert [entry["step"] for entry in logged(job)] == list(range(1, 15))
    seconds = [entry["seconds"] for entry in logged(job)]
    assert seconds == sorted(seconds)
    assert logged(job)[-1]["tokens"] == 2 * json.loads((job.work / "rows.json").read_text())["tokens"]
    assert same_weights(calm.out, job.out)
    assert not same_weights(base, job.out)
    assert sorted(path.name for path in (job.work / "state").iterdir()) == ["checkpoint-12", "checkpoint-14"]
    assert [path.name for path in job.out.parent.iterdir()] == [job.out.name], "no half-written model is left"


def test_pretraining_that_is_killed_ends_as_one_that_was_not(tmp_path):
    parameters = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "vocab_size": 300,
        "num_train_epochs": 2,
        "per_device_train_batch_size": 4,
        "learning_rate": 3e-3,
        "seed": 5,
        "threads": 1,
        "save_steps": 2,
    }
    calm = stage(tmp_path / "calm", None, sums(32), **parameters)
    assert forks("pretrain", calm, "end")[0] == {"end": 0}
    job = stage(tmp_path / "killed", None, calm.data, **parameters)
    ended, _ = forks("pretrain", job, "step:1", "step:11", "end")
    assert ended == {"step:1": -9, "step:11": -9, "end": 0}
    assert untimed(job) == untimed(calm)
    assert same_weights(calm.out, job.out)


def test_two_processes_learn_what_one_learns_with_twice_the_accumulation(base, tmp_path):
    """25 rows: the last batches are filled up with rows of which nothing is learnt."""
    shared = {**SUMS, "num_train_epochs": 2}
    one = stage(tmp_path / "one", base, sums(25), **shared, gradient_accumulation_steps=4)
    assert forks("sft", one, "end")[0] == {"end": 0}

    two = stage(tmp_path / "two", base, one.data, devices=2, **shared, gradient_accumulation_steps=2)
    path = two.work / "job.json"
    write_job(path, Job(two, "sft", {}, None))
    done = subprocess.run(
        command(path, 2),
        cwd=ROOT,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(logged(one)) == len(logged(two)) == 8
    for single, double in zip(logged(one), logged(two), strict=True):
        assert double["step"] == single["step"]
        assert double["loss"] == pytest.approx(single["loss"], rel=1e-4)
        assert double["grad_norm"] == pytest.approx(single["grad_norm"], rel=1e-3)
    trained, alone, start = weights(two.out), weights(one.out), weights(base)
    moved = max(float((alone[name] - start[name]).abs().max()) for name in alone)
    apart = max(float((alone[name] - trained[name]).abs().max()) for name in alone)
    assert apart < 0.02 * moved

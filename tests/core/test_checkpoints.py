"""Checkpoints are told by their names, and stand in the order of their steps."""

from __future__ import annotations

import pytest

from harness.checkpoints import Checkpoint, checkpoint_of, natural


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("checkpoint-105", Checkpoint("", 105)),
        ("org/sft-14b/checkpoint-21", Checkpoint("org/sft-14b", 21)),
        ("org/sft-14b-ckpts/checkpoint-21", Checkpoint("org/sft-14b", 21)),
        ("org_sft-14b-ckpts_checkpoint-140", Checkpoint("org_sft-14b", 140)),
        ("grpo/global_step_200", Checkpoint("grpo", 200)),
        ("run7-step400", Checkpoint("run7", 400)),
        ("fathom-tiny-v0.6/epoch-3", Checkpoint("fathom-tiny-v0.6", 3)),
        ("pretrain.iter_000500", Checkpoint("pretrain", 500)),
    ],
)
def test_a_name_tells_training_run_and_step(model: str, expected: Checkpoint) -> None:
    assert checkpoint_of(model) == expected


@pytest.mark.parametrize(
    "model", ["Fathom-R1-14B", "qwen2.5-coder-0.5b", "o4-mini-low", "checkpoint-", "", "14"]
)
def test_a_model_of_its_own_is_no_checkpoint(model: str) -> None:
    assert checkpoint_of(model) is None


def test_step_21_comes_before_step_105() -> None:
    names = ["a/checkpoint-105", "B/checkpoint-7", "a/checkpoint-21", "a"]
    assert sorted(names, key=natural) == ["a", "a/checkpoint-21", "a/checkpoint-105", "B/checkpoint-7"]


def test_a_name_of_many_digits_costs_nothing() -> None:
    assert checkpoint_of("step" + "1" * 10_000) is None
    natural("1" * 10_000)

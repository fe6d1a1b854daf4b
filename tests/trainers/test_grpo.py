"""GRPO on a model that guesses between two answers: it comes to prefer the right one, and no kill changes how."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from harness import StageJob, StageSize
from harness.files import read_json
from harness.models import folder_problem
from harness_trainers.grpo import GRPO
from harness_trainers.grpo.reward import end_ids, reader

from .coin import coin_model, problems
from .tiny_training import logged, stage
from .trainings import Trainings

# Five problems of 4 chains a step, in another order in each of the three epochs of 3 steps; one problem is left over.
LEARNING: dict[str, Any] = {
    "num_generations": 4,
    "per_device_train_batch_size": 20,
    "max_completion_length": 16,
    "num_train_epochs": 3,
    "learning_rate": 4e-3,
    "lr_scheduler_type": "constant",
    "shuffle_dataset": True,
    "beta": 0.001,
    "threads": 1,
    "seed": 5,
    "use_vllm": True,
}
STEPS = 9
NO_GPU = "tiny:stage: use_vllm needs a GPU, and there is none: chains are sampled with transformers, slowly\n"


@pytest.fixture(scope="module")
def trainings() -> Iterator[Trainings]:
    trainings = Trainings("grpo")
    yield trainings
    trainings.close()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return coin_model(tmp_path_factory.mktemp("models") / "coin")


@pytest.fixture(scope="module")
def learnt(trainings: Trainings, model: Path, tmp_path_factory: pytest.TempPathFactory) -> StageJob:
    """A stage that nothing came between."""
    job = stage(tmp_path_factory.mktemp("learnt"), model, problems(16), **LEARNING)
    assert trainings.run(job) == 0, trainings.said
    assert trainings.said == NO_GPU
    return job


def figures(job: StageJob) -> list[dict[str, Any]]:
    """The log, but for what differs between two runs of the same."""
    return [{name: value for name, value in entry.items() if name != "seconds"} for entry in logged(job)]


def after(job: StageJob, step: int) -> bool:
    return (job.work / "log.jsonl").exists() and len(logged(job)) >= step


def same_bytes(one: Path, other: Path) -> bool:
    return (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()


def test_the_right_answer_is_given_more_and_more_often(learnt: StageJob) -> None:
    log = logged(learnt)
    assert [entry["step"] for entry in log] == list(range(1, STEPS + 1))
    rewards = [entry["reward"] for entry in log]
    assert mean(rewards[:2]) < 0.6
    assert mean(rewards[-3:]) > mean(rewards[:2]) + 0.2
    for entry in log:
        assert entry["reward"] == entry["accuracy"]  # nothing was added to it
        assert entry["steps"] == STEPS
        assert 0 < entry["mean_tokens"] <= 16
        assert 0 <= entry["truncated"] <= 1
        assert 0 <= entry["no_signal"] <= 1
        assert entry["clip_ratio"] == 0  # each chain is learnt from once
        assert entry["ungraded"] == 0
        assert entry["entropy"] > 0
        assert entry["learning_rate"] == 4e-3
        assert {"loss", "grad_norm", "reward_std", "tokens", "epoch", "seconds"} <= entry.keys()
    assert log[0]["kl"] == 0  # it begins as its own reference
    assert log[-1]["kl"] > 0
    assert read_json(learnt.work / "rows.json")["left_over"] == 1


def test_it_takes_as_many_steps_as_planned(learnt: StageJob) -> None:
    planned = GRPO().estimate(StageSize(LEARNING, None, None, 16, None, None, None, 1))
    assert planned.steps == len(logged(learnt)) == STEPS


def test_the_finished_model_can_be_evaluated_and_so_can_its_states(learnt: StageJob) -> None:
    assert folder_problem(learnt.out) is None
    states = sorted((learnt.work / "state").iterdir())
    assert [state.name for state in states] == ["checkpoint-8", "checkpoint-9"]
    assert [folder_problem(state) for state in states] == [None, None]


def test_however_it_is_stopped_the_same_command_ends_with_the_very_same_model(
    trainings: Trainings, model: Path, learnt: StageJob, tmp_path: Path
) -> None:
    job = stage(tmp_path, model, problems(16), **LEARNING)
    state = job.work / "state"

    # In the middle of a step of the first epoch, while a state is written in the second, by SIGTERM in the third.
    assert trainings.run(job, lambda: after(job, 2)) == -signal.SIGKILL
    assert trainings.run(job, lambda: (state / ".saving-5").exists()) == -signal.SIGKILL
    assert not (state / "checkpoint-5").exists()
    assert trainings.run(job, lambda: after(job, 7), signal.SIGTERM) == 130
    assert "was stopped and its state saved" in trainings.said
    assert not job.out.exists()
    assert trainings.run(job) == 0, trainings.said
    assert figures(job) == figures(learnt)
    assert same_bytes(job.out, learnt.out)

    # Killed after its last step, before the model was there.
    job.out.rename(tmp_path / "gone")
    assert trainings.run(job) == 0, trainings.said
    assert figures(job) == figures(learnt)
    assert same_bytes(job.out, learnt.out)


def test_chains_that_are_learnt_from_for_several_steps_are_not_sampled_again_after_a_kill(
    trainings: Trainings, model: Path, tmp_path: Path
) -> None:
    given = {**LEARNING, "num_iterations": 3, "max_steps": 12, "beta": 0.0}
    whole = stage(tmp_path / "whole", model, problems(16), **given)
    assert trainings.run(whole) == 0, trainings.said
    assert max(entry["clip_ratio"] for entry in logged(whole)) > 0
    stopped = stage(tmp_path / "stopped", model, problems(16), **given)
    assert trainings.run(stopped, lambda: after(stopped, 5)) == -signal.SIGKILL
    assert trainings.run(stopped, lambda: after(stopped, 7), signal.SIGTERM) == 130
    # New chains are due after the steps 3, 6, 9 and 12, and there alone it is stopped and saved.
    assert [path.name for path in sorted((stopped.work / "state").iterdir())] == [
        "checkpoint-6",
        "checkpoint-9",
    ]
    assert trainings.run(stopped) == 0, trainings.said
    assert figures(stopped) == figures(whole)
    assert same_bytes(stopped.out, whole.out)


def test_where_the_limit_cuts_every_chain_there_is_nothing_to_learn(
    trainings: Trainings, model: Path, tmp_path: Path
) -> None:
    job = stage(
        tmp_path, model, problems(), **{**LEARNING, "max_completion_length": 2, "max_steps": 1, "beta": 0.0}
    )
    assert trainings.run(job) == 0, trainings.said
    (entry,) = logged(job)
    assert (entry["reward"], entry["truncated"], entry["no_signal"], entry["mean_tokens"]) == (0, 1, 1, 2)
    assert entry["loss"] == entry["grad_norm"] == 0


def test_adapters_are_trained_and_merged_and_shaped_rewards_are_logged(
    trainings: Trainings, model: Path, tmp_path: Path
) -> None:
    given = {**LEARNING, "lora": {"r": 4}, "max_steps": 2, "format_reward": 0.5, "length_penalty": 0.5}
    job = stage(tmp_path, model, problems(), **given)
    assert trainings.run(job) == 0, trainings.said
    assert folder_problem(job.out) is None
    assert all(entry["accuracy"] < entry["reward"] < 1.5 for entry in logged(job))
    assert not same_bytes(job.out, model)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"max_completion_length": 600}, "the model's context is 512 tokens, and the longest prompt"),
        (
            {"vllm_importance_sampling_clip_min": 9.0},
            "tiny:stage: TRL refuses its parameters: ValueError: vllm_imp",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(
    trainings: Trainings, model: Path, tmp_path: Path, given: dict[str, Any], said: str
) -> None:
    job = stage(tmp_path, model, problems(), **{**LEARNING, "use_vllm": False, **given})
    assert trainings.run(job) == 1
    assert said in trainings.said
    assert trainings.said.count("\n") == 1
    assert not job.out.exists()


# A normalizer that only the workers may run, and a plugin that leaves a trace wherever it is imported.
PLUGINS = {
    "slow_normalizer": """
from harness import Extraction, Normalizer, Verdict, hookimpl

class Slow(Normalizer):
    name = "slow"
    bounded_extract = False

    def extract(self, text):
        return Extraction(text[-3:-1], "end", True)

    def same(self, answer, gold):
        return Verdict(gold in answer, "in")

    def key(self, answer):
        return answer

@hookimpl
def harness_normalizers():
    return [Slow()]
""",
    "nosy": """
import os, pathlib, sys
pathlib.Path(os.environ["NOSY"], str(os.getpid())).touch()
""",
}


@pytest.mark.parametrize("without", [(), ("nosy",)])
def test_plugins_that_are_left_out_reach_neither_the_stage_nor_its_graders(
    trainings: Trainings, model: Path, tmp_path: Path, without: tuple[str, ...]
) -> None:
    for name, code in PLUGINS.items():
        installed = tmp_path / "plugins" / f"{name}-1.0.dist-info"
        installed.mkdir(parents=True)
        (tmp_path / "plugins" / f"{name}.py").write_text(code)
        (installed / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (installed / "entry_points.txt").write_text(f"[harness]\n{name} = {name}\n")
    traces = tmp_path / "traces"
    traces.mkdir()
    rows = [{**row, "normalizer": "slow"} for row in problems()]
    job = stage(tmp_path, model, rows, **{**LEARNING, "use_vllm": False, "max_steps": 1})
    environment = {"PYTHONPATH": str(tmp_path / "plugins"), "NOSY": str(traces)}
    assert trainings.run(job, without=without, environment=environment) == 0, trainings.said
    assert logged(job)[0]["accuracy"] > 0
    found = len([*traces.iterdir()])
    assert found == 0 if without else found >= 2  # the stage's own process, and workers


def test_the_grader_sees_what_the_sampler_of_an_evaluation_would_have_stored(model: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    text = r"<think> a , b </think> \boxed{4}"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert reader(tokenizer)([*ids, tokenizer.pad_token_id]) == text  # special tokens are no part of it
    tokenizer.add_special_tokens({"additional_special_tokens": ["<think>", "</think>"]})
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert reader(tokenizer)(ids) == tokenizer.decode(
        ids
    )  # but think tags are, where a model calls them special
    loaded = AutoModelForCausalLM.from_pretrained(model)
    loaded.generation_config.eos_token_id = [7, 9]
    assert end_ids(loaded, tokenizer) == [7, 9, tokenizer.eos_token_id]

"""What a stage of GRPO refuses, in one line, and before anything heavy is imported where that can be known."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness import HarnessError, StageSize
from harness.plugins import PluginManager
from harness_trainers.grpo import GRPO, settings

from .coin import problems
from .tiny_training import stage, write_rows

SOUND = {"num_generations": 4, "per_device_train_batch_size": 8, "max_completion_length": 12, "threads": 1}


def test_the_trainer_is_found_by_its_name_and_a_check_imports_nothing_heavy() -> None:
    code = (
        "import sys; from harness.plugins import load_plugins\n"
        "load_plugins().trainers['grpo'].check({'num_generations': 4, 'use_vllm': True}, 1)\n"
        "print(sorted({'torch', 'trl', 'transformers', 'datasets', 'numpy'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"


def test_the_published_recipe_passes(plugins: PluginManager) -> None:
    from harness_trainers.recipes import load_recipe

    node = next(
        node for node in load_recipe("fathom-r1-14b-v0.4-rs").wanted() if node.stage.trainer == "grpo"
    )
    plugins.trainers["grpo"].check(node.stage.parameters, 1)
    assert settings.generation_batch(node.stage.parameters, 8) == 128 * 8
    assert settings.block_steps(node.stage.parameters, 8) == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"num_generation": 8},
            "unknown parameter num_generation of trainer grpo: did you mean num_generations",
        ),
        ({"num_generations": 1}, "num_generations is 1, not a whole number from 2 on"),
        ({"max_completion_length": 0}, "max_completion_length is 0"),
        ({"max_prompt_length": 0}, "max_prompt_length is 0, not a whole number from 1 on"),
        ({"length_penalty": 2}, "length_penalty is 2, not a number from 0 to 1"),
        ({"length_penalty": True}, "length_penalty is True, not a number"),
        ({"format_reward": -0.1}, "format_reward is -0.1"),
        ({"grading_deadline": 0}, "grading_deadline is 0, not a number from 0.1 to 3600"),
        ({"temperature": 0}, "temperature is 0, not a number from 0.01"),
        ({"top_p": 1.5}, "top_p is 1.5, not a number from 1e-06 to 1"),
        ({"loss_type": "ppo"}, "loss_type is 'ppo', not one of grpo, dapo"),
        ({"scale_rewards": "std"}, "scale_rewards is 'std', not one of group, batch, none"),
        ({"reward_weights": [1, 2]}, "reward_weights is not for trainer grpo: there is one reward"),
        ({"sync_ref_model": True}, "sync_ref_model is not for trainer grpo"),
        ({"num_iterations": 4, "save_steps": 6}, "save_steps is 6: chains are sampled for 4 steps at a time"),
        ({"generation_batch_size": 8, "steps_per_generation": 2}, "say the same: set one of them"),
    ],
)
def test_parameters_that_cannot_be_meant_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(HarnessError) as error:
        GRPO().check({**SOUND, **given}, 1)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("models", [0, 2])
def test_it_starts_from_one_model(models: int) -> None:
    with pytest.raises(HarnessError, match=f"starts from one model, not from {models}"):
        GRPO().check(SOUND, models)


@pytest.mark.parametrize(
    ("given", "devices", "said"),
    [
        ({"per_device_train_batch_size": 3}, 2, "6 chains are sampled at a time"),
        ({"generation_batch_size": 12}, 1, "not a multiple of the 8 chains"),
        (
            {"per_device_train_batch_size": 2, "length_penalty": 0.5},
            4,
            "length_penalty compares the 4 chains of a problem, and a device samples 2",
        ),
    ],
)
def test_chains_must_come_in_whole_groups_on_the_devices_there_are(
    given: dict[str, Any], devices: int, said: str
) -> None:
    GRPO().check({**SOUND, **given}, 1)  # with other devices it might do
    size = StageSize({**SOUND, **given}, None, None, None, None, None, None, devices)
    with pytest.raises(HarnessError) as error:
        GRPO().estimate(size)
    assert said in str(error.value)


def test_as_many_processes_must_run_as_the_stage_is_for(tmp_path: Path) -> None:
    """Blocks of steps, and with them where a stage can go on, are reckoned from that."""
    with pytest.raises(HarnessError, match="tiny:stage is for 2 processes and 1 of it run"):
        GRPO().train(stage(tmp_path, tmp_path, problems(), **SOUND, devices=2))


def test_chains_are_learnt_from_for_as_many_steps_as_the_parameters_say() -> None:
    assert settings.block_steps({}) == 1
    assert settings.block_steps({"gradient_accumulation_steps": 4}) == 1
    assert settings.block_steps({"gradient_accumulation_steps": 4, "num_iterations": 3}) == 3
    assert settings.block_steps({"gradient_accumulation_steps": 2, "steps_per_generation": 8}) == 4
    assert settings.block_steps({"per_device_train_batch_size": 4, "generation_batch_size": 32}, 2) == 4


def bad(row: int, **columns: Any) -> list[dict[str, Any]]:
    rows = problems()
    rows[row] = {name: value for name, value in {**rows[row], **columns}.items() if value is not None}
    return rows


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (bad(2, gold=None), "rows.jsonl line 3: column 'gold' is missing"),
        (bad(2, gold=4), "rows.jsonl line 3: column 'gold' is a int, not a text"),
        (bad(2, gold=" "), "rows.jsonl row 3: its gold is empty"),
        (bad(3, normalizer=None), "rows.jsonl line 4: column 'normalizer' is missing"),
        (bad(3, normalizer="intger"), "rows.jsonl row 4: no normalizer is called 'intger'"),
        (bad(1, prompt=[]), "rows.jsonl row 2: its prompt is empty"),
        (bad(1, prompt="What is 1 + 4?"), "rows.jsonl line 2: column 'prompt' is not a list of messages"),
        ([], "rows.jsonl has no rows"),
        (problems(1), "has 1 usable rows and 2 problems are sampled at a time"),
    ],
)
def test_bad_rows_are_one_line(
    tmp_path: Path, plugins: PluginManager, rows: list[dict[str, Any]], said: str
) -> None:
    from harness_trainers.grpo.problems import load_problems

    job = stage(tmp_path, None, write_rows(tmp_path / "rows.jsonl", rows), **SOUND)
    with pytest.raises(HarnessError) as error:
        load_problems(job, Letters(), plugins)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


class Letters:
    """A tokenizer of a token a letter."""

    chat_template = None

    def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
        return {"input_ids": [ord(letter) for letter in text]}


def test_prompts_over_the_limit_are_left_out_counted_and_told(
    tmp_path: Path, plugins: PluginManager, capsys: pytest.CaptureFixture[str]
) -> None:
    from harness.files import read_json
    from harness_trainers.grpo.problems import load_problems

    rows = problems(4)
    rows[1]["prompt"][0]["content"] = "x" * 500
    job = stage(tmp_path, None, rows, **SOUND, max_prompt_length=100)
    kept = load_problems(job, Letters(), plugins)
    assert [row["prompt"][0]["content"] for row in kept.rows] == [
        "What is 0 + 3?",
        "What is 2 + 5?",
        "What is 3 + 6?",
    ]
    counts = read_json(job.work / "rows.json")
    assert counts == {"rows": 3, "dropped": 1, "prompt_tokens": 42, "longest": 500, "left_over": 1}
    assert capsys.readouterr().err == (
        "tiny:stage: of 4 rows 1 left out, their prompts being over 100 tokens (the longest has 500)\n"
    )
    job = stage(tmp_path, None, rows, **SOUND, max_prompt_length=5)
    with pytest.raises(
        HarnessError, match="none of 4 rows is left: all prompts have more than max_prompt_length=5"
    ):
        load_problems(job, Letters(), plugins)

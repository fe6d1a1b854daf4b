"""`HarnessCallback`: a Trainer of transformers or TRL trains on, and each of its checkpoints is evaluated."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness import HarnessError
from harness.models import resolve_model
from harness.plugins import load_plugins
from harness_trainers import HarnessCallback

from .watched import ASKED, CHAINS, Moody, copies, scores_of, wait_until

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture
def here(moody: Moody, monkeypatch: pytest.MonkeyPatch) -> Moody:
    """`moody`, found by this process too."""
    monkeypatch.syspath_prepend(str(moody.folder))
    monkeypatch.delitem(sys.modules, "harness_moody", raising=False)
    return moody


def train(tiny: Path, out: Path, callback: HarnessCallback, steps: int = 3, **settings: Any) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainingArguments

    model = AutoModelForCausalLM.from_pretrained(tiny)
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    ids = tokenizer("What is 1 + 4? It is 5.")["input_ids"]
    rows = [{"input_ids": ids, "labels": ids, "attention_mask": [1] * len(ids)}] * 4
    arguments = TrainingArguments(
        str(out),
        max_steps=steps,
        save_steps=1,
        save_total_limit=1,
        per_device_train_batch_size=2,
        learning_rate=1e-2,
        use_cpu=True,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
        **settings,
    )
    trainer = Trainer(model, arguments, train_dataset=rows, processing_class=tokenizer, callbacks=[callback])
    trainer.train()


def left(out: Path) -> list[str]:
    return sorted(path.name for path in (out / ".harness" / "callback").glob("*/[!.]*"))


def test_importing_it_takes_no_torch() -> None:
    code = "import sys; from harness_trainers import HarnessCallback; print([m for m in ('torch', 'transformers')"
    done = subprocess.run(
        [sys.executable, "-c", code + " if m in sys.modules])"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_every_checkpoint_is_evaluated_though_the_trainer_keeps_only_the_last(
    tiny: Path, tmp_path: Path
) -> None:
    told: list[str] = []
    out, results = tmp_path / "sft", tmp_path / "results"
    callback = HarnessCallback(
        **ASKED, sampler="openvino", results=results, base=tiny, told=told.append, report=False
    )
    train(tiny, out, callback)
    assert [path.name for path in out.glob("checkpoint-*")] == ["checkpoint-3"]
    scores = scores_of(results)
    assert sorted(scores) == ["model", *(f"sft-checkpoint-{step}" for step in (1, 2, 3))], told
    assert {result["chains"] for result in scores.values()} == {CHAINS}
    fingerprints = {result["fingerprint"] for result in scores.values()}
    assert len(fingerprints) == 4  # four different models
    assert left(out) == []
    assert not (results / "report.md").exists()


def test_training_does_not_wait_and_a_stopped_program_goes_on_with_what_is_left(
    tiny: Path, tmp_path: Path, here: Moody
) -> None:
    told: list[str] = []
    out, results = tmp_path / "grpo", tmp_path / "results"
    asked = {**ASKED, "sampler": "moody", "results": results, "told": told.append, "wait": False}
    asked["report"] = False
    here.set("seconds", 10)
    first = HarnessCallback(**asked)
    began = time.monotonic()
    train(tiny, out, first)
    assert first.evaluations.pending == 3
    assert not scores_of(results)
    first.evaluations.close(cancel=True)
    assert time.monotonic() - began < 60
    assert told[-1] == "3 evaluations are left unfinished: the same command goes on with them"
    assert left(out) == [f"grpo-checkpoint-{step}" for step in (1, 2, 3)]
    here.set("seconds", 0)
    second = HarnessCallback(**{**asked, "wait": True})
    train(tiny, out, second, steps=4, save_strategy="no")
    assert sorted(scores_of(results)) == [f"grpo-checkpoint-{step}" for step in (1, 2, 3)]
    assert left(out) == []
    assert len(set(here.lines("chains"))) == len(here.lines("chains"))


def test_evaluations_that_fail_do_not_reach_the_training(tiny: Path, tmp_path: Path, here: Moody) -> None:
    told: list[str] = []
    out, results = tmp_path / "sft", tmp_path / "results"
    here.set("failures", 3)
    callback = HarnessCallback(
        **ASKED,
        sampler="moody",
        results=results,
        told=told.append,
        attempts=2,
        name="mine",
        pause=0.1,
        report=False,
    )
    train(tiny, out, callback)
    assert sorted(scores_of(results)) == ["mine-checkpoint-2", "mine-checkpoint-3"]
    assert sum("attempt 1 of 2 failed" in line for line in told) == 2
    (failed,) = [line for line in told if "could not be evaluated" in line]
    assert failed == "mine-checkpoint-1 could not be evaluated (2 attempts): not in the mood"
    assert [failure.name for failure in callback.wait()] == ["mine-checkpoint-1"]
    assert left(out) == []


def test_in_this_process_the_training_waits_for_each_and_for_the_report(
    tiny: Path, tmp_path: Path, here: Moody
) -> None:
    results = tmp_path / "results"
    callback = HarnessCallback(**ASKED, sampler="moody", results=results, where="process", wait=False)
    train(tiny, tmp_path / "sft", callback, steps=2)
    assert callback.evaluations.pending == 0
    assert sorted(scores_of(results)) == ["sft-checkpoint-1", "sft-checkpoint-2"]
    assert {line.split()[1] for line in here.lines("opened")} == {str(os.getpid())}
    report = (results / "report.md").read_text()
    assert "checkpoints of sft" in report
    assert "sft-checkpoint-2" in report
    assert "sft-checkpoint-2" in (results / "report.html").read_text()


def test_only_one_of_several_processes_evaluates_and_adapters_are_told_of_once(
    tiny: Path, tmp_path: Path
) -> None:
    told: list[str] = []
    callback = HarnessCallback(**ASKED, results=tmp_path / "results", told=told.append)
    args = SimpleNamespace(output_dir=str(tmp_path / "out"))
    copies(tiny, tmp_path / "out" / "checkpoint-1")
    callback.on_save(args, SimpleNamespace(is_world_process_zero=False, global_step=1), None)
    for step in (2, 3):
        folder = tmp_path / "out" / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "adapter_config.json").write_text("{}")
        callback.on_save(args, SimpleNamespace(is_world_process_zero=True, global_step=step), None)
    callback.on_save(args, SimpleNamespace(is_world_process_zero=True, global_step="x"), None)
    assert callback.evaluations.pending == 0
    assert len(told) == 2
    assert "merge the adapter into its base model first" in told[0]
    assert told[1].startswith("ValueError")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"bench": "aime52"}, "did you mean aime25"),
        ({"bench": "aime25", "max_token": 3}, "max-token"),
        ({"bench": "aime25", "n": 0}, "--n"),
        ({"bench": "aime25", "where": "elsewhere"}, "evaluations run in one of"),
        ({"bench": "aime25", "base": "./nothing"}, "no file or folder"),
        ({"bench": "aime25", "attempts": 0}, "at least one attempt"),
    ],
)
def test_what_makes_no_sense_is_said_before_training_begins(flags: dict[str, Any], said: str) -> None:
    with pytest.raises(HarnessError) as caught:
        HarnessCallback(**flags)
    assert said in str(caught.value) or said.replace("no file", "there is no such file") in str(caught.value)


def test_it_is_a_callback_as_trl_takes_it(tiny: Path, tmp_path: Path, here: Moody) -> None:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    rows = Dataset.from_list(
        [
            {
                "prompt": [{"role": "user", "content": "What is 1 + 4?"}],
                "completion": [{"role": "assistant", "content": "It is 5."}],
            }
        ]
        * 2
    )
    arguments = SFTConfig(
        str(tmp_path / "sft"),
        max_steps=1,
        save_steps=1,
        use_cpu=True,
        bf16=False,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
        gradient_checkpointing=False,
    )
    callback = HarnessCallback(**ASKED, sampler="moody", results=tmp_path / "results", report=False)
    SFTTrainer(str(tiny), args=arguments, train_dataset=rows, callbacks=[callback]).train()
    wait_until(lambda: list(scores_of(tmp_path / "results")) == ["sft-checkpoint-1"], 5)


def test_the_documented_examples_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parents[2] / "docs" / "watch.md").read_text(encoding="utf-8")
    (code,) = re.findall(
        r"```python\n(from harness_trainers import HarnessCallback\n.*?\n\)\n)", text, re.DOTALL
    )
    made: dict[str, Any] = {}
    exec(code, made)
    assert isinstance(made["callback"], HarnessCallback)
    known = load_plugins().models.values()
    bases = re.findall(r"--base ([^ \n`]+)", text)
    assert [resolve_model(base, known).name for base in bases if base != "MODEL"]

"""Fine-tuning in this process: what is learnt and in which order, what is saved, and what is refused in one line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest

from harness import HarnessError
from harness.models import folder_problem
from harness_trainers.loop import disk, saving
from harness_trainers.sft import SFT

from .tiny_training import SUMS, base_model, logged, same_weights, stage, sums, weights

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
ROWS = 12


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return base_model(tmp_path_factory.mktemp("sft") / "base", dtype="bfloat16")


@pytest.fixture(scope="module")
def done(base, tmp_path_factory):
    """Two epochs of three steps."""
    job = stage(
        tmp_path_factory.mktemp("done"),
        base,
        sums(ROWS),
        **{**SUMS, "num_train_epochs": 2, "per_device_train_batch_size": 4, "save_strategy": "epoch"},
    )
    SFT().train(job)
    return job


def states(job):
    return sorted(path.name for path in (job.work / "state").iterdir())


def test_the_log_has_every_step_once_and_the_loss_falls(done):
    log = logged(done)
    assert [entry["step"] for entry in log] == [1, 2, 3, 4, 5, 6]
    assert {entry["steps"] for entry in log} == {6}
    assert log[-1]["loss"] < log[0]["loss"]
    assert log[-1]["epoch"] == 2.0
    assert log[-1]["tokens"] == 2 * json.loads((done.work / "rows.json").read_text())["tokens"]
    assert {"grad_norm", "learning_rate", "seconds", "token_accuracy"} <= log[0].keys()


def test_the_finished_model_is_whole_and_of_the_types_that_it_began_with(base, done):
    assert folder_problem(done.out) is None
    assert {str(t.dtype) for t in weights(done.out).values()} == {"torch.bfloat16"}
    assert json.loads((done.out / "config.json").read_text())["dtype"] == "bfloat16"
    # Other engines are to read the tokenizer as it was, not as transformers would write it.
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert (done.out / name).read_bytes() == (base / name).read_bytes()
    of = {folder: json.loads((folder / "generation_config.json").read_text()) for folder in (base, done.out)}
    assert of[done.out]["eos_token_id"] == of[base]["eos_token_id"]
    assert not (done.out / "training_args.bin").exists()
    assert weights(done.out).keys() == weights(base).keys()


def test_each_epoch_leaves_a_checkpoint_that_can_be_evaluated(done):
    assert {"checkpoint-3", "checkpoint-6"} <= set(states(done))
    assert folder_problem(done.work / "state" / "checkpoint-3") is None


def test_a_stage_goes_on_from_the_checkpoint_of_an_epoch(done, base, tmp_path):
    job = stage(tmp_path, base, done.data, **done.parameters)
    shutil.rmtree(job.work)
    shutil.copytree(done.work, job.work)
    for name in states(job):
        if name not in ("checkpoint-3", "checkpoint-2"):
            shutil.rmtree(job.work / "state" / name)
    (job.work / "state" / ".saving-5").mkdir()
    SFT().train(job)
    assert same_weights(job.out, done.out)
    assert [entry["loss"] for entry in logged(job)] == [entry["loss"] for entry in logged(done)]
    assert ".saving-5" not in states(job)


def test_a_curriculum_is_seen_in_its_order_in_every_epoch(base, tmp_path, monkeypatch):
    from harness_trainers.loop.rows import RowSet

    seen = []
    plain = RowSet.__getitem__

    def spy(self, index):
        seen.append(index)
        return plain(self, index)

    monkeypatch.setattr(RowSet, "__getitem__", spy)
    job = stage(tmp_path, base, sums(ROWS), **{**SUMS, "num_train_epochs": 3, "save_strategy": "no"})
    SFT().train(job)
    # TRL looks at the first row before it starts.
    assert seen[-3 * ROWS :] == [*range(ROWS)] * 3
    assert not states(job)


def test_the_loss_is_the_mean_over_all_tokens_that_are_learnt_in_a_step(base, tmp_path):
    """Completions and their ends, and nothing of prompts and padding; rows count by their tokens, however they are
    dealt out into batches.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    rows = sums(6)
    rows[1]["completion"] = "1"
    rows[4]["completion"] += " So it is."
    given = {**SUMS, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 3, "max_steps": 1}
    job = stage(tmp_path, base, rows, **given)
    SFT().train(job)
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    lost, learnt = 0.0, 0
    for row in rows:
        prompt = tokenizer.apply_chat_template(row["prompt"], tokenize=False, add_generation_prompt=True)
        asked, told = (
            tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, row["completion"])
        )
        told.append(tokenizer.eos_token_id)
        with torch.no_grad():
            logits = model(torch.tensor([asked + told])).logits[0]
        chances = logits.log_softmax(-1)[len(asked) - 1 : -1]
        lost -= float(chances.gather(1, torch.tensor(told)[:, None]).sum())
        learnt += len(told)
    (entry,) = logged(job)
    assert entry["loss"] == pytest.approx(lost / learnt, rel=1e-5)


def test_a_tokenizer_without_padding_learns_to_end_all_the_same(base, tmp_path):
    """The end then stands in for padding: what is padded is not learnt, the end of a row is."""
    bare = tmp_path / "bare"
    shutil.copytree(base, bare)
    config = json.loads((bare / "tokenizer_config.json").read_text())
    del config["pad_token"]
    (bare / "tokenizer_config.json").write_text(json.dumps(config))
    losses = []
    for number, start in enumerate((base, bare)):
        job = stage(tmp_path / str(number), start, sums(4), **{**SUMS, "per_device_train_batch_size": 4})
        SFT().train(job)
        losses.append([entry["loss"] for entry in logged(job)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert "pad_token" not in json.loads((job.out / "tokenizer_config.json").read_text())


def test_a_training_that_comes_to_nothing_stops_however_seldom_it_is_logged(base, tmp_path):
    given = {**SUMS, "learning_rate": 1e30, "max_grad_norm": 0, "save_strategy": "no", "logging_steps": 100}
    job = stage(tmp_path, base, sums(4), **given)
    with pytest.raises(
        HarnessError, match=r"tiny:stage: the (loss|norm of the gradient) is (nan|inf) at step 2"
    ) as caught:
        SFT().train(job)
    assert "\n" not in str(caught.value)
    assert not job.out.exists()


def test_packed_rows_are_learnt_as_if_they_were_alone(base, tmp_path):
    """One step over all rows, packed and not: the same loss, as no row sees another."""
    losses = []
    for packing in (True, False):
        job = stage(
            tmp_path / str(packing),
            base,
            sums(ROWS),
            **{**SUMS, "train_sampling_strategy": "random", "max_length": 400, "max_steps": 1},
            packing=packing,
            save_strategy="no",
            gradient_accumulation_steps=ROWS // 2,
        )
        SFT().train(job)
        losses.append(logged(job)[0]["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_adapters_are_learnt_and_merged_into_the_finished_model(base, tmp_path):
    job = stage(
        tmp_path,
        base,
        sums(ROWS),
        **SUMS,
        lora={"r": 4, "alpha": 8, "target_modules": ["q_proj", "v_proj"]},
        save_steps=2,
    )
    SFT().train(job)
    before, after = weights(base), weights(job.out)
    changed = {name for name in before if not (before[name] == after[name]).all()}
    assert before.keys() == after.keys()
    assert changed == {
        f"model.layers.{i}.self_attn.{kind}_proj.weight" for i in range(2) for kind in ("q", "v")
    }
    assert (job.work / "state" / "checkpoint-6" / "adapter_model.safetensors").is_file()
    assert folder_problem(job.out) is None

    again = stage(tmp_path / "again", base, job.data, **job.parameters)
    shutil.rmtree(again.work)
    shutil.copytree(job.work, again.work)
    shutil.rmtree(again.work / "state" / "checkpoint-6")
    SFT().train(again)
    assert same_weights(job.out, again.out)


def test_too_little_room_is_said_before_a_save_and_leaves_what_was_saved(base, tmp_path, monkeypatch):
    parameters = {**SUMS, "save_steps": 2}
    job = stage(tmp_path, base, sums(ROWS), **parameters)
    free = shutil.disk_usage(tmp_path)
    asked = []

    def usage(path):
        asked.append(path)
        return free._replace(free=free.free if len(asked) < 2 else 20_000_000)

    monkeypatch.setattr(disk.shutil, "disk_usage", usage)
    monkeypatch.setattr(disk, "SPARE", 20_000_000)
    with pytest.raises(
        HarnessError, match=r"no room to save in .*: [\d,]+ bytes are needed and 20,000,000"
    ) as caught:
        SFT().train(job)
    assert "\n" not in str(caught.value)
    assert states(job) == ["checkpoint-2"]
    monkeypatch.undo()
    SFT().train(job)
    assert [entry["step"] for entry in logged(job)] == [1, 2, 3, 4, 5, 6]
    assert folder_problem(job.out) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk takes root")
def test_a_disk_that_fills_up_in_the_middle_leaves_no_torn_state(base, tmp_path, monkeypatch):
    small = tmp_path / "disk"
    small.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", small], capture_output=True
    ).returncode:
        pytest.skip("no disks can be mounted here")
    try:
        monkeypatch.setattr(saving, "check_space", lambda folder, needed: None)  # others fill it meanwhile
        job = stage(small, base, sums(ROWS), **{**SUMS, "save_steps": 2, "save_total_limit": 5})
        with pytest.raises(HarnessError, match="no space left to write") as caught:
            SFT().train(job)
        assert "\n" not in str(caught.value)
        assert all(name.startswith("checkpoint-") for name in states(job)), states(job)
        assert all((job.work / "state" / name / "optimizer.pt").is_file() for name in states(job))
        assert not job.out.exists()
    finally:
        subprocess.run(["umount", small], check=False)


def test_models_and_rows_that_cannot_be_trained_are_refused_in_one_line(base, tmp_path):
    def refused(parent, rows, **parameters):
        with pytest.raises(HarnessError) as caught:
            SFT().train(stage(tmp_path, parent, rows, **{**SUMS, **parameters}))
        assert "\n" not in str(caught.value)
        return str(caught.value)

    missing = [{"prompt": row["prompt"], "answer": row["gold"]} for row in sums(2)]
    assert "rows.jsonl line 1: column 'completion' is missing" in refused(base, missing)
    assert "has no rows" in refused(base, [])
    assert "none of 2 rows is left" in refused(base, sums(2), max_length=10)
    cut = tmp_path / "cut"
    shutil.copytree(base, cut)
    os.truncate(cut / "model.safetensors", 5000)
    assert "model.safetensors is" in refused(cut, sums(2))
    assert "TRL refuses its parameters: ValueError" in refused(base, sums(2), lr_scheduler_type="cosin")
    assert "is for 2 processes and 1" in _told(lambda: SFT().train(stage(tmp_path, base, sums(2), devices=2)))


def _told(act):
    with pytest.raises(HarnessError) as caught:
        act()
    return str(caught.value)

"""Which folders are checkpoints, what they are called, and when one is whole."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from harness.models import resolve_model
from harness_trainers.watching import complete
from harness_trainers.watching import watch as watch_module
from harness_trainers.watching.naming import Found, checkpoints_in, is_temporary, name_of
from harness_trainers.watching.watch import Watch

from .folders import model, shard


def test_checkpoints_come_by_step_and_are_named_after_run_and_step(tmp_path: Path) -> None:
    run = tmp_path / "tiny-sft"
    for name in ("checkpoint-100", "checkpoint-20", "epoch_3", "step-7", "merged", "other-checkpoint-5"):
        model(run / name)
    model(run / "global_step_4" / "actor" / "huggingface")
    model(run)
    for name in (".saving-checkpoint-30", "tmp-checkpoint-40", "checkpoint-50.tmp", "logs"):
        (run / name).mkdir()
    assert [(found.name, found.step) for found in checkpoints_in(run)] == [
        ("tiny-sft-epoch_3", 3),
        ("tiny-sft-global_step_4", 4),
        ("other-checkpoint-5", 5),
        ("tiny-sft-step-7", 7),
        ("tiny-sft-checkpoint-20", 20),
        ("tiny-sft-checkpoint-100", 100),
        ("merged", None),
        ("tiny-sft", None),
    ]
    assert [found.name for found in checkpoints_in(run, "b")][-3:] == ["b-checkpoint-100", "b-merged", "b"]


def test_the_core_calls_a_checkpoint_the_same(tmp_path: Path) -> None:
    for folder in (model(tmp_path / "run" / "checkpoint-3"), model(tmp_path / "run")):
        assert name_of(folder) == resolve_model(str(folder), []).name


def test_another_name_of_a_checkpoint_is_no_second_one(tmp_path: Path) -> None:
    run = tmp_path / "run"
    elsewhere = model(tmp_path / "scratch" / "checkpoint-7")
    model(run / "checkpoint-5")
    (run / "latest").symlink_to("checkpoint-5")
    (run / "checkpoint-7").symlink_to(elsewhere)
    assert [found.folder.name for found in checkpoints_in(run)] == ["checkpoint-5", "checkpoint-7"]


def test_a_checkpoint_is_read_through_once_however_often_it_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tokenizer of ten megabytes takes a tenth of a second, for each checkpoint at each look."""
    folder = model(tmp_path / "run" / "checkpoint-2")
    read: list[Path] = []
    submitted: list[Found] = []

    def problem(path: Path) -> str | None:
        read.append(path)
        return complete.problem(path)

    monkeypatch.setattr(watch_module, "problem", problem)
    watch = Watch(tmp_path / "run", submitted.append, print, settle=0)
    for _ in range(3):
        watch.once()
    assert len(read) == len(submitted) == 1
    (folder / "model.safetensors").write_bytes(shard(9))
    assert watch.once() == 1
    assert len(read) == len(submitted) == 2


@pytest.mark.parametrize("name", [".saving-checkpoint-3", "tmp-checkpoint-3", "checkpoint-3.tmp", ".harness"])
def test_a_temporary_name_is_no_checkpoint_however_whole(name: str, tmp_path: Path) -> None:
    assert is_temporary(name)
    assert complete.problem(model(tmp_path / name)) is not None


def test_a_checkpoint_is_whole_when_its_last_file_is_there_in_whatever_order_they_come(
    tmp_path: Path,
) -> None:
    source = model(tmp_path / "source", parts=3)
    files = sorted(file.name for file in source.iterdir())
    for order in (files, files[::-1], files[2:] + files[:2]):
        target = tmp_path / f"checkpoint-{order[0]}"
        target.mkdir()
        for name in order:
            assert complete.problem(target) is not None, (order, name)
            data = (source / name).read_bytes()
            (target / name).write_bytes(data[: len(data) // 2])
            assert complete.problem(target) is not None, (order, name)
            (target / name).write_bytes(data)
        assert complete.problem(target) is None


def test_shards_without_their_index_are_not_a_model_though_each_is_whole(tmp_path: Path) -> None:
    folder = model(tmp_path / "checkpoint-1", parts=2)
    (folder / "model.safetensors.index.json").unlink()
    (folder / "model-00002-of-00002.safetensors").unlink()
    assert "not there yet" in (complete.problem(folder) or "")


def test_a_trainers_checkpoint_is_whole_once_its_state_is_there(tmp_path: Path) -> None:
    folder = model(tmp_path / "checkpoint-1")
    (folder / "training_args.bin").write_bytes(b"-")
    (folder / "optimizer.pt").write_bytes(b"-")
    assert "trainer_state.json" in (complete.problem(folder) or "")
    (folder / "trainer_state.json").write_text("{}")
    assert complete.problem(folder) is None
    final = model(tmp_path / "run")  # save_model() leaves no state
    (final / "training_args.bin").write_bytes(b"-")
    assert complete.problem(final) is None


def test_a_folder_that_still_changes_is_not_whole(tmp_path: Path) -> None:
    folder = model(tmp_path / "checkpoint-1")
    looks = complete.Looks(tmp_path)
    assert looks.quiet_for(folder) == 0.0
    first = looks.quiet_for(folder)
    assert first > 0
    os.utime(folder / "model.safetensors", ns=(1, 1))
    assert looks.quiet_for(folder) == 0.0
    assert complete.whole(folder, settle=0.01) is None
    assert looks.quiet_for(tmp_path / "gone") == -1.0


def test_logs_beside_the_final_model_do_not_keep_it_from_settling(tmp_path: Path) -> None:
    folder = model(tmp_path / "run")
    looks = complete.Looks(folder)
    looks.quiet_for(folder)
    (folder / "train.log").write_text("step 1")
    (folder / "all_results.json").write_text("{}")
    assert looks.quiet_for(folder) > 0
    (folder / "model.safetensors").write_bytes(shard(5))
    assert looks.quiet_for(folder) == 0.0


def test_a_folder_that_may_not_be_looked_into_is_no_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model(tmp_path / "checkpoint-2")
    (tmp_path / "lost+found").mkdir()
    stat = os.stat

    def refuse(path: Any, **options: Any) -> os.stat_result:
        if "lost+found/" in os.fspath(path):
            raise PermissionError(13, "Permission denied")
        return stat(path, **options)

    monkeypatch.setattr(os, "stat", refuse)
    assert [found.folder.name for found in checkpoints_in(tmp_path)] == ["checkpoint-2"]


def test_a_model_of_the_hub_s_cache_is_called_as_the_core_calls_it(tmp_path: Path) -> None:
    folder = model(tmp_path / "models--org--Tiny-1B" / "snapshots" / "0123abcd")
    assert name_of(folder) == resolve_model(str(folder), []).name == "Tiny-1B"

"""Which folders are checkpoints, what they are called, and when one is whole."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest

from harness.models import resolve_model
from harness_trainers.watching import complete
from harness_trainers.watching.aside import adopt, hold, let_go, put_aside
from harness_trainers.watching.naming import checkpoints_in, is_temporary, name_of

from .watched import python


def shard(values: int = 4, cut: int = 0) -> bytes:
    header = json.dumps({"w": {"dtype": "F32", "shape": [values], "data_offsets": [0, 4 * values]}}).encode()
    data = struct.pack("<Q", len(header)) + header + bytes(4 * values)
    return data[: len(data) - cut]


def model(folder: Path, *, parts: int = 1) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text('{"model_type": "qwen2"}')
    (folder / "tokenizer.json").write_text("{}")
    names = [f"model-{i:05}-of-{parts:05}.safetensors" for i in range(1, parts + 1)]
    if parts == 1:
        names = ["model.safetensors"]
    else:
        index = {"weight_map": {f"w{i}": name for i, name in enumerate(names)}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    for name in names:
        (folder / name).write_bytes(shard())
    return folder


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


def test_files_put_aside_outlive_the_checkpoint_and_take_no_room(tmp_path: Path) -> None:
    folder = model(tmp_path / "run" / "checkpoint-2", parts=2)
    (folder / "optimizer.pt").write_bytes(b"-")
    before = resolve_model(str(folder), []).identity()
    below = tmp_path / "run" / ".harness"
    held = put_aside(folder, "run-checkpoint-2", below)
    assert os.path.samefile(held / "config.json", folder / "config.json")
    assert not (held / "optimizer.pt").exists()
    assert put_aside(folder, "run-checkpoint-2", below) == held
    for file in folder.iterdir():
        file.unlink()
    found = resolve_model(str(held), [])
    assert (found.name, found.identity()) == ("run-checkpoint-2", before)


def test_what_is_held_is_nobody_elses_until_its_process_ends(tmp_path: Path) -> None:
    folder = model(tmp_path / "run" / "checkpoint-2")
    below = tmp_path / "run" / ".harness" / "watch"
    first, second = hold(folder, "a", below), hold(folder, "a", below)
    assert first != second
    assert first.name == second.name == "a"
    assert adopt(below) == []
    let_go(first, remove=True)
    let_go(second, remove=False)
    assert adopt(below) == [second]
    other = python("import time; time.sleep(60)")
    place = second.parent.rename(below / second.parent.name.replace(f"-{os.getpid()}-", f"-{other.pid}-"))
    assert adopt(below) == []
    other.kill()
    other.communicate()
    assert adopt(below) == [place / "a"]
    let_go(place / "a", remove=True)
    assert not below.parent.exists()


def test_a_stray_file_does_not_keep_others_from_being_adopted(tmp_path: Path) -> None:
    below = tmp_path / "run" / ".harness" / "watch"
    held = hold(model(tmp_path / "run" / "checkpoint-2"), "a", below)
    let_go(held, remove=False)
    (below / ".DS_Store").write_text("")
    assert adopt(below) == [held]


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


def test_another_checkpoint_of_the_same_step_takes_the_place_of_the_one_aside(tmp_path: Path) -> None:
    folder = model(tmp_path / "run" / "checkpoint-2")
    held = put_aside(folder, "a", tmp_path)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").write_bytes(shard(9))
    assert put_aside(folder, "a", tmp_path) == held
    assert (held / "model.safetensors").read_bytes() == shard(9)


def test_where_the_disk_has_no_links_files_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    folder = model(tmp_path / "checkpoint-2")
    held = put_aside(folder, "a", tmp_path)
    assert (held / "model.safetensors").read_bytes() == shard()
    assert not os.path.samefile(held / "config.json", folder / "config.json")

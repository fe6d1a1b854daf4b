"""Checkpoints are held by links until they are evaluated, whatever becomes of their own folders and of processes."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
from pathlib import Path

import pytest

from harness.models import resolve_model
from harness_trainers.watching.aside import put_aside
from harness_trainers.watching.holding import adopt, hold, let_go

from .folders import model, shard
from .watched import python, wait_until


def test_files_put_aside_outlive_the_checkpoint_and_take_no_room(tmp_path: Path) -> None:
    folder = model(tmp_path / "run" / "checkpoint-2", parts=2)
    for name in ("optimizer.pt", "optimizer.bin"):
        (folder / name).write_bytes(b"-")
    before = resolve_model(str(folder), []).identity()
    below = tmp_path / "run" / ".harness"
    held = put_aside(folder, "run-checkpoint-2", below)
    assert os.path.samefile(held / "config.json", folder / "config.json")
    assert not list(held.glob("optimizer.*"))
    assert put_aside(folder, "run-checkpoint-2", below) == held
    for file in folder.iterdir():
        file.unlink()
    found = resolve_model(str(held), [])
    assert (found.name, found.identity()) == ("run-checkpoint-2", before)


HOLDER = """
import sys, time
from pathlib import Path
from harness_trainers.watching.holding import hold
print(hold(Path(sys.argv[1]), "a", Path(sys.argv[2])), flush=True)
time.sleep(60)
"""


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
    other = python(HOLDER, folder, below)
    assert other.stdout is not None
    third = Path(other.stdout.readline().strip())
    assert adopt(below) == []
    other.kill()
    other.communicate()
    assert adopt(below) == [third]
    let_go(second, remove=True)
    let_go(third, remove=True)
    assert not below.parent.exists()


def test_what_a_process_held_is_adopted_though_processes_forked_from_it_live_on(tmp_path: Path) -> None:
    """As those do that load a trainer's data."""
    folder, below = model(tmp_path / "run" / "checkpoint-2"), tmp_path / "run" / ".harness"
    other = python("import os\n" + HOLDER.replace("time.sleep", "os.fork(); time.sleep"), folder, below)
    assert other.stdout is not None
    held = Path(other.stdout.readline().strip())
    children = Path(f"/proc/{other.pid}/task/{other.pid}/children")
    wait_until(lambda: children.read_text().split())
    (child,) = children.read_text().split()
    try:
        other.kill()
        other.wait()
        assert adopt(below) == [held]
    finally:
        os.kill(int(child), signal.SIGKILL)
        other.communicate()
    let_go(held, remove=True)


def test_what_a_process_had_begun_to_hold_when_it_was_killed_takes_no_room_for_ever(tmp_path: Path) -> None:
    folder, below = model(tmp_path / "run" / "checkpoint-2"), tmp_path / "run" / ".harness" / "watch"
    held = hold(folder, "a", below)
    held.rename(held.with_name(".saving-a.1"))
    let_go(held, remove=False)
    assert adopt(below) == []
    assert not below.parent.exists()


def test_folders_of_the_users_own_stay_when_the_last_model_is_let_go(tmp_path: Path) -> None:
    folder, below = model(tmp_path / "checkpoint-2"), tmp_path / "mine" / "held"
    let_go(hold(folder, "a", below), remove=True)
    assert [path.name for path in (tmp_path / "mine").parent.iterdir()] == ["checkpoint-2", "mine"]


def test_a_disk_without_locks_holds_models_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    held = hold(model(tmp_path / "checkpoint-2"), "a", tmp_path / ".harness")
    let_go(held, remove=False)
    assert held.is_dir()
    assert adopt(tmp_path / ".harness") == []  # who knows whose it is


def test_a_model_keeps_its_name_where_it_is_held(tmp_path: Path) -> None:
    below = tmp_path / ".harness"
    for name, called in (("训练-checkpoint-2", "训练-checkpoint-2"), ("a/../b", "a_.._b"), (".", "_")):
        held = hold(model(tmp_path / "checkpoint-2"), name, below)
        assert resolve_model(str(held), []).name == called
        assert held.parent.parent == below


def test_a_stray_file_does_not_keep_others_from_being_adopted(tmp_path: Path) -> None:
    below = tmp_path / "run" / ".harness" / "watch"
    held = hold(model(tmp_path / "run" / "checkpoint-2"), "a", below)
    let_go(held, remove=False)
    (below / ".DS_Store").write_text("")
    assert adopt(below) == [held]


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
    monkeypatch.setattr(shutil, "copyfile", refuse)
    assert put_aside(folder, "a", tmp_path) == held, "the same files are not copied again"

"""Checkpoints that a recipe's stages pass on their way: which are kept and evaluated, and that none is lost."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest

from harness import HarnessError
from harness_trainers.recipes import load_recipe
from harness_trainers.runner.layout import RunLayout, check_names
from harness_trainers.runner.on_the_way import OnTheWay, is_wanted

from .checkpoints import write as write_model
from .recipes_of_pupils import EVALUATE, School, pupil
from .watched import wait_until

NEVER = ("--evaluate", "never")
SAVES = {**EVALUATE, "saves": True}


@pytest.fixture
def school(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> School:
    return School(tmp_path / "school", monkeypatch)


def models(school: School) -> set[str]:
    return {path.name for path in (school.out / "models").iterdir()}


def test_the_ends_of_epochs_are_kept_and_not_what_is_saved_between_them(school: School) -> None:
    """Four steps an epoch, and a state after every second."""
    school.usual(evaluate=SAVES, steps=12, seconds=0.3, save_strategy="epoch")
    assert school.train(*NEVER, "--stage", "first") == 0
    assert models(school) == {"First", "First-checkpoint-4", "First-checkpoint-8"}


def test_what_was_saved_because_somebody_stopped_the_stage_is_no_checkpoint(school: School) -> None:
    school.usual(evaluate=SAVES, steps=8, seconds=0.15, save_steps=4)
    process = school.start(*NEVER, "--stage", "first")
    log = school.work("first") / "log.jsonl"
    wait_until(lambda: log.exists() and '"step": 5,' in log.read_text())
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130
    assert school.train(*NEVER, "--stage", "first") == 0
    assert models(school) == {"First", "First-checkpoint-4"}


def test_a_recipe_that_evaluates_no_checkpoints_on_the_way_keeps_none(school: School) -> None:
    school.usual(evaluate=EVALUATE, steps=8, save_strategy="epoch")
    assert school.train(*NEVER, "--stage", "first") == 0
    assert models(school) == {"First"}


def test_which_states_a_recipe_asks_for() -> None:
    log = [{"step": step, "steps": 40, "epoch": step / 10} for step in range(1, 41)]

    def wanted(**parameters: object) -> list[int]:
        return [step for step in (7, 10, 15, 20) if is_wanted(parameters, step, log)]

    assert wanted(save_strategy="epoch") == [10, 20]
    assert wanted(save_strategy="epoch", save_steps=5) == [10, 20]
    assert wanted(save_strategy="steps", save_steps=5) == [10, 15, 20]
    assert wanted(save_steps=0.25) == [10, 20]
    assert wanted(save_strategy="no", save_steps=5) == []
    assert wanted() == [7, 10, 15, 20]


def test_adapters_are_not_passed_over_in_silence(school: School) -> None:
    school.usual(evaluate=SAVES)
    node = load_recipe("school.yaml").nodes["school:first"]
    said: list[str] = []
    state = school.folder / "checkpoint-2"
    state.mkdir()
    (state / "adapter_config.json").write_text("{}")
    keeper = OnTheWay(RunLayout(school.out), said.append)
    assert [keeper.keep(node, step, state) for step in (2, 4)] == [None, None]
    assert said == ["school:first: the checkpoints on the way hold adapters alone and are not evaluated"]


def test_a_checkpoint_s_optimiser_is_not_kept_with_it(school: School) -> None:
    """FSDP calls its own .bin: of 14 billion weights they are 170 GB."""
    school.usual(evaluate=SAVES)
    node = load_recipe("school.yaml").nodes["school:first"]
    state = write_model(school.folder / "checkpoint-2", {"learnt": np.ones(2, np.float32)})
    for name in ("optimizer.bin", "pytorch_model_fsdp.bin", "optimizer.pt", "trainer_state.json"):
        (state / name).write_bytes(b"0")
    kept = OnTheWay(RunLayout(school.out), print).keep(node, 2, state)
    assert kept is not None
    names = {path.name for path in kept.iterdir()}
    assert "model.safetensors" in names
    assert not {name for name in names if name.startswith(("optimizer", "pytorch", "trainer"))}


@pytest.mark.parametrize("title", ["First-checkpoint-4", "checkpoint-4", "first-CHECKPOINT-4"])
def test_a_title_that_a_checkpoint_on_the_way_would_have_is_refused(school: School, title: str) -> None:
    school.recipe(first=pupil(title="First"), second=pupil(title=title))
    with pytest.raises(HarnessError, match="is what a checkpoint on the way is called"):
        check_names(load_recipe("school.yaml"))


def test_checkpoints_of_a_stage_whose_name_begins_alike_are_another_s(school: School) -> None:
    school.recipe(first=pupil(title="First"), second=pupil(title="First-checkpoint-of-last-year"))
    graph = load_recipe("school.yaml")
    check_names(graph)
    layout = RunLayout(school.out)
    for name in ("First-checkpoint-10", "First-checkpoint-9", "First-checkpoint-of-last-year-checkpoint-4"):
        (layout.models / name).mkdir(parents=True)
    keeper = OnTheWay(layout, print)
    kept = {node.name: [path.name for path in keeper.kept(node)] for node in graph}
    assert kept["first"] == ["First-checkpoint-9", "First-checkpoint-10"]
    assert kept["second"] == ["First-checkpoint-of-last-year-checkpoint-4"]


def test_what_a_killed_command_has_half_kept_goes(school: School) -> None:
    """Its links would hold the files of a removed state for ever."""
    school.usual()
    half = school.out / "models" / ".saving-First-checkpoint-2.4711"
    half.mkdir(parents=True)
    (half / "model.safetensors").write_bytes(b"0")
    assert school.train(*NEVER, "--stage", "first") == 0
    assert models(school) == {"First"}

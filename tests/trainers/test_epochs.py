"""The ends of epochs are checkpoints to be looked at: their models stay while a stage trains, and little besides."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import StageJob
from harness.models import folder_problem

from .test_sft_killed import forks, untimed
from .tiny_training import SUMS, base_model, same_weights, stage, sums

EPOCHS = 5
PARAMETERS = {
    **SUMS,
    "num_train_epochs": EPOCHS,
    "per_device_train_batch_size": 4,
    "save_strategy": "epoch",
    "logging_steps": 2,
}
"""Three steps each; SaveOften saves each of them."""
OPTIMISER = {"optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return base_model(tmp_path_factory.mktemp("epochs") / "base")


def files(job: StageJob) -> dict[str, set[str]]:
    return {path.name: {file.name for file in path.iterdir()} for path in (job.work / "state").iterdir()}


def test_older_epochs_keep_their_models_alone_whatever_kills_the_stage(base: Path, tmp_path: Path) -> None:
    calm = stage(tmp_path / "calm", base, sums(12), **PARAMETERS)
    assert forks("sft", calm, "end")[0] == {"end": 0}
    found = files(calm)
    assert set(found) == {f"checkpoint-{step}" for step in (3, 6, 9, 12, 14, 15)}, (
        "the newest two and the epochs"
    )
    for name in ("checkpoint-14", "checkpoint-15"):
        assert found[name] >= OPTIMISER
    for name in ("checkpoint-3", "checkpoint-6", "checkpoint-9", "checkpoint-12"):
        assert not found[name] & OPTIMISER
        assert folder_problem(calm.work / "state" / name) is None

    job = stage(tmp_path / "killed", base, calm.data, **PARAMETERS)
    assert forks("sft", job, "stripping:6")[0] == {"stripping:6": -9}
    half = files(job)["checkpoint-6"]
    assert "trainer_state.json" not in half
    assert half & OPTIMISER, "killed in the middle of it"
    assert folder_problem(job.work / "state" / "checkpoint-6") is None
    assert forks("sft", job, "end")[0] == {"end": 0}
    assert files(job) == found
    assert untimed(job) == untimed(calm)
    assert same_weights(calm.out, job.out)


def test_nothing_goes_on_from_a_stripped_state(base: Path, tmp_path: Path) -> None:
    """As when somebody removes the newest states by hand: what comes after the last whole one is made again."""
    from harness_trainers.loop.saving import last_state, strip

    state = tmp_path / "state"
    for step in (3, 6, 9):
        (state / f"checkpoint-{step}").mkdir(parents=True)
        (state / f"checkpoint-{step}" / "trainer_state.json").write_text('{"epoch": 1.0}')
    strip(state / "checkpoint-3")
    strip(state / "checkpoint-9")
    assert last_state(tmp_path) == state / "checkpoint-6"
    assert sorted(path.name for path in state.iterdir()) == ["checkpoint-3", "checkpoint-6"]


def test_the_end_of_an_epoch_that_is_saved_is_logged(tmp_path: Path) -> None:
    """However seldom others are: by the log one sees which of the states it is."""
    from transformers import TrainerControl

    from harness_trainers.loop.saving import SaveOften

    often = SaveOften(stage(tmp_path, None, sums(1), save_strategy="epoch", logging_steps=5))
    for saved in (True, False):
        control = TrainerControl(should_save=saved)
        often.on_epoch_end(None, None, control)
        assert control.should_log is saved

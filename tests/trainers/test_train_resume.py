"""A recipe that was stopped, whatever stopped it: the same command finishes it, and no stage is done twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from harness import HarnessError
from harness.training import read_training
from harness_trainers.launch.stage import process_mark
from harness_trainers.ledger import Entry, Ledger, Session

from .checkpoints import read
from .recipes_of_pupils import EVALUATE, School
from .watched import Moody, scores_of, wait_until

NEVER = ("--evaluate", "never")


@pytest.fixture
def school(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> School:
    return School(tmp_path / "school", monkeypatch)


def last_line(process: subprocess.Popen[str]) -> str:
    _, err = process.communicate(timeout=60)
    return [line for line in err.split("\n") if line][-1]


def pid_of_stage(school: School, stage: str) -> int:
    return int((school.work(stage) / "sessions").read_text().split("\n")[-2].split(" ")[0])


def begun(school: School, stage: str, step: int) -> None:
    """Wait until a stage has logged that step."""
    log = school.work(stage) / "log.jsonl"
    wait_until(lambda: log.exists() and f'"step": {step},' in log.read_text())


def whole(school: School) -> None:
    """Everything was trained, each step once."""
    assert list(read(school.out / "models" / "First")["learnt"]) == [8, 6]
    assert list(read(school.out / "models" / "Mean")["learnt"]) == [5, 6]
    log = school.lines(school.work("first") / "log.jsonl")
    assert [entry["step"] for entry in log] == [1, 2, 3, 4, 5, 6, 7, 8]
    costs = read_training(school.out).costs
    assert [(cost.checkpoint, cost.complete) for cost in costs] == [
        (n, True) for n in ("First", "Second", "Mean")
    ]


def slow(school: School) -> None:
    school.usual(steps=8, seconds=0.3, save_steps=2)


def test_the_command_is_killed_while_a_stage_trains(school: School) -> None:
    """With kill -9 it cannot stop its stage: that one stops by itself, and saves what it has reached."""
    slow(school)
    process = school.start(*NEVER)
    begun(school, "first", 3)
    process.kill()
    child = pid_of_stage(school, "first")
    process.communicate()
    wait_until(lambda: process_mark(child) is None, 60)
    assert max(int(path.name.split("-")[1]) for path in (school.work("first") / "state").iterdir()) >= 3
    assert school.train(*NEVER) == 0
    whole(school)
    first, second = school.sessions("first")
    assert first == "from 0"
    assert int(second.split(" ")[1]) >= 3
    sessions = [entry for entry in Ledger(school.out).entries() if entry.stage == "school:first"]
    assert [entry.complete for entry in sessions] == [False, True]


def test_a_command_that_comes_at_once_waits_for_what_the_killed_one_left(school: School) -> None:
    slow(school)
    process = school.start(*NEVER)
    begun(school, "first", 3)
    left = pid_of_stage(school, "first")
    os.kill(left, signal.SIGSTOP)  # it takes its time to notice that it is alone
    process.kill()
    process.communicate()
    again = school.start(*NEVER)
    assert again.stderr is not None
    said = iter(again.stderr.readline, "")
    assert any("waiting for what an earlier command left" in line for line in said)
    os.kill(left, signal.SIGCONT)
    again.communicate(timeout=120)
    assert again.returncode == 0
    whole(school)


def test_a_command_that_is_asked_to_stop_saves_and_says_so(school: School) -> None:
    slow(school)
    process = school.start(*NEVER)
    begun(school, "first", 3)
    process.send_signal(signal.SIGINT)
    assert "school:first was interrupted: the same command goes on" in last_line(process)
    assert process.returncode == 130
    assert process_mark(pid_of_stage(school, "first")) is None
    assert school.train(*NEVER) == 0
    whole(school)
    assert int(school.sessions("first")[1].split(" ")[1]) >= 3


def test_a_stage_s_process_is_killed(school: School, capfd: pytest.CaptureFixture[str]) -> None:
    school.usual(steps=8, save_steps=2, die_at=5)
    assert school.train(*NEVER) == 1
    error = capfd.readouterr().err.strip().split("\n")[-1]
    assert "stage school:first failed: ended by SIGKILL: was there too little memory?" in error
    assert "Traceback" not in error
    assert school.train("--dry-run") == 0
    assert "goes on at step 4 of 8" in capfd.readouterr().out
    assert school.train(*NEVER) == 0
    whole(school)
    assert school.sessions("first") == ["from 0", "from 4"]


def test_a_stage_that_fails_says_why_in_its_own_words(
    school: School, capfd: pytest.CaptureFixture[str]
) -> None:
    school.usual(fail_at=3)
    assert school.train(*NEVER) == 1
    error = capfd.readouterr().err.strip().split("\n")[-1]
    assert error == "harness: stage school:first failed: the pupil does not understand step 3"


def test_the_command_is_killed_between_a_model_and_its_note(school: School) -> None:
    """The model stands: it is not made again, and the bill counts its stage as complete."""
    school.usual(steps=8)
    assert school.train(*NEVER, "--stage", "first") == 0
    (school.work("first") / "done.json").unlink()
    ledger = school.out / "ledger.jsonl"
    lines = [json.loads(line) | {"complete": False} for line in ledger.read_text().split("\n") if line]
    ledger.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert school.train(*NEVER) == 0
    assert school.sessions("first") == ["from 0"]
    whole(school)


def test_the_command_is_killed_while_a_checkpoint_is_evaluated(
    school: School, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moody = Moody(tmp_path / "moody")
    monkeypatch.setenv("PYTHONPATH", moody.path)
    monkeypatch.syspath_prepend(str(moody.folder))
    school.usual(evaluate=EVALUATE, steps=8)
    moody.set("seconds", 0.3)
    process = school.start("--stage", "first")
    wait_until(lambda: any(line.startswith("First") for line in moody.lines("chains")))
    process.kill()
    process.communicate()
    moody.set("seconds", 0)
    assert school.train("--stage", "first") == 0
    assert set(scores_of(school.folder / "results")) == {"First", "base"}
    assert school.sessions("first") == ["from 0"]
    chains = [line for line in moody.lines("chains") if line.startswith("First")]
    assert 3 <= len(chains) <= 5  # four, but for what the kill kept from being written down or stored
    assert moody.lines("half") == []


def test_a_finished_recipe_is_not_run_again(school: School, capfd: pytest.CaptureFixture[str]) -> None:
    school.usual(steps=8)
    assert school.train(*NEVER) == 0
    before = (school.out / "ledger.jsonl").read_bytes()
    capfd.readouterr()
    assert school.train(*NEVER) == 0
    out, err = capfd.readouterr()
    assert err.count("| done") == 3
    assert "First" in out
    assert (school.out / "ledger.jsonl").read_bytes() == before
    assert school.sessions("first") == ["from 0"]


def test_other_settings_are_not_mixed_with_what_is_done(
    school: School, capfd: pytest.CaptureFixture[str]
) -> None:
    school.usual()
    shutil.copytree(school.base, school.folder / "other")
    (school.folder / "other" / "config.json").write_text((school.base / "config.json").read_text() + " ")
    assert school.train(*NEVER) == 0
    for flag, value, said in (
        (
            "--set",
            "first.learning_rate=0.5",
            "school:first was made with learning_rate: not given, and now it is 0.5",
        ),
        ("--set", "second.steps=3", "school:second was made with steps: 2, and now it is 3"),
        ("--set", "first.data.size=3", "school:first was made with data.size: not given, and now it is 3"),
        ("--base", "other", "school:first was made from another base than it would be now"),
    ):
        capfd.readouterr()
        assert school.train(*NEVER, flag, value) == 1
        error = capfd.readouterr().err.strip()
        assert said in error
        assert "\n" not in error
        assert "--out" in error
        assert school.train("--dry-run", flag, value, "--out", "elsewhere") == 0


def test_other_training_rows_are_noticed(school: School, capfd: pytest.CaptureFixture[str]) -> None:
    school.usual(die_at=3)
    assert school.train(*NEVER) == 1
    rows = school.folder / "rows.jsonl"
    rows.write_text(rows.read_text().replace("What is", "How much is"))
    capfd.readouterr()
    assert school.train(*NEVER) == 1
    assert "school:first was begun with other training data" in capfd.readouterr().err


def test_two_commands_do_not_share_a_folder(school: School, capfd: pytest.CaptureFixture[str]) -> None:
    slow(school)
    process = school.start(*NEVER)
    begun(school, "first", 1)
    assert school.train(*NEVER) == 1
    assert f"is being written by process {process.pid}" in capfd.readouterr().err
    process.terminate()  # as a cluster does
    process.communicate()
    assert process.returncode == 130


def test_a_second_command_leaves_the_recipe_of_the_first_alone(school: School) -> None:
    slow(school)
    process = school.start(*NEVER)
    begun(school, "first", 1)
    before = (school.out / "recipe.yaml").read_bytes()
    assert school.train(*NEVER, "--set", "evaluate.n=3") == 1
    assert (school.out / "recipe.yaml").read_bytes() == before
    process.terminate()
    process.communicate()


def test_a_stage_that_ends_though_it_was_asked_to_stop_is_the_last(school: School) -> None:
    school.usual(steps=8, seconds=0.15, deaf=True)
    process = school.start(*NEVER)
    begun(school, "first", 3)
    process.send_signal(signal.SIGINT)
    assert last_line(process) == "harness: interrupted: the same command goes on"
    assert process.returncode == 130
    assert (school.work("first") / "done.json").exists()
    assert not school.work("second").exists()
    assert school.train(*NEVER) == 0
    whole(school)
    assert school.sessions("first") == ["from 0"]


def test_what_a_killed_command_left_may_come_to_the_end_while_the_next_one_waits(school: School) -> None:
    school.usual(steps=8, seconds=0.3, save_steps=2, deaf=True)
    process = school.start(*NEVER)
    begun(school, "first", 3)
    process.kill()
    process.communicate()
    assert school.train(*NEVER) == 0
    whole(school)
    assert school.sessions("first") == ["from 0"]


def test_checkpoints_that_were_saved_after_the_kill_are_evaluated_too(
    school: School, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moody = Moody(tmp_path / "moody")
    monkeypatch.setenv("PYTHONPATH", moody.path)
    monkeypatch.syspath_prepend(str(moody.folder))
    school.usual(evaluate={**EVALUATE, "saves": True}, steps=8, save_steps=4, die_at=5)
    assert school.train("--stage", "first") == 1
    shutil.rmtree(school.out / "models" / "First-checkpoint-4")  # as if nobody had looked
    assert school.train("--stage", "first") == 0
    assert set(scores_of(school.folder / "results")) == {"base", "First-checkpoint-4", "First"}


def test_states_that_were_being_removed_when_the_command_was_killed_go(school: School) -> None:
    school.usual()
    assert school.train(*NEVER) == 0
    (school.work("first") / "state" / "checkpoint-2").mkdir(parents=True)
    assert school.train(*NEVER) == 0
    assert not (school.work("first") / "state").exists()


def test_another_title_makes_no_stage_again(school: School, capfd: pytest.CaptureFixture[str]) -> None:
    school.usual()
    assert school.train(*NEVER) == 0
    recipe = school.folder / "school.yaml"
    recipe.write_text(recipe.read_text().replace("title: Second", "title: Other"))
    capfd.readouterr()
    assert school.train(*NEVER) == 1
    error = capfd.readouterr().err.strip()
    assert "stage school:second was made as trained/school/models/Second and would be Other now" in error
    assert school.sessions("second") == ["from 0"]


def test_a_bill_that_cannot_be_written_for_a_moment_stops_no_training(
    school: School, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    note, noted = Session.note, [0]

    def full(session: Session, *, complete: bool = False) -> Entry:
        noted[0] += 1
        if noted[0] == 2:  # the first one is at the start, when nothing is lost by it
            raise HarnessError("no space left to write ledger.jsonl")
        return note(session, complete=complete)

    monkeypatch.setattr(Session, "note", full)
    slow(school)
    assert school.train(*NEVER) == 0
    assert "no space left to write ledger.jsonl" in capfd.readouterr().err
    whole(school)
    assert school.sessions("first") == ["from 0"]


def test_a_model_that_no_stage_has_made_is_left_alone(
    school: School, capfd: pytest.CaptureFixture[str]
) -> None:
    school.usual()
    shutil.copytree(school.base, school.out / "models" / "First")
    assert school.train(*NEVER) == 1
    assert "models/First is there and no stage of this run has made it" in capfd.readouterr().err
    assert (school.out / "models" / "First" / "config.json").is_file()


def test_a_process_that_is_gone_has_no_mark() -> None:
    process = subprocess.Popen(["sleep", "60"])
    mark = process_mark(process.pid)
    assert mark is not None
    assert mark[0] == process.pid
    process.kill()
    wait_until(lambda: process_mark(process.pid) is None)
    process.wait()
    assert process_mark(os.getpid()) == process_mark(os.getpid())

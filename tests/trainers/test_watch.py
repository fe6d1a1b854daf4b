"""`harness watch`: every whole checkpoint of a folder is evaluated, once, and the report follows."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import Command, one_line_error

from .watched import ASKED, CHAINS, FLAGS, Moody, copies, python, scores_of, wait_until

SLOW_WRITER = """
import os, sys, time
from pathlib import Path
source, target = Path(sys.argv[1]), Path(sys.argv[2])
target.mkdir(parents=True)
for name in ["tokenizer_config.json", "model.safetensors", "tokenizer.json", "config.json", "generation_config.json"]:
    data = (source / name).read_bytes()
    with (target / name).open("wb") as file:
        for part in range(4):
            file.write(data[len(data) * part // 4 : len(data) * (part + 1) // 4])
            file.flush()
            print(name, part, flush=True)
            time.sleep(0.15)
print("done", flush=True)
"""


def started(harness: Command, *arguments: object) -> subprocess.Popen[str]:
    return harness.start("watch", *arguments, "--interval", 0.2, "--settle", 0.5)


def ended(process: subprocess.Popen[str], how: int = signal.SIGINT) -> str:
    process.send_signal(how)
    return process.communicate(timeout=60)[1]


def test_once_evaluates_the_base_and_every_checkpoint_and_writes_the_report(
    harness: Command, tiny: Path
) -> None:
    run = harness.folder / "run"
    copies(tiny, run / "checkpoint-10", run / "global_step_3" / "actor" / "huggingface")
    (run / "checkpoint-11").mkdir()
    shutil.copy(tiny / "config.json", run / "checkpoint-11")
    (run / "adapter").mkdir()
    (run / "adapter" / "adapter_config.json").write_text("{}")
    arguments = ["watch", run, *FLAGS, "--sampler", "openvino", "--base", tiny, "--once", "--settle", 0.2]
    done = harness(*arguments)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.split("\n")
    evaluated = [line.split()[2].rstrip(":") for line in lines if line.startswith("harness: evaluated")]
    names = ["model", "run-global_step_3", "run-checkpoint-10"]
    assert evaluated == names
    assert any("checkpoint-11 is left out: it has no weights" in line for line in lines)
    assert sum("merge the adapter into its base model first" in line for line in lines) == 1
    results = harness.folder / "results"
    scores = scores_of(results)
    assert sorted(scores) == sorted(names)
    assert {result["chains"] for result in scores.values()} == {CHAINS}
    for report in (results / "report.md", results / "report.html"):
        assert all(name in report.read_text() for name in names)
    assert not (run / ".harness").exists()

    chains = {file: file.stat().st_mtime_ns for file in results.glob("*/*/*/chains.parquet")}
    assert len(chains) == len(names)
    again = harness(*arguments, "--no-report")
    assert again.returncode == 0, again.stderr
    assert chains == {file: file.stat().st_mtime_ns for file in results.glob("*/*/*/chains.parquet")}


def test_a_checkpoint_that_is_written_slowly_is_evaluated_when_it_is_whole(
    harness: Command, tiny: Path, moody: Moody
) -> None:
    run = harness.folder / "run"
    process = started(harness, run, *FLAGS, "--sampler", "moody")
    assert process.stderr is not None
    while "is not there (yet)" not in process.stderr.readline():
        assert process.poll() is None
    killed = python(SLOW_WRITER, tiny, run / "checkpoint-1")
    for _ in range(10):  # in the middle of the tokenizer
        assert killed.stdout is not None
        killed.stdout.readline()
    killed.kill()
    killed.communicate()
    whole = python(SLOW_WRITER, tiny, run / "checkpoint-2")
    said, _ = whole.communicate()
    assert "done" in said
    results = harness.folder / "results"
    wait_until(lambda: (results / "report.html").exists() and scores_of(results))
    told = ended(process)
    assert process.returncode == 130
    assert list(scores_of(results)) == ["run-checkpoint-2"]
    assert [line.split()[0] for line in moody.lines("opened")] == ["run-checkpoint-2"]
    assert not moody.lines("half")
    assert one_line_error(subprocess.CompletedProcess([], 130, "", told)) == "harness: interrupted"


def test_killed_in_an_evaluation_and_started_again_no_chain_is_sampled_twice(
    harness: Command, tiny: Path, moody: Moody
) -> None:
    run = harness.folder / "run"
    copies(tiny, run / "checkpoint-1", run / "checkpoint-2")
    moody.set("seconds", 0.3)
    arguments = [run, *FLAGS, "--n", 8, "--sampler", "moody", "--no-report"]
    process = started(harness, *arguments)
    wait_until(lambda: len(moody.lines("chains")) >= 3)
    engine = int(moody.lines("opened")[0].split()[1])
    ended(process, signal.SIGKILL)
    at_once = started(harness, *arguments)  # its predecessor's engine may still be storing what it has
    wait_until(lambda: not Path(f"/proc/{engine}").exists())
    moody.set("seconds", 0)
    results = harness.folder / "results"
    wait_until(lambda: len(scores_of(results)) == 2)
    told = ended(at_once)
    chains = moody.lines("chains")
    assert len(set(chains)) == len(chains), told
    assert {result["chains"] for result in scores_of(results).values()} == {16}
    assert "could not be evaluated" not in told


def test_ctrl_c_stops_the_evaluation_at_once_and_leaves_nothing_running(
    harness: Command, tiny: Path, moody: Moody
) -> None:
    run = harness.folder / "run"
    copies(tiny, run / "checkpoint-1")
    moody.set("seconds", 0.5)
    process = started(harness, run, *FLAGS, "--n", 100, "--sampler", "moody", "--once")
    wait_until(lambda: moody.lines("chains"))
    engine = int(moody.lines("opened")[0].split()[1])
    began = time.monotonic()
    told = ended(process)
    assert process.returncode == 130
    assert time.monotonic() - began < 10
    assert not Path(f"/proc/{engine}").exists()
    assert "1 evaluation is left unfinished: the same command goes on with them" in told
    assert "Traceback" not in told


def test_an_evaluation_that_fails_is_tried_again_and_one_that_goes_on_failing_is_told_of(
    harness: Command, tiny: Path, moody: Moody
) -> None:
    run = harness.folder / "run"
    copies(tiny, run / "checkpoint-1", run / "checkpoint-2")
    moody.set("failures", 1)
    asked = ["watch", run, *FLAGS, "--sampler", "moody", "--once", "--settle", 0.1, "--no-report"]
    first = harness(*asked, "--attempts", 1)
    assert first.returncode == 1
    assert (
        "run-checkpoint-1 could not be evaluated: its process was ended by SIGABRT. Last it said"
        in first.stderr
    )
    assert list(scores_of(harness.folder / "results")) == ["run-checkpoint-2"]
    second = harness(*asked)
    assert second.returncode == 0, second.stderr
    assert sorted(scores_of(harness.folder / "results")) == ["run-checkpoint-1", "run-checkpoint-2"]


def test_a_checkpoint_that_is_removed_while_it_waits_is_a_line_and_no_error(
    harness: Command, tiny: Path, moody: Moody
) -> None:
    run = harness.folder / "run"
    copies(tiny, run / "checkpoint-1", run / "checkpoint-2", run / "checkpoint-3")
    moody.set("seconds", 0.4)
    asked = ["watch", run, *FLAGS, "--sampler", "moody", "--once", "--settle", 0.1, "--no-report"]
    process = harness.start(*asked)
    wait_until(lambda: moody.lines("chains"))
    shutil.rmtree(run / "checkpoint-2")
    (run / "checkpoint-3" / "model.safetensors").unlink()
    moody.set("seconds", 0)
    told = process.communicate(timeout=60)[1]
    assert process.returncode == 0, told
    assert f"run-checkpoint-2 is not evaluated: {run / 'checkpoint-2'} is gone" in told
    assert "checkpoint-3 is no whole model any more: it has no weights" in told
    assert list(scores_of(harness.folder / "results")) == ["run-checkpoint-1"]


def test_kept_checkpoints_are_evaluated_after_they_are_removed(
    harness: Command, tiny: Path, moody: Moody
) -> None:
    run = harness.folder / "run"
    copies(tiny, run / "checkpoint-1", run / "checkpoint-2")
    moody.set("seconds", 0.4)
    process = harness.start(
        "watch", run, *FLAGS, "--sampler", "moody", "--keep", "--once", "--settle", 0.1, "--no-report"
    )
    wait_until(lambda: moody.lines("chains"))
    shutil.rmtree(run / "checkpoint-2")
    moody.set("seconds", 0)
    told = process.communicate(timeout=60)[1]
    assert process.returncode == 0, told
    assert sorted(scores_of(harness.folder / "results")) == ["run-checkpoint-1", "run-checkpoint-2"]
    assert not (run / ".harness").exists()


def test_the_evaluating_process_has_its_own_devices_and_does_not_join_the_training(
    harness: Command, tiny: Path, moody: Moody, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = harness.folder / "run"
    copies(tiny, run / "checkpoint-1")
    monkeypatch.setenv("RANK", "0")
    asked = [
        "watch",
        run,
        *FLAGS,
        "--sampler",
        "moody",
        "--no-report",
        "--once",
        "--settle",
        0,
        "--devices",
        "7",
    ]
    done = harness(*asked)
    assert done.returncode == 0, done.stderr
    assert [line.split()[2:] for line in moody.lines("opened")] == [["7", "None"]]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere", *FLAGS, "--once"], "nowhere is not a folder"),
        ([".", *FLAGS, "--once", "--settle", 0], "holds no whole checkpoint"),
        ([".", "--n", 2, "--once"], "--bench is missing"),
        ([".", "--bench", "aime52", "--once"], "did you mean aime25"),
        ([".", *FLAGS, "--sampler", "openvin", "--once"], "no sampler is called"),
        ([".", *FLAGS, "--once", "--base", "./nothing"], "there is no such file or folder"),
        (
            [".", *FLAGS, "--once", "--where", "process", "--devices", "1"],
            "devices are for evaluations in another",
        ),
    ],
)
def test_what_makes_no_sense_is_said_before_anything_is_watched(
    harness: Command, arguments: list[object], said: str
) -> None:
    done = harness("watch", *arguments)
    assert done.returncode in (1, 2)
    assert said in one_line_error(done)


def test_flags_come_from_a_run_file_too(harness: Command, tiny: Path, moody: Moody) -> None:
    copies(tiny, harness.folder / "run" / "checkpoint-1")
    file = harness.folder / "run.yaml"
    file.write_text(json.dumps({**ASKED, "sampler": "moody", "results": "elsewhere"}))
    asked = [
        "watch",
        "run",
        "--config",
        file,
        "--once",
        "--settle",
        0,
        "--where",
        "process",
        "--name",
        "seven",
        "--no-report",
    ]
    done = harness(*asked)
    assert done.returncode == 0, done.stderr
    assert list(scores_of(harness.folder / "elsewhere")) == ["seven-checkpoint-1"]
    assert int(moody.lines("opened")[0].split()[1]) != os.getpid()

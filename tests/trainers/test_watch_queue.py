"""The queue of evaluations that recipes, callbacks and `harness watch` share."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.errors import Busy, HarnessError
from harness.files import lock
from harness.models import resolve_model
from harness.plugins import PluginManager, load_plugins
from harness.results import Finished
from harness_trainers.watching import job as job_module
from harness_trainers.watching import outcome as outcome_module
from harness_trainers.watching import report as report_module
from harness_trainers.watching.evaluations import Evaluations
from harness_trainers.watching.outcome import Outcome, carry_out
from harness_trainers.watching.report import Watched, write_report

from .watched import ASKED, Moody, copies, scores_of, wait_until

FLAGS: Mapping[str, Any] = {**ASKED, "sampler": "moody"}


@pytest.fixture
def here(moody: Moody, monkeypatch: pytest.MonkeyPatch) -> Moody:
    monkeypatch.syspath_prepend(str(moody.folder))
    monkeypatch.delitem(sys.modules, "harness_moody", raising=False)
    return moody


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def queue(here: Moody, tmp_path: Path, told: list[str]) -> Evaluations:
    return Evaluations(tmp_path / "results", where="process", told=told.append, pause=0.01)


def test_evaluations_come_in_order_and_what_follows_each_cannot_stop_them(
    here: Moody, tiny: Path, tmp_path: Path, told: list[str]
) -> None:
    seen: list[int] = []

    def after_each() -> None:
        seen.append(len(scores_of(tmp_path / "results")))
        raise ValueError("no more paper")

    copies(tiny, tmp_path / "one", tmp_path / "two")
    with Evaluations(tmp_path / "results", where="process", told=told.append, after_each=after_each) as queue:
        queue.submit(tmp_path / "one", FLAGS)
        queue.submit(tmp_path / "two", {**FLAGS, "bench": ()})  # asked not to evaluate
        queue.submit(tmp_path / "two", FLAGS)
        assert queue.wait() == []
        assert queue.done == ["one", "two"]
    assert seen == [1, 2]
    assert told == [
        "evaluated one: fresh:level=1,seed=0,size=2 pass@1 0.0",
        "one: ValueError: no more paper",
        "evaluated two: fresh:level=1,seed=0,size=2 pass@1 0.0",
        "two: ValueError: no more paper",
    ]


def test_a_model_can_be_called_otherwise_than_its_folder(
    queue: Evaluations, tiny: Path, tmp_path: Path
) -> None:
    copies(tiny, tmp_path / "a" / "huggingface")
    with queue:
        queue.submit(tmp_path / "a" / "huggingface", FLAGS, "ppo-step-4")
    assert list(scores_of(tmp_path / "results")) == ["ppo-step-4"]
    assert not (tmp_path / "a" / ".harness").exists()


def test_what_can_never_work_is_tried_once_and_the_rest_goes_on(
    queue: Evaluations, tiny: Path, tmp_path: Path, told: list[str]
) -> None:
    with queue:
        queue.submit(tiny, {**FLAGS, "n": 0})
        queue.submit("no-such-model", FLAGS)
        queue.submit(tmp_path / "gone", FLAGS)
        queue.submit(tiny, FLAGS)
        failures = queue.wait()
    assert [(failure.name, failure.attempts) for failure in failures] == [("model", 1), ("no-such-model", 3)]
    assert "--n" in failures[0].reason
    assert "unknown model" in failures[1].reason
    assert f"gone is not evaluated: {tmp_path / 'gone'} is gone" in told
    assert list(scores_of(tmp_path / "results")) == ["model"]


def test_one_that_another_process_is_at_waits_for_it_and_is_no_failure(
    queue: Evaluations, tiny: Path, tmp_path: Path, told: list[str]
) -> None:
    with queue:
        queue.submit(tiny, FLAGS)
        queue.wait()
        (run,) = (tmp_path / "results").glob("*/*/*/")
        (run / "scores.json").unlink()
        with lock(run):
            queue.submit(tiny, FLAGS)
            wait_until(lambda: len(told) == 2)
            assert "model waits: " in told[1]
            assert "is being written by" in told[1]
        assert queue.wait() == []
    assert list(scores_of(tmp_path / "results")) == ["model"]


def test_what_another_process_writes_for_long_is_looked_at_ever_more_seldom(
    queue: Evaluations, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    outcomes = [Outcome("done"), *[Outcome("busy", "somebody has it")] * 12]
    monkeypatch.setattr(queue, "_attempt", lambda job: outcomes.pop())
    monkeypatch.setattr(queue.stopping, "wait", pauses.append)
    with queue:
        queue.submit(tiny, FLAGS)
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1], len(pauses)) == (1, 30, 12)


def test_only_the_lock_of_a_run_says_that_it_is_busy(
    plugins: PluginManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[HarnessError] = [Busy("wait"), HarnessError("the cat is being written by hand")]

    def refuses(*_: object) -> None:
        raise said.pop(0)

    monkeypatch.setattr(outcome_module, "evaluate", refuses)
    assert [carry_out({"bench": "aime25"}, plugins).kind for _ in range(2)] == ["busy", "failed"]


def test_weights_that_are_written_while_they_are_loaded_are_not_sampled(
    queue: Evaluations, here: Moody, tiny: Path, tmp_path: Path, told: list[str]
) -> None:
    copies(tiny, tmp_path / "m")
    here.set("rewrites", 1)
    with queue:
        queue.submit(tmp_path / "m", FLAGS)
    assert told[0] == f"m: attempt 1 of 3 failed: {tmp_path / 'm'} was written to while it was loaded"
    assert told[1].startswith("evaluated m")
    (run,) = (file.parent for file in (tmp_path / "results").rglob("scores.json"))
    identity = resolve_model(str(tmp_path / "m"), []).identity()
    assert json.loads((run / "run.json").read_text())["model"].items() >= identity.items()
    assert not [file for file in (tmp_path / "results").rglob("chains.*") if file.parent != run]


@pytest.mark.parametrize("held", [True, False])
def test_a_checkpoint_that_is_being_saved_again_when_its_turn_comes_is_waited_for(
    queue: Evaluations,
    here: Moody,
    tiny: Path,
    tmp_path: Path,
    told: list[str],
    monkeypatch: pytest.MonkeyPatch,
    held: bool,
) -> None:
    """In place, at full length from the first byte on: nothing but its time tells. Links share what is written."""
    monkeypatch.setattr(job_module, "SETTLE_SECONDS", 0.3)
    copies(tiny, tmp_path / "one", tmp_path / "two")
    file = tmp_path / "two" / "model.safetensors"
    whole = file.read_bytes()
    here.set("seconds", 0.3)

    def save() -> None:
        with file.open("r+b") as out:
            for place in range(40):
                out.seek(place - 40, os.SEEK_END)
                out.write(b"\0")
                out.flush()
                time.sleep(0.05)
            out.seek(0)
            out.write(whole)

    saver = threading.Thread(target=save)
    with queue:
        queue.submit(tmp_path / "one", FLAGS)
        queue.submit(tmp_path / "two", FLAGS, aside=tmp_path / "held" if held else None)
        wait_until(lambda: here.lines("chains"))
        saver.start()
        queue.wait()
        saver.join()
        queue.submit(tmp_path / "two", FLAGS)
    opened = [line.split()[0] for line in here.lines("opened")]
    assert opened == ["one", "two"], told
    assert any("two cannot be used: it is still being written" in line for line in told)
    (run,) = (tmp_path / "results").glob("two/*/*/run.json")  # of what is whole, and of nothing else
    assert (
        json.loads(run.read_text())["model"]["content"]
        == resolve_model(str(tmp_path / "two"), []).identity()["content"]
    )


def test_an_engine_that_ends_its_process_does_not_end_the_queue(
    queue: Evaluations, here: Moody, tiny: Path, tmp_path: Path, told: list[str]
) -> None:
    here.set("exits", 1)
    with queue:
        queue.submit(tiny, FLAGS)
        assert queue.wait() == []
    assert told[0] == "model: attempt 1 of 3 failed: SystemExit: the engine has had enough"
    assert list(scores_of(tmp_path / "results")) == ["model"]


def test_where_no_process_can_be_started_it_is_tried_again(
    here: Moody, tiny: Path, tmp_path: Path, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = ["No space left on device"]
    mkdtemp = tempfile.mkdtemp

    def full(*arguments: Any, **options: Any) -> str:
        if failures:
            raise OSError(28, failures.pop())
        return mkdtemp(*arguments, **options)

    monkeypatch.setattr(tempfile, "mkdtemp", full)
    with Evaluations(tmp_path / "results", told=told.append, pause=0.01) as queue:
        queue.submit(tiny, FLAGS)
        assert queue.wait() == []
    assert told[0].startswith("model: attempt 1 of 3 failed: OSError: ")
    assert list(scores_of(tmp_path / "results")) == ["model"]


def test_the_report_says_what_went_wrong_and_never_raises(
    queue: Evaluations, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugins, results, stem = load_plugins(), tmp_path / "results", tmp_path / "out" / "report"
    assert write_report(results, stem, plugins=plugins) is None
    assert not stem.parent.exists()
    with queue:
        queue.submit(tiny, FLAGS)
    assert write_report(results, stem, plugins=plugins, baseline="not yet", training=tmp_path) is None
    before = stem.with_suffix(".md").read_bytes()
    assert b"model" in before
    assert sorted(path.name for path in stem.parent.iterdir()) == ["report.html", "report.md", "report_files"]
    stem.with_suffix(".html").unlink()
    stem.with_suffix(".html").mkdir()
    said = write_report(results, stem, plugins=plugins) or ""
    assert said.startswith("the html report is not written: ")
    assert stem.with_suffix(".md").read_bytes() == before

    def fails(*_: object) -> None:
        raise OSError("disk on fire")

    monkeypatch.setattr(report_module, "finished_below", fails)
    assert write_report(results, stem, plugins=plugins) == "the report is not written: OSError: disk on fire"


def test_a_report_is_due_when_results_changed(queue: Evaluations, tiny: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    watched = Watched(results)
    with queue:
        queue.submit(tiny, FLAGS)
    assert watched.is_due(more=False)
    assert not watched.is_due(more=False)
    (file,) = results.rglob("scores.json")
    file.write_bytes(file.read_bytes() + b"\n")
    assert not watched.is_due(more=True)  # one was written a moment ago, another follows
    assert watched.is_due(more=False)
    shutil.rmtree(results)
    assert watched.is_due(more=False)


def test_only_published_figures_on_measured_benchmarks_stand_in_the_report(
    plugins: PluginManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[set[str]] = []
    results = [
        {"model": "m", "benchmark": "aime25", "protocol": "", "temperature": 0, "top_p": 1, "max_tokens": 1}
    ]
    monkeypatch.setattr(report_module, "find_runs", lambda paths: paths)
    monkeypatch.setattr(report_module, "finished_below", lambda paths: Finished(results))
    monkeypatch.setattr(
        report_module, "_write", lambda report, *_: seen.append({row.benchmark for row in report.published})
    )
    assert write_report(tmp_path, tmp_path / "report", plugins=plugins) is None
    assert write_report(tmp_path, tmp_path / "report", plugins=plugins, published=False) is None
    assert seen == [{"aime25"}, {"aime25"}, set(), set()]

"""Verdicts of a run that is going on: readers see each as it falls, and a run that goes on takes them over."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness import (
    Benchmark,
    Chain,
    Engine,
    Extraction,
    Fit,
    Grade,
    HarnessError,
    Normalizer,
    Problem,
    Request,
    Sampler,
    Verdict,
    hookimpl,
)
from harness.config import load_config
from harness.evaluation import evaluate
from harness.grades import GradeJournal
from harness.plugins import PluginManager, load_plugins
from harness.progress import Progress
from harness.records import Status
from harness.regrade import regrade
from harness.store import RunFolder

from ..conftest import Command, one_line_error
from .test_run import chains_of, golds, journal_keys, replay, wait_until

__all__ = ["golds"]  # a fixture

STOP = ("n1", 2)
"""The chain before which a run is interrupted: seven of the twelve are stored by then."""


class Numbers(Benchmark):
    name = "numbers"
    normalizer = "counted"

    def problems(self, data: object) -> list[Problem]:
        return [Problem(f"n{i}", f"Say {i}.", str(i)) for i in range(3)]


class Counted(Normalizer):
    """Takes the last word for the answer, and counts how often it is asked."""

    name = "counted"
    version = "1"
    bounded_extract = True
    asked = 0

    def extract(self, text: str) -> Extraction | None:
        self.asked += 1
        word = text.split()[-1]
        return None if word == "nothing" else Extraction(word, "last word")

    def quick_key(self, answer: str) -> str:
        return answer

    def quick_same(self, answer: str, gold: str) -> Verdict:
        return Verdict(answer == gold, "spelling", scores={"length": len(answer)})


class Scripted(Sampler):
    """Its chains are right, wrong or without an answer; a test may look on, or stop it, before each."""

    name = "scripted"
    needs_weights = False

    def __init__(self) -> None:
        self.before: Callable[[tuple[str, int]], None] = lambda key: None

    def fit(self, model: object) -> Fit:
        return Fit(0, "")

    @contextmanager
    def open(self, model: object, settings: object, options: object) -> Iterator[Engine]:
        yield ScriptedEngine(self)


class ScriptedEngine(Engine):
    def __init__(self, sampler: Scripted) -> None:
        self.sampler = sampler

    def sample(self, requests: Iterable[Request]) -> Iterator[Chain]:
        for request in sorted(requests, key=lambda r: (r.key.index, r.key.problem_id)):
            id_, index = request.key.problem_id, request.key.index
            self.sampler.before((id_, index))
            said = [id_[1:], "17", "nothing", id_[1:]][(index + int(id_[1:])) % 4]
            yield request.chain(f"It is {said}", completion_tokens=5 + index)


def interrupt(key: tuple[str, int]) -> None:
    if key == STOP:
        raise KeyboardInterrupt


@pytest.fixture
def sampler() -> Scripted:
    return Scripted()


@pytest.fixture
def normalizer() -> Counted:
    return Counted()


@pytest.fixture
def manager(sampler: Scripted, normalizer: Counted) -> PluginManager:
    class Plugin:
        @hookimpl
        def harness_benchmarks(self) -> list[Benchmark]:
            return [Numbers()]

        @hookimpl
        def harness_normalizers(self) -> list[Normalizer]:
            return [normalizer]

        @hookimpl
        def harness_samplers(self) -> list[Sampler]:
            return [sampler]

    plugins = load_plugins()
    plugins.register(Plugin(), "scripted")
    return plugins


@pytest.fixture
def run(manager: PluginManager, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    def run(n: int = 4, results: str = "results", progress: Progress | None = None) -> dict[str, Any]:
        flags = {"bench": "numbers", "sampler": "scripted", "model": "m", "n": n}
        (result,) = evaluate(load_config(None, {**flags, "results": tmp_path / results}), manager, progress)
        return result

    return run


@pytest.fixture
def interrupted(run: Callable[..., dict[str, Any]], sampler: Scripted, tmp_path: Path) -> Path:
    """The journal of grades of a run that was stopped after seven chains of twelve."""
    sampler.before = interrupt
    with pytest.raises(HarnessError, match="interrupted"):
        run()
    sampler.before = lambda key: None
    (journal,) = tmp_path.rglob("grades.jsonl")
    return journal


def lines_of(journal: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in journal.read_bytes().split(b"\n")[:-1]]


def undisturbed(result: dict[str, Any], run: Callable[..., dict[str, Any]]) -> None:
    """The result, and scores.json, are what a run without any interruption comes to."""
    expected = run(results="undisturbed")
    ours, theirs = (
        {key: value for key, value in one.items() if key not in ("path", "cost")}
        for one in (result, expected)
    )
    assert ours == theirs
    stored = [json.loads((Path(one["path"]) / "scores.json").read_text()) for one in (result, expected)]
    assert {**stored[0], "path": "", "cost": {}} == {**stored[1], "path": "", "cost": {}}
    grades = [RunFolder.of(Path(one["path"])).read_grades() for one in (result, expected)]
    assert grades[0] == grades[1]


def test_readers_see_each_verdict_as_it_falls(
    run: Callable[..., dict[str, Any]], sampler: Scripted, tmp_path: Path
) -> None:
    seen: list[int] = []

    def look(key: tuple[str, int]) -> None:
        seen.append(sum(len(lines_of(journal)) - 1 for journal in tmp_path.rglob("grades.jsonl")))

    sampler.before = look
    run()
    assert seen[1:] == list(range(1, 12))


def test_a_line_says_all_of_a_verdict_and_the_first_line_who_gave_it(interrupted: Path) -> None:
    head, *grades = lines_of(interrupted)
    assert head == {"grader": "counted 1"}
    assert len(grades) == 7
    assert grades[0] == {
        "problem_id": "n0",
        "index": 0,
        "status": "correct",
        "answer": "0",
        "answer_class": "0",
        "rule": "last word/spelling",
        "scores": {"length": 1},
    }
    silent = next(grade for grade in grades if grade["status"] == "no_answer")
    assert silent["answer"] is None
    assert "scores" not in silent


def test_a_run_that_goes_on_grades_no_chain_twice_and_comes_to_the_same(
    run: Callable[..., dict[str, Any]], normalizer: Counted, interrupted: Path
) -> None:
    before = interrupted.read_bytes()
    assert normalizer.asked == 7
    result = run()
    assert normalizer.asked == 12
    assert before.count(b"\n") == 8
    undisturbed(result, run)


def test_taking_verdicts_over_is_worth_no_message(
    run: Callable[..., dict[str, Any]], interrupted: Path
) -> None:
    notes: list[str] = []

    class Notes(Progress):
        def note(self, text: str) -> None:
            notes.append(text)

    run(progress=Notes())
    assert not [note for note in notes if "grad" in note]


def test_it_goes_when_the_run_is_complete(run: Callable[..., dict[str, Any]], interrupted: Path) -> None:
    result = run()
    assert not interrupted.exists()
    assert sorted(path.name for path in Path(result["path"]).iterdir()) == [
        ".lock",
        "chains.parquet",
        "grades.parquet",
        "problems.parquet",
        "run.json",
        "scores.json",
    ]


def test_verdicts_of_another_grader_are_not_taken_over(
    run: Callable[..., dict[str, Any]], sampler: Scripted, normalizer: Counted, interrupted: Path
) -> None:
    normalizer.version = "2"
    normalizer.asked = 0
    sampler.before = interrupt  # at once: the next chain is that one
    with pytest.raises(HarnessError, match="interrupted"):
        run()
    assert normalizer.asked == 7
    assert lines_of(interrupted)[0] == {"grader": "counted 2"}
    assert len(lines_of(interrupted)) == 8


@pytest.mark.parametrize(
    ("damage", "graded_again"),
    [
        pytest.param(lambda data: data[:-20], 1, id="torn"),
        pytest.param(lambda data: data + b'{"problem_id":"n0","ind', 0, id="torn behind"),
        pytest.param(
            lambda data: data.replace(b'"status":"no_answer"', b'"status":"splendid"'), 3, id="status"
        ),
        pytest.param(lambda data: data.replace(b'"index":1', b'"index":true'), 3, id="index"),
        pytest.param(lambda data: data.replace(b'"rule":"last word', b'"rule":7,"x":"'), 4, id="rule"),
        pytest.param(lambda data: data.replace(b'{"length":', b'{"length":[],"n":'), 4, id="scores"),
        pytest.param(lambda data: data.replace(b'"answer":"17"', b'"answer":{}'), 2, id="answer"),
        pytest.param(lambda data: data + b"\xff\xfe\n[]\nnull\n\n3\n", 0, id="no grades"),
        pytest.param(lambda data: data.replace(b'"n0"', b'"strange"'), 3, id="no such chains"),
        pytest.param(lambda data: data[1:], 7, id="no grader"),
        pytest.param(lambda data: data.split(b"\n", 1)[1], 7, id="no first line"),
        pytest.param(lambda data: b"", 7, id="empty"),
        pytest.param(lambda data: b"\x00" * len(data), 7, id="zeros"),
    ],
)
def test_what_cannot_be_read_is_graded_again(
    run: Callable[..., dict[str, Any]],
    normalizer: Counted,
    interrupted: Path,
    damage: Callable[[bytes], bytes],
    graded_again: int,
) -> None:
    interrupted.write_bytes(damage(interrupted.read_bytes()))
    normalizer.asked = 0
    result = run()
    assert normalizer.asked == 5 + graded_again
    undisturbed(result, run)


def test_a_damaged_file_is_begun_anew_with_what_could_be_read(
    run: Callable[..., dict[str, Any]], sampler: Scripted, interrupted: Path
) -> None:
    good = interrupted.read_bytes()
    interrupted.write_bytes(good + b'rubbish\n{"torn')
    before = interrupted.stat().st_ino
    sampler.before = interrupt
    with pytest.raises(HarnessError, match="interrupted"):
        run()
    assert interrupted.read_bytes() == good
    assert interrupted.stat().st_ino != before  # whoever reads it sees another file


@pytest.mark.parametrize("status", ["timeout", "error"])
def test_what_a_failure_decided_is_tried_again(
    run: Callable[..., dict[str, Any]], normalizer: Counted, interrupted: Path, status: Status
) -> None:
    lines = interrupted.read_bytes().split(b"\n")
    lines[1] = lines[1].replace(b'"correct"', f'"{status}"'.encode())
    interrupted.write_bytes(b"\n".join(lines))
    normalizer.asked = 0
    result = run()
    assert normalizer.asked == 5 + 1
    undisturbed(result, run)


def test_a_question_about_less_leaves_nothing_behind_in_a_complete_run(
    run: Callable[..., dict[str, Any]], normalizer: Counted
) -> None:
    result = run()
    normalizer.version = "2"
    assert run(n=2)["grader"] == "counted 2"
    assert not (Path(result["path"]) / "grades.jsonl").exists()


def test_grading_again_by_hand_outdates_it(
    run: Callable[..., dict[str, Any]],
    sampler: Scripted,
    normalizer: Counted,
    manager: PluginManager,
) -> None:
    result = run(n=2)
    sampler.before = interrupt
    with pytest.raises(HarnessError, match="interrupted"):
        run()
    journal = Path(result["path"]) / "grades.jsonl"
    assert journal.exists()
    regrade(Path(result["path"]), manager, pool=None, note=print)  # type: ignore[arg-type]
    assert not journal.exists()


def test_a_topped_up_run_that_was_interrupted_comes_to_the_same(
    run: Callable[..., dict[str, Any]], sampler: Scripted, normalizer: Counted
) -> None:
    run(n=2)
    sampler.before = interrupt
    with pytest.raises(HarnessError, match="interrupted"):
        run()
    sampler.before = lambda key: None
    result = run()
    assert normalizer.asked == 12
    undisturbed(result, run)


def test_a_folder_that_cannot_be_written_is_left_as_it_is(interrupted: Path) -> None:
    folder = RunFolder.of(interrupted.parent)
    folder.read_only = True
    before = {path.name: path.read_bytes() for path in interrupted.parent.iterdir()}
    assert len(folder.open_grades("counted 1")) == 7
    folder.append_grade(("n1", 2), Grade("correct"))
    assert folder.open_grades("another 1") == {}
    assert {path.name: path.read_bytes() for path in interrupted.parent.iterdir()} == before


def test_every_kind_of_text_comes_back(tmp_path: Path) -> None:
    journal = GradeJournal(tmp_path / "grades.jsonl", "g \u2028 1")
    grades = {
        ("p\u2028\n", 0): Grade("incorrect", "a\nb\u2028\x00\U0001f600", "c\x85", "r/\x1b", {"x": -1.5}),
        ("p", 2**40): Grade("truncated"),
    }
    for key, grade in grades.items():
        journal.append(key, grade)
    journal.close()
    assert GradeJournal(tmp_path / "grades.jsonl", "g \u2028 1").read(grades.keys()) == (grades, True)
    journal.append(("p", 1), Grade("incorrect", "lone \ud800"))
    journal.close()
    found, whole = journal.read([("p", 1)])
    assert (found["p", 1].answer, whole) == ("lone \ufffd", False)


def test_a_disk_that_is_full_for_a_verdict_costs_no_chain(
    harness: Command, golds: dict[str, str], write_chains: Callable[..., Path]
) -> None:
    rows = chains_of(golds, 40)
    for row in rows:  # a verdict that takes more room than its chain: answer and class repeat it
        row["text"] = f"\\boxed{{{'9' * 600}}}"
    path = write_chains(rows)
    arguments = harness.arguments(*replay(path))
    limited = ["bash", "-c", 'ulimit -f 200; trap "" XFSZ; exec "$@"', "bash", *arguments]  # 200 KiB a file
    done = subprocess.run(
        limited, cwd=harness.folder, env=harness.environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "no space left to write" in one_line_error(done)
    assert "grades.jsonl" in one_line_error(done)
    kept = journal_keys(harness.folder)
    assert 0 < len(kept) < 240
    after = harness(*replay(path))
    assert after.returncode == 0, after.stderr
    assert f"{len(kept)} stored already" in after.stderr


def test_a_killed_run_takes_its_verdicts_over_and_comes_to_the_same(
    harness: Command, golds: dict[str, str], write_chains: Callable[..., Path], tmp_path: Path
) -> None:
    path = write_chains([{**row, "text": "pad " * 30_000 + row["text"]} for row in chains_of(golds, 50)])
    process = harness.start(*replay(path))
    wait_until(lambda: any(file.stat().st_size > 5_000 for file in harness.folder.rglob("grades.jsonl")))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (journal,) = harness.folder.rglob("grades.jsonl")
    graded = [(row["problem_id"], row["index"]) for row in lines_of(journal)[1:]]
    assert set(graded) <= journal_keys(harness.folder)
    (resumed,) = harness.json(*replay(path))
    (expected,) = harness.json(*replay(path, "--results", tmp_path / "undisturbed"))
    assert {**resumed, "path": ""} == {**expected, "path": ""}
    assert not journal.exists()

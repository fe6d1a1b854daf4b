"""The run folder keeps every chain that it said is stored, whatever happens to the process or the disk."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from harness import Chain, Grade, HarnessError, Message, Problem, Prompt
from harness.files import write_atomically
from harness.store import RunFolder


def chain(problem_id: str = "p1", index: int = 0, text: str = "so \\boxed{4}", **more: object) -> Chain:
    return Chain("bench", problem_id, index, text, **more)  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run", "bench")


def stored(folder: RunFolder, order: tuple[str, ...] = ()) -> list[Chain]:
    reader = RunFolder(folder.path, "bench")
    with reader.writing():
        return list(reader.chains(order))


def test_a_stored_chain_is_there_in_the_next_process_with_every_field(folder: RunFolder) -> None:
    original = chain(
        text="a\u2028b\x00c 𝔸", finish_reason="length", completion_tokens=7, prompt_tokens=3, seed=9
    )
    with folder.writing():
        folder.append(original)
    assert stored(folder) == [original]


def test_lone_surrogates_in_model_output_do_not_stop_the_run(folder: RunFolder) -> None:
    with folder.writing():
        folder.append(chain(text="bad \ud800 pair \ud83d\ude00"))
    assert stored(folder)[0].text == "bad \ufffd pair 😀"


def test_a_chain_is_written_once(folder: RunFolder) -> None:
    with folder.writing():
        folder.append(chain(text="first"))
        folder.append(chain(text="second"))
    assert [c.text for c in stored(folder)] == ["first"]


@pytest.mark.parametrize(
    "torn", [b'{"problem_id":"p2","ind', b"\x00\x00\x00", b'{"problem_id":"p2","index":0}']
)
def test_a_torn_last_line_is_dropped_and_the_rest_is_kept(folder: RunFolder, torn: bytes) -> None:
    with folder.writing():
        folder.append(chain())
    with (folder.path / "chains.jsonl").open("ab") as journal:
        journal.write(torn)
    again = RunFolder(folder.path, "bench")
    with again.writing():
        assert again.keys == {("p1", 0)}
        again.append(chain("p2"))
    assert [c.problem_id for c in stored(folder)] == ["p1", "p2"]


def test_an_unreadable_line_in_the_middle_costs_only_its_own_chain(folder: RunFolder) -> None:
    with folder.writing():
        for index in range(3):
            folder.append(chain(index=index))
    journal = folder.path / "chains.jsonl"
    lines = journal.read_bytes().split(b"\n")
    lines[1] = b"\x00" * len(lines[1])
    journal.write_bytes(b"\n".join(lines))
    again = RunFolder(folder.path, "bench")
    with again.writing():
        assert again.keys == {("p1", 0), ("p1", 2)}
        assert again.unreadable == 1


def test_a_complete_run_is_one_parquet_file_sorted_by_problem_and_sample(folder: RunFolder) -> None:
    import pyarrow.parquet as pq

    with folder.writing():
        for problem_id, index in [("b", 1), ("a", 0), ("b", 0), ("a", 1)]:
            folder.append(chain(problem_id, index))
        folder.complete(["b", "a"])
    assert not (folder.path / "chains.jsonl").exists()
    table = pq.read_table(folder.path / "chains.parquet")
    rows = list(zip(table["problem_id"].to_pylist(), table["index"].to_pylist(), strict=True))
    assert rows == [("b", 0), ("b", 1), ("a", 0), ("a", 1)]


def test_a_completed_run_can_be_topped_up_and_completed_again(folder: RunFolder) -> None:
    with folder.writing():
        for problem_id in ("b", "a"):
            folder.append(chain(problem_id, 0))
        folder.complete(["b", "a"])
    with folder.writing():
        for problem_id in ("a", "b"):
            folder.append(chain(problem_id, 1))
        assert [(c.problem_id, c.index) for c in folder.chains(["b", "a"])] == [
            ("b", 0),
            ("b", 1),
            ("a", 0),
            ("a", 1),
        ]
        folder.complete(["b", "a"])
    assert [(c.problem_id, c.index) for c in stored(folder)] == [("b", 0), ("b", 1), ("a", 0), ("a", 1)]


def test_a_death_between_parquet_and_journal_leaves_no_chain_twice(folder: RunFolder) -> None:
    with folder.writing():
        folder.append(chain())
        journal = (folder.path / "chains.jsonl").read_bytes()
        folder.complete(["p1"])
    (folder.path / "chains.jsonl").write_bytes(journal)
    assert len(stored(folder)) == 1


def test_two_writers_on_one_run_the_second_is_told_who_holds_it(folder: RunFolder) -> None:
    with (
        folder.writing(),
        pytest.raises(HarnessError, match=f"process {os.getpid()} on"),
        RunFolder(folder.path, "bench").writing(),
    ):
        pass
    with RunFolder(folder.path, "bench").writing():
        pass  # the lock is free again


def test_grades_come_back_with_the_version_of_their_grader(folder: RunFolder) -> None:
    grades = {("p1", 0): Grade("correct", "4", "4", "boxed/integer"), ("p1", 1): Grade("truncated")}
    with folder.writing():
        folder.write_grades(grades, "math 7", ["p1"])
        read = folder.read_grades()
    assert read is not None
    assert read.grader == "math 7"
    assert read.grades == grades


def test_problems_come_back_in_order(folder: RunFolder) -> None:
    problems = [Problem("z", "Which?", "B", ("one", "two"), {"level": 3}), Problem("a", "1+1", "2")]
    with folder.writing():
        folder.write_problems(problems, [Prompt((Message("user", p.text),)) for p in problems])
        assert [(p.id, p.gold, p.choices) for p in folder.problems()] == [
            ("z", "B", ("one", "two")),
            ("a", "2", ()),
        ]


def test_a_folder_of_a_newer_format_is_refused(folder: RunFolder) -> None:
    with folder.writing():
        folder.write_info({"benchmark": {"label": "bench"}})
    info = json.loads((folder.path / "run.json").read_text())
    (folder.path / "run.json").write_text(json.dumps({**info, "format": 99}))
    with pytest.raises(HarnessError, match="format 99"):
        RunFolder.of(folder.path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_clear_error_and_the_old_file_stays(tmp_path: Path) -> None:
    target = tmp_path / "scores.json"
    target.write_text("old")

    def fail(file: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(HarnessError, match="no space left to write"):
        write_atomically(target, fail)
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["scores.json"]

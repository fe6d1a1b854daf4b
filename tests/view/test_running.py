"""A run is looked at while another process writes it: it is never disturbed, and the page keeps up."""

from __future__ import annotations

import json
import os
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import Chain, Grade, Message, Problem, Prompt
from harness.records import Status
from harness.store import RunFolder

from .serving import Served, Writer, serving
from .test_pages import rows_of

RUN = "/run/writer/made-up/f00d"


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    pytest.importorskip("starlette")
    writer = Writer(tmp_path / "writer" / "made-up" / "f00d")
    yield writer
    writer.end()


@pytest.fixture
def viewer(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path) as viewer:
        yield viewer


def state(viewer: Served) -> dict[str, object]:
    found: dict[str, object] = json.loads(viewer.get(f"/live?run={RUN.removeprefix('/run/')}").text)
    return found


def test_the_list_tells_how_far_a_run_has_got(writer: Writer, viewer: Served) -> None:
    assert "0 of 12 chains" in viewer.page("/")
    writer("chain", 5)
    page = viewer.page("/")
    assert "5 of 12 chains" in page
    assert "running" in page
    writer("chain", 2)
    assert "7 of 12 chains" in viewer.page("/")


def test_chains_can_be_read_as_soon_as_they_are_stored(writer: Writer, viewer: Served) -> None:
    writer("chain", 4)
    assert "chain number 3" in viewer.page(f"{RUN}/chain/p0/1")
    assert viewer.get(f"{RUN}/chain/p1/1").status == 404
    writer("chain")
    assert "chain number 4" in viewer.page(f"{RUN}/chain/p1/1")
    assert viewer.get(f"{RUN}/raw/p1/1").text == "chain number 4"
    page = viewer.page(f"{RUN}/problem/p0")
    assert page.count("not graded") >= 2
    assert viewer.page(f"{RUN}/problem/p0?q=number+3").count('class="row"') == 1


def test_every_new_chain_changes_the_state_that_pages_watch(writer: Writer, viewer: Served) -> None:
    before = state(viewer)
    assert before["running"] is True
    assert state(viewer)["state"] == before["state"]
    writer("chain")
    assert state(viewer)["state"] != before["state"]


def test_a_torn_last_line_is_not_a_chain_yet(writer: Writer, viewer: Served) -> None:
    writer("chain", 2)
    writer("half")
    assert "2 of 12 chains" in viewer.page("/")
    page = viewer.page(f"{RUN}/problem/p0")
    assert "torn" not in page
    assert page.count('class="row"') == 1


def test_lines_that_are_no_chains_are_passed_over(tmp_path: Path, viewer: Served) -> None:
    folder = tmp_path / "writer" / "made-up" / "f00d"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text('{"fingerprint": "f00d", "benchmark": {"label": "made-up"}}')
    good = {"problem_id": "p0", "index": 0, "text": "fine", "completion_tokens": 1.5, "seed": "x"}
    lines = [b"{", b"[]", b"null", b"\xff\xfe", b'{"problem_id": 3}', json.dumps(good).encode(), b""]
    (folder / "chains.jsonl").write_bytes(b"\n".join(lines))
    assert "fine" in viewer.page(f"{RUN}/chain/p0/0?show=1")
    assert viewer.page(f"{RUN}/problem/p0").count('class="row"') == 1


def test_a_run_that_is_completed_meanwhile_stays_readable(writer: Writer, viewer: Served) -> None:
    writer("chain", 12)
    assert "chain number 11" in viewer.page(f"{RUN}/chain/p2/3")
    before = state(viewer)
    writer("complete")
    assert not (writer.path / "chains.jsonl").exists()
    after = state(viewer)
    assert after["state"] != before["state"]
    assert after["running"] is False
    assert "chain number 11" in viewer.page(f"{RUN}/chain/p2/3")
    assert viewer.page(f"{RUN}/problem/p1").count('class="row"') == 4


def test_reading_takes_no_lock_and_writes_nothing(writer: Writer, viewer: Served) -> None:
    writer("chain", 3)
    files = {path: path.stat().st_mtime_ns for path in writer.path.iterdir()}
    for address in ("/", RUN, f"{RUN}/problem/p0", f"{RUN}/chain/p0/0", "/search?q=1", "/live"):
        viewer.page(address)
    opened = [
        os.readlink(f"/proc/self/fd/{n}")
        for n in os.listdir("/proc/self/fd")
        if os.path.exists(f"/proc/self/fd/{n}")
    ]
    assert not [path for path in opened if path.startswith(str(writer.path))]
    assert {path: path.stat().st_mtime_ns for path in writer.path.iterdir()} == files
    writer("chain")  # it still can


def test_a_run_that_nobody_writes_any_more_is_called_unfinished(writer: Writer, tmp_path: Path) -> None:
    writer("chain", 3)
    long_ago = time.time() - 3600
    for path in writer.path.iterdir():
        os.utime(path, (long_ago, long_ago))
    with serving(tmp_path) as viewer:
        page = viewer.page("/")
        assert "unfinished" in page
        assert "1 h ago" in page


def test_a_run_that_starts_later_shows_up(tmp_path: Path, viewer: Served) -> None:
    assert "No runs yet" in viewer.page("/")
    writer = Writer(tmp_path / "writer" / "made-up" / "f00d")
    try:
        until = time.monotonic() + 5
        while "writer" not in viewer.page("/"):
            assert time.monotonic() < until
            time.sleep(0.1)
    finally:
        writer.end()


# -- verdicts ------------------------------------------------------------------------------------


def test_a_chain_has_its_verdict_as_soon_as_it_is_given(writer: Writer, viewer: Served) -> None:
    writer("chain", 9)
    assert "not graded" in viewer.page(f"{RUN}/chain/p1/0")
    writer("grade", 8)
    chain = viewer.page(f"{RUN}/chain/p1/0")
    assert 'class="badge s-correct"' in chain
    assert "boxed/&lt;i&gt;spelling" in chain
    assert "2 of 3 agree" in chain
    assert 'class="badge s-incorrect"' in viewer.page(f"{RUN}/chain/p1/2")
    assert "not graded" in viewer.page(f"{RUN}/chain/p2/2")
    assert rows_of(viewer.page(f"{RUN}/problem/p1")) == [
        "0 correct 2 boxed/<i>spelling 5 stop",
        "1 correct 2 boxed/<i>spelling 5 stop",
        "2 incorrect <b>2 boxed/<i>spelling 5 stop",
    ]


def test_the_table_tells_how_each_problem_stands_so_far(writer: Writer, viewer: Served) -> None:
    writer("chain", 10)
    assert "so far" not in viewer.page(RUN)
    writer("grade", 7)
    page = viewer.page(RUN)
    # number, problem, share of correct chains (and how many wait), vote, majority answer, gold, truncated, tokens
    assert rows_of(page) == [
        "1 p0 67 +1 ✓ 0 2/3 0 0 5",
        "2 p1 100 +1 ✓ 2 2/2 2 0 5",
        "3 p2 100 +1 ✓ 4 2/2 4 0 5",
    ]
    said = " ".join(re.sub(r"<[^>]+>", "", page).split())
    assert "pass@1 so far 88.9 of 7 graded chains, on 3 of 3 problems" in said
    assert re.search(r"correct 6 ?incorrect 1 ?not graded 3", said)


def test_chains_of_a_running_run_are_found_by_verdict_and_answer(writer: Writer, viewer: Served) -> None:
    writer("chain", 12)
    writer("grade", 11)
    assert rows_of(viewer.page(f"{RUN}/problem/p2?status=not+graded")) == ["3 not graded – 5 stop"]
    assert [row[0] for row in rows_of(viewer.page(f"{RUN}/problem/p1?status=correct"))] == ["0", "1", "3"]
    assert [row[0] for row in rows_of(viewer.page(f"{RUN}/problem/p1?answer=%3Cb%3E2"))] == ["2"]
    assert [row[2:4] for row in rows_of(viewer.page(f"{RUN}?kind=sometimes"))] == ["p0", "p1", "p2"]
    assert len(rows_of(viewer.page("/search?status=incorrect"))) == 3
    assert len(rows_of(viewer.page("/search?q=2&problem=p1"))) == 4
    next_wrong = [
        re.search(r'data-go="next-wrong" href="([^"]+)"', viewer.page(f"{RUN}/chain/{chain}"))
        for chain in ("p0/0", "p0/2", "p2/2")
    ]
    assert [found and found[1].removeprefix(RUN) for found in next_wrong] == [
        "/chain/p0/2",
        "/chain/p1/2",
        None,
    ]


def test_every_verdict_changes_the_state_that_pages_watch(writer: Writer, viewer: Served) -> None:
    writer("chain")
    before = state(viewer)
    writer("grade")
    assert state(viewer)["state"] != before["state"]


def test_pages_say_the_same_before_and_after_the_last_word(writer: Writer, viewer: Served) -> None:
    writer("chain", 12)
    writer("grade", 12)
    addresses = [RUN, f"{RUN}/problem/p0", f"{RUN}/problem/p1?status=incorrect", "/search?status=correct"]
    before = [rows_of(viewer.page(address)) for address in addresses]
    writer("finish")
    assert not (writer.path / "grades.jsonl").exists()
    assert [rows_of(viewer.page(address)) for address in addresses] == before
    assert "so far" not in viewer.page(RUN)


def test_votes_are_counted_as_in_a_finished_run(tmp_path: Path, viewer: Served) -> None:
    draw = random.Random(5)
    order = [f"p{i}" for i in range(40)]
    for ties in ("expected", "first"):
        folder = RunFolder(tmp_path / "m" / "b" / ties, "b")
        with folder.writing():
            problems = [Problem(id_, "How much?", "1") for id_ in order]
            folder.write_problems(problems, [Prompt((Message("user", p.text),)) for p in problems])
            info = {"fingerprint": ties, "sessions": [], "protocol": {"n": 6, "ties": ties}}
            folder.write_info({**info, "benchmark": {"label": "b", "problems": 40}, "model": {"name": "m"}})
            grades = {}
            for position in draw.sample(range(240), 200):
                key = order[position % 40], position // 40
                tokens, cut = draw.choice([None, 7, 90]), draw.choice(["stop", "length", None])
                folder.append(Chain("b", *key, "text", finish_reason=cut, completion_tokens=tokens))
                status: Status = draw.choice(["correct", "incorrect", "incorrect", "truncated", "timeout"])
                class_ = {"correct": "1", "truncated": None}.get(status, draw.choice("23"))
                spelled = None if class_ is None else class_ + draw.choice(["", ".0"])
                grades[key] = Grade(status, spelled, class_, "rule")
            folder.open_grades("g 1")
            for key, grade in grades.items():
                folder.append_grade(key, grade)
            pages = [f"/run/m/b/{ties}{tail}" for tail in ("", "/problem/p0", "/problem/p7", "?sort=-worth")]
            before = [rows_of(viewer.page(page)) for page in pages]
            assert any("tied" in row for row in before[0])
            folder.complete(order)
            between = [rows_of(viewer.page(page)) for page in pages]
            folder.write_grades(grades, "g 1", order)
            after = [rows_of(viewer.page(page)) for page in pages]
        assert before == between == after


def test_a_run_that_is_topped_up_shows_old_and_new_verdicts_together(tmp_path: Path, viewer: Served) -> None:
    first = Writer(tmp_path / "writer" / "made-up" / "f00d")
    first("chain", 6)
    first("grade", 6)
    first("finish")
    first.end()
    folder = RunFolder.of(first.path)
    with folder.writing():
        folder.open_grades("made-up 1")
        folder.append(Chain("made-up", "p1", 2, "more", completion_tokens=5))
        folder.append(Chain("made-up", "p1", 3, "more", completion_tokens=5))
        folder.append_grade(("p1", 2), Grade("incorrect", "7", "7", "rule"))
        assert rows_of(viewer.page(RUN))[:2] == ["1 p0 100 ✓ 0 2/2 0 0 5", "2 p1 67 +1 ✓ 2 2/3 2 0 5"]
        # Another grader begins anew: what the one before said no longer counts.
        folder.open_grades("made-up 2")
        folder.append_grade(("p0", 1), Grade("incorrect", "8", "8", "rule"))
        assert rows_of(viewer.page(RUN))[:2] == ["1 p0 0 +1 ✗ 8 1/1 0 0 5", "2 p1 – +4 – – 2 – –"]


def test_half_a_verdict_is_none_and_long_or_strange_lines_are_passed_over(
    writer: Writer, viewer: Served
) -> None:
    writer("chain", 6)
    writer("grade", 1)
    journal = writer.path / "grades.jsonl"
    with journal.open("ab") as file:
        file.write(b"\xff\n[]\nnull\n{}\n\n" + b'{"problem_id":"p1","index":0,"status":"great"}\n')
        long = {"problem_id": "p1", "index": 0, "status": "correct", "answer": "x" * 300_000}
        file.write(json.dumps({**long, "answer_class": "x", "rule": "r"}).encode() + b"\n")
        wanted = {"problem_id": "p2", "index": 0, "status": "correct", "answer": "4"}
        line = json.dumps({**wanted, "answer_class": "4", "rule": "r"}).encode()
        file.write(line[:30])
    assert [row.split()[2] for row in rows_of(viewer.page(RUN))] == ["100", "–", "–"]
    with journal.open("ab") as file:
        file.write(line[30:] + b"\n")
    assert [row.split()[2] for row in rows_of(viewer.page(RUN))] == ["100", "–", "100"]


@pytest.mark.parametrize("first", [b"", b"[]\n", b'{"grader": 3}\n', b"\xff\n", b"y" * 200_000 + b"\n"])
def test_verdicts_of_nobody_knows_whom_are_not_shown(writer: Writer, viewer: Served, first: bytes) -> None:
    writer("chain", 3)
    grade = {
        "problem_id": "p0",
        "index": 0,
        "status": "correct",
        "answer": "0",
        "answer_class": "0",
        "rule": "",
    }
    (writer.path / "grades.jsonl").write_bytes(first + json.dumps(grade).encode() + b"\n")
    assert "not graded" in viewer.page(f"{RUN}/chain/p0/0")


def test_verdicts_that_are_begun_anew_replace_those_before(writer: Writer, viewer: Served) -> None:
    writer("chain", 6)
    writer("grade", 6)
    assert "so far" in viewer.page(RUN)
    journal = writer.path / "grades.jsonl"
    head, *lines = journal.read_bytes().split(b"\n")
    # In place, and longer than before: the same file for whoever looks at its number and size only.
    journal.write_bytes(b"\n".join([head, *(line.replace(b'"correct"', b'"incorrect"') for line in lines)]))
    assert "pass@1 so far</span> <b>0.0" in viewer.page(RUN)
    journal.unlink()
    assert "so far" not in viewer.page(RUN)


def test_what_a_verdict_says_is_escaped(writer: Writer, viewer: Served) -> None:
    writer("chain", 3)
    hostile = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\x1b[31m\u202e"
    grade = {"problem_id": "p0", "index": 0, "status": "incorrect", "answer": hostile}
    lines = [{"grader": hostile}, {**grade, "answer_class": hostile, "rule": hostile * 100}]
    (writer.path / "grades.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for address in (RUN, f"{RUN}/problem/p0", f"{RUN}/chain/p0/0", "/search?status=incorrect"):
        page = viewer.page(address)
        assert "alert(1)" in page
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "\x1b" not in page
        assert "\u202e" not in page


def test_only_problems_at_which_something_happened_are_counted_again(writer: Writer, tmp_path: Path) -> None:
    from harness.plugins import load_plugins
    from harness_reports.view.data import Data

    def table() -> list[object]:
        run = data.run(RUN.removeprefix("/run/"))
        assert run is not None
        return list(run.table)

    data = Data(tmp_path, load_plugins())
    writer("chain", 3)
    writer("grade", 2)
    before = table()
    assert [now is then for now, then in zip(table(), before, strict=True)] == [True, True, True]
    writer("grade")
    assert [now is then for now, then in zip(table(), before, strict=True)] == [True, True, False]
    writer("chain")
    assert [now is then for now, then in zip(table(), before, strict=True)] == [False, True, False]

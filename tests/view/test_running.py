"""A run is looked at while another process writes it: it is never disturbed, and the page keeps up."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .serving import Served, Writer, serving

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

"""`harness run --sampler openai`, as a user runs it."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pyarrow.parquet as pq

from ...conftest import Command, one_line_error
from .asking import (
    KEY,
)
from .badserver import Answers, Asked, BadServer, Out

# -- as a user runs it ---------------------------------------------------------------------------------------


def test_a_run_that_is_killed_goes_on_where_it_stopped(harness: Command) -> None:
    """No chain is lost or doubled, no answer that was stored is asked for again, and the key is in no file."""
    bench = [
        "run",
        "--sampler",
        "openai",
        "--model",
        "made-up",
        "--bench",
        "fresh:level=1,size=6",
        "--n",
        "10",
    ]
    answers = Answers(seconds=lambda asked: 0.05 + (asked.seed or 0) % 7 / 20, text=_boxed)
    with BadServer(answers) as server:
        command = [*bench, "--base-url", server.base_url, "--max-in-flight", "8"]
        running = harness.start(*command, OPENAI_API_KEY=KEY)
        deadline = time.monotonic() + 60
        while len(server.delivered) < 20 and time.monotonic() < deadline:
            time.sleep(0.01)
        running.kill()
        running.communicate()
        before = len(server.asked)
        assert before < 60
        (result,) = harness.json(*command, OPENAI_API_KEY=KEY)
        assert result["chains"] == 60
        assert max(server.delivered.values()) <= 2
        again = sum(count - 1 for count in server.delivered.values())
        assert again <= 8 + 2, "only answers that were on their way when it was killed"
        assert len(server.asked) - before <= 60 - (20 - 8 - 2)
        asked = len(server.asked)
        assert harness.json(*command, OPENAI_API_KEY=KEY) == [result]
        assert len(server.asked) == asked, "all is stored"
        rows = pq.read_table(Path(harness.folder, result["path"], "chains.parquet")).to_pylist()
        assert len({(row["problem_id"], row["index"]) for row in rows}) == 60
        assert all(str(row["seed"]) in row["text"] for row in rows)
        for file in Path(harness.folder).rglob("*"):
            assert not file.is_file() or KEY.encode() not in file.read_bytes()


def _boxed(asked: Asked, index: int) -> str:
    return f"With {asked.seed} in mind, \\boxed{{{(asked.seed or 0) % 5}}}."


def test_a_run_against_a_server_that_refuses_says_one_line(harness: Command) -> None:
    async def refuse(server: BadServer, asked: Asked, out: Out) -> None:
        await out.error(401, f"bad key {asked.headers['authorization']}\nsecond line \x1b[31m")

    with BadServer(refuse) as server:
        done = harness(
            *(
                "run",
                "--sampler",
                "openai",
                "--model",
                "made-up",
                "--bench",
                "fresh:level=1,size=2",
                "--n",
                "2",
            ),
            *("--base-url", server.base_url, "--quiet"),
            OPENAI_API_KEY=KEY,
        )
    assert done.returncode == 1
    assert "HTTP 401: bad key Bearer ***" in one_line_error(done)
    assert KEY not in done.stderr + done.stdout


def test_ctrl_c_ends_a_run_at_once(harness: Command) -> None:
    with BadServer(Answers(seconds=60)) as server:
        running = harness.start(
            *(
                "run",
                "--sampler",
                "openai",
                "--model",
                "made-up",
                "--bench",
                "fresh:level=1,size=2",
                "--n",
                "4",
            ),
            *("--base-url", server.base_url),
        )
        deadline = time.monotonic() + 30
        while len(server.asked) < 8 and time.monotonic() < deadline:
            time.sleep(0.01)
        began = time.monotonic()
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=30)
        assert running.returncode == 130
        assert "run the same command to go on" in errors
        assert time.monotonic() - began < 5

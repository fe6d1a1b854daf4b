"""`harness run` with the real vLLM, and what becomes of a run whose engine dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from harness.models import ResolvedModel

from ..conftest import Command
from .conftest import needs_vllm

pytestmark = needs_vllm

N, PROBLEMS = 16, 4


@pytest.mark.timeout(900)  # the engine starts three times
def test_a_run_survives_the_death_of_its_engine_and_ctrl_c(harness: Command, model: ResolvedModel) -> None:
    command = (
        *("run", "--sampler", "vllm", "--model", model.folder, "--bench", f"fresh:level=1,size={PROBLEMS}"),
        *("--n", N, "--max-tokens", 200, "--max-in-flight", 2, "--sampler-option", "dtype=float32", "--json"),
    )
    run = harness.start(*command)
    _wait_for_chains(harness, run, 5)
    (core,) = _engine_cores(run.pid)
    processes = _family(run.pid)
    os.kill(core, signal.SIGKILL)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 1, err
    assert out == ""
    assert "Traceback" not in err
    (error,) = [line for line in err.split("\n") if line.startswith("harness: ") and "died" in line]
    assert "vLLM died: its process EngineCore was ended by signal 9" in error
    assert "run the same command to go on" in error
    Path(error.partition("vLLM's log: ")[2].partition(")")[0]).unlink()
    _assert_gone(processes)
    stored = _stored(harness)
    assert 5 <= stored < N * PROBLEMS

    run = harness.start(*command)
    _wait_for_chains(harness, run, stored + 5)
    processes = _family(run.pid)
    for process in (run.pid, *_engine_cores(run.pid)):  # as a terminal sends it
        os.kill(process, signal.SIGINT)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 130, err
    assert "chains are stored" in err
    assert "Traceback" not in err
    assert "died" not in err
    _assert_gone(processes)

    done = harness(*command, timeout=200)
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)
    assert result["chains"] == N * PROBLEMS
    assert len(done.stderr.split("\n")) < 12, done.stderr  # vLLM itself prints a hundred lines
    info = json.loads((Path(harness.folder) / result["path"] / "run.json").read_text())
    assert [session["stored_before"] > 0 for session in info["sessions"]] == [False, True, True]
    assert info["sessions"][0]["engine"]["engine"] == "vllm"


def _wait_for_chains(harness: Command, run: subprocess.Popen[str], count: int) -> None:
    deadline = time.monotonic() + 200
    while _stored(harness) < count:
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _stored(harness: Command) -> int:
    return sum(file.read_bytes().count(b"\n") for file in Path(harness.folder).rglob("chains.jsonl"))


def _family(pid: int) -> list[int]:
    """Every process that descends from this one."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True).stdout
    children = [int(line) for line in found.split()]
    return children + [each for child in children for each in _family(child)]


def _engine_cores(pid: int) -> list[int]:
    return [child for child in _family(pid) if "EngineCore" in _command_line(child)]


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""


def _assert_gone(processes: list[int]) -> None:
    deadline = time.monotonic() + 20
    while alive := [pid for pid in processes if _command_line(pid)]:  # a zombie has no command line
        assert time.monotonic() < deadline, [_command_line(pid) for pid in alive]
        time.sleep(0.2)

"""Shared parts: made-up chains, the command as a user runs it, and the data folder where it is present."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from harness.plugins import PluginManager, load_plugins

ROOT = Path(__file__).resolve().parent.parent

with suppress(ImportError):  # the tests of vLLM go without
    from hypothesis import HealthCheck, settings

    # How quickly values are made up depends on what else the machine does: that is no fault of a test.
    settings.register_profile("harness", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("harness")

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # A shell's background jobs ignore Ctrl-C, and commands started by the tests would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared() -> Path:
    """A folder with the real benchmarks' files; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("FATHOM_SHARED", ROOT.parent / "shared"))
    if not (folder / "data" / "aime25.jsonl").exists():
        pytest.skip("the folder of real benchmark data is not here")
    return folder


@pytest.fixture(scope="session")
def plugins() -> PluginManager:
    return load_plugins()


class Command:
    """Runs `harness` in a process of its own, in an empty working folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def arguments(self, *arguments: object) -> list[str]:
        return [sys.executable, "-c", "from harness.cli import main; main()", *map(str, arguments)]

    def environment(self, **extra: str) -> dict[str, str]:
        env = {k: v for k, v in os.environ.items() if k != "HARNESS_DATA"}
        return {**env, "PYTHONWARNINGS": "default", **extra}

    def __call__(
        self, *arguments: object, timeout: float = 120, **env: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.arguments(*arguments),
            cwd=self.folder,
            env=self.environment(**env),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def start(self, *arguments: object, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.arguments(*arguments),
            cwd=self.folder,
            env=self.environment(**env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def json(self, *arguments: object, **env: str) -> Any:
        done = self(*arguments, "--json", **env)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def harness(tmp_path: Path) -> Command:
    folder = tmp_path / "work"
    folder.mkdir()
    return Command(folder)


@pytest.fixture
def write_chains(tmp_path: Path) -> Callable[..., Path]:
    """Writes rows as a jsonl file of chains and returns its path."""

    def write(rows: list[dict[str, Any]], name: str = "chains.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    return write


def one_line_error(done: subprocess.CompletedProcess[str]) -> str:
    """The error that a failed command printed: exactly one line, and no traceback."""
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.split("\n") if line.startswith("harness: ")]
    assert errors, done.stderr
    assert [line for line in done.stderr.split("\n") if line] == errors
    return errors[-1]

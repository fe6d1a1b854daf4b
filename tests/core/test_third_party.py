"""Packages of strangers, really installed: one that adds a benchmark in 20 lines, and one that misbehaves."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path

import pytest

TEXTS = ("answer", "hang", "memory", "die", "raise", "silent")
PACKAGES = Path(__file__).resolve().parent.parent / "third_party"


class Installed:
    """A virtual environment that sees this one's packages and has strangers' packages of its own."""

    def __init__(self, folder: Path, *packages: str) -> None:
        self.folder = folder
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
        self.python = folder / "venv" / "bin" / "python"
        base = sysconfig.get_path("purelib")
        site = next((folder / "venv" / "lib").glob("python*/site-packages"))
        (site / "base.pth").write_text(f"import site; site.addsitedir({base!r})\n")
        pip = [sys.executable, "-m", "pip", "--python", self.python, "install", "-q", "--no-deps"]
        for package in packages:
            # A copy: building in the checkout would leave files there.
            copy = folder / package
            copy.mkdir()
            for file in (PACKAGES / package).iterdir():
                if file.is_file():
                    (copy / file.name).write_bytes(file.read_bytes())
            subprocess.run([*pip, "--no-build-isolation", str(copy)], check=True, capture_output=True)

    def _command(self, arguments: tuple[object, ...]) -> list[str]:
        return [str(self.python), "-c", "from harness.cli import main; main()", *map(str, arguments)]

    def __call__(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = self._command(arguments)
        return subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, timeout=120, check=False
        )

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        command = self._command(arguments)
        return subprocess.Popen(
            command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("squares"), "squares")


@pytest.fixture(scope="module")
def awkward(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("awkward"), "awkward", "squares")


def test_the_example_package_is_about_20_lines() -> None:
    lines = (PACKAGES / "squares" / "harness_squares.py").read_text().split("\n")
    assert sum(bool(line.strip()) for line in lines) <= 20


def test_a_third_party_benchmark_is_run_by_name(
    squares: Installed, write_chains: Callable[..., Path]
) -> None:
    rows = [
        {"problem_id": f"square-{i}", "text": f"it is \\boxed{{{i * i if i != 3 else 8}}}"} for i in (1, 2, 3)
    ]
    chains = write_chains(rows)
    done = squares("run", "--bench", "squares:upto=3", "--sampler", "replay", "--chains", chains, "--json")
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)
    assert result["benchmark"] == "squares:upto=3"
    assert result["scores"]["pass@1"]["value"] == pytest.approx(2 / 3)
    listed = squares("list", "benchmarks").stdout
    assert "squares" in listed
    assert "harness-squares 1.0" in squares("plugins").stdout


def test_a_wrong_parameter_is_explained(squares: Installed) -> None:
    done = squares("show", "squares:up=3")
    assert done.returncode == 1
    assert "has no parameter 'up': did you mean upto?" in done.stderr
    assert "upto='x' is not a valid int" in squares("show", "squares:upto=x").stderr


def test_broken_plugins_are_named_and_skipped_and_the_rest_works(awkward: Installed) -> None:
    done = awkward("plugins")
    assert "awkward-broken" in done.stdout
    assert "cannot be imported: ImportError: this plugin is broken" in done.stdout
    assert "no hook is called harness_benchmark: did you mean harness_benchmarks?" in done.stdout
    assert "awkward-arguments" in done.stdout
    assert "colour" in done.stdout
    assert "has no function marked @harness.hookimpl" in done.stdout
    assert "not a Benchmark" in done.stdout
    assert done.returncode == 1
    assert awkward("list", "benchmarks").returncode == 0
    assert "SKIPPED" not in awkward("--no-plugin", "harness-awkward", "plugins").stdout


def test_plugins_may_add_commands(awkward: Installed) -> None:
    assert awkward("wave").stdout == "o/\n"
    assert "Wave at the user." in awkward("--help").stdout


def test_a_normalizer_that_hangs_dies_or_eats_memory_costs_only_its_own_chain(
    awkward: Installed, write_chains: Callable[..., Path]
) -> None:
    chains = write_chains([{"problem_id": text, "text": text} for text in TEXTS])
    done = awkward(
        "run",
        "--bench",
        "awkward",
        "--sampler",
        "replay",
        "--chains",
        chains,
        "--grading-deadline",
        "2",
        "--json",
    )
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)
    counts = {status: count for status, count in result["counts"].items() if count}
    assert counts == {"correct": 1, "timeout": 1, "error": 3, "no_answer": 1}
    for failure in (
        "harness_run_started: SystemExit: no wish to start awkward",
        "harness_run_finished: RuntimeError: no wish to hear of awkward",
    ):
        assert f"plugin awkward failed in {failure}" in done.stderr


def test_an_interrupt_does_not_wait_for_a_hanging_comparison(
    awkward: Installed, write_chains: Callable[..., Path]
) -> None:
    chains = write_chains([{"problem_id": what, "text": "hang"} for what in TEXTS], "hanging.jsonl")
    arguments = ["run", "--bench", "awkward", "--sampler", "replay", "--chains", chains]
    process = awkward.start(*arguments, "--grading-deadline", "600")
    time.sleep(3)
    process.terminate()
    started = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - started < 10
    assert process.returncode == 130
    assert "6 chains are stored" in errors

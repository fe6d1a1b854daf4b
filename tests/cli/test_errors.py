"""Bad input of any kind gets one clear line, a non-zero exit, and nothing is lost."""

from __future__ import annotations

import gzip
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ..conftest import Command, one_line_error

BENCH = "fresh:level=1,size=2"


def failure(harness: Command, *arguments: object, code: int = 1, **env: str) -> str:
    done = harness(*arguments, **env)
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    return one_line_error(done)


def test_a_model_that_is_nowhere_is_one_line_within_seconds(harness: Command, tmp_path: Path) -> None:
    started = time.monotonic()
    # An address where nobody listens stands for a machine without the Hub.
    error = failure(
        harness,
        *("run", "--model", "Fathom-R1-14B", "--bench", "aime25"),
        HF_ENDPOINT="http://127.0.0.1:9",
        HF_HOME=str(tmp_path / "empty"),
    )
    assert time.monotonic() - started < 10
    assert "FractalAIResearch/Fathom-R1-14B is not on this machine and the Hub cannot be reached" in error
    assert "--model DIR" in error


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["run", "--model", "m", "--bench", "aime52"],
            "no benchmark is called 'aime52': did you mean aime25",
        ),
        (["run", "--model", "qwen2.5-coder-0.5", "--bench", BENCH], "did you mean qwen2.5-coder-0.5b"),
        (["run", "--model", "m", "--bench", BENCH, "--sampler", "vlm"], "no sampler is called 'vlm'"),
        (["run", "--model", "m", "--bench", BENCH, "--protocol", "r1"], "no protocol is called 'r1'"),
        (["run", "--model", "m", "--bench", "fresh:level=99"], "level"),
        (["run", "--model", "m", "--bench", "fresh:levle=1"], "did you mean level?"),
        (["run", "--model", "m", "--bench", "fresh:level"], "'level' is not key=value"),
        (["run", "--model", "m", "--bench", BENCH, "--sampler", "replay"], "give it with --chains"),
        (["run", "--model", "m", "--bench", f"{BENCH},{BENCH}"], "--bench names the same benchmark twice"),
        (["run", "--model", "m", "--bench", BENCH, "--chains", "c.jsonl"], "add --sampler replay"),
        (["show", "nonsuch"], "nothing is called 'nonsuch'"),
        (["report", "nowhere"], "nowhere does not exist"),
        (["regrade", "."], "holds no run folder"),
        (["report", "--format", "pdf"], "no report format is called 'pdf'"),
    ],
)
def test_a_wrong_name_gets_the_closest_ones(harness: Command, arguments: list[str], expected: str) -> None:
    assert expected in failure(harness, *arguments)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "--n", "many"], "'many' is not a valid integer"),
        (["run", "--n", "0"], "0 is not in the range"),
        (["run", "--temperature", "-1"], "range"),
        (["run", "--top-p", "1.5"], "range"),
        (["run", "--tempratur", "1"], "--temperature"),
        (["run", "--bench", BENCH], "--model is missing"),
        (["run", "--model", "m"], "--bench is missing"),
        (["run", "--model", "m", "--bench", BENCH, "--seed", str(10**20)], "--seed"),
        (["rum"], "No such command 'rum'"),
        (["list", "engines"], "'engines' is not one of"),
        (["run", "--sampler-option", "threads"], "is not NAME=VALUE"),
    ],
)
def test_wrong_usage_exits_with_2(harness: Command, arguments: list[str], expected: str) -> None:
    assert expected in failure(harness, *arguments, code=2)


def test_an_unknown_key_in_a_run_file_names_the_closest_one(harness: Command, tmp_path: Path) -> None:
    config = tmp_path / "run.yaml"
    config.write_text("model: m\nbench: aime25\ntemprature: 0.6\n")
    assert "unknown key 'temprature': did you mean temperature?" in failure(
        harness, "run", "--config", config
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("n: [1", "is not valid YAML"),
        ("- a\n", "is to be a mapping"),
        ("bench: aime25\nn: none\n", "n: Input should be a valid integer"),
        ("bench: aime25\ntemperature: .inf\n", "temperature"),
        ("model: !!python/object/apply:os.system ['true']\n", "is not valid YAML"),
    ],
)
def test_a_bad_run_file_is_explained(harness: Command, tmp_path: Path, text: str, expected: str) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(text)
    assert expected in failure(harness, "run", "--config", config)


def test_a_missing_run_file(harness: Command) -> None:
    assert "cannot read missing.yaml" in failure(harness, "run", "--config", "missing.yaml")


def test_an_empty_model_folder(harness: Command, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    error = failure(harness, "run", "--model", tmp_path / "empty", "--bench", BENCH)
    assert "cannot be used: it is empty" in error


def test_a_data_folder_that_does_not_exist(harness: Command, write_chains: Callable[..., Path]) -> None:
    chains = write_chains([{"problem_id": "x", "text": "y"}])
    error = failure(
        harness, "run", "--bench", "aime25", "--data", "gone", "--sampler", "replay", "--chains", chains
    )
    assert "data folder gone does not exist" in error


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"problem_id": "a", "text": "b"}\n{"problem_id": ', "row 2: is not JSON"),
        ('{"text": "b"}\n', "row 1: has neither problem_id nor problem"),
        ('{"problem_id": "a"}\n', "row 1: has neither text nor generation"),
        ('{"problem_id": "a", "text": null}\n', "row 1: has neither text nor generation"),
        ('{"problem_id": null, "text": "x"}\n', "row 1: has neither problem_id nor problem"),
        ('{"problem_id": "fresh-l1-s0-0000", "text": 5}\n', "row 1: text is not a text"),
        (
            '{"problem_id": "fresh-l1-s0-0000", "text": "x", "index": true}\n',
            "index True is not a whole number",
        ),
        (
            '{"problem_id": "fresh-l1-s0-0000", "text": "x", "completion_tokens": -5}\n',
            "row 1: completion_tokens -5 is not a whole number from 0",
        ),
        ("[1]\n", "row 1: has neither problem_id nor problem"),
        ("", "holds no chains"),
        (
            '{"problem_id": "a", "text": "b"}\n' * 2 + '{"problem_id": "c", "text": "d"}\n',
            "say how many to use with --n",
        ),
        ('{"problem_id": "a", "text": "b", "model": "m"}\n', "lacks 2 of the wanted chains"),
    ],
)
def test_a_bad_file_of_chains_names_the_row(
    harness: Command, tmp_path: Path, content: str, expected: str
) -> None:
    chains = tmp_path / "chains.jsonl"
    chains.write_text(content)
    assert expected in failure(harness, "run", "--bench", BENCH, "--sampler", "replay", "--chains", chains)


def test_chains_given_twice_are_named(harness: Command, write_chains: Callable[..., Path]) -> None:
    row = {"problem_id": "fresh-l1-s0-0000", "index": 0, "text": "x"}
    chains = write_chains([row, row])
    error = failure(harness, "run", "--bench", BENCH, "--sampler", "replay", "--chains", chains)
    assert "rows 1 and 2 are both chain 0 of problem fresh-l1-s0-0000" in error


def test_results_that_cannot_be_written(
    harness: Command, write_chains: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    chains = write_chains([{"problem_id": f"fresh-l1-s0-000{i}", "text": "x"} for i in range(2)])
    command = ["run", "--bench", BENCH, "--sampler", "replay", "--chains", chains]
    assert "cannot write" in failure(harness, *command, "--results", tmp_path / "file" / "results")


def test_an_error_line_holds_no_control_characters(harness: Command) -> None:
    error = failure(harness, "show", "evil\x1b[31m\nname")
    assert "\x1b" not in error


def test_a_pipe_of_chains_is_refused(harness: Command, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    error = failure(harness, "run", "--bench", BENCH, "--sampler", "replay", "--chains", tmp_path / "pipe")
    assert "chains are read more than once, a pipe cannot be" in error


def test_a_torn_archive_of_chains_is_one_line(harness: Command, tmp_path: Path) -> None:
    whole = gzip.compress(b'{"problem_id": "a", "text": "b"}\n' * 1000)
    for name, data in (("cut.jsonl.gz", whole[: len(whole) // 2]), ("bent.jsonl.gz", whole[:30] + b"x" * 40)):
        (tmp_path / name).write_bytes(data)
        error = failure(harness, "run", "--bench", BENCH, "--sampler", "replay", "--chains", tmp_path / name)
        assert "cannot read chains from" in error


def test_the_command_alone_shows_its_help(harness: Command) -> None:
    done = harness()
    assert done.returncode == 2
    assert "Sample, grade and score a model on benchmarks." in done.stderr


def test_a_full_standard_output_is_one_line(harness: Command) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            harness.arguments("list"), stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert "No space left on device" in one_line_error(done)

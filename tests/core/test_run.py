"""One command, from start to table: what is sampled, what is stored, what is said."""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Command, one_line_error

BENCH = "fresh:level=1,seed=3,size=6"


@pytest.fixture(scope="module")
def golds() -> dict[str, str]:
    from harness.data import DataSource
    from harness.plugins import load_plugins

    return {p.id: p.gold for p in load_plugins().benchmark(BENCH).problems(DataSource(None))}


def chains_of(golds: dict[str, str], n: int, seed: int = 1) -> list[dict[str, Any]]:
    """n chains a problem: some right, some wrong, some cut off, some without an answer."""
    draw = random.Random(seed)
    rows = []
    for problem_id, gold in golds.items():
        for index in range(n):
            kind = draw.choice(["right", "right", "wrong", "cut", "silent"])
            answer = gold if kind == "right" else f"{gold}7"
            text = "Let me think. " * 20 + (
                f"So \\boxed{{{answer}}}." if kind in ("right", "wrong") else "Hm"
            )
            rows.append(
                {
                    "problem_id": problem_id,
                    "index": index,
                    "text": text,
                    "completion_tokens": len(text) // 4,
                    "finish_reason": "length" if kind == "cut" else "stop",
                    "model": "someone/else-7B",
                }
            )
    return rows


def replay(chains: Path, *more: object) -> list[object]:
    return ["run", "--bench", BENCH, "--sampler", "replay", "--chains", chains, *more]


@pytest.fixture
def chains(golds: dict[str, str], write_chains: Callable[..., Path]) -> Path:
    return write_chains(chains_of(golds, 8))


def stored_keys(folder: Path) -> list[tuple[str, int]]:
    import pyarrow.parquet as pq

    (file,) = folder.rglob("chains.parquet")
    table = pq.read_table(file, columns=["problem_id", "index"])
    return list(zip(table["problem_id"].to_pylist(), table["index"].to_pylist(), strict=True))


def test_the_table_and_the_json_say_the_same(harness: Command, chains: Path) -> None:
    (result,) = harness.json(*replay(chains))
    assert result["model"] == "someone/else-7B"
    assert (result["n"], result["problems"], result["chains"]) == (8, 6, 48)
    assert sum(result["counts"].values()) == 48
    table = harness(*replay(chains)).stdout
    assert f"{100 * result['scores']['pass@1']['value']:.2f} ± " in table
    assert f"{100 * result['scores']['cons@k']['value']:.2f}" in table
    assert "cons@8" in table
    assert f"{100 * result['truncated']:.1f} %" in table


def test_scores_equal_a_count_by_hand(harness: Command, chains: Path, golds: dict[str, str]) -> None:
    rows = [json.loads(line) for line in chains.read_text().split("\n") if line]
    right = [f"\\boxed{{{golds[row['problem_id']]}}}" in row["text"] for row in rows]
    cut = [row["finish_reason"] == "length" for row in rows]
    (result,) = harness.json(*replay(chains))
    assert result["scores"]["pass@1"]["value"] == pytest.approx(sum(right) / len(right))
    assert result["truncated"] == pytest.approx(sum(cut) / len(cut))
    assert result["counts"]["truncated"] == sum(cut)


def test_the_same_command_again_samples_nothing_and_prints_the_same(harness: Command, chains: Path) -> None:
    first = harness(*replay(chains))
    written = {
        p: p.stat().st_mtime_ns for p in harness.folder.rglob("*") if p.is_file() and p.name != ".lock"
    }
    again = harness(*replay(chains))
    assert again.stdout == first.stdout
    assert "48 stored already" in again.stderr
    assert written == {p: p.stat().st_mtime_ns for p in written}


def test_a_larger_n_tops_up_and_equals_a_run_made_at_once(
    harness: Command, chains: Path, tmp_path: Path
) -> None:
    harness.json(*replay(chains, "--n", 4))
    topped = harness(*replay(chains, "--n", 6))
    assert "24 stored already" in topped.stderr
    (topped_up,) = harness.json(*replay(chains, "--n", 6))
    (at_once,) = harness.json(*replay(chains, "--n", 6, "--results", tmp_path / "other"))
    assert {**topped_up, "path": ""} == {**at_once, "path": ""}
    assert len(set(stored_keys(harness.folder))) == len(stored_keys(harness.folder)) == 36


def test_a_smaller_n_is_answered_from_what_is_stored_and_changes_nothing(
    harness: Command, chains: Path
) -> None:
    (four,) = harness.json(*replay(chains, "--n", 4))
    harness.json(*replay(chains, "--n", 8))
    assert harness.json(*replay(chains, "--n", 4)) == [four]
    report = json.loads(harness("report", "--format", "json").stdout)["rows"]
    assert [result["n"] for result in report] == [8]


def test_limit_runs_the_first_problems_in_a_folder_of_their_own(harness: Command, chains: Path) -> None:
    (few,) = harness.json(*replay(chains, "--limit", 2))
    (all_,) = harness.json(*replay(chains))
    assert few["problems"] == 2
    assert few["path"] != all_["path"]


def test_several_benchmarks_in_one_command(
    harness: Command, golds: dict[str, str], write_chains: Callable[..., Path]
) -> None:
    from harness.data import DataSource
    from harness.plugins import load_plugins

    other = "fresh:level=2,seed=5,size=3"
    more = {p.id: p.gold for p in load_plugins().benchmark(other).problems(DataSource(None))}
    path = write_chains(chains_of({**golds, **more}, 2))
    results = harness.json("run", "--bench", f"{BENCH},{other}", "--sampler", "replay", "--chains", path)
    assert [(r["benchmark"], r["problems"]) for r in results] == [(BENCH, 6), (other, 3)]


@pytest.mark.parametrize("form", ["jsonl.gz", "parquet", "by text"])
def test_chains_come_in_several_forms(
    harness: Command, golds: dict[str, str], write_chains: Callable[..., Path], tmp_path: Path, form: str
) -> None:
    import gzip

    import pyarrow as pa
    import pyarrow.parquet as pq

    from harness.data import DataSource
    from harness.plugins import load_plugins

    rows = chains_of(golds, 3)
    path = write_chains(rows)
    (expected,) = harness.json(*replay(path))
    if form == "jsonl.gz":
        other = tmp_path / "c.jsonl.gz"
        other.write_bytes(gzip.compress(path.read_bytes()))
    elif form == "parquet":
        other = tmp_path / "c.parquet"
        pq.write_table(pa.Table.from_pylist(rows), other)
    else:
        texts = {p.id: p.text for p in load_plugins().benchmark(BENCH).problems(DataSource(None))}
        bare = [{"problem": f" {texts[r['problem_id']]}\n", "generation": r["text"]} for r in rows]
        other = write_chains(bare, "by_text.jsonl")
    (result,) = harness.json(*replay(other))
    assert result["scores"]["pass@1"] == expected["scores"]["pass@1"]
    assert result["scores"]["cons@k"] == expected["scores"]["cons@k"]


def test_killed_at_20_random_moments_no_chain_is_lost_and_none_is_doubled(
    harness: Command, golds: dict[str, str], write_chains: Callable[..., Path], tmp_path: Path
) -> None:
    rows = [{**row, "text": row["text"] + " pad" * 2000} for row in chains_of(golds, 50)]
    path = write_chains(rows)
    started = time.monotonic()
    (undisturbed,) = harness.json(*replay(path, "--results", tmp_path / "undisturbed"))
    duration = time.monotonic() - started
    draw = random.Random(20)
    kills = 0
    for _ in range(20):
        process = harness.start(*replay(path))
        # The moment is drawn over the whole life of a run, so that start, sampling and closing are all hit.
        time.sleep(draw.uniform(0.2, 1.0) * duration)
        kills += process.poll() is None
        shown = journal_keys(harness.folder)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert shown <= journal_keys(harness.folder)
        if draw.random() < 0.3:  # else the run would be complete after the first few kills
            shutil.rmtree(harness.folder / "results", ignore_errors=True)
    assert kills >= 5
    (result,) = harness.json(*replay(path))
    assert {**result, "path": ""} == {**undisturbed, "path": ""}
    keys = stored_keys(harness.folder)
    assert len(keys) == len(set(keys)) == 300


def journal_keys(folder: Path) -> set[tuple[str, int]]:
    """Keys that a reader finds now in the only run below a folder: whole journal lines and the parquet file."""
    import pyarrow.parquet as pq

    found: set[tuple[str, int]] = set()
    for journal in folder.rglob("chains.jsonl"):
        for line in journal.read_bytes().split(b"\n")[:-1]:
            row = json.loads(line)
            found.add((row["problem_id"], row["index"]))
    for file in folder.rglob("chains.parquet"):
        table = pq.read_table(file, columns=["problem_id", "index"])
        found |= set(zip(table["problem_id"].to_pylist(), table["index"].to_pylist(), strict=True))
    return found


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_runs_say_how_to_go_on_and_do(
    harness: Command, golds: dict[str, str], write_chains: Callable[..., Path], sent: signal.Signals
) -> None:
    path = write_chains([{**row, "text": row["text"] + " pad" * 120_000} for row in chains_of(golds, 50)])
    process = harness.start(*replay(path, "--n", 50, "--model", "m"))
    wait_until(lambda: any(file.stat().st_size for file in harness.folder.rglob("chains.jsonl")))
    process.send_signal(sent)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    said = re.search(r"interrupted: (\d+) chains are stored; run the same command to go on", errors)
    assert said
    assert 0 < int(said[1]) < 300
    assert len(journal_keys(harness.folder)) == int(said[1])
    after = harness(*replay(path, "--n", 50, "--model", "m"))
    assert f"{said[1]} stored already" in after.stderr
    assert after.returncode == 0


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_a_full_disk_stops_the_run_with_one_line_and_loses_nothing(
    harness: Command, golds: dict[str, str], write_chains: Callable[..., Path]
) -> None:
    rows = [{**row, "text": row["text"] + " pad" * 5000} for row in chains_of(golds, 4)]
    path = write_chains(rows)
    arguments = harness.arguments(*replay(path))
    limited = ["bash", "-c", 'ulimit -f 200; trap "" XFSZ; exec "$@"', "bash", *arguments]  # 200 KiB a file
    done = subprocess.run(
        limited, cwd=harness.folder, env=harness.environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "no space left to write" in one_line_error(done)
    kept = journal_keys(harness.folder)
    assert 0 < len(kept) < 24
    after = harness(*replay(path))
    assert after.returncode == 0, after.stderr
    assert f"{len(kept)} stored already" in after.stderr
    assert kept <= set(stored_keys(harness.folder))


def test_two_writers_on_one_run(harness: Command, chains: Path) -> None:
    import fcntl

    (result,) = harness.json(*replay(chains, "--n", 1))
    with (harness.folder / result["path"] / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = harness(*replay(chains, "--n", 2))
    assert done.returncode == 1
    assert "is being written by process" in one_line_error(done)


def test_regrade_needs_no_model_and_gives_the_same(harness: Command, chains: Path) -> None:
    (result,) = harness.json(*replay(chains))
    chains.unlink()
    done = harness("regrade", result["path"], "--json")
    assert done.returncode == 0, done.stderr
    assert "0 of 48 grades changed" in done.stderr
    assert json.loads(done.stdout)[0]["scores"] == result["scores"]


def test_a_run_graded_by_an_older_grader_is_graded_again(harness: Command, chains: Path) -> None:
    import pyarrow.parquet as pq

    (result,) = harness.json(*replay(chains))
    file = harness.folder / result["path"] / "grades.parquet"
    table = pq.read_table(file)
    pq.write_table(table.replace_schema_metadata({"grader": "math 0"}), file)
    done = harness(*replay(chains))
    assert "grades were made by 'math 0', grading again" in done.stderr
    assert harness.json(*replay(chains)) == [result]


def test_run_json_says_where_the_numbers_come_from(harness: Command, chains: Path) -> None:
    (result,) = harness.json(*replay(chains))
    info = json.loads((harness.folder / result["path"] / "run.json").read_text())
    assert info["format"] == 1
    assert info["status"] == "complete"
    assert info["benchmark"]["parameters"] == {"level": 1, "seed": 3, "size": 6}
    assert info["protocol"]["temperature"] == 0.6
    assert info["sampler"] == "replay"
    assert len(info["sessions"]) == 1
    assert info["sessions"][0]["engine"]["chains"] == str(chains)
    assert info["sessions"][0]["hardware"]["cpus"] >= 1


def test_a_yaml_file_mirrors_the_flags_and_flags_win(harness: Command, chains: Path, tmp_path: Path) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(f"bench: ['{BENCH}']\nsampler: replay\nchains: {chains}\nn: 4\nmodel: from-yaml\n")
    (result,) = harness.json("run", "--config", config, "--n", 2)
    assert (result["model"], result["n"]) == ("from-yaml", 2)


def test_a_file_with_several_models_and_benchmarks_is_told_apart(
    harness: Command, golds: dict[str, str], write_chains: Callable[..., Path]
) -> None:
    def rows(model: str, benchmark: str, right: bool) -> list[dict[str, Any]]:
        texts = {id_: f"\\boxed{{{gold if right else 'no'}}}" for id_, gold in golds.items()}
        return [
            {"problem_id": i, "text": t, "model": model, "benchmark": benchmark} for i, t in texts.items()
        ]

    path = write_chains([*rows("a", BENCH, True), *rows("b", BENCH, False), *rows("a", "other", False)])
    assert "holds chains of several models (a, b): say which with --model" in harness(*replay(path)).stderr
    assert "none of them 'c'" in harness(*replay(path, "--model", "c", "--n", 1)).stderr
    scores = {
        model: harness.json(*replay(path, "--model", model, "--n", 1))[0]["scores"]["pass@1"]["value"]
        for model in ("a", "b")
    }
    assert scores == {"a": 1.0, "b": 0.0}

"""Rows made of what a model answers: pass rates, the chains that are chosen, and what a kill leaves."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import Chain, Grade, HarnessError
from harness.plugins import PluginManager
from harness.results import find_runs
from harness.store import RunFolder
from harness_trainers.data import Prepared, prepare
from harness_trainers.recipes import Data

from . import sums
from .prepared import rows_of

ROOT = Path(__file__).resolve().parents[2]
GRADED = dict[str, list[tuple[Chain, Grade]]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all: what one test has sampled the others find."""
    folder = tmp_path_factory.mktemp("sampled")
    sums.tokenizer_folder(folder / "model")
    return folder


def sampled(place: Path, plugins: PluginManager, needs: Any = "chains", **said: Any) -> Prepared:
    data = Data.model_validate({**sums.SAMPLED, **said})
    usual: Any = {"folder": place / "data", "name": "stage", "model": place / "model", "plugins": plugins}
    return prepare(data, needs=needs, **usual)


def graded(place: Path) -> GRADED:
    """Problem id -> its chains with their grades, read from the run folder as anybody may."""
    (path,) = find_runs([place / "data" / "runs"])
    folder = RunFolder.of(path)
    stored = folder.read_grades()
    assert stored is not None
    found: GRADED = defaultdict(list)
    for chain in folder.chains([f"s{i}" for i in range(8)]):
        found[chain.problem_id].append((chain, stored.grades[chain.problem_id, chain.index]))
    return found


def test_the_shortest_correct_chain_of_each_problem_that_was_solved_from_easy_to_hard(
    place: Path, summing: PluginManager
) -> None:
    rows = rows_of(sampled(place, summing))

    found = graded(place)
    assert len(rows) > 4
    for row in rows:
        whole = [chain for chain, grade in found[row["id"]] if grade.correct and not chain.truncated]
        shortest = min(whole, key=lambda chain: chain.completion_tokens or 0)
        assert (row["completion"], row["tokens"]) == (shortest.text, shortest.completion_tokens)
        rate = sum(grade.correct for _, grade in found[row["id"]]) / 6
        assert row["pass_rate"] == pytest.approx(rate)
        assert row["difficulty"] == pytest.approx(1 - rate)
    assert [row["difficulty"] for row in rows] == sorted(row["difficulty"] for row in rows)
    assert any(chain.truncated for chains in found.values() for chain, _ in chains)


def test_a_longer_chain_counts_as_wrong_where_the_recipe_says_so(place: Path, summing: PluginManager) -> None:
    prepared = sampled(
        place, summing, needs="golds", filters={"pass_rate_at_tokens": 40, "pass_rate_below": 0.5}
    )

    found = graded(place)
    rates = {
        id_: sum(grade.correct and (chain.completion_tokens or 0) <= 40 for chain, grade in chains) / 6
        for id_, chains in found.items()
    }
    assert {row["id"]: row["pass_rate"] for row in rows_of(prepared)} == pytest.approx(
        {id_: rate for id_, rate in rates.items() if rate < 0.5}
    )
    assert any(
        row["pass_rate"] < sum(g.correct for _, g in found[row["id"]]) / 6 for row in rows_of(prepared)
    )
    kept = [chain.completion_tokens or 0 for row in rows_of(prepared) for chain, _ in found[row["id"]]]
    assert prepared.completion_tokens == pytest.approx(sum(kept) / len(kept), abs=0.01)


@pytest.mark.parametrize("choice", ["first correct", "longest correct", "all correct"])
def test_other_choices(place: Path, summing: PluginManager, choice: str) -> None:
    rows = rows_of(sampled(place, summing, filters={"chain": choice}))

    found = {
        id_: [chain for chain, grade in chains if grade.correct and not chain.truncated]
        for id_, chains in graded(place).items()
    }
    expected = {
        "first correct": [chains[0].text for chains in found.values() if chains],
        "longest correct": [
            max(chains, key=lambda c: len(c.text)).text for chains in found.values() if chains
        ],
        "all correct": [chain.text for chains in found.values() for chain in chains],
    }[choice]
    assert sorted(row["completion"] for row in rows) == sorted(expected)
    assert len({row["id"] for row in rows}) == len(rows)


def test_fewer_chains_are_the_first_of_those_that_are_there(place: Path, summing: PluginManager) -> None:
    sampled(place, summing)
    before = {path: path.stat().st_mtime_ns for path in place.rglob("chains.parquet")}

    rows = rows_of(
        sampled(place, summing, needs="golds", filters={}, sample={**sums.SAMPLED["sample"], "n": 2})
    )

    found = graded(place)
    assert {row["id"]: row["pass_rate"] for row in rows} == {
        id_: sum(grade.correct for _, grade in chains[:2]) / 2 for id_, chains in found.items()
    }
    assert {path: path.stat().st_mtime_ns for path in place.rglob("chains.parquet")} == before


def test_a_worked_solution_may_stand_for_the_chain_of_a_problem_that_was_sampled(
    place: Path, summing: PluginManager
) -> None:
    rows = rows_of(sampled(place, summing, filters={"chain": "solution", "pass_rate_at_most": 0.9}))

    assert rows
    assert all(row["completion"].startswith(f"<think>\n{row['id'][1:]} and") for row in rows)
    assert all(row["pass_rate"] <= 0.9 for row in rows)


def test_rows_with_golds_are_sampled_as_benchmarks_are(tmp_path: Path, summing: PluginManager) -> None:
    sums.tokenizer_folder(tmp_path / "model")
    rows = [
        {"id": f"s{i}", "question": f"{i} + {i}", "answer": 2 * i, "difficulty": 9 - i, "pass_rate": 0.123}
        for i in range(6)
    ]
    rows.insert(3, {"id": "s9", "question": "", "answer": 18, "difficulty": 1})
    file = tmp_path / "My rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))

    prepared = sampled(tmp_path, summing, source=[str(file), "sums:size=3"], filters={}, sort="pass_rate")

    made = rows_of(prepared)
    assert {row["id"] for row in made} <= {f"s{i}" for i in range(6)} | {"s0#8", "s1#9", "s2#10"}
    own = [row for row in made if row["source"] == str(file)]
    assert all(row["difficulty"] == 9 - int(row["id"][1:]) for row in own)
    assert all(row["pass_rate"] != 0.123 for row in own), "that of the model that was sampled"
    assert own[0]["prompt"][0]["content"].startswith(f"{own[0]['id'][1:]} + ")
    assert f"{file}: 1 of 7 rows are left out: 1 with an empty question" in prepared.notes
    assert len(find_runs([tmp_path / "data" / "runs"])) == 2


def test_a_model_that_is_right_nowhere_leaves_nothing(place: Path, summing: PluginManager) -> None:
    with pytest.raises(
        HarnessError, match=r"no row is left: .*8 of 8 rows are left out: 8 without a correct chain"
    ):
        sampled(place, summing, sample={**sums.SAMPLED["sample"], "sampler": "mute"})


def test_killed_while_it_samples_the_same_call_goes_on_and_makes_the_same_file(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("calm", "killed")]
    for folder in folders:
        folder.mkdir()
        sums.tokenizer_folder(folder / "model")
    (digest, rows), _ = finished(folders[0])
    draw = random.Random(3)
    counts = []
    for _ in range(3):
        process = started(folders[1], SUMS_DELAY="0.02")
        before = stored(folders[1])
        while stored(folders[1]) < min(before + draw.randint(2, 12), 47) and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        counts.append(stored(folders[1]))
        assert not (folders[1] / "data" / "stage.jsonl").exists()
    assert counts == sorted(counts)
    assert 0 < counts[0] < counts[-1]

    (again, rows_again), seconds = finished(folders[1])

    assert (again, rows_again) == (digest, rows)
    assert seconds < 60
    texts = [(folder / "data" / "stage.jsonl").read_bytes() for folder in folders]
    assert texts[0] == texts[1]


def started(folder: Path, **env: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.trainers.sums", str(folder)]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, **env}, **pipes)


def finished(folder: Path) -> tuple[Any, float]:
    begun = time.monotonic()
    process = started(folder)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return json.loads(out), time.monotonic() - begun


def stored(folder: Path) -> int:
    return sum(file.read_bytes().count(b"\n") for file in lines(folder))


def lines(folder: Path) -> Iterator[Path]:
    return folder.rglob("chains.jsonl")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_real_model_is_sampled_by_an_engine_of_this_machine(tmp_path: Path, summing: PluginManager) -> None:
    pytest.importorskip("torch").set_num_threads(1)
    from ..samplers.tiny import make_tiny_model

    make_tiny_model(tmp_path / "model")
    sample = {"n": 2, "sampler": "transformers", "max_tokens": 6}

    prepared = sampled(
        tmp_path, summing, "golds", source="sums:size=2", sample=sample, filters={}, sort="difficulty"
    )

    assert [(row["gold"], row["pass_rate"]) for row in rows_of(prepared)] == [("0", 0.0), ("2", 0.0)]
    assert 1 <= (prepared.completion_tokens or 0) <= 6
    assert (prepared.prompt_tokens or 0) > 10

"""What a run makes of damage, of bad chains from an engine, and of questions about less than is stored."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness import Benchmark, Chain, Engine, Fit, HarnessError, Problem, Request, Sampler, hookimpl
from harness.config import load_config
from harness.data import DataSource
from harness.evaluation import evaluate
from harness.plugins import PluginManager, load_plugins
from harness.progress import Progress
from harness.report import Report
from harness.store import RunFolder


class Numbers(Benchmark):
    name = "numbers"
    normalizer = "integer"
    parameters = {"size": 3}  # noqa: RUF012

    def problems(self, data: object) -> list[Problem]:
        return [Problem(f"n{i}", f"Say {i}.", str(i)) for i in range(self.values["size"])]


class Doubtful(Numbers):
    name = "doubtful"

    def problems(self, data: DataSource) -> list[Problem]:  # type: ignore[override]
        data.warn("the rows are not the original's")
        return super().problems(data)


class Secret(Numbers):
    name = "secret"
    hidden = True


class Scripted(Sampler):
    """Answers every request rightly, unless a test says otherwise."""

    name = "scripted"
    needs_weights = False

    def __init__(self) -> None:
        self.answer: Callable[[Request], Chain] = lambda r: r.chain(f"\\boxed{{{r.key.problem_id[1:]}}}")
        self.sampled: list[tuple[str, int]] = []

    def fit(self, model: object) -> Fit:
        return Fit(0, "")

    @contextmanager
    def open(self, model: object, settings: object, options: object) -> Iterator[Engine]:
        yield ScriptedEngine(self)


class ScriptedEngine(Engine):
    def __init__(self, sampler: Scripted) -> None:
        self.sampler = sampler

    def sample(self, requests: Iterable[Request]) -> Iterator[Chain]:
        for request in requests:
            chain = self.sampler.answer(request)
            self.sampler.sampled.append((request.key.problem_id, request.key.index))
            yield chain


class Notes(Progress):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def sampler() -> Scripted:
    return Scripted()


@pytest.fixture
def manager(sampler: Scripted) -> PluginManager:
    class Plugin:
        @hookimpl
        def harness_benchmarks(self) -> list[Benchmark]:
            return [Numbers(), Secret(), Doubtful()]

        @hookimpl
        def harness_samplers(self) -> list[Sampler]:
            return [sampler]

    plugins = load_plugins()
    plugins.register(Plugin(), "scripted")
    return plugins


@pytest.fixture
def run(manager: PluginManager, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    def run(
        n: int = 2, bench: str = "numbers", progress: Progress | None = None, **more: Any
    ) -> dict[str, Any]:
        flags = {"bench": bench, "sampler": "scripted", "model": "m", "n": n, "results": tmp_path / "results"}
        (result,) = evaluate(load_config(None, {**flags, **more}), manager, progress)
        return result

    return run


@pytest.mark.parametrize(
    "fields",
    [
        {"completion_tokens": True},
        {"completion_tokens": 2**63},
        {"completion_tokens": -1},
        {"completion_tokens": 1.5},
        {"prompt_tokens": "3"},
        {"finish_reason": "because"},
        {"reasoning": None},
    ],
)
def test_a_bad_chain_is_named_and_not_stored(
    run: Callable[..., dict[str, Any]], sampler: Scripted, fields: dict[str, Any]
) -> None:
    good = sampler.answer

    def answer(request: Request) -> Chain:
        bad = (request.key.problem_id, request.key.index) == ("n1", 0)
        return request.chain("x", **fields) if bad else good(request)

    sampler.answer = answer
    with pytest.raises(HarnessError, match=f"bad chain for problem n1, number 0: {next(iter(fields))} is"):
        run()
    sampler.answer = good
    assert run()["counts"]["correct"] == 6
    assert sampler.sampled.count(("n0", 0)) == 1  # what was good before was kept


def test_numbers_of_another_library_are_stored_as_numbers(
    run: Callable[..., dict[str, Any]], sampler: Scripted
) -> None:
    numpy = pytest.importorskip("numpy")
    sampler.answer = lambda r: r.chain("\\boxed{1}", completion_tokens=numpy.int64(7))
    assert run()["scores"]["mean_tokens"]["value"] == 7


def test_an_engine_that_fails_is_named_and_what_it_gave_is_kept(
    run: Callable[..., dict[str, Any]], sampler: Scripted
) -> None:
    good = sampler.answer

    def fail(request: Request) -> Chain:
        if request.key.problem_id == "n2":
            raise RuntimeError("out of memory\non device 0")
        return good(request)

    sampler.answer = fail
    with pytest.raises(
        HarnessError, match="sampler scripted failed: RuntimeError: out of memory on device 0;"
    ):
        run()
    sampler.answer = good
    assert run()["chains"] == 6
    assert len(sampler.sampled) == len(set(sampler.sampled)) == 6


def test_a_smaller_n_after_an_interrupted_larger_one_is_a_result_of_its_own(
    run: Callable[..., dict[str, Any]], sampler: Scripted, tmp_path: Path
) -> None:
    good = sampler.answer

    def stop(request: Request) -> Chain:
        if (request.key.problem_id, request.key.index) == ("n2", 3):
            raise KeyboardInterrupt
        return good(request)

    sampler.answer = stop
    with pytest.raises(HarnessError, match="interrupted"):
        run(n=4)
    result = run(n=2)
    assert RunFolder.of(Path(result["path"])).scores() == result
    sampler.answer = good
    assert run(n=4)["chains"] == 12
    assert len(sampler.sampled) == 12


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        *(
            (file, damage)
            for file in ("grades.parquet", "scores.json", "run.json")
            for damage in ("gone", "cut", "empty")
        ),
        ("problems.parquet", "gone"),
    ],
)
def test_whatever_is_derived_is_made_again(
    run: Callable[..., dict[str, Any]], sampler: Scripted, file: str, damage: str
) -> None:
    result = run()
    path = Path(result["path"]) / file
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:20] if damage == "cut" else b"")
    assert run() == result
    assert path.stat().st_size > 20
    if file.endswith(".json"):
        json.loads(path.read_text())
    assert len(sampler.sampled) == 6


def test_damaged_problems_are_told_to_readers_with_the_remedy(run: Callable[..., dict[str, Any]]) -> None:
    path = Path(run()["path"])
    (path / "problems.parquet").write_bytes(b"PAR1")
    with pytest.raises(HarnessError, match=r"problems.parquet is damaged .* remove it and run the same"):
        RunFolder.of(path).problems()


def test_damaged_chains_are_told_and_not_overwritten(run: Callable[..., dict[str, Any]]) -> None:
    chains = Path(run()["path"]) / "chains.parquet"
    damaged = chains.read_bytes()[:100]
    chains.write_bytes(damaged)
    with pytest.raises(HarnessError, match=r"chains.parquet is damaged .* move it away"):
        run()
    assert chains.read_bytes() == damaged


def test_a_run_that_died_before_its_last_word_is_declared_complete_by_the_next(
    run: Callable[..., dict[str, Any]],
) -> None:
    path = Path(run()["path"]) / "run.json"
    info = json.loads(path.read_text())
    path.write_text(json.dumps({**info, "status": "running"}))
    run()
    assert json.loads(path.read_text())["status"] == "complete"


def test_a_rerun_that_samples_nothing_leaves_the_provenance_alone(run: Callable[..., dict[str, Any]]) -> None:
    path = Path(run()["path"]) / "run.json"
    info = json.loads(path.read_text())
    info["sessions"][0]["hardware"]["machine"] = "the GPU cluster"
    path.write_text(json.dumps(info))
    run()
    assert json.loads(path.read_text()) == info


def test_left_overs_of_a_killed_writer_are_cleared_away(run: Callable[..., dict[str, Any]]) -> None:
    folder = Path(run()["path"])
    (folder / ".chains.parquet.99999.part").write_bytes(b"half")
    (folder / "chains.jsonl").write_bytes(b"")
    run()
    assert not list(folder.glob(".*.part"))
    assert not (folder / "chains.jsonl").exists()


def test_doubts_about_the_data_stand_beside_the_scores(
    run: Callable[..., dict[str, Any]], manager: PluginManager
) -> None:
    result = run(bench="doubtful")
    assert result["warnings"] == ["the rows are not the original's"]
    table = manager.reporter("runs").render(Report([result]))
    assert "m on doubtful: WARNING: the rows are not the original's" in table
    assert run(bench="numbers")["warnings"] == []


def test_problems_of_a_hidden_benchmark_are_not_written_out(run: Callable[..., dict[str, Any]]) -> None:
    problems = RunFolder.of(Path(run(bench="secret")["path"])).problems()
    assert [(p.id, p.text, p.gold) for p in problems] == [("n0", "", "0"), ("n1", "", "1"), ("n2", "", "2")]


def test_greedy_decoding_of_many_chains_is_remarked_upon(manager: PluginManager, tmp_path: Path) -> None:
    class NeedsWeights(Scripted):
        name = "weights"
        needs_weights = True

    class Plugin:
        @hookimpl
        def harness_samplers(self) -> list[Sampler]:
            return [NeedsWeights()]

    manager.register(Plugin(), "weights")
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    notes = Notes()
    flags = {
        "bench": "numbers",
        "sampler": "weights",
        "model": str(tmp_path / "model.gguf"),
        "temperature": 0,
    }
    evaluate(load_config(None, {**flags, "n": 2, "results": tmp_path / "results"}), manager, notes)
    assert any(note.startswith("temperature 0 is greedy") for note in notes.notes)


def test_a_run_is_told_of_before_the_grades_of_its_stored_chains(
    run: Callable[..., dict[str, Any]], manager: PluginManager
) -> None:
    (Path(run()["path"]) / "grades.parquet").unlink()
    heard: list[str] = []

    class Listener:
        @hookimpl
        def harness_run_started(self, pending: int) -> None:
            heard.append(f"started, {pending} pending")

        @hookimpl
        def harness_chain_graded(self) -> None:
            heard.append("graded")

    manager.register(Listener(), "listener")
    run()
    assert heard == ["started, 0 pending", *["graded"] * 6]

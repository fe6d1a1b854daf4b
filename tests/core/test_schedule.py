"""Which chains are begun first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness import (
    Benchmark,
    Chain,
    ChainKey,
    Engine,
    Fit,
    Message,
    Problem,
    Prompt,
    Request,
    Sampler,
    hookimpl,
)
from harness.config import load_config
from harness.evaluation import evaluate
from harness.plugins import PluginManager, load_plugins
from harness.schedule import longest_first


def request(benchmark: str, problem: str, index: int, prompt: str) -> Request:
    return Request(ChainKey(benchmark, problem, index), Prompt((Message("user", prompt),)), index)


def test_problems_with_long_chains_go_first_and_stay_together_across_benchmarks() -> None:
    requests = [request(b, p, i, "x") for b in ("one", "two") for p in ("p", "q") for i in range(2)]
    expected = {("one", "p"): 10.0, ("one", "q"): 500.0, ("two", "p"): 300.0, ("two", "q"): 20.0}
    order = [(r.key.benchmark, r.key.problem_id, r.key.index) for r in longest_first(requests, expected)]
    assert order == [
        ("one", "q", 0),
        ("one", "q", 1),
        ("two", "p", 0),
        ("two", "p", 1),
        ("two", "q", 0),
        ("two", "q", 1),
        ("one", "p", 0),
        ("one", "p", 1),
    ]


def test_where_chains_may_turn_out_superfluous_problems_take_turns() -> None:
    requests = [request("b", p, i, "x") for p in ("short", "long") for i in range(5)]
    expected = {("b", "short"): 1.0, ("b", "long"): 9.0}
    order = [(r.key.problem_id, r.key.index) for r in longest_first(requests, expected, at_once=2)]
    assert order[:5] == [("long", 0), ("long", 1), ("short", 0), ("short", 1), ("long", 2)]
    assert order[-2:] == [("long", 4), ("short", 4)]
    assert longest_first([], {}) == []


def test_without_history_long_prompts_go_first_and_unknown_problems_are_average() -> None:
    requests = [request("b", name, 0, "x" * size) for name, size in (("s", 1), ("l", 9), ("m", 5))]
    assert [r.key.problem_id for r in longest_first(requests, {})] == ["l", "m", "s"]
    expected = {("b", "s"): 100.0, ("b", "m"): 10.0}
    assert [r.key.problem_id for r in longest_first(requests, expected)] == ["s", "l", "m"]


class Lengths(Benchmark):
    name = "lengths"
    aliases = ("others",)
    normalizer = "integer"

    def problems(self, data: object) -> list[Problem]:
        return [Problem(f"p{i}", "x", str(i)) for i in range(4)]


class Recording(Sampler):
    """Chains of problem p3 are longest, then p2 and so on."""

    name = "recording"
    needs_weights = False

    def __init__(self) -> None:
        self.order: list[str] = []

    def fit(self, model: object) -> Fit:
        return Fit(0, "")

    @contextmanager
    def open(self, model: object, settings: object, options: object) -> Iterator[Engine]:
        yield RecordingEngine(self)


class RecordingEngine(Engine):
    def __init__(self, sampler: Recording) -> None:
        self.sampler = sampler

    def sample(self, requests: Iterable[Request]) -> Iterator[Chain]:
        for request in requests:
            self.sampler.order.append(request.key.problem_id)
            yield request.chain("1", completion_tokens=100 * int(request.key.problem_id[1:]))


@pytest.fixture
def manager() -> PluginManager:
    plugins = load_plugins()
    plugins.recording = Recording()  # type: ignore[attr-defined]

    class Plugin:
        @hookimpl
        def harness_benchmarks(self) -> list[Benchmark]:
            return [Lengths()]

        @hookimpl
        def harness_samplers(self) -> list[Sampler]:
            return [plugins.recording]  # type: ignore[attr-defined]

    plugins.register(Plugin(), "recording")
    return plugins


@pytest.fixture
def run(manager: PluginManager, tmp_path: Path) -> Callable[..., list[str]]:
    def run(model: str, **more: Any) -> list[str]:
        manager.recording.order.clear()  # type: ignore[attr-defined]
        flags = {
            "bench": "lengths",
            "sampler": "recording",
            "model": model,
            "n": 1,
            "results": tmp_path / "r",
        }
        evaluate(load_config(None, {**flags, **more}), manager)
        return list(manager.recording.order)  # type: ignore[attr-defined]

    return run


def test_what_was_long_for_another_model_goes_first(run: Callable[..., list[str]]) -> None:
    assert run("first") == ["p0", "p1", "p2", "p3"]
    assert run("second") == ["p3", "p2", "p1", "p0"]
    assert run("second", n=2) == ["p3", "p2", "p1", "p0"]


def test_a_damaged_earlier_run_tells_nothing_and_stops_nothing(
    run: Callable[..., list[str]], tmp_path: Path
) -> None:
    run("first")
    (chains,) = (tmp_path / "r").rglob("chains.parquet")
    chains.write_bytes(b"PAR1 no")
    assert run("second") == ["p0", "p1", "p2", "p3"]


def test_lengths_beyond_the_budget_count_as_the_budget(run: Callable[..., list[str]]) -> None:
    run("first")
    # With a budget of 150 tokens p2 and p3 are cut off at the same length: they keep their order.
    assert run("second", max_tokens=150) == ["p2", "p3", "p1", "p0"]

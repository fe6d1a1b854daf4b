"""`--stop-when-decided`: fewer chains, the same majority."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import Benchmark, Chain, ChainKey, Engine, Fit, Problem, Request, Sampler, hookimpl
from harness.config import load_config
from harness.decided import Ballot, decided
from harness.evaluation import evaluate
from harness.plugins import PluginManager, load_plugins
from harness.regrade import regrade
from harness.report import Report
from harness.store import RunFolder


@given(
    votes=st.dictionaries(st.sampled_from("abc"), st.integers(1, 4), max_size=3), remaining=st.integers(0, 3)
)
def test_decided_means_that_no_completion_changes_the_majority(votes: dict[str, int], remaining: int) -> None:
    def winners(count: Counter[str]) -> set[str]:
        most = max(count.values(), default=0)
        return {answer for answer, votes in count.items() if votes == most}

    now = Counter(votes)
    # Every way in which the remaining chains may vote: for a class that is there, for a new one, or not at all.
    futures = [
        now + Counter(answer for answer in future if answer is not None)
        for future in product(["a", "b", "c", "new", None], repeat=remaining)
    ]
    unchanged = all(winners(future) == winners(now) and len(winners(now)) == 1 for future in futures)
    if votes:
        assert decided(now, remaining) == unchanged
    else:
        assert decided(now, remaining) == (remaining == 0)


def test_a_ballot_counts_abstentions_as_spent_chains() -> None:
    ballot = Ballot(n=5)
    for answer in ("x", "x", None):
        ballot.add(answer)
        assert not ballot.decided  # two for x, and up to two for another
    ballot.add(None)
    assert ballot.decided


class Letters(Benchmark):
    """Problems whose gold is a digit."""

    name = "letters"
    normalizer = "integer"
    parameters = {"size": 3}  # noqa: RUF012

    def problems(self, data: object) -> list[Problem]:
        return [Problem(f"p{i}", "x" * i, str(i)) for i in range(self.values["size"])]


class Counted(Sampler):
    """Answers problem p0 rightly, p1 half and half, and p2 with nothing but different answers."""

    name = "counted"
    needs_weights = False
    lazy = True

    def __init__(self) -> None:
        self.sampled: list[ChainKey] = []
        self.dropped: set[ChainKey] = set()

    def fit(self, model: object) -> Fit:
        return Fit(0, "")

    def answer(self, key: ChainKey) -> int:
        return {"p0": 0, "p1": key.index % 2, "p2": 100 + key.index}[key.problem_id]

    @contextmanager
    def open(self, model: object, settings: object, options: object) -> Iterator[Engine]:
        yield CountedEngine(self)


class CountedEngine(Engine):
    def __init__(self, sampler: Counted) -> None:
        self.sampler = sampler
        self.lazy = sampler.lazy

    def sample(self, requests: Iterable[Request]) -> Iterator[Chain]:
        for request in requests:
            self.sampler.sampled.append(request.key)
            yield request.chain(
                f"\\boxed{{{self.sampler.answer(request.key)}}}", completion_tokens=10, prompt_tokens=3
            )

    def drop(self, keys: Any) -> None:
        self.sampler.dropped |= set(keys)


@pytest.fixture
def sampler() -> Counted:
    return Counted()


@pytest.fixture
def manager(sampler: Counted) -> PluginManager:
    class Plugin:
        @hookimpl
        def harness_benchmarks(self) -> list[Benchmark]:
            return [Letters()]

        @hookimpl
        def harness_samplers(self) -> list[Sampler]:
            return [sampler]

    plugins = load_plugins()
    plugins.register(Plugin(), "counted")
    return plugins


@pytest.fixture
def run(manager: PluginManager, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    def run(**more: Any) -> dict[str, Any]:
        flags = {"bench": "letters", "sampler": "counted", "model": "m", "n": 8, "results": tmp_path / "r"}
        (result,) = evaluate(load_config(None, {**flags, **more}), manager)
        return result

    return run


@pytest.mark.parametrize("lazy", [True, False])
def test_chains_that_cannot_change_the_majority_are_not_sampled(
    run: Callable[..., dict[str, Any]], sampler: Counted, lazy: bool
) -> None:
    sampler.lazy = lazy
    result = run(stop_when_decided=True)
    # p0: five of eight decide. p1: 4 to 4, never. p2: all different, never.
    assert result["decided"] == {"problems": 1, "chains_saved": 3, "undecided": 0}
    assert result["chains"] == 24 - 3
    assert sampler.dropped == {ChainKey("letters", "p0", i) for i in (5, 6, 7)}
    if lazy:
        assert len(sampler.sampled) == 21


def test_the_vote_is_that_of_all_chains_and_pass_at_1_is_of_those_sampled(
    run: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    early = run(stop_when_decided=True)
    full = run(results=tmp_path / "other")
    assert early["scores"]["cons@k"].items() <= full["scores"]["cons@k"].items()
    assert early["scores"]["pass@1"]["value"] == full["scores"]["pass@1"]["value"] == pytest.approx(0.5)
    assert early["scores"]["pass@k"]["k"] == 5
    assert "decided" not in full


def test_the_same_command_without_the_flag_samples_the_rest(
    run: Callable[..., dict[str, Any]], sampler: Counted, tmp_path: Path
) -> None:
    run(stop_when_decided=True)
    asked = len(sampler.sampled)
    assert run(stop_when_decided=True)["chains"] == 21
    assert len(sampler.sampled) == asked  # a decided run stays as it is
    full = run()
    assert (full["chains"], len(sampler.sampled)) == (24, 24)
    at_once = run(results=tmp_path / "other")
    assert {**full, "path": ""} == {**at_once, "path": ""}


def test_a_run_that_was_stopped_early_can_be_graded_again(
    run: Callable[..., dict[str, Any]], manager: PluginManager
) -> None:
    from harness.grading import open_pool

    result = run(stop_when_decided=True)
    pool = open_pool(manager)
    try:
        again, changed = regrade(Path(result["path"]), manager, pool, print)
    finally:
        pool.close()
    assert changed == 0
    assert again == result


def test_a_reader_is_told_what_early_stopping_means_for_the_numbers(
    run: Callable[..., dict[str, Any]], manager: PluginManager
) -> None:
    table = manager.reporter("runs").render(Report([run(stop_when_decided=True)]))
    assert "3 of 24 chains were not needed on 1 problem" in table
    assert "pass@1 and the lengths are estimates" in table


def test_sixty_four_stored_chains_a_problem_vote_alike_early_or_in_full(
    manager: PluginManager, tmp_path: Path, write_chains: Callable[..., Path]
) -> None:
    """Twelve problems from unanimous to hopeless, their chains in the random order in which an engine ends them."""
    draw = random.Random(7)
    rows = []
    for number in range(12):
        odds = [12 - number, number, 1, 1]
        for index in range(64):
            answer = draw.choices([str(number), "901", "902", None], odds)[0]
            text = "no idea" if answer is None else f"\\boxed{{{answer}}}"
            rows.append({"problem_id": f"p{number}", "index": index, "text": text, "completion_tokens": 50})
    draw.shuffle(rows)
    chains = write_chains(rows)

    def winners(stop: bool, results: Path) -> tuple[dict[str, set[str]], dict[str, Any]]:
        flags = {"bench": "letters:size=12", "sampler": "replay", "chains": chains, "model": "m", "n": 64}
        asked = load_config(None, {**flags, "results": results, "stop_when_decided": stop})
        (result,) = evaluate(asked, manager)
        stored = RunFolder.of(Path(result["path"])).read_grades()
        assert stored is not None
        votes: dict[str, Counter[str]] = {f"p{number}": Counter() for number in range(12)}
        for (problem, _), grade in stored.grades.items():
            if grade.answer_class is not None:
                votes[problem][grade.answer_class] += 1
        return {p: {a for a in v if v[a] == max(v.values())} for p, v in votes.items()}, result

    early, stopped = winners(True, tmp_path / "early")
    full, complete = winners(False, tmp_path / "full")
    assert early == full
    # Curve and parts of the error need all chains; the vote itself does not.
    assert stopped["scores"]["cons@k"].items() <= complete["scores"]["cons@k"].items()
    assert stopped["decided"]["chains_saved"] > 100
    assert stopped["chains"] == 12 * 64 - stopped["decided"]["chains_saved"]

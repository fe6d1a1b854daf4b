"""Scores at smaller budgets, as if the run had been made again."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from harness.statistics import BudgetPoint, budget_curve


@dataclass
class Chains:
    problem: np.ndarray
    correct: np.ndarray
    answer_class: np.ndarray
    tokens: np.ndarray
    truncated: np.ndarray

    def curve(self, **options: object) -> list[BudgetPoint]:
        found = budget_curve(
            self.problem,
            self.correct,
            self.answer_class,
            self.tokens,
            self.truncated,
            **options,  # type: ignore[arg-type]
        )
        assert found is not None
        return found


@pytest.fixture
def chains() -> Chains:
    """Problem 0 is solved by long chains, its wrong answers are short; problem 1 has a chain that was cut off."""
    return Chains(
        problem=np.array([0, 0, 0, 1, 1, 1], dtype=np.int32),
        correct=np.array([1, 1, 0, 1, 0, 0], dtype=bool),
        answer_class=np.array([0, 0, 1, 2, 3, -1], dtype=np.int32),
        tokens=np.array([30, 40, 10, 10, 50, 64]),
        truncated=np.array([0, 0, 0, 0, 0, 1], dtype=bool),
    )


def test_by_hand(chains: Chains) -> None:
    curve = chains.curve(own=64)
    assert [point.budget for point in curve] == [16, 32, 64]  # from the first within which a chain ends
    assert [point.pass_at_1.value for point in curve] == pytest.approx([1 / 6, 1 / 3, 1 / 2])
    # At 32 one chain votes for either answer of problem 0; at 64 the correct one wins, and problem 1 is tied.
    assert [point.consensus.value for point in curve] == pytest.approx(
        [(0 + 1) / 2, (0.5 + 1) / 2, (1 + 0.5) / 2]
    )
    assert [point.cut_off for point in curve] == pytest.approx([4 / 6, 3 / 6, 1 / 6])


def test_a_chain_may_be_just_as_long_as_the_budget(chains: Chains) -> None:
    at = {point.budget: point.pass_at_1.value for point in chains.curve(budgets=[29, 30, 39, 40])}
    assert at == pytest.approx({29: 1 / 6, 30: 1 / 3, 39: 1 / 3, 40: 1 / 2})


def test_at_its_own_budget_a_run_scores_what_it_scored(chains: Chains) -> None:
    chains.correct[5], chains.answer_class[5] = True, 2  # it had concluded before it was cut off
    last, beyond = chains.curve(own=64, budgets=[64, 128])
    assert last.pass_at_1.value == beyond.pass_at_1.value == pytest.approx((2 / 3 + 2 / 3) / 2)
    assert last.consensus.value == pytest.approx(1)
    assert last.cut_off == pytest.approx(1 / 6)
    (below,) = chains.curve(own=64, budgets=[63])
    assert below.pass_at_1.value == pytest.approx((2 / 3 + 1 / 3) / 2)


def test_without_a_budget_the_longest_chain_is_taken_for_it(chains: Chains) -> None:
    assert [point.budget for point in chains.curve()] == [16, 32, 64]
    chains.tokens[5] = 60
    assert [point.budget for point in chains.curve()] == [16, 32, 60]


def test_lengths_must_be_known(chains: Chains) -> None:
    chains.tokens[2] = -1
    with pytest.raises(AssertionError):
        chains.curve()
    empty = replace(chains, **{name: getattr(chains, name)[:0] for name in vars(chains)})
    with pytest.raises(AssertionError):
        empty.curve()


def test_a_run_in_which_nobody_answers(chains: Chains) -> None:
    chains.correct[:], chains.answer_class[:] = False, -1
    assert all(point.pass_at_1.value == point.consensus.value == 0 for point in chains.curve())
    chains.truncated[:] = True
    assert [point.budget for point in chains.curve(own=64)] == [64]


def test_a_larger_run_against_a_loop(chains: Chains) -> None:
    generator = np.random.default_rng(0)
    problems, n = 20, 16
    answer = generator.integers(-1, 3, problems * n)
    many = Chains(
        problem=np.repeat(np.arange(problems), n).astype(np.int32),
        correct=answer == 0,
        answer_class=np.where(answer < 0, -1, answer + np.repeat(np.arange(problems), n)).astype(np.int32),
        tokens=generator.integers(1, 4096, problems * n),
        truncated=np.zeros(problems * n, dtype=bool),
    )
    for point in many.curve(own=4096):
        rates, votes = [], []
        for problem in range(problems):
            mine = (many.problem == problem) & (many.tokens <= point.budget)
            rates.append((mine & many.correct).sum() / n)
            counts = [(mine & (answer == a)).sum() for a in range(3)]
            winners = [a for a in range(3) if counts[a] == max(counts) > 0]
            votes.append((0 in winners) / len(winners) if winners else 0)
        assert point.pass_at_1.value == pytest.approx(np.mean(rates))
        assert point.consensus.value == pytest.approx(np.mean(votes))
        assert point.cut_off == pytest.approx((many.tokens > point.budget).mean())

"""Do the intervals keep their promise? 2,000 simulated benchmarks of 30 problems x 64 chains, several difficulties.

The true score of a benchmark is that of all problems of its kind; an interval covers it or does not. With 2,000
benchmarks a share of 95 % is known to 0.5 points (standard error).
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy import stats

from harness.statistics import bootstrap_intervals, fresh_vote, mean_over_problems, paired, parts_of_variance

PROBLEMS, CHAINS, BENCHMARKS = 30, 64, 2000

PROFILES = {
    "two-humped": (0.5, 0.5),
    "hard": (0.3, 1.2),
    "middling": (0.4, 0.8),
    "easy": (2.0, 0.4),
}
"""Parameters of the Beta distribution of the problems' true rates."""
EXTREME = {"9 % solved": (0.2, 2.0), "91 % solved": (1.5, 0.15)}

every_profile = pytest.mark.parametrize("profile", PROFILES)
even_extreme = pytest.mark.parametrize("profile", [*PROFILES, *EXTREME])


def votes(correct: np.ndarray) -> np.ndarray:
    """The vote where all wrong chains agree."""
    return np.where(2 * correct == CHAINS, 0.5, 2 * correct > CHAINS)


def vote_rate(rates: np.ndarray) -> np.ndarray:
    return stats.binom.sf(CHAINS // 2, CHAINS, rates) + stats.binom.pmf(CHAINS // 2, CHAINS, rates) / 2


@cache
def one_model(profile: str) -> tuple[np.ndarray, float, float]:
    """Correct chains by benchmark and problem, true pass@1, true cons@64."""
    shape = {**PROFILES, **EXTREME}[profile]
    generator = np.random.default_rng(1)
    correct = generator.binomial(CHAINS, generator.beta(*shape, (BENCHMARKS, PROBLEMS)))
    return correct, stats.beta(*shape).mean(), float(vote_rate(generator.beta(*shape, 200_000)).mean())


@cache
def two_models(profile: str, better: float) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Correct chains of either model, and the true differences; the second model's log-odds differ by `better`."""
    generator = np.random.default_rng(2)

    def rates(size: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        first = generator.beta(*{**PROFILES, **EXTREME}[profile], size).clip(1e-12, 1 - 1e-12)
        odds = np.log(first / (1 - first)) + better + generator.normal(0, 0.5, size)
        return first, 1 / (1 + np.exp(-odds))

    p, q = rates((200_000,))
    first, second = rates((BENCHMARKS, PROBLEMS))
    true = float((p - q).mean()), float((vote_rate(p) - vote_rate(q)).mean())
    return generator.binomial(CHAINS, first), generator.binomial(CHAINS, second), *true


def coverage(intervals: list[tuple[float, float] | None] | np.ndarray | None, true: float) -> float:
    assert intervals is not None
    ends = np.array(intervals)
    return float(((ends[:, 0] <= true) & (true <= ends[:, 1])).mean())


@every_profile
def test_pass_at_1(profile: str) -> None:
    correct, true, _ = one_model(profile)
    intervals = [mean_over_problems(row).ci95 for row in (correct / CHAINS).tolist()]
    assert 0.93 <= coverage(intervals, true) <= 0.97


@pytest.mark.parametrize("profile", EXTREME)
def test_pass_at_1_of_benchmarks_that_are_far_too_hard_or_easy(profile: str) -> None:
    correct, true, _ = one_model(profile)
    rows = correct / CHAINS
    found = coverage([mean_over_problems(row).ci95 for row in rows.tolist()], true)
    assert 0.93 <= found <= 0.97
    reach = stats.t.ppf(0.975, PROBLEMS - 1) * stats.sem(rows, axis=1)
    plain = coverage(np.stack([rows.mean(axis=1) - reach, rows.mean(axis=1) + reach], axis=1), true)
    assert plain < 0.92  # why it is not m +- t SE


@every_profile
def test_cons_at_64(profile: str) -> None:
    correct, _, true = one_model(profile)
    intervals = [mean_over_problems(row, votes=True).ci95 for row in votes(correct).tolist()]
    assert 0.93 <= coverage(intervals, true) <= 0.975


@even_extreme
@pytest.mark.parametrize("better", [0.0, 0.7])
def test_the_difference_in_pass_at_1(profile: str, better: float) -> None:
    first, second, true, _ = two_models(profile, better)
    differences = (first - second) / CHAINS
    slack = 0.005 if profile in EXTREME else 0.0
    found = coverage([paired(row, CHAINS).ci95 for row in differences], true)
    assert 0.93 - slack <= found <= 0.97 + 2 * slack
    assert 0.9 <= coverage(bootstrap_intervals(differences[:800]), true) <= 0.97


@every_profile
@pytest.mark.parametrize("better", [0.0, 0.7])
def test_the_difference_in_votes_is_on_the_safe_side(profile: str, better: float) -> None:
    first, second, _, true = two_models(profile, better)
    differences = votes(first) - votes(second)
    assert coverage([paired(row, 2, votes=True).ci95 for row in differences], true) >= 0.94
    if profile == "easy":  # hardly a vote differs, and the bootstrap knows nothing of what it does not see
        assert coverage(bootstrap_intervals(differences[:800]), true) < 0.9


@every_profile
def test_models_that_are_alike_are_told_apart_in_at_most_5_of_100_cases(profile: str) -> None:
    first, second, _, _ = two_models(profile, 0.0)
    for differences in ((first - second) / CHAINS, votes(first) - votes(second)):
        assert np.mean([paired(row, 2 * CHAINS).p < 0.05 for row in differences]) <= 0.065


def test_the_sampling_part_of_votes_is_what_runs_of_the_same_problems_differ_by() -> None:
    generator = np.random.default_rng(4)
    truth = generator.beta(1, 1, PROBLEMS)
    runs = generator.binomial(CHAINS, truth, (1000, PROBLEMS))
    found = []
    for run in runs[:100]:
        fresh = [fresh_vote(int(c), [CHAINS - int(c)]) for c in run]
        found.append(parts_of_variance(votes(run).tolist(), [variance for _, variance in fresh]).sampling)
    simulated = votes(runs).mean(axis=1).std()
    assert np.sqrt(np.mean(np.square(found))) == pytest.approx(simulated, rel=0.15)

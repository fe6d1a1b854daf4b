"""The vote of k chains against all subsets, and the vote drawn anew against all sequences."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.statistics import consensus_curve, consensus_points, fresh_vote, powers_of_two, tally, vote_curve
from harness.statistics.sampled_votes import sampled_fresh_vote, sampled_vote_curve

Case = tuple[list[int], list[int], int]

SMALL: list[Case] = [
    ([1], [], 0),
    ([], [2, 1], 1),
    ([3], [2, 2], 1),
    ([2], [2, 1, 1], 2),
    ([1], [1, 1, 1, 1], 0),
    ([1], [3, 3], 0),
    ([4], [1, 1, 1], 2),
    ([2, 1], [2], 1),  # two spellings of the correct answer
    ([1, 1], [1, 1], 1),
    ([2, 2, 1], [3], 0),
    ([], [], 3),
]


def worth(votes: Sequence[int], right: int) -> float:
    """Classes numbered from 0, those below `right` correct; -1 abstains."""
    counts = [votes.count(answer) for answer in set(votes) - {-1}]
    most = max(counts, default=0)
    winners = [answer for answer in set(votes) - {-1} if votes.count(answer) == most]
    return sum(answer < right for answer in winners) / len(winners) if winners else 0.0


def chains_of(case: Case) -> list[int]:
    correct, others, abstaining = case
    return [a for a, count in enumerate([*correct, *others]) for _ in range(count)] + [-1] * abstaining


@pytest.mark.parametrize("case", SMALL)
def test_the_curve_is_the_mean_over_all_subsets(case: Case) -> None:
    chains = chains_of(case)
    for k, found in enumerate(vote_curve(*case), start=1):
        subsets = [worth(subset, len(case[0])) for subset in itertools.combinations(chains, k)]
        assert found == pytest.approx(np.mean(subsets), abs=1e-12), k


@pytest.mark.parametrize("case", [case for case in SMALL if len(chains_of(case)) <= 6])
def test_a_vote_drawn_anew_is_the_mean_over_all_sequences(case: Case) -> None:
    chains = chains_of(case)
    every = [worth(drawn, len(case[0])) for drawn in itertools.product(chains, repeat=len(chains))]
    assert fresh_vote(*case) == pytest.approx((np.mean(every), np.var(every)), abs=1e-12)


@pytest.mark.parametrize(
    "case", [([20], [18, 10, 5, 3, 1, 1, 1], 5), ([4], [3, *[1] * 50], 7), ([15, 14], [25, 3], 2)]
)
def test_a_vote_of_64_drawn_anew_against_simulation(case: Case) -> None:
    correct, others, abstaining = case
    counts = np.array([*correct, *others, abstaining])
    drawn = np.random.default_rng(3).multinomial(counts.sum(), counts / counts.sum(), size=40_000)[:, :-1]
    wins = drawn == drawn.max(axis=1, keepdims=True)
    simulated = wins[:, : len(correct)].sum(axis=1) / wins.sum(axis=1)
    found = fresh_vote(*case)
    assert found.mean == pytest.approx(simulated.mean(), abs=0.01)
    assert found.variance == pytest.approx(simulated.var(), abs=0.004)


COUNTS = st.lists(st.integers(0, 12), max_size=6)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 30), COUNTS, st.integers(0, 9))
def test_the_curve_ends_with_the_vote_and_begins_with_pass_at_1(
    correct: int, others: list[int], abstaining: int
) -> None:
    curve = vote_curve(correct, others, abstaining)
    n = correct + sum(others) + abstaining
    assert len(curve) == n
    if n:
        assert curve[0] == pytest.approx(correct / n)
        assert curve[-1] == worth(
            chains_of(([correct] if correct else [], others, abstaining)), bool(correct)
        )
        assert ((curve >= 0) & (curve <= 1)).all()


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 12), st.integers(0, 12))
def test_two_answers_share_the_vote(one: int, other: int) -> None:
    if one + other:
        assert vote_curve(one, [other]) + vote_curve(other, [one]) == pytest.approx(1)
        assert fresh_vote(one, [other]).variance == pytest.approx(fresh_vote(other, [one]).variance)


@settings(max_examples=50, deadline=None)
@given(COUNTS, COUNTS, st.integers(0, 3))
def test_a_fresh_vote_is_a_worth_in_0_to_1(correct: list[int], others: list[int], abstaining: int) -> None:
    mean, variance = fresh_vote(correct, others, abstaining)
    assert 0 <= mean <= 1
    assert 0 <= variance <= mean * (1 - mean) + 1e-15


@pytest.mark.parametrize(
    "case", [([500], [500], 0), ([340], [330, 330], 0), ([10], [10] * 99, 0), ([300], [280, *[1] * 350], 70)]
)
def test_a_thousand_chains_are_no_trouble(case: Case) -> None:
    curve = vote_curve(*case)
    assert np.isfinite(curve).all()
    assert curve == pytest.approx(sampled_vote_curve(*case), abs=0.08)  # five standard errors of the sampling
    mean, variance = sampled_fresh_vote(*case)
    assert fresh_vote(*case) == pytest.approx((mean, variance), abs=0.05)


def test_beyond_a_thousand_chains_votes_are_sampled_the_same_way_each_time() -> None:
    case = ([900], [100, 700], 40)
    curve = vote_curve(*case)
    assert len(curve) == 1740
    assert curve[-1] == 1.0
    assert curve[0] == pytest.approx(900 / 1740, abs=0.08)
    assert (np.diff(curve[::200]) > -0.02).all()
    assert curve == pytest.approx(sampled_vote_curve(*case), abs=1e-12)
    assert fresh_vote(*case).mean > 0.99


@pytest.mark.parametrize("case", SMALL)
def test_sampled_votes_are_those_of_subsets(case: Case) -> None:
    assert sampled_vote_curve(*case) == pytest.approx(vote_curve(*case), abs=0.08)
    mean, variance = sampled_fresh_vote(*case)
    assert fresh_vote(*case) == pytest.approx((mean, variance), abs=0.05)


def test_a_curve_is_shared_and_cannot_be_changed() -> None:
    assert vote_curve(5, [3, 1]) is vote_curve([5], (1, 3, 0))
    with pytest.raises(ValueError, match="read-only"):
        vote_curve(5, [3, 1])[0] = 1


def test_votes_cannot_be_negative() -> None:
    for case in (([-1], [2], 0), ([1], [-2], 0), ([1], [2], -1)):
        with pytest.raises(ValueError, match="negative"):
            tally(*case)


def test_the_mean_curve_is_averaged_over_problems() -> None:
    tallies = [tally(3, [1]), tally(1, [2, 1], 1)]
    curve = consensus_curve(tallies)
    assert curve.values == pytest.approx((vote_curve(3, [1]) + vote_curve(1, [2, 1], 1)[:4]) / 2)
    assert [point.k for point in curve.points] == [1, 2, 4]
    assert curve.points[0].value == pytest.approx((0.75 + 0.2) / 2)
    assert curve.points[0].stderr == pytest.approx(0.55 / 2)
    assert consensus_points(tallies) == pytest.approx({point.k: point.value for point in curve.points})


def test_no_chains_give_no_curve() -> None:
    assert consensus_curve([]).points == ()
    assert powers_of_two(0) == []
    assert powers_of_two(6) == [1, 2, 4, 6]

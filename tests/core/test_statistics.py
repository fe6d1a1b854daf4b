"""Formulas against values worked out by hand, by brute force or by scipy."""

from __future__ import annotations

import itertools
import math
from statistics import fmean

import pytest
from scipy import stats

from harness.statistics import mean_over_problems, pass_at_k, percentile, student_t_quantile, variance_parts


@pytest.mark.parametrize(
    ("n", "c", "k"), [(n, c, k) for n in range(1, 7) for c in range(n + 1) for k in range(1, n + 1)]
)
def test_pass_at_k_is_the_share_of_all_subsets_with_a_correct_chain(n: int, c: int, k: int) -> None:
    subsets = list(itertools.combinations(range(n), k))
    hits = sum(any(chain < c for chain in subset) for subset in subsets)
    assert pass_at_k(n, c, k) == pytest.approx(hits / len(subsets))


@pytest.mark.parametrize(("n", "c", "k"), [(4, 5, 1), (4, -1, 1), (4, 2, 0), (4, 2, 5)])
def test_pass_at_k_refuses_impossible_counts(n: int, c: int, k: int) -> None:
    with pytest.raises(ValueError, match="pass@k"):
        pass_at_k(n, c, k)


@pytest.mark.parametrize("dof", [1, 2, 3, 4, 7, 29, 30, 197, 1318])
@pytest.mark.parametrize("p", [0.6, 0.9, 0.975, 0.9995])
def test_students_t_agrees_with_scipy(p: float, dof: int) -> None:
    assert student_t_quantile(p, dof) == pytest.approx(stats.t.ppf(p, dof), rel=1e-9)


def test_the_interval_of_a_mean_is_students_t_over_problems() -> None:
    rates = [0.0, 0.25, 0.5, 1.0, 0.75, 0.5]
    estimate = mean_over_problems(rates)
    assert estimate.stderr == pytest.approx(stats.sem(rates))
    low, high = stats.t.interval(0.95, len(rates) - 1, loc=fmean(rates), scale=stats.sem(rates))
    assert estimate.ci95 == pytest.approx((low, high))


def test_an_interval_stays_within_0_and_1() -> None:
    ci95 = mean_over_problems([1.0, 1.0, 0.9]).ci95
    assert ci95 is not None
    assert ci95[1] == 1.0


@pytest.mark.parametrize("value", [0.0, 1.0, 0.5])
def test_problems_that_all_score_alike_do_not_make_a_score_certain(value: float) -> None:
    ci95 = mean_over_problems([value] * 30).ci95
    expected = stats.binomtest(round(30 * value), 30).proportion_ci(method="wilson")
    assert ci95 == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_one_problem_has_a_value_and_no_error_bar() -> None:
    assert mean_over_problems([0.5]) == (0.5, None, None)


def test_the_parts_of_the_standard_error_add_up() -> None:
    correct, n = [0, 3, 8, 5, 8, 1], 8
    parts = variance_parts(correct, [n] * len(correct))
    total = mean_over_problems([c / n for c in correct]).stderr
    assert parts.sampling is not None
    assert parts.questions is not None
    assert total is not None
    assert math.hypot(parts.sampling, parts.questions) == pytest.approx(total)


def test_the_sampling_part_by_hand() -> None:
    # p = 1/2 with n = 5: p(1-p)/(n-1) = 1/16 for each of two problems; variance of the mean is 1/16 / 2.
    # (2 of 5 and 3 of 5: 0.24 / 4 = 0.06 each.)
    assert variance_parts([2, 3], [5, 5]).sampling == pytest.approx(math.sqrt(0.06 / 2))


def test_chains_that_always_agree_have_no_sampling_error() -> None:
    parts = variance_parts([0, 4, 4], [4, 4, 4])
    assert parts.sampling == 0
    assert parts.questions == pytest.approx(stats.sem([0, 1, 1]))


def test_a_single_chain_per_problem_cannot_tell_the_parts_apart() -> None:
    assert variance_parts([0, 1, 1], [1, 1, 1]) == (None, None)


def test_percentile_interpolates() -> None:
    assert percentile([4, 1, 3, 2], 0.5) == 2.5
    assert percentile([10.0], 0.95) == 10.0
    assert percentile(list(range(101)), 0.95) == 95

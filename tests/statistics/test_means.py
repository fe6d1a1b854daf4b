"""Means over problems, their errors and intervals, against values worked out by hand, by scipy or by statsmodels."""

from __future__ import annotations

import math
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.proportion import proportion_confint

from harness.statistics import (
    degrees_of_freedom,
    mean_over_problems,
    parts_of_variance,
    percentile,
    student_t_quantile,
    variance_parts,
    wilson_interval,
)

RATES = [0.0, 0.25, 0.5, 1.0, 0.75, 0.5]


@pytest.mark.parametrize("dof", [1, 2, 3, 4, 7, 29, 30, 197, 1318])
@pytest.mark.parametrize("p", [0.6, 0.8, 0.9, 0.975, 0.9995])
def test_students_t_agrees_with_scipy(p: float, dof: int) -> None:
    assert student_t_quantile(p, dof) == pytest.approx(stats.t.ppf(p, dof), rel=1e-9)


def test_the_standard_error_is_clustered_by_question() -> None:
    n = 4
    chains = np.array([[place < rate * n for place in range(n)] for rate in RATES], dtype=float)
    cluster = np.repeat(np.arange(len(RATES)), n)
    fit = OLS(chains.ravel(), np.ones(chains.size)).fit(
        cov_type="cluster", cov_kwds={"groups": cluster, "use_correction": False}
    )
    # statsmodels divides by N, the sample variance by N - 1.
    expected = fit.bse[0] * math.sqrt(len(RATES) / (len(RATES) - 1))
    assert mean_over_problems(RATES).stderr == pytest.approx(expected)
    assert mean_over_problems(RATES).stderr == pytest.approx(stats.sem(RATES))


def test_the_interval_is_wilsons_for_the_effective_number_of_problems() -> None:
    m, s2, count = fmean(RATES), np.var(RATES, ddof=1), len(RATES)
    # Dean and Pagano: normal quantile, and the effective number adjusted for the degrees of freedom.
    adjusted = count * m * (1 - m) / s2 * (stats.norm.ppf(0.975) / stats.t.ppf(0.975, count - 1)) ** 2
    assert mean_over_problems(RATES).ci95 == pytest.approx(
        proportion_confint(m * adjusted, adjusted, method="wilson")
    )


def test_for_many_problems_the_interval_is_students_t() -> None:
    rates = np.random.default_rng(0).uniform(0.2, 0.9, 5000).tolist()
    t = stats.t.interval(0.95, len(rates) - 1, loc=fmean(rates), scale=stats.sem(rates))
    assert mean_over_problems(rates).ci95 == pytest.approx(t, abs=2e-4)


@pytest.mark.parametrize(("share", "count"), [(0.0, 30), (1.0, 30), (0.3, 10), (0.5, 198)])
def test_wilsons_interval_agrees_with_statsmodels(share: float, count: int) -> None:
    expected = proportion_confint(share * count, count, method="wilson")
    assert wilson_interval(share, count, stats.norm.ppf(0.975)) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=40))
def test_the_interval_holds_the_mean_and_stays_within_0_and_1(rates: list[float]) -> None:
    value, _, ci95 = mean_over_problems(rates)
    assert ci95 is not None
    assert 0 <= ci95[0] <= value + 1e-12
    assert value - 1e-12 <= ci95[1] <= 1
    assert ci95[0] < ci95[1]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 64), min_size=2, max_size=30), st.booleans())
def test_the_interval_of_failures_mirrors_that_of_successes(correct: list[int], votes: bool) -> None:
    right = mean_over_problems([c / 64 for c in correct], votes=votes).ci95
    wrong = mean_over_problems([1 - c / 64 for c in correct], votes=votes).ci95
    assert right is not None
    assert wrong is not None
    assert right == pytest.approx((1 - wrong[1], 1 - wrong[0]), abs=1e-9)


def test_few_problems_that_make_all_the_difference_tell_little_of_it() -> None:
    assert degrees_of_freedom([0.0] * 29 + [0.5]) == 2
    assert degrees_of_freedom(RATES) == len(RATES) - 1
    assert degrees_of_freedom([0.5, 0.5]) == 1
    values = np.random.default_rng(0).exponential(size=200)
    by_hand = 400 / (stats.kurtosis(values, fisher=False) - 197 / 199)
    assert degrees_of_freedom(values.tolist()) == int(by_hand)
    # As wide as that is, it is nearer to what no correct chain at all would tell.
    nothing, little = mean_over_problems([0.0] * 30).ci95, mean_over_problems([0.0] * 29 + [0.5]).ci95
    assert nothing is not None
    assert little is not None
    assert little[1] > nothing[1]


def test_the_spread_of_right_and_wrong_follows_from_their_mean() -> None:
    solved = [0.0] * 28 + [1.0] * 2
    assert mean_over_problems(solved).ci95 == mean_over_problems(solved, votes=True).ci95
    # Wilson's own interval, but that s^2 is the sample variance: N - 1 for N.
    expected = proportion_confint(29 * 2 / 30, 29, method="wilson")
    assert mean_over_problems(solved).ci95 == pytest.approx(expected)
    tied, few = [*solved[1:], 0.5], mean_over_problems([*solved[1:], 0.5], votes=True).ci95
    wide = mean_over_problems(tied).ci95
    assert few is not None
    assert wide is not None
    assert few[1] < wide[1]


@pytest.mark.parametrize("value", [0.0, 1.0, 0.5])
def test_problems_that_all_score_alike_do_not_make_a_score_certain(value: float) -> None:
    ci95 = mean_over_problems([value] * 30).ci95
    quantile = stats.t.ppf(0.975, 29) if value == 0.5 else stats.norm.ppf(0.975)
    assert ci95 == pytest.approx(wilson_interval(value, 30, quantile), abs=1e-12)
    assert ci95 is not None
    assert ci95[1] - ci95[0] > 0.1


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
    # 2 of 5 and 3 of 5: p(1-p)/(n-1) = 0.24 / 4 = 0.06 for each of two problems; variance of the mean is 0.06 / 2.
    assert variance_parts([2, 3], [5, 5]).sampling == pytest.approx(math.sqrt(0.06 / 2))


def test_the_sampling_part_is_what_runs_of_the_same_problems_differ_by() -> None:
    generator = np.random.default_rng(0)
    truth, n = generator.beta(0.5, 0.5, 30), 16
    runs = generator.binomial(n, truth, (4000, 30))
    found = [parts.sampling for run in runs[:300] if (parts := variance_parts(run.tolist(), [n] * 30))]
    assert np.sqrt(np.mean(np.square(found))) == pytest.approx((runs / n).mean(axis=1).std(), rel=0.03)


def test_chains_that_always_agree_have_no_sampling_error() -> None:
    parts = variance_parts([0, 4, 4], [4, 4, 4])
    assert parts.sampling == 0
    assert parts.questions == pytest.approx(stats.sem([0, 1, 1]))


def test_a_single_chain_per_problem_cannot_tell_the_parts_apart() -> None:
    assert variance_parts([0, 1, 1], [1, 1, 1]) == (None, None)


def test_more_sampling_variance_than_there_is_leaves_the_questions_nothing() -> None:
    parts = parts_of_variance([0.5, 0.5, 0.4], [0.2, 0.2, 0.2])
    assert parts.questions == 0
    assert parts.sampling == pytest.approx(math.sqrt(0.2 / 3))


def test_a_single_problem_has_a_sampling_part_only() -> None:
    assert variance_parts([2], [4]) == (pytest.approx(math.sqrt(0.25 / 3)), None)


def test_percentile_interpolates() -> None:
    assert percentile([4, 1, 3, 2], 0.5) == 2.5
    assert percentile([10.0], 0.95) == 10.0
    assert percentile(list(range(101)), 0.95) == 95

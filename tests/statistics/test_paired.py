"""Paired comparisons against scipy, statsmodels and all sign patterns."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from harness.statistics import bootstrap_interval, bootstrap_intervals, holm, paired, sign_flip_p

WHOLE = st.lists(st.integers(-8, 8), min_size=1, max_size=12)


@settings(max_examples=50, deadline=None)
@given(WHOLE)
def test_p_is_the_share_of_all_sign_patterns(steps: list[int]) -> None:
    sums = [
        sum(s * d for s, d in zip(signs, steps, strict=True))
        for signs in itertools.product((-1, 1), repeat=len(steps))
    ]
    expected = np.mean([abs(total) >= abs(sum(steps)) for total in sums])
    assert sign_flip_p(np.array(steps) / 8, 8) == pytest.approx(expected)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-64, 64), min_size=1, max_size=200))
def test_p_is_a_probability_and_the_same_for_b_against_a(steps: list[int]) -> None:
    differences = np.array(steps) / 64
    p = sign_flip_p(differences, 64)
    assert 0 < p <= 1
    assert sign_flip_p(-differences, 64) == p


def test_p_agrees_with_scipys_permutation_test() -> None:
    differences = np.random.default_rng(5).integers(-6, 10, 12) / 16
    expected = stats.permutation_test(
        (differences,),
        lambda x, axis: x.mean(axis=axis),
        permutation_type="samples",
        n_resamples=np.inf,
        vectorized=True,
    ).pvalue
    assert sign_flip_p(differences, 16) == pytest.approx(expected)


def test_p_of_votes_is_mcnemars() -> None:
    differences = np.array([1.0] * 9 + [-1.0] * 2 + [0.0] * 19)
    assert paired(differences, 1, votes=True).p == pytest.approx(
        mcnemar([[10, 9], [2, 9]], exact=True).pvalue
    )


def test_without_a_denominator_p_is_sampled_and_close() -> None:
    differences = np.random.default_rng(1).integers(-20, 28, 60) / 64
    exact = sign_flip_p(differences, 64)
    assert sign_flip_p(differences) == pytest.approx(exact, abs=5 * np.sqrt(exact / 100_000))
    assert sign_flip_p(differences) == sign_flip_p(differences)
    assert sign_flip_p(np.full(100, 0.1)) == pytest.approx(1 / 100_001)


def test_so_many_sums_that_p_is_sampled() -> None:
    differences = np.random.default_rng(2).integers(-900_000, 1_100_000, 50) / 1_000_000
    p = sign_flip_p(differences, 1_000_000)
    assert p == sign_flip_p(differences)
    assert p == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, abs=0.03)


def test_p_never_comes_to_0() -> None:
    assert 0 < sign_flip_p(np.ones(1319), 1) < 1e-300


def test_models_that_score_alike_everywhere() -> None:
    found = paired(np.zeros(30), 64)
    assert (found.difference, found.stderr, found.p) == (0, 0, 1)
    # That nothing differs on 30 problems does not prove that nothing would.
    assert found.ci95 == pytest.approx((-1.96 * np.sqrt(2) / 32, 1.96 * np.sqrt(2) / 32), rel=1e-3)
    assert found.smallest is not None
    assert found.smallest > 0.1


def test_the_interval_is_students_t() -> None:
    differences = np.random.default_rng(4).integers(-20, 30, 30) / 64
    test = stats.ttest_1samp(differences, 0)
    assert paired(differences, 64).ci95 == pytest.approx(tuple(test.confidence_interval()))
    assert paired(differences, 64).stderr == pytest.approx(stats.sem(differences))


def test_the_interval_of_votes_is_bonett_and_prices() -> None:
    only_a, only_b, both_alike = 7, 2, 21
    n = only_a + only_b + both_alike
    differences = np.array([1.0] * only_a + [-1.0] * only_b + [0.0] * both_alike)
    p12, p21 = (only_a + 1) / (n + 2), (only_b + 1) / (n + 2)
    error = stats.norm.ppf(0.975) * np.sqrt((p12 + p21 - (p12 - p21) ** 2) / (n + 2))
    assert paired(differences, 1, votes=True).ci95 == pytest.approx((p12 - p21 - error, p12 - p21 + error))


def test_one_problem_has_a_difference_and_no_interval() -> None:
    assert paired(np.array([0.5]), 2) == (0.5, None, None, 1.0, None)
    assert bootstrap_interval(np.array([0.5])) is None


def test_the_smallest_difference_is_found_in_80_of_100_cases() -> None:
    generator = np.random.default_rng(8)
    noise = generator.normal(0, 0.2, (400, 30))
    smallest = np.sqrt(np.mean([paired(row).smallest ** 2 for row in noise]))  # type: ignore[operator]
    found = [sign_flip_p(np.rint((row + smallest) * 256) / 256, 256) < 0.05 for row in noise]
    assert np.mean(found) == pytest.approx(0.8, abs=0.05)


def test_the_bootstrap_is_wider_than_plain_percentiles_as_students_t_is_than_the_normal() -> None:
    differences = np.random.default_rng(3).normal(0.1, 0.2, 30)
    found = bootstrap_interval(differences)
    assert found is not None
    level = 2 * stats.norm.cdf(-np.sqrt(30 / 29) * stats.t.ppf(0.975, 29))
    expected = stats.bootstrap(
        (differences,), np.mean, confidence_level=1 - level, method="percentile", n_resamples=20_000, rng=1
    ).confidence_interval
    assert found == pytest.approx(tuple(expected), abs=0.008)
    assert found == bootstrap_interval(differences)  # the same data, the same interval


def test_one_call_for_many_comparisons_gives_each_its_own_interval() -> None:
    differences = np.random.default_rng(3).normal(0.1, 0.2, (300, 10))
    together = bootstrap_intervals(differences)
    assert together is not None
    for place in (0, 255, 256, 299):
        assert bootstrap_interval(differences[place]) == pytest.approx(tuple(together[place]))


def test_very_many_problems_are_resampled_one_draw_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.statistics import bootstrap

    differences = np.random.default_rng(3).normal(0.1, 0.2, (2, 40))
    usual = bootstrap_intervals(differences)
    monkeypatch.setattr(bootstrap, "_MOST_PROBLEMS", 10)
    assert bootstrap_intervals(differences) == pytest.approx(usual, abs=0.01)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_agrees_with_statsmodels(p_values: list[float]) -> None:
    found = holm(dict(enumerate(p_values)))
    assert list(found) == list(range(len(p_values)))  # in the order in which they were given
    assert list(found.values()) == pytest.approx(multipletests(p_values, method="holm")[1])


def test_holm_of_nothing_and_of_nonsense() -> None:
    assert holm({}) == {}
    for p in (1.5, -0.1, float("nan")):
        with pytest.raises(ValueError, match="p-values"):
            holm({"a": p})

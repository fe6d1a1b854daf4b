"""pass@k and its curve against all subsets."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.statistics import pass_at_k, pass_curve, passes_curve


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


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 3000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_the_curve_is_pass_at_k_for_every_k(case: tuple[int, int, int]) -> None:
    n, c, k = case
    assert pass_curve(n, c)[k - 1] == pytest.approx(pass_at_k(n, c, k), abs=1e-12)


def test_the_curve_refuses_more_correct_chains_than_there_are() -> None:
    with pytest.raises(ValueError, match="pass@k"):
        pass_curve(3, 4)


def test_the_mean_curve_goes_as_far_as_every_problem_has_chains() -> None:
    curve = passes_curve([4, 2], [1, 1])
    assert curve.values == pytest.approx([(0.25 + 0.5) / 2, (0.5 + 1) / 2])
    assert [point.k for point in curve.points] == [1, 2]
    assert curve.points[0].value == pytest.approx(curve.values[0])
    assert curve.points[1].ci95 is not None

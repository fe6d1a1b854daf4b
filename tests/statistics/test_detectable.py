"""How small a difference can be told: against the paired comparison itself, and against simulated truth."""

from __future__ import annotations

import numpy as np
import pytest

from harness.statistics import Spread, paired, smallest_detectable, spread_of_pair, spread_of_run


def test_at_its_own_size_it_is_what_the_comparison_says() -> None:
    generator = np.random.default_rng(0)
    n, a, b = 16, *generator.binomial(16, generator.beta(1, 1, (2, 40)))
    spread = spread_of_pair(a.tolist(), [n] * 40, b.tolist(), [n] * 40)
    assert spread is not None
    assert smallest_detectable(spread, 40, n) == pytest.approx(paired((a - b) / n, n).smallest)


def test_the_parts_are_those_of_the_truth() -> None:
    generator = np.random.default_rng(1)
    p = generator.beta(0.6, 0.6, 20_000)
    q = np.clip(p + generator.normal(0, 0.1, p.shape), 0, 1)
    n = 8
    spread = spread_of_pair(generator.binomial(n, p), [n] * len(p), generator.binomial(n, q), [n] * len(q))
    assert spread is not None
    assert spread.questions == pytest.approx(np.var(p - q), abs=0.002)
    assert spread.chains == pytest.approx((p * (1 - p) + q * (1 - q)).mean(), rel=0.02)


def test_one_run_stands_for_two_that_are_alike() -> None:
    generator = np.random.default_rng(2)
    p = generator.beta(0.6, 0.6, 20_000)
    n = 8
    unlike = spread_of_run(generator.binomial(n, p).tolist(), [n] * len(p), correlation=0)
    assert unlike is not None
    assert unlike.questions == pytest.approx(2 * np.var(p), rel=0.03)
    assert unlike.chains == pytest.approx(2 * (p * (1 - p)).mean(), rel=0.03)
    alike = spread_of_run(generator.binomial(n, p).tolist(), [n] * len(p), correlation=1)
    assert alike is not None
    assert alike.questions == 0


def test_more_chains_help_up_to_what_the_problems_leave() -> None:
    spread = Spread(questions=0.01, chains=0.3)
    found = [smallest_detectable(spread, 30, n) for n in (1, 4, 64, 10**9)]
    assert found == sorted(found, reverse=True)  # type: ignore[type-var]
    assert found[-1] == pytest.approx((2.0452 + 0.8543) * np.sqrt(0.01 / 30), rel=1e-3)
    more = smallest_detectable(spread, 120, 64)
    assert more is not None
    assert found[2] is not None
    assert more == pytest.approx(found[2] / 2, rel=0.05)


def test_where_it_cannot_be_told() -> None:
    assert spread_of_run([1, 0], [1, 1]) is None
    assert spread_of_run([1], [4]) is None
    assert spread_of_pair([1, 2], [4, 4], [1, 0], [4, 1]) is None
    assert smallest_detectable(Spread(0.1, 0.1), 1, 64) is None
    with pytest.raises(ValueError, match="at least one chain"):
        smallest_detectable(Spread(0.1, 0.1), 30, 0)

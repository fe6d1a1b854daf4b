"""Is one model better than another on the same problems? Paired comparisons, problem by problem.

Two models that are asked the same problems find the same ones hard, so that the standard error of their difference is
smaller than two separate ones suggest (Miller 2024, arXiv:2411.00640, section 4). The problem is the unit: its chains
are averaged first.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Hashable, Mapping
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from .detectable import reach_of_power
from .means import degrees_of_freedom
from .students_t import student_t_quantile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MOST_STEPS = 20_000_000
"""Additions up to which the permutation distribution is computed; beyond, it is sampled."""
_DRAWS = 100_000

NameT = TypeVar("NameT", bound=Hashable)


class Paired(NamedTuple):
    """The difference between two models' scores, each a mean over the same problems."""

    difference: float
    stderr: float | None
    """Of the difference, paired by problem; None for a single problem."""
    ci95: tuple[float, float] | None
    """Within -1..1; which interval it is, `paired` says. The test decides, not whether the interval contains 0."""
    p: float
    """Two-sided, of the sign-flip permutation test: 1 where the models score alike on every problem."""
    smallest: float | None
    """Smallest true difference that a comparison like this one finds (p < 0.05) in 80 % of all cases."""


def paired(
    differences: NDArray[np.float64], denominator: int | None = None, *, votes: bool = False
) -> Paired:
    """Compare two models by their scores on the same problems.

    The interval is Student's t over problems, m ± t s / sqrt(N), with `degrees_of_freedom`. Votes are right or wrong
    and differ on few problems, of which s knows too little (30 problems on which nobody differs do not prove that none
    would): for them it is Bonett and Price's (2012, J. Educ. Behav. Stat. 37:479-488), the interval that one more
    problem for either model gives. So it is where no problem differs at all.

    Args:
        differences: [problems], a's score less b's on each.
        denominator: a number that makes every difference whole when multiplied by it, such as the number of chains;
            None where there is none of use, and the permutation test is sampled.
        votes: the scores are (mostly) 0 or 1.
    """
    count = len(differences)
    mean = float(differences.mean())
    p = sign_flip_p(differences, denominator)
    if count < 2:
        return Paired(mean, None, None, p, None)
    stderr = float(differences.std(ddof=1)) / math.sqrt(count)
    if votes or not differences.any():
        middle = float(differences.sum()) / (count + 2)
        error = math.sqrt(((float(differences @ differences) + 2) / (count + 2) - middle**2) / (count + 2))
        reach = NormalDist().inv_cdf(0.975)
    else:
        middle, error = mean, stderr
        reach = student_t_quantile(0.975, degrees_of_freedom(differences.tolist()))
    ci95 = (max(-1.0, middle - reach * error), min(1.0, middle + reach * error))
    return Paired(mean, stderr, ci95, p, reach_of_power(count) * error)


def sign_flip_p(differences: NDArray[np.float64], denominator: int | None = None) -> float:
    """Two-sided p-value of the sign-flip permutation test (Fisher 1935; Pitman 1937); in (0, 1].

    If neither model is better, each problem's difference could as well have had the other sign. p is the share of all
    2^N sign patterns whose sum is as far from 0 as the one seen; where all differences are -1, 0 or 1 this is
    McNemar's exact test. Exact: the distribution of the sums is built up one problem after the other, over multiples
    of 1 / denominator; where these are too many, it is sampled (100,000 patterns from a fixed seed, the one seen
    counted among them; Phipson and Smyth 2010, Stat. Appl. Genet. Mol. Biol. 9:39).
    """
    import numpy as np

    apart = differences[differences != 0]
    if not len(apart):
        return 1.0
    if denominator is not None:
        steps = np.rint(apart * denominator).astype(np.int64)
        seen, steps = abs(int(steps.sum())), np.sort(np.abs(steps))
        unit = max(1, int(np.gcd.reduce(steps)))
        if (reach := int(steps.sum()) // unit) * len(steps) <= _MOST_STEPS:
            return _share_as_extreme(steps // unit, seen // unit, reach)
    return _sampled_share(apart)


def _share_as_extreme(steps: NDArray[np.int64], seen: int, reach: int) -> float:
    """Share of the sign patterns whose sum is `seen` or more away from 0; `reach` is the sum of all steps."""
    import numpy as np

    if seen == 0:
        return 1.0
    # share[s]: share of the patterns, of the steps so far, whose positive steps add up to s. Their sum is 2 s - reach.
    share = np.zeros(reach + 1)
    share[0] = 1.0
    top = 0
    for step in map(int, steps):
        without = share[: top + 1] * 0.5
        share[: top + 1] = without
        share[step : top + step + 1] += without
        top += step
    below = (reach - seen) // 2  # the last s with reach - 2 s >= seen; the other end is its mirror image
    # The share of one pattern in 2^N is no number any more for N > 1074.
    return float(min(1.0, max(2 * share[: below + 1].sum(), sys.float_info.min)))


def _sampled_share(apart: NDArray[np.float64]) -> float:
    import numpy as np

    generator = np.random.default_rng(0)
    total = float(apart.sum())
    extreme, bar = 1, abs(total) - 1e-12
    for _ in range(0, _DRAWS, 1000):
        noise = np.frombuffer(generator.bytes(125 * len(apart)), dtype=np.uint8)
        plus = np.unpackbits(noise).reshape(1000, len(apart))
        extreme += int((np.abs(2 * (plus @ apart) - total) >= bar).sum())
    return extreme / (_DRAWS + 1)


def holm(p_values: Mapping[NameT, float]) -> dict[NameT, float]:
    """p-values adjusted for making all these comparisons (Holm 1979, Scand. J. Statist. 6:65-70), in their order.

    With them, the chance that any difference that is none comes out below 0.05 is at most 5 %, however the
    comparisons depend on each other.

    Raises:
        ValueError: a p-value that is not in 0..1.
    """
    if not all(0 <= p <= 1 for p in p_values.values()):
        raise ValueError("p-values are in 0..1")
    adjusted = dict(p_values)
    least = 0.0
    for place, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        least = max(least, min(1.0, p_values[name] * (len(p_values) - place)))
        adjusted[name] = least
    return adjusted

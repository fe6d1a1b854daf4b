"""How small a difference can a benchmark tell, with how many chains? (Miller 2024, arXiv:2411.00640, section 5.)"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, variance
from typing import NamedTuple

from .students_t import student_t_quantile


class Spread(NamedTuple):
    """What the precision of a comparison hangs on, both as variances for one problem."""

    questions: float
    """Variance over problems of the true difference of the two models' rates: omega^2 in the paper."""
    chains: float
    """Mean over problems of the variance of one chain of each model: sigma_A^2 + sigma_B^2."""


def reach_of_power(problems: int) -> float:
    """How many standard errors a true difference has to be so that a test over so many problems finds it.

    The usual sum of two quantiles (Cohen 1988, section 2.4) for 80 % power of a two-sided test at 5 %, of Student's t.
    """
    return student_t_quantile(0.975, problems - 1) + student_t_quantile(0.8, problems - 1)


def spread_of_pair(
    a_correct: Sequence[int], a_counts: Sequence[int], b_correct: Sequence[int], b_counts: Sequence[int]
) -> Spread | None:
    """From two runs on the same problems: correct chains and chains of each problem, in the same order.

    What one chain varies is p (1 - p) n / (n - 1), estimated without bias; what the problems vary is the rest of the
    observed variance of the differences (0 where the chains explain it all). None for fewer than two problems, or
    where a problem has a single chain.
    """
    if len(a_counts) < 2 or min(*a_counts, *b_counts) < 2:
        return None
    a, b = _Rates.of(a_correct, a_counts), _Rates.of(b_correct, b_counts)
    observed = variance([p - q for p, q in zip(a.rates, b.rates, strict=True)])
    return Spread(max(0.0, observed - a.noise - b.noise), a.chain + b.chain)


def spread_of_run(correct: Sequence[int], counts: Sequence[int], correlation: float = 0.5) -> Spread | None:
    """From one run, for a comparison with a model like it: one as good, whose chains vary as much.

    Args:
        correlation: of the two models' true rates over problems, in -1..1: the nearer to 1, the more alike the two
            find the problems hard.
    """
    if len(counts) < 2 or min(counts) < 2:
        return None
    run = _Rates.of(correct, counts)
    questions = max(0.0, variance(run.rates) - run.noise)
    return Spread(2 * (1 - correlation) * questions, 2 * run.chain)


class _Rates(NamedTuple):
    rates: list[float]
    """Share of each problem's chains that are correct."""
    noise: float
    """Mean over problems of the variance of the rate, and of a single chain."""
    chain: float

    @classmethod
    def of(cls, correct: Sequence[int], counts: Sequence[int]) -> _Rates:
        rates = [c / n for c, n in zip(correct, counts, strict=True)]
        noise = [p * (1 - p) / (n - 1) for p, n in zip(rates, counts, strict=True)]
        return cls(rates, fmean(noise), fmean(v * n for v, n in zip(noise, counts, strict=True)))


def smallest_detectable(spread: Spread, problems: int, n: int) -> float | None:
    """The smallest true difference in pass@1 that a test (5 %, two-sided) finds in 80 % of all cases.

    (t_0.975 + t_0.8) sqrt((omega^2 + (sigma_A^2 + sigma_B^2) / n) / N): the paper's sample size formula solved for
    the difference, with Student's quantiles for N - 1 degrees of freedom in place of the normal ones. More chains
    remove the second term only; what is left of the first, only more problems remove.

    Args:
        problems: N, how many problems the benchmark has.
        n: chains a problem, of either model.

    Returns:
        A difference in 0..1 scores; None for fewer than two problems.

    Raises:
        ValueError: n is less than 1.
    """
    if n < 1:
        raise ValueError("a problem has at least one chain")
    if problems < 2:
        return None
    return reach_of_power(problems) * math.sqrt((spread.questions + spread.chains / n) / problems)

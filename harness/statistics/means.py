"""Means over problems and their standard errors. Plain Python: a run has at most thousands of problems."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean, variance
from typing import NamedTuple

from .students_t import student_t_quantile


class MeanEstimate(NamedTuple):
    """A mean over problems with its uncertainty; None where the data cannot tell."""

    value: float
    stderr: float | None
    ci95: tuple[float, float] | None


class VarianceParts(NamedTuple):
    """The two parts of the standard error of a score.

    Their squares add up to the whole's, but for few chains the sampling part may be estimated above the whole: the
    question part is then 0.
    """

    sampling: float | None
    """From the finite number of chains: shrinks with n."""
    questions: float | None
    """From the choice of problems: shrinks only with more problems."""


def mean_over_problems(values: Sequence[float], *, votes: bool = False) -> MeanEstimate:
    """Mean of per-problem scores, each in 0..1, with its question-clustered standard error and 95 % interval.

    The problems are treated as a sample from all problems of their kind, so that SE = s / sqrt(N) with s the
    sample standard deviation of the N per-problem scores (Miller 2024, arXiv:2411.00640, eq. 1). The interval is
    Wilson's for the effective number of problems N m (1 - m) / s^2, m being the mean: so many problems that are
    either solved or not would tell as much. Its quantile is Student's t, since N is often 30; which is to say that the
    effective number is adjusted for the degrees of freedom (Dean and Pagano 2015, J. Surv. Stat. Methodol. 3:484-503,
    after Korn and Graubard 1998, Survey Methodology 24:193-201, who put it into Clopper and Pearson's interval).
    For scores of 0 and 1 s follows from m, and the quantile is the normal distribution's, as in Wilson's own interval.
    Unlike m ± t SE this keeps its promise for hard and for easy benchmarks, whose scores crowd at one end, and stays
    within 0..1. Where all problems score alike, s = 0 does not mean certainty: N is then taken as it is.

    Args:
        votes: the scores are (mostly) 0 or 1; known without being told where all are.
    """
    value, count = fmean(values), len(values)
    if count < 2:
        return MeanEstimate(value, None, None)
    spread = variance(values)
    most = value * (1 - value)
    effective = count * most / spread if spread > 0 and most > 0 else count
    whole = votes or all(score in (0, 1) for score in values)
    quantile = NormalDist().inv_cdf(0.975) if whole else student_t_quantile(0.975, degrees_of_freedom(values))
    return MeanEstimate(value, math.sqrt(spread / count), wilson_interval(value, effective, quantile))


def degrees_of_freedom(values: Sequence[float]) -> int:
    """How well the values tell their variance, as degrees of freedom for Student's t; in 1..N - 1.

    2 N / (kurtosis - (N - 3) / (N - 1)), which gives the chi-squared distribution the variance that s^2 has (O'Neill
    2014, Am. Stat. 68:282-296), rounded down and no more than N - 1. It is N - 1 for normal values, and little where a
    few problems make all the difference: s then hangs on whether such problems were drawn.
    """
    count, mean = len(values), fmean(values)
    squares = [(value - mean) ** 2 for value in values]
    total = sum(squares)
    if total == 0:
        return count - 1
    kurtosis = count * sum((square / total) ** 2 for square in squares)
    return max(1, min(count - 1, int(2 * count / (kurtosis - (count - 3) / (count - 1)))))


def wilson_interval(share: float, count: float, quantile: float) -> tuple[float, float]:
    """Score interval of a proportion (Wilson 1927, J. Am. Stat. Assoc. 22:209-212), within 0..1.

    Args:
        share: observed proportion, in 0..1.
        count: number of trials; need not be whole.
        quantile: how many standard errors the interval reaches, for example 1.96.
    """
    z = quantile
    middle = share + z * z / (2 * count)
    margin = z * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    whole = 1 + z * z / count
    return max(0.0, (middle - margin) / whole), min(1.0, (middle + margin) / whole)


def variance_parts(correct: Sequence[int], counts: Sequence[int]) -> VarianceParts:
    """Split the standard error of pass@1 into its sampling part and its question part.

    With c of a problem's n chains correct and p = c/n, p(1-p)/(n-1) estimates the sampling variance of p without
    bias. Averaged over problems it is the part that more chains would remove; the rest of the observed variance
    of the p's is due to the problems (law of total variance; Miller 2024, arXiv:2411.00640, section 3).

    Args:
        correct: number of correct chains of each problem.
        counts: number of chains of each problem.
    """
    rates = [c / n for c, n in zip(correct, counts, strict=True)]
    if min(counts) < 2:
        return VarianceParts(None, None)
    return parts_of_variance(rates, [p * (1 - p) / (n - 1) for p, n in zip(rates, counts, strict=True)])


def parts_of_variance(values: Sequence[float], sampling: Sequence[float]) -> VarianceParts:
    """Split the standard error of a mean over problems, the sampling variance of each problem's value being known."""
    count = len(values)
    by_chance = fmean(sampling) / count
    if count < 2:
        return VarianceParts(math.sqrt(by_chance), None)
    total = variance(values) / count
    return VarianceParts(math.sqrt(by_chance), math.sqrt(max(0.0, total - by_chance)))


def percentile(values: Sequence[float], q: float) -> float:
    """The q-quantile by linear interpolation between order statistics (Hyndman and Fan 1996, type 7)."""
    ordered = sorted(values)
    place = q * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])

"""Formulas for scores over problems, each with its source. Plain Python: a run has at most thousands of problems."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean, variance
from typing import NamedTuple


class MeanEstimate(NamedTuple):
    """A mean over problems with its uncertainty; None where the data cannot tell."""

    value: float
    stderr: float | None
    ci95: tuple[float, float] | None


class VarianceParts(NamedTuple):
    """The two parts of the standard error of pass@1.

    Their squares add up to the whole's, but for low scores and few chains the sampling part may be estimated above
    the whole: the question part is then 0.
    """

    sampling: float | None
    """From the finite number of chains: shrinks with n."""
    questions: float | None
    """From the choice of problems: shrinks only with more problems."""


def mean_over_problems(values: Sequence[float]) -> MeanEstimate:
    """Mean of per-problem scores with its question-clustered standard error.

    The problems are treated as a sample from all problems of their kind, so that SE = s / sqrt(N) with s the
    sample standard deviation of the N per-problem scores (Miller 2024, arXiv:2411.00640, eq. 1). The interval
    uses Student's t with N - 1 degrees of freedom, since N is often 30, and is cut to the values' range 0..1.
    Where all problems score alike, s = 0 does not mean certainty: the interval is then Wilson's for N trials.
    """
    value = fmean(values)
    if len(values) < 2:
        return MeanEstimate(value, None, None)
    stderr = math.sqrt(variance(values) / len(values))
    if stderr == 0:
        return MeanEstimate(value, stderr, wilson_interval(value, len(values)))
    margin = student_t_quantile(0.975, len(values) - 1) * stderr
    return MeanEstimate(value, stderr, (max(0.0, value - margin), min(1.0, value + margin)))


def wilson_interval(share: float, count: int) -> tuple[float, float]:
    """95 % score interval of a proportion (Wilson 1927, J. Am. Stat. Assoc. 22:209-212).

    Args:
        share: observed proportion, in 0..1.
        count: number of trials.
    """
    z = NormalDist().inv_cdf(0.975)
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
    count = len(correct)
    rates = [c / n for c, n in zip(correct, counts, strict=True)]
    sampling_variance = None
    if min(counts) > 1:
        sampling_variance = fmean([p * (1 - p) / (n - 1) for p, n in zip(rates, counts, strict=True)]) / count
    if count < 2:
        return VarianceParts(None if sampling_variance is None else math.sqrt(sampling_variance), None)
    total = variance(rates) / count
    if sampling_variance is None:
        return VarianceParts(None, None)
    return VarianceParts(math.sqrt(sampling_variance), math.sqrt(max(0.0, total - sampling_variance)))


def pass_at_k(n: int, c: int, k: int) -> float:
    """Probability that at least one of k chains drawn from n without replacement is correct, c of them being so.

    The unbiased estimator 1 - C(n-c, k) / C(n, k) (Chen et al. 2021, arXiv:2107.03374, eq. 1).

    Raises:
        ValueError: not 0 <= c <= n or not 1 <= k <= n.
    """
    if not (0 <= c <= n and 1 <= k <= n):
        raise ValueError(f"pass@k needs 0 <= c <= n and 1 <= k <= n, not n={n}, c={c}, k={k}")
    return 1.0 - math.comb(n - c, k) / math.comb(n, k)


def percentile(values: Sequence[float], q: float) -> float:
    """The q-quantile by linear interpolation between order statistics (Hyndman and Fan 1996, type 7)."""
    ordered = sorted(values)
    place = q * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def student_t_quantile(p: float, dof: int) -> float:
    """Quantile of Student's t distribution, for p in (0.5, 1), to about nine digits.

    Exact for 1 and 2 degrees of freedom; else Newton's method on the closed form of the distribution function
    for integer degrees of freedom (Abramowitz and Stegun 26.7.3 and 26.7.4), from the normal quantile.
    """
    if dof == 1:
        return math.tan(math.pi * (p - 0.5))
    if dof == 2:
        return (2 * p - 1) * math.sqrt(2 / (4 * p * (1 - p)))
    log_density_at_0 = math.lgamma((dof + 1) / 2) - math.lgamma(dof / 2) - 0.5 * math.log(dof * math.pi)
    t = NormalDist().inv_cdf(p)
    for _ in range(50):
        density = math.exp(log_density_at_0 - (dof + 1) / 2 * math.log1p(t * t / dof))
        step = (_student_t_cdf(t, dof) - p) / density
        t -= step
        if abs(step) < 1e-12 * max(1.0, abs(t)):
            break
    return t


def _student_t_cdf(t: float, dof: int) -> float:
    theta = math.atan(t / math.sqrt(dof))
    cos2 = math.cos(theta) ** 2
    if dof % 2:
        term = math.cos(theta)
        total = term if dof > 1 else 0.0
        for j in range(3, dof - 1, 2):
            term *= cos2 * (j - 1) / j
            total += term
        within = 2 / math.pi * (theta + math.sin(theta) * total)
    else:
        term = total = 1.0
        for j in range(2, dof - 1, 2):
            term *= cos2 * (j - 1) / j
            total += term
        within = math.sin(theta) * total
    return 0.5 + within / 2

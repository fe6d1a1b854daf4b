"""Student's t distribution, for whole degrees of freedom."""

from __future__ import annotations

import math
from functools import cache
from statistics import NormalDist


@cache
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

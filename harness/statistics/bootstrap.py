"""Intervals by resampling problems: they assume no distribution, but they know only the problems that there are."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist
from typing import TYPE_CHECKING

from .students_t import student_t_quantile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_DRAWS = 4000
"""Resamples: the ends of an interval are then good to about 2 % of its half width."""
_AT_ONCE = 256
_MOST_PROBLEMS = 5000
"""Problems up to which the resamples of one family are kept as a matrix."""


def bootstrap_interval(differences: NDArray[np.float64]) -> tuple[float, float] | None:
    """95 % interval of the mean of [problems] differences; None for fewer than two. See `bootstrap_intervals`."""
    found = bootstrap_intervals(differences[None])
    return None if found is None else (float(found[0, 0]), float(found[0, 1]))


def bootstrap_intervals(differences: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """95 % intervals of means over problems, by drawing the problems again with replacement (Efron 1979).

    The paired bootstrap: a problem is drawn with both models' scores. Plain percentiles are too narrow for few
    problems, so their levels are moved outwards until they would agree with Student's t for a symmetric
    distribution: Hesterberg's expanded percentile interval (2015, Am. Stat. 69:371-386). All rows share the same
    4,000 resamples from a fixed seed, so that the same data give the same interval.

    Args:
        differences: [comparisons, problems].

    Returns:
        [comparisons, 2] low and high ends; None for fewer than two problems.
    """
    import numpy as np

    rows, count = differences.shape
    if count < 2:
        return None
    wide = math.sqrt(count / (count - 1)) * student_t_quantile(0.975, count - 1)
    place = NormalDist().cdf(-wide) * (_DRAWS - 1)
    low, rest = int(place), place - int(place)
    ends = [low, low + 1, _DRAWS - 2 - low, _DRAWS - 1 - low]
    found = np.empty((rows, 2))
    for start in range(0, rows, _AT_ONCE):
        some = differences[start : start + _AT_ONCE]
        means = np.partition(_means(some), ends, axis=1)[:, ends]
        found[start : start + _AT_ONCE, 0] = means[:, 0] * (1 - rest) + means[:, 1] * rest
        found[start : start + _AT_ONCE, 1] = means[:, 3] * (1 - rest) + means[:, 2] * rest
    return found


def _means(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """[comparisons, draws] means over resampled problems."""
    import numpy as np

    count = differences.shape[1]
    if count <= _MOST_PROBLEMS:
        return np.asarray(differences @ _resamples(count) / count)
    generator = np.random.default_rng(0)
    means = np.empty((len(differences), _DRAWS))
    for draw in range(_DRAWS):
        times = np.bincount(generator.integers(0, count, count), minlength=count)
        means[:, draw] = differences @ times / count
    return means


@lru_cache(maxsize=2)
def _resamples(count: int) -> NDArray[np.float64]:
    """[problems, draws] how often each problem is in each resample."""
    import numpy as np

    drawn = np.random.default_rng(0).integers(0, count, size=(_DRAWS, count))
    flat = drawn + np.arange(_DRAWS)[:, None] * count
    times = np.bincount(flat.ravel(), minlength=_DRAWS * count).reshape(_DRAWS, count)
    return np.ascontiguousarray(times.T, dtype=np.float64)

"""Scores of k chains, expected over all ways to draw them from the n that there are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def pass_at_k(n: int, c: int, k: int) -> float:
    """Probability that at least one of k chains drawn from n without replacement is correct, c of them being so.

    The unbiased estimator 1 - C(n-c, k) / C(n, k) (Chen et al. 2021, arXiv:2107.03374, eq. 1), in whole numbers.

    Raises:
        ValueError: not 0 <= c <= n or not 1 <= k <= n.
    """
    if not (0 <= c <= n and 1 <= k <= n):
        raise ValueError(f"pass@k needs 0 <= c <= n and 1 <= k <= n, not n={n}, c={c}, k={k}")
    return 1.0 - math.comb(n - c, k) / math.comb(n, k)


def pass_curve(n: int, c: int) -> NDArray[np.float64]:
    """[n] the same for k = 1..n, as the product of the chances that one more chain is wrong: (n-c-i) / (n-i).

    Raises:
        ValueError: not 0 <= c <= n.
    """
    import numpy as np

    if not 0 <= c <= n:
        raise ValueError(f"pass@k needs 0 <= c <= n, not n={n}, c={c}")
    drawn = np.arange(n)
    return np.asarray(1.0 - np.cumprod(np.maximum(n - c - drawn, 0) / (n - drawn)))

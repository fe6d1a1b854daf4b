"""Products of polynomials whose coefficients are probabilities, with ties marked: the machinery of the votes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pmf: TypeAlias = NDArray[np.float64]


def tied_products(factors: Iterable[tuple[Pmf, int]], most: int, size: int, nodes: Pmf, weights: Pmf) -> Pmf:
    """Sums over y of the product of all factors, each cut off behind x^most and with that coefficient times y.

    A factor y for each rival that has `most` votes tells how many share the first place: a function of their number
    becomes an integral over y, and that a sum over the nodes.

    Args:
        factors: coefficients by power of x, and how often the factor occurs.
        size: highest power of x that is wanted.
        nodes: [nodes] values of y.
        weights: [sums, nodes] of each value in each sum.

    Returns:
        [sums, size + 1] coefficients by power of x.
    """
    import numpy as np

    factors = list(factors)
    total = np.zeros((len(weights), size + 1))
    for place, node in enumerate(nodes):
        product = np.ones(1)
        for whole, times in factors:
            factor = whole[: most + 1].copy()
            if len(factor) > most:
                factor[most] *= node
            product = _times(product, _power(factor, times, size), size)
        total[:, : len(product)] += weights[:, place, None] * product
    return total


def _power(factor: Pmf, times: int, size: int) -> Pmf:
    """By repeated squaring."""
    power: Pmf | None = None
    while True:
        if times & 1:
            power = factor if power is None else _times(power, factor, size)
        times >>= 1
        if not times:
            assert power is not None
            return power
        factor = _times(factor, factor, size)


def _times(left: Pmf, right: Pmf, size: int) -> Pmf:
    import numpy as np

    if len(left) == 1:
        return np.asarray(right[: size + 1] * left[0])
    return np.asarray(np.convolve(left, right)[: size + 1])


@lru_cache(maxsize=2048)
def binomial(count: int) -> Pmf:
    """[count + 1] pmf of Binomial(count, 1/2)."""
    import numpy as np

    logs = [
        math.lgamma(count + 1) - math.lgamma(j + 1) - math.lgamma(count - j + 1) for j in range(count + 1)
    ]
    return np.asarray(np.exp(np.array(logs) - count * math.log(2)))


@lru_cache(maxsize=4096)
def poisson(rate: int, size: int) -> Pmf:
    """[size + 1] pmf of the Poisson distribution."""
    import numpy as np

    if not rate:
        return np.asarray(np.eye(1, size + 1)[0])
    return np.asarray(np.exp([j * math.log(rate) - rate - math.lgamma(j + 1) for j in range(size + 1)]))


@lru_cache(maxsize=512)
def legendre(count: int) -> tuple[Pmf, Pmf, Pmf]:
    """Nodes on 0..1 with two sets of weights: for the integral of p(y), and for that of -ln(y) p(y).

    The first is Gauss and Legendre's rule, exact for polynomials p of degree 2 count - 1; with p = y^r it gives
    1/(r + 1). The second has the same nodes and is exact up to degree count - 1; it gives 1/(r + 1)^2. Its weights
    come from the moments of -ln(y) against the shifted Legendre polynomials: 1, and (-1)^j / (j (j + 1)) for j > 0.
    """
    import numpy as np

    nodes, weights = np.polynomial.legendre.leggauss(count)
    degrees = np.arange(1, count)
    moments = np.concatenate([[1.0], (-1.0) ** degrees / (degrees * (degrees + 1)) * (2 * degrees + 1)])
    return (nodes + 1) / 2, weights / 2, weights / 2 * np.polynomial.legendre.legval(nodes, moments)

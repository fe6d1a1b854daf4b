"""Scores over the number of chains: what fewer chains a problem would have given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from .means import mean_over_problems
from .subsets import pass_curve
from .votes import vote_curve

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class CurvePoint(NamedTuple):
    k: int
    value: float
    stderr: float | None
    """Question-clustered, as the score's own."""
    ci95: tuple[float, float] | None


class Curve(NamedTuple):
    """A score for k = 1..n chains a problem, n being as many as every problem has."""

    values: NDArray[np.float64]
    """[n] mean over problems; entry k - 1 is for k chains."""
    points: tuple[CurvePoint, ...]
    """At the powers of two, and at n."""


def powers_of_two(n: int) -> list[int]:
    """1, 2, 4, ... up to n, and n itself; none for n = 0."""
    return [*(1 << i for i in range(n.bit_length()) if 1 << i < n), n] if n else []


def consensus_curve(tallies: Sequence[tuple[int | Iterable[int], Iterable[int], int]]) -> Curve:
    """cons@k: the vote's expected worth over all subsets of k chains, averaged over problems.

    Args:
        tallies: of each problem, as `vote_curve` takes them.
    """
    return _mean_curve([vote_curve(*tally) for tally in tallies], votes=True)


def consensus_points(tallies: Sequence[tuple[int | Iterable[int], Iterable[int], int]]) -> dict[int, float]:
    """cons@k at the powers of two and at n, without intervals."""
    curves = [vote_curve(*tally) for tally in tallies]
    n = min(map(len, curves), default=0)
    return {k: float(sum(curve[k - 1] for curve in curves) / len(curves)) for k in powers_of_two(n)}


def passes_curve(counts: Sequence[int], correct: Sequence[int]) -> Curve:
    """pass@k over problems with so many chains, so many of them correct."""
    pairs = list(zip(map(int, counts), map(int, correct), strict=True))
    found = {pair: pass_curve(*pair) for pair in Counter(pairs)}
    return _mean_curve([found[pair] for pair in pairs])


def _mean_curve(curves: Sequence[NDArray[np.float64]], *, votes: bool = False) -> Curve:
    import numpy as np

    n = min(map(len, curves), default=0)
    if not n:
        return Curve(np.zeros(0), ())
    table = np.array([curve[:n] for curve in curves])
    points = [
        # The vote of one or two chains is worth its share of correct ones; from three on it is mostly 0 or 1.
        CurvePoint(k, *mean_over_problems(table[:, k - 1].tolist(), votes=votes and k > 2))
        for k in powers_of_two(n)
    ]
    return Curve(table.mean(axis=0), tuple(points))

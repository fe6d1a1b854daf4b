"""Comparisons of runs on the same problems: by how much, how sure, and whether it is chance."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from .outcomes import Outcomes
from .statistics import Spread, bootstrap_intervals, holm, paired, spread_of_pair, vote_curve

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Compared = Literal["pass@1", "cons@k"]

METRICS: Final[tuple[Compared, ...]] = ("pass@1", "cons@k")
"""Scores whose differences are tested: those that are a mean over problems and stand in every table."""

_LARGEST_DENOMINATOR: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Comparison:
    """Model a beside model b on one benchmark."""

    benchmark: str
    metric: Compared
    a: str
    b: str
    difference: float
    """a's score less b's."""
    stderr: float | None
    ci95: tuple[float, float] | None
    """Of the difference, over problems, paired: Student's t; of votes and single chains Bonett and Price's."""
    p: float
    """Two-sided, of the exact permutation test over problems."""
    p_adjusted: float
    """The same, corrected for all comparisons of this benchmark and metric in the report (Holm)."""
    smallest: float | None
    """The smallest true difference that a comparison like this one finds in 80 % of all cases."""
    problems: int
    """How many problems both runs have."""
    k: int
    """Chains a problem: for cons@k the votes that were counted."""
    a_run: str = ""
    """Fingerprint of a's run."""
    b_run: str = ""
    ci95_bootstrap: tuple[float, float] | None = None
    """The same by the paired bootstrap over problems, for those who trust no formula."""

    @property
    def significant(self) -> bool:
        return self.p_adjusted < 0.05

    def as_dict(self) -> dict[str, Any]:
        fields = asdict(self)
        for name in ("ci95", "ci95_bootstrap"):
            fields[name] = None if fields[name] is None else list(fields[name])
        return fields


@dataclass(frozen=True, eq=False)
class Side:
    """One of the two runs."""

    model: str
    run: str
    """Fingerprint."""
    n: int
    ties: str
    outcomes: Outcomes

    @cached_property
    def smaller_votes(self) -> dict[int, NDArray[np.float64]]:
        """What `votes_at` has found, by k."""
        return {}


def compare_sides(benchmark: str, metric: Compared, a: Side, b: Side) -> Comparison | None:
    """Compare two runs on the problems that both have; None where they share none, and for votes of single chains."""
    found = _compared(benchmark, metric, [(a, b)])
    return found[0] if found else None


def compare_family(benchmark: str, metric: Compared, pairs: Iterable[tuple[Side, Side]]) -> list[Comparison]:
    """Compare each pair as `compare_sides` does, p-values corrected for being that many.

    Pairs without a problem in common are left out, and votes of single chains: cons@1 is pass@1.
    """
    return adjusted(_compared(benchmark, metric, pairs))


def adjusted(family: Sequence[Comparison]) -> list[Comparison]:
    """The comparisons of one benchmark and metric, their p-values corrected for being that many."""
    p = holm({place: comparison.p for place, comparison in enumerate(family)})
    return [replace(comparison, p_adjusted=p[place]) for place, comparison in enumerate(family)]


class _Pair(NamedTuple):
    a: Side
    b: Side
    differences: NDArray[np.float64]
    """[problems that both have] a's score less b's."""
    denominator: int | None
    k: int


def _compared(benchmark: str, metric: Compared, sides: Iterable[tuple[Side, Side]]) -> list[Comparison]:
    pairs = [pair for a, b in sides if (pair := _pair(metric, a, b)) is not None]
    found = []
    for pair, bootstrap in zip(pairs, _bootstraps(pairs), strict=True):
        test = paired(
            pair.differences, pair.denominator, votes=metric == "cons@k" or pair.a.n == pair.b.n == 1
        )
        found.append(
            Comparison(
                benchmark=benchmark,
                metric=metric,
                a=pair.a.model,
                b=pair.b.model,
                difference=test.difference,
                stderr=test.stderr,
                ci95=test.ci95,
                p=test.p,
                p_adjusted=test.p,
                smallest=test.smallest,
                problems=len(pair.differences),
                k=pair.k,
                a_run=pair.a.run,
                b_run=pair.b.run,
                ci95_bootstrap=bootstrap,
            )
        )
    return found


def _pair(metric: Compared, a: Side, b: Side) -> _Pair | None:
    import numpy as np

    rows = _common(a, b)
    k = min(a.n, b.n)
    if metric == "cons@k" and k == 1:
        return None  # the vote of one chain is pass@1
    if metric == "pass@1":
        left, right = a.outcomes.rates, b.outcomes.rates
        denominator = _denominator(np.concatenate([a.outcomes.counts, b.outcomes.counts]))
    else:
        left, right = (votes_at(side, k) for side in (a, b))
        ties = [side.outcomes.votes(side.ties).tied for side in (a, b) if side.n == k]
        denominator = _denominator(np.concatenate(ties)) if len(ties) == 2 else None
    differences = left[rows[0]] - right[rows[1]]
    return _Pair(a, b, differences, denominator, k) if len(differences) else None


def _common(a: Side, b: Side) -> tuple[Any, Any]:
    """Places in a and in b of the problems that both have."""
    import numpy as np

    if a.outcomes.problems == b.outcomes.problems:
        return slice(None), slice(None)
    place = {name: i for i, name in enumerate(b.outcomes.problems)}
    common = [(i, place[name]) for i, name in enumerate(a.outcomes.problems) if name in place]
    return np.array([i for i, _ in common], dtype=int), np.array([j for _, j in common], dtype=int)


def _bootstraps(pairs: Sequence[_Pair]) -> list[tuple[float, float] | None]:
    """Intervals of all pairs; those with as many problems share their resamples."""
    import numpy as np

    found: list[tuple[float, float] | None] = [None] * len(pairs)
    sizes = [len(pair.differences) for pair in pairs]
    for size in set(sizes):
        places = [place for place, other in enumerate(sizes) if other == size]
        intervals = bootstrap_intervals(np.stack([pairs[place].differences for place in places]))
        if intervals is not None:
            for place, (low, high) in zip(places, intervals.tolist(), strict=True):
                found[place] = (low, high)
    return found


def votes_at(side: Side, k: int) -> NDArray[np.float64]:
    """[problems] what the vote of k of a run's chains is worth, expected over all ways to draw them.

    Problems that have fewer, since sampling stopped once their majority was decided, vote with all of theirs.
    """
    import numpy as np

    if k >= side.n:
        return side.outcomes.votes(side.ties).worth
    if k not in side.smaller_votes:
        curves = (vote_curve(*tally) for tally in side.outcomes.tallies)
        side.smaller_votes[k] = np.array([curve[min(k, len(curve)) - 1] for curve in curves])
    return side.smaller_votes[k]


def spread_between(a: Side, b: Side) -> Spread | None:
    """What the precision of comparing two models hangs on, as `harness.statistics.smallest_detectable` takes it.

    None where they have fewer than two problems in common, or a problem has a single chain.
    """
    rows = _common(a, b)
    counted = [
        (side.outcomes.correct_counts[row].tolist(), side.outcomes.counts[row].tolist())
        for side, row in zip((a, b), rows, strict=True)
    ]
    return spread_of_pair(*counted[0], *counted[1])


def _denominator(counts: NDArray[np.int64]) -> int | None:
    import numpy as np

    found = math.lcm(*(int(count) for count in np.unique(np.maximum(counts, 1))))
    return found if found <= _LARGEST_DENOMINATOR else None

"""The majority vote of k chains: expected over all ways to draw them, and how much it would vary if drawn anew.

"The first k" would throw away what the other chains know. Here every subset of k chains counts alike, exactly:
the number of ways in which the correct class wins is read off a product of polynomials, one a class, whose
coefficients weigh the ways to draw so many of its votes. All weights are positive, so that nothing cancels.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from .polynomials import binomial, legendre, poisson, tied_products
from .sampled_votes import sampled_fresh_vote, sampled_vote_curve

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .polynomials import Pmf

_MOST_EXACT = 1000
"""Chains up to which votes are computed exactly; there the smallest weights, 2^-n, are numbers still."""
_NEGLIGIBLE = 1e-15


class Tally(NamedTuple):
    """How the chains of one problem voted."""

    correct: tuple[int, ...]
    """Votes of each class of correct answers, all above 0: one, or several where votes go by spelling."""
    others: tuple[int, ...]
    """Votes of each other class, all above 0."""
    abstaining: int = 0
    """Chains without a vote."""

    @property
    def chains(self) -> int:
        return sum(self.correct) + sum(self.others) + self.abstaining

    @property
    def worth(self) -> float:
        """What the vote of all chains is worth: the share of correct classes among those in the first place."""
        most = max([*self.correct, *self.others], default=0)
        right, wrong = self.correct.count(most), self.others.count(most)
        return right / (right + wrong) if most else 0.0


class FreshVote(NamedTuple):
    """What the vote would be worth if all chains were drawn anew."""

    mean: float
    variance: float


def first_places(problem: NDArray[np.int64], votes: NDArray[np.int64], problems: int) -> NDArray[np.bool_]:
    """Which classes of answers have, or share, the most votes of their problem; none where nobody voted.

    Args:
        problem: [classes] of which problem each class of answers is: 0, 1, ...
        votes: [classes] how many chains vote for it.
        problems: how many problems there are.
    """
    import numpy as np

    most = np.zeros(problems, dtype=np.int64)
    np.maximum.at(most, problem, votes)
    return np.asarray((votes == most[problem]) & (votes > 0))


def worth_by_problem(
    problem: NDArray[np.int64], wins: NDArray[np.bool_], right: NDArray[np.bool_], problems: int
) -> NDArray[np.float64]:
    """[problems] what each problem's vote is worth: the share of the winning classes that is right, as `Tally.worth`.

    Args:
        problem, problems: as for `first_places`.
        wins: [classes] which ones win.
        right: [classes] which ones are correct.
    """
    import numpy as np

    share = np.bincount(problem[wins & right], minlength=problems)
    return np.asarray(share / np.maximum(np.bincount(problem[wins], minlength=problems), 1))


def tally(correct: int | Iterable[int], others: Iterable[int], abstaining: int = 0) -> Tally:
    """A tally in the one form in which equal ones are equal.

    Raises:
        ValueError: a negative number of votes.
    """
    sides = [
        tuple(sorted(int(count) for count in counts if count))
        for counts in ([correct] if isinstance(correct, int) else correct, others)
    ]
    if abstaining < 0 or any(side and side[0] < 0 for side in sides):
        raise ValueError("a number of votes cannot be negative")
    return Tally(sides[0], sides[1], int(abstaining))


def vote_curve(correct: int | Iterable[int], others: Iterable[int], abstaining: int = 0) -> Pmf:
    """Expected worth of the vote of k of the n chains, for k = 1..n, drawn without replacement.

    The vote is worth 1 where the correct class has most votes, 0 where another has, and 1/t where it shares the
    first place with t - 1 others; without any vote it is worth 0. Exact up to 1,000 chains; beyond, the mean over
    1,000 random orders of the chains from a fixed seed (standard error 0.016 at most; above 5,000 chains there are
    fewer orders, and it is 0.035 at most).

    Args:
        correct: votes of the correct class among the n chains; several numbers where there are several such classes.
        others: votes of each other class.
        abstaining: chains without a vote.

    Returns:
        [n], read-only: entry k - 1 is the expectation for k chains; the last entry is the vote of all n.

    Raises:
        ValueError: a negative number of votes.
    """
    return _vote_curve(tally(correct, others, abstaining))


def fresh_vote(correct: int | Iterable[int], others: Iterable[int], abstaining: int = 0) -> FreshVote:
    """Mean and variance of the vote's worth if all n chains were drawn anew, each class as likely as it is now.

    The n chains of a problem are one sample; how another would differ is estimated by drawing n with replacement
    from this one (the bootstrap; Efron 1979, Ann. Statist. 7:1-26), without chance: the numbers of votes are then
    multinomial, that is, independent Poisson numbers given that their sum is n. Beyond 1,000 chains it is sampled
    (2,000 times, from a fixed seed).

    Args and errors are those of `vote_curve`.
    """
    return _fresh_vote(tally(correct, others, abstaining))


@lru_cache(maxsize=4096)
def _vote_curve(votes: Tally) -> Pmf:
    n = votes.chains
    curve = sampled_vote_curve(*votes) if n > _MOST_EXACT else _exact_vote_curve(votes, n)
    if n:
        curve[-1] = votes.worth  # all of them: known without rounding
    curve.setflags(write=False)
    return curve


def _exact_vote_curve(votes: Tally, n: int) -> Pmf:
    import numpy as np

    # Weights C(c, j) / 2^c: pmf of a fair binomial. Their product's coefficient at k is the share of all subsets of
    # size k times C(n, k) / 2^n, so that one product serves every k.
    sums = np.zeros(n + 1)
    for (winner,), times in _alike(votes.correct, 1).items():
        rivals = _without(votes, winner)
        for most in range(1, winner + 1):
            close = Counter(count for count in rivals if count >= most)
            rest = binomial(votes.abstaining + sum(count for count in rivals if count < most))
            nodes, weights, _ = legendre(_most_ties(close, n, most) // 2 + 1)
            factors = [(binomial(count), alike) for count, alike in close.items()]
            (ways,) = tied_products(factors, most, n - most, nodes, weights[None])
            ways = np.convolve(ways, rest)[: n - most + 1]
            sums[most : most + len(ways)] += times * binomial(winner)[most] * ways
    return np.minimum(sums[1:] / binomial(n)[1:], 1.0)


@lru_cache(maxsize=4096)
def _fresh_vote(votes: Tally) -> FreshVote:
    n = votes.chains
    if not votes.correct or (not votes.others and not votes.abstaining):
        return FreshVote(float(bool(votes.correct)), 0.0)
    if n > _MOST_EXACT:
        return FreshVote(*sampled_fresh_vote(*votes))
    mean = square = 0.0
    for (winner,), times in _alike(votes.correct, 1).items():
        for most, share in _likely(winner, n):
            once, twice = _won_anew(_without(votes, winner), votes.abstaining, most, n, n - most)
            mean += times * share * once
            square += times * share * twice
    # Where two correct classes win together, the square of the share of correct winners has mixed terms too.
    for (first, second), times in _alike(votes.correct, 2).items():
        for most, share in _likely(first, n // 2):
            rivals = _without(votes, first, second)
            _, both = _won_anew(rivals, votes.abstaining, most, n, n - 2 * most, together=1)
            square += 2 * times * share * float(poisson(second, n)[most]) * both
    whole = float(poisson(n, n)[n])
    mean = min(1.0, mean / whole)
    return FreshVote(mean, max(0.0, min(square / whole - mean * mean, mean * (1 - mean))))


def _alike(correct: Sequence[int], together: int) -> Counter[tuple[int, ...]]:
    """Votes of each so many correct classes, and how many there are with the same."""
    return Counter(itertools.combinations(correct, together))


def _without(votes: Tally, *winners: int) -> list[int]:
    """Votes of all classes that these correct ones must not fall behind."""
    rivals = [*votes.correct, *votes.others]
    for winner in winners:
        rivals.remove(winner)
    return rivals


def _most_ties(rivals: Counter[int], n: int, most: int) -> int:
    """How many rivals can have `most` votes too."""
    return min(rivals.total(), n // most - 1)


def _likely(count: int, n: int) -> list[tuple[int, float]]:
    """Numbers of votes from 1 to n that a class may well get anew, with their weights."""
    weights = poisson(count, n)
    return [(votes, float(weights[votes])) for votes in range(1, n + 1) if weights[votes] > _NEGLIGIBLE]


def _won_anew(
    rivals: Sequence[int], abstaining: int, most: int, n: int, size: int, together: int = 0
) -> tuple[float, float]:
    """Weight of the draws of `size` chains in which no rival gets more than `most`; ties count 1/t, and 1/t^2.

    `together` correct classes besides the winner have `most` votes as well.
    """
    import numpy as np

    # A rival that will hardly ever come so far needs no watching.
    close = Counter(count for count in rivals if _tail(count, n)[most] > _NEGLIGIBLE)
    rest = poisson(abstaining + sum(rivals) - sum(count * alike for count, alike in close.items()), n)
    nodes, weights, square_weights = legendre(_most_ties(close, n, most) + 1 + together)
    factors = [(poisson(count, n), alike) for count, alike in close.items()]
    marks = nodes**together
    ways = tied_products(factors, most, size, nodes, np.stack([weights * marks, square_weights * marks]))
    once, twice = ways @ rest[size::-1]
    return float(once), float(twice)


@lru_cache(maxsize=4096)
def _tail(count: int, n: int) -> Pmf:
    """[n + 1] probability that a class of that many votes gets so many or more anew."""
    return poisson(count, n)[::-1].cumsum()[::-1]

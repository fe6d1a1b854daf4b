"""Scores over the token budget: one run with a large budget holds the scores at every smaller one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from .means import MeanEstimate, mean_over_problems
from .votes import first_places, worth_by_problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class BudgetPoint(NamedTuple):
    """What a run would have scored with this budget."""

    budget: int
    """Most tokens a chain may generate."""
    pass_at_1: MeanEstimate
    consensus: MeanEstimate
    """cons@n, tied votes at their expected value."""
    cut_off: float
    """Share of chains that would not have ended."""


def budget_curve(
    problem: NDArray[np.int32],
    correct: NDArray[np.bool_],
    answer_class: NDArray[np.int32],
    tokens: NDArray[np.int64],
    truncated: NDArray[np.bool_],
    *,
    budgets: Iterable[int] | None = None,
    own: int | None = None,
) -> list[BudgetPoint] | None:
    """pass@1 and cons@n at smaller token budgets, from the lengths of a run's chains.

    A chain is sampled token by token, so that with a smaller budget it would have been the same chain, only cut
    off earlier. It counts with its grade if it ended by itself within the budget; else it is cut off: not correct, and
    without a vote. That is exact but for one thing: a chain that had said its answer explicitly before it was cut off
    would count in a real run at that budget, and does not count here, where no text is graded again; at small budgets
    the curve is so a lower bound. At the run's own budget, and above, every chain counts as it was graded.

    Arrays are [chains], as in `harness.outcomes.Outcomes`: the chain's problem (0, 1, ...; each has a chain),
    whether it is correct, the class that it votes for (-1 for none), its tokens (-1 where unknown), and whether the
    run's own budget cut it off.

    Args:
        budgets: None takes the powers of two from the first that a chain ends within, and the run's own.
        own: the run's budget; None takes the longest chain for it.

    Returns:
        One point a budget, smallest first; None where the tokens of a chain are not known, or there is no chain.
    """
    import numpy as np

    if not len(tokens) or tokens.min() < 0:
        return None
    longest = int(tokens.max()) if own is None else own
    if budgets is None:
        budgets = _usual(tokens, truncated, longest)
    counts = np.bincount(problem)
    votes = _Votes(problem, correct, answer_class)
    points = []
    for budget in sorted({int(budget) for budget in budgets}):
        ended = np.ones(len(tokens), bool) if budget >= longest else (tokens <= budget) & ~truncated
        rates = np.bincount(problem[ended & correct], minlength=len(counts)) / counts
        points.append(
            BudgetPoint(
                budget,
                mean_over_problems(rates.tolist()),
                mean_over_problems(votes.worth(ended).tolist(), votes=True),
                float((truncated if budget >= longest else ~ended).mean()),
            )
        )
    return points


def _usual(tokens: NDArray[np.int64], truncated: NDArray[np.bool_], own: int) -> list[int]:
    """Powers of two below the run's own budget, from the first within which a chain ends; and the own."""
    ended = tokens[~truncated]
    shortest = int(ended.min()) if len(ended) else own
    first = max(0, (shortest - 1).bit_length())
    return [*(1 << i for i in range(first, own.bit_length()) if 1 << i < own), own]


class _Votes:
    """The classes of all problems, counted once for many selections of chains."""

    def __init__(
        self, problem: NDArray[np.int32], correct: NDArray[np.bool_], answer_class: NDArray[np.int32]
    ) -> None:
        import numpy as np

        self.problems = int(problem.max()) + 1
        self.voting = answer_class >= 0
        codes = int(answer_class.max()) + 1
        places = problem[self.voting].astype(np.int64) * codes + answer_class[self.voting]
        groups, self.group = np.unique(places, return_inverse=True)
        self.problem = groups // max(codes, 1)
        self.right = np.bincount(self.group[correct[self.voting]], minlength=len(groups)) > 0

    def worth(self, counted: NDArray[np.bool_]) -> NDArray[np.float64]:
        """[problems] worth of the vote of the chains that count; ties at their expected value."""
        import numpy as np

        votes = np.bincount(self.group[counted[self.voting]], minlength=len(self.problem))
        wins = first_places(self.problem, votes, self.problems)
        return worth_by_problem(self.problem, wins, self.right, self.problems)

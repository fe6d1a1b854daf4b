"""cons@k: does the majority answer of the chains of a problem win?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from harness import GradedChain, Metric, Protocol, Score, hookimpl
from harness.statistics import (
    Tally,
    consensus_points,
    fresh_vote,
    mean_over_problems,
    parts_of_variance,
    tally,
)


class Vote(NamedTuple):
    """The outcome of one problem's vote."""

    value: float
    """1 if the majority answer is correct, 0 if not, and in a tie the share of correct winners."""
    tied: bool
    tally: Tally


def majority_vote(chains: Sequence[GradedChain], ties: str = "expected") -> Vote:
    """Count one vote a chain for its answer's class; a chain without an answer abstains.

    Where several classes share the first place, one of them would be drawn at random: the vote is worth its
    expected value, so that the score does not depend on the order of the chains. With `ties="first"` the class
    that was seen first wins, as in evaluations that take the first of the most common answers.
    """
    votes = Counter(chain.grade.answer_class for chain in chains if chain.grade.answer_class is not None)
    correct = {chain.grade.answer_class for chain in chains if chain.grade.correct}
    counts = tally(
        [count for answer, count in votes.items() if answer in correct],
        [count for answer, count in votes.items() if answer not in correct],
        len(chains) - votes.total(),
    )
    if not votes:
        return Vote(0.0, False, counts)
    most = max(votes.values())
    winners = [answer for answer, count in votes.items() if count == most]
    tied = len(winners) > 1
    if ties == "first":  # a Counter keeps the order in which its keys were first seen
        winners = winners[:1]
    return Vote(len(correct.intersection(winners)) / len(winners), tied, counts)


class ConsAtK(Metric):
    name = "cons@k"
    description = (
        "correctness of the majority answer class among the k chains; ties score their expected value"
    )

    def compute(
        self, problems: Mapping[str, Sequence[GradedChain]], protocol: Protocol
    ) -> Mapping[str, Score]:
        votes = [majority_vote(chains, protocol.ties) for chains in problems.values()]
        value, stderr, ci95 = mean_over_problems([vote.value for vote in votes], votes=True)
        details: dict[str, Any] = {"k": protocol.n, "ties": sum(vote.tied for vote in votes)}
        # Where sampling stopped once the majority was decided, the chains that there are were picked by their votes:
        # neither smaller votes nor votes drawn anew can be told from them.
        if all(len(chains) == protocol.n for chains in problems.values()):
            sampling, questions = _parts(votes, protocol)
            details |= {"stderr_sampling": sampling, "stderr_questions": questions}
            # Smaller votes are averaged over all subsets of the chains, which have no first answer to give a tie to.
            if protocol.ties != "first":
                details["curve"] = {
                    str(k): at for k, at in consensus_points([v.tally for v in votes]).items()
                }
        return {"cons@k": Score(value, stderr, ci95, details)}


def _parts(votes: Sequence[Vote], protocol: Protocol) -> tuple[float | None, float | None]:
    if protocol.n < 2:
        return None, None  # a single chain does not tell how much another would differ
    fresh = [fresh_vote(*vote.tally) for vote in votes]
    if (
        protocol.ties == "first"
    ):  # in a tie each of the winners comes first as often: the vote is then right or wrong
        sampling = [mean * (1 - mean) for mean, _ in fresh]
    else:
        sampling = [variance for _, variance in fresh]
    return parts_of_variance([vote.value for vote in votes], sampling)


@hookimpl
def harness_metrics() -> Sequence[Metric]:
    return [ConsAtK()]

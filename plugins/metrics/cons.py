"""cons@k: does the majority answer of the chains of a problem win?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from harness import GradedChain, Metric, Protocol, Score, hookimpl
from harness.statistics import mean_over_problems


class Vote(NamedTuple):
    """The outcome of one problem's vote."""

    value: float
    """1 if the majority answer is correct, 0 if not, and in a tie the share of correct winners."""
    tied: bool


def majority_vote(chains: Sequence[GradedChain], ties: str = "expected") -> Vote:
    """Count one vote a chain for its answer's class; a chain without an answer abstains.

    Where several classes share the first place, one of them would be drawn at random: the vote is worth its
    expected value, so that the score does not depend on the order of the chains. With `ties="first"` the class
    that was seen first wins, as in evaluations that take the first of the most common answers.
    """
    votes = Counter(chain.grade.answer_class for chain in chains if chain.grade.answer_class is not None)
    if not votes:
        return Vote(0.0, tied=False)
    most = max(votes.values())
    winners = {answer for answer, count in votes.items() if count == most}
    if ties == "first":  # a Counter keeps the order in which its keys were first seen
        winners = {next(answer for answer, count in votes.items() if count == most)}
    tied = sum(count == most for count in votes.values()) > 1
    correct = {chain.grade.answer_class for chain in chains if chain.grade.correct}
    return Vote(len(winners & correct) / len(winners), tied=tied)


class ConsAtK(Metric):
    name = "cons@k"
    description = (
        "correctness of the majority answer class among the k chains; ties score their expected value"
    )

    def compute(
        self, problems: Mapping[str, Sequence[GradedChain]], protocol: Protocol
    ) -> Mapping[str, Score]:
        votes = [majority_vote(chains, protocol.ties) for chains in problems.values()]
        value, stderr, ci95 = mean_over_problems([vote.value for vote in votes])
        details = {"k": protocol.n, "ties": sum(vote.tied for vote in votes)}
        return {"cons@k": Score(value, stderr, ci95, details)}


@hookimpl
def harness_metrics() -> Sequence[Metric]:
    return [ConsAtK()]

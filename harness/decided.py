"""Whether a vote is decided: no completion of a problem's remaining chains can change its majority."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


def decided(votes: Counter[str], remaining: int) -> bool:
    """Whether the leading class stays ahead of every other, whatever the remaining chains answer.

    They may all vote for the runner-up, or for an answer not seen so far. A tie would change the expected value of
    the vote, so the lead has to be larger than what remains.

    Args:
        votes: answer class -> chains that voted for it so far; chains that abstain are in none.
        remaining: chains that have no vote yet, those in flight included.
    """
    if not votes:
        return remaining == 0
    first, second = ([count for _, count in votes.most_common(2)] + [0])[:2]
    return first - second > remaining


@dataclass(slots=True)
class Ballot:
    """The votes on one problem as its chains are graded."""

    n: int
    """Chains that the problem is to have."""
    votes: Counter[str] = field(default_factory=Counter)
    counted: int = 0
    """Chains that are graded, with or without an answer."""

    def add(self, answer_class: str | None) -> None:
        self.counted += 1
        if answer_class is not None:
            self.votes[answer_class] += 1

    @property
    def decided(self) -> bool:
        return decided(self.votes, self.n - self.counted)

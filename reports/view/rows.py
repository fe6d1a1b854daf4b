"""What pages say of a problem and of a chain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

UNGRADED: Final = "not graded"
"""Shown as the status of chains that are stored and wait for their verdict."""


@dataclass(frozen=True, slots=True)
class ProblemText:
    id: str
    text: str
    gold: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChainRow:
    """One chain without its texts."""

    problem_id: str
    index: int
    status: str
    answer: str | None
    answer_class: str | None
    rule: str
    tokens: int | None
    finish_reason: str | None
    seed: int | None
    foreign: float | None

    @property
    def correct(self) -> bool:
        return self.status == "correct"

    @property
    def differs(self) -> bool:
        """Whether whoever graded the chain before says otherwise."""
        return self.foreign is not None and self.status != UNGRADED and (self.foreign >= 0.5) != self.correct


@dataclass(frozen=True, slots=True)
class ProblemRow:
    """What became of one problem."""

    place: int
    """In the benchmark's order, from 0."""
    id: str
    gold: str | None
    chains: int
    """Graded ones."""
    correct: int
    worth: float | None
    """Of the vote, in 0..1."""
    majority: str | None
    """An answer of the class with most votes."""
    majority_votes: int
    tied: int
    truncated: int
    tokens: float | None
    """Mean over the chains whose length is known."""
    waiting: int = 0
    """Chains that are stored and not graded yet."""

    @property
    def share(self) -> float | None:
        return self.correct / self.chains if self.chains else None

    @property
    def cut(self) -> float | None:
        return self.truncated / self.chains if self.chains else None


@dataclass(frozen=True, slots=True)
class Class:
    """One class of answers in a problem's vote."""

    answer: str
    votes: int
    correct: bool
    spellings: int
    """In how many ways it was written."""
    key: str | None
    """The class's key; None for the chains that abstain."""


def classes_of(chains: Sequence[ChainRow]) -> list[Class]:
    """The vote of a problem's chains, most votes first; the last entry is of those that abstain, if any do."""
    groups: dict[str | None, list[ChainRow]] = {}
    for chain in chains:
        if chain.status != UNGRADED:
            groups.setdefault(chain.answer_class, []).append(chain)
    found = [
        Class(
            members[0].answer or "" if key is not None else "",
            len(members),
            any(chain.correct for chain in members),
            len({chain.answer for chain in members}),
            key,
        )
        for key, members in groups.items()
    ]
    return sorted(found, key=lambda one: (one.key is None, -one.votes))

"""The engine: a random stream that is the same everywhere, levels made of families, problems by position."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from harness import HarnessError, Problem

from .exact import Exact, latex
from .worked import Steps

GENERATOR = "fresh/1"
"""Names the templates. Raise the number with every change that alters a problem: old sets are other sets."""

ATTEMPTS = 1000
"""Draws for one position before its family counts as exhausted."""

T = TypeVar("T")
_WORD = (1 << 64) - 1


class Draw:
    """A stream of random choices named by a path, for example ("fresh/1", level, seed, position).

    It is SplitMix64 (Steele, Lea & Flood 2014) started from a SHA-256 of the path: unlike `random`, whose
    methods change between Python versions, it is pinned by these few lines.
    """

    __slots__ = ("_state",)

    def __init__(self, *path: object) -> None:
        digest = hashlib.sha256("|".join(map(str, path)).encode()).digest()
        self._state = int.from_bytes(digest[:8], "big")

    def below(self, n: int) -> int:
        """An integer in 0..n-1; the bias of at most n / 2**64 is of no account here."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _WORD
        z = self._state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _WORD
        return ((z ^ (z >> 31)) * n) >> 64

    def integer(self, low: int, high: int) -> int:
        """An integer in low..high, both included."""
        return low + self.below(high - low + 1)

    def nonzero(self, bound: int) -> int:
        """An integer in -bound..bound other than 0."""
        return self.integer(1, bound) * self.pick((-1, 1))

    def pick(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]

    def phrase(self, *phrasings: str) -> str:
        """One of several ways to say the same."""
        return self.pick(phrasings)

    def several(self, options: Sequence[T], count: int) -> list[T]:
        """`count` options at different places, in random order."""
        left = list(options)
        return [left.pop(self.below(len(left))) for _ in range(count)]


Posed: TypeAlias = tuple[str, Exact] | tuple[str, Exact, Steps] | None
"""A statement with its answer, and how to find it where the family tells; None asks for another draw, where the
numbers make no good problem."""

Family: TypeAlias = Callable[[Draw], Posed]


@dataclass(frozen=True)
class Level:
    """A degree of difficulty: families of problems that take turns."""

    number: int
    title: str
    families: dict[str, Family] = field(default_factory=dict)

    def family(self, pose: Family) -> Family:
        """Decorator: adds a family, named after its function."""
        self.families[pose.__name__.replace("_", "-")] = pose
        return pose

    def problems(self, seed: int, size: int) -> Iterator[Problem]:
        """The first `size` problems of a seed; a longer set begins with the shorter one.

        Raises:
            HarnessError: a family has no further problem that is not in the set already.
        """
        names = list(self.families)
        seen: set[str] = set()
        for position in range(size):
            name = names[position % len(names)]
            text, answer, *steps = self._pose(name, seed, position, seen)
            seen.add(text)
            yield Problem(
                id=f"fresh-l{self.number}-s{seed}-{position:04d}",
                text=text,
                gold=latex(answer),
                metadata={"level": self.number, "family": name},
                solution=str(steps[0]) if steps else "",
            )

    def _pose(
        self, name: str, seed: int, position: int, seen: set[str]
    ) -> tuple[str, Exact] | tuple[str, Exact, Steps]:
        for attempt in range(ATTEMPTS):
            posed = self.families[name](Draw(GENERATOR, self.number, seed, position, attempt))
            if posed is not None and posed[0] not in seen:
                return posed
        raise HarnessError(
            f"fresh level {self.number}: the family {name} has no new problem for position {position}; "
            f"ask for at most {position} problems (size={position})"
        )

"""Grades chains of which nobody has said whether they are correct, as an evaluation would."""

from __future__ import annotations

import dataclasses
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from harness import Grade
from harness.grading import Grader, open_pool

from .records import Candidate, Item

if TYPE_CHECKING:
    from harness.plugins import PluginManager
    from harness.pool import WorkerPool


class Judge:
    """Grades the chains of items. Its workers start when they are first needed and end with the `with` block."""

    def __init__(self, plugins: PluginManager, deadline: float = 5.0) -> None:
        self._plugins, self._deadline = plugins, deadline
        self._stack = ExitStack()
        self._pool: WorkerPool | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self._stack.close()

    def judged(self, item: Item) -> Item:
        """The item with a verdict on each of its chains, where it has several, a gold and no verdicts."""
        if len(item.chains) < 2 or item.gold is None or any(c.correct is not None for c in item.chains):
            return item
        if self._pool is None:
            self._pool = open_pool(self._plugins, self._deadline)
            self._stack.callback(self._pool.close)
        grader = Grader(self._plugins.normalizer(item.normalizer), self._pool)
        grades: dict[int, Grade] = {}
        for place, chain in enumerate(item.chains):
            deliver = _Into(grades, place)
            grader.submit(item.id, item.gold, chain.text, deliver, truncated=chain.truncated)
        grader.finish()
        chains = tuple(_with(chain, grades[place]) for place, chain in enumerate(item.chains))
        return dataclasses.replace(item, chains=chains)


@dataclasses.dataclass(frozen=True, slots=True)
class _Into:
    grades: dict[int, Grade]
    place: int

    def __call__(self, grade: Grade) -> None:
        self.grades[self.place] = grade


def _with(chain: Candidate, grade: Grade) -> Candidate:
    return dataclasses.replace(chain, correct=grade.correct)

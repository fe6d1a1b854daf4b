"""Which of its problem's samples a foreign chain is."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

from ..errors import HarnessError
from .matching import ForeignProblem
from .sources import Group


class Numbers:
    """Numbers the chains of each problem from 0, in the order that their files give them.

    Raises:
        HarnessError: two chains of one number, or some that are numbered and some that are not.
    """

    def __init__(self, group: Group, ids: Mapping[ForeignProblem, str]) -> None:
        given: defaultdict[str, list[int | None]] = defaultdict(list)
        for foreign, id_ in ids.items():
            given[id_] += group.indexes[foreign]
        self._ranks: dict[str, dict[int, int]] = {}
        self._seen: Counter[str] = Counter()
        for id_, indexes in given.items():
            numbered = [index for index in indexes if index is not None]
            if not numbered:
                continue
            what = f"{group.model}: of problem {id_}"
            if len(numbered) < len(indexes):
                raise HarnessError(
                    f"{what} some chains are numbered and some are not: --renumber numbers them anew"
                )
            twice = [index for index, count in Counter(numbered).items() if count > 1]
            if twice:
                raise HarnessError(
                    f"{what} there are two chains of number {twice[0]}: import different runs one by one, or "
                    "--renumber to make them one run"
                )
            self._ranks[id_] = {index: rank for rank, index in enumerate(sorted(numbered))}

    def of(self, problem_id: str, index: int | None) -> int | None:
        """Which sample of its problem this chain is; None for one that was not there before."""
        if (ranks := self._ranks.get(problem_id)) is not None:
            return ranks.get(-1 if index is None else index)
        rank = self._seen[problem_id]
        self._seen[problem_id] += 1
        return rank

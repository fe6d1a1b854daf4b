"""The order in which rows are seen: a function of the seed and the epoch alone, so that a stage can go on anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Literal

from torch.utils.data import Sampler

Strategy = Literal["random", "sequential", "group_by_length"]

_GROUP: Final = 50
"""Batches whose rows are sorted together by length."""


class RowOrder(Sampler):  # type: ignore[misc,type-arg,unused-ignore]
    """Indices of rows for an epoch.

    Several processes are dealt batches in turns, and have to be dealt equally many: the order ends with as many empty
    rows (index `len(lengths)`) as that takes, of which nothing is learnt.

    Args:
        lengths: tokens of each row.
        batch: rows of a batch of one process.
        processes: that are dealt batches.
    """

    def __init__(
        self, lengths: Sequence[int], strategy: Strategy, seed: int, batch: int, processes: int = 1
    ) -> None:
        self.lengths = lengths
        self.strategy = strategy
        self.seed = seed
        self.batch = batch
        self.epoch = 0
        together = batch * processes
        self.padding = -len(lengths) % together if processes > 1 else 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths) + self.padding

    def __iter__(self) -> Iterator[int]:
        yield from self._order()
        yield from [len(self.lengths)] * self.padding

    def _order(self) -> list[int]:
        rows = len(self.lengths)
        if self.strategy == "sequential":
            return list(range(rows))
        import random

        source = random.Random(f"{self.seed} {self.epoch}")
        order = list(range(rows))
        source.shuffle(order)
        if self.strategy == "group_by_length":
            return self._grouped(order, source)
        return order

    def _grouped(self, order: list[int], source: object) -> list[int]:
        """Rows of a batch have nearly one length; which rows meet, and the order of the batches, is random."""
        import random

        assert isinstance(source, random.Random)
        size = self.batch * _GROUP
        batches = []
        for first in range(0, len(order), size):
            group = sorted(order[first : first + size], key=lambda row: self.lengths[row])
            batches += [group[start : start + self.batch] for start in range(0, len(group), self.batch)]
        short = batches.pop() if len(batches[-1]) < self.batch else []
        source.shuffle(batches)
        return [row for batch in [*batches, short] for row in batch]

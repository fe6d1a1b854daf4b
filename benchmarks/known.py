"""Benchmarks whose original rows are known: load, put in order, check, make problems."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from harness import Benchmark, Problem
from harness.data import DataSource, HubRows

from .checks import Check, Item, Key, distinct_problems, require, row_count
from .keys import key_of


class KnownBenchmark(Benchmark):
    """A benchmark with a key of digests. Subclasses say how a row is read and which further checks apply."""

    stems: ClassVar[Sequence[str]]
    """Names of the data file, without ending, the preferred one first."""
    hub: ClassVar[HubRows]

    @property
    def key(self) -> Key:
        return key_of(self.name)

    @abstractmethod
    def items(self, rows: Sequence[Mapping[str, Any]], place: str) -> list[Item]:
        """The rows as the checks see them, under their stable ids."""

    @abstractmethod
    def problem(self, item: Item, row: Mapping[str, Any]) -> Problem:
        """The problem that a row holds."""

    @abstractmethod
    def checks(self, problems: Sequence[Problem]) -> Sequence[Check]:
        """Checks besides the number of rows and that no problem is empty or there twice."""

    def problems(self, data: DataSource) -> Iterable[Problem]:
        rows = data.rows(self.stems, hub=self.hub)
        items = self.items(rows.rows, rows.place)
        # In the order of the original, whatever the file's: the first K problems are the same everywhere.
        place = {id: position for position, id in enumerate(self.key.rows)}
        order = sorted(range(len(items)), key=lambda i: (place.get(items[i].id, len(place)), i))
        items = [items[i] for i in order]
        problems = [self.problem(item, rows.rows[i]) for item, i in zip(items, order, strict=True)]
        checks = (row_count(len(self.key.rows)), distinct_problems, *self.checks(problems))
        warning = require(self.name, rows.place, items, checks, data.allow_modified)
        if warning is not None:
            data.warn(warning)
        return problems

"""MATH-500: 500 problems of the MATH test set (Hendrycks et al., 2021; chosen by Lightman et al., 2023)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness import Benchmark, Problem, hookimpl
from harness.data import HubRows

from .checks import Check, Item, canonical_latex, known_golds, known_statements
from .columns import column, ordinals
from .known import KnownBenchmark


class MATH500(KnownBenchmark):
    name = "math500"
    aliases = ("math-500", "math_500")
    description = "MATH-500, 500 problems of seven subjects and five levels"
    normalizer = "math"
    stems = ("math500", "math_500", "MATH-500")
    hub = HubRows("HuggingFaceH4/MATH-500", "test", revision="6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be")
    source = hub.repo

    def items(self, rows: Sequence[Mapping[str, Any]], place: str) -> list[Item]:
        official = list(self.key.rows)
        items = []
        for row, number in zip(rows, ordinals(rows), strict=True):
            id = column({"id": "", **row}, "id", place)
            if id not in self.key.rows:  # some copies number the rows instead, in the original order
                id = official[number - 1] if number <= len(official) else f"row {number}"
            gold = canonical_latex(column(row, "gold", place))
            items.append(Item(id, column(row, "problem", place), gold))
        return items

    def problem(self, item: Item, row: Mapping[str, Any]) -> Problem:
        metadata = {name: row[name] for name in ("subject", "level") if name in row}
        return Problem(item.id, item.statement, column(row, "gold"), metadata=metadata)

    def checks(self, problems: Sequence[Problem]) -> Sequence[Check]:
        return known_golds(self.key), known_statements(self.key)


@hookimpl
def harness_benchmarks() -> list[Benchmark]:
    return [MATH500()]

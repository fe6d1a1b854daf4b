"""HMMT February 2025: 30 problems whose answers are integers and closed forms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness import Benchmark, Problem, hookimpl
from harness.data import HubRows

from .checks import Check, Item, canonical_latex, known_golds, unswapped_statements
from .columns import column, ordinals
from .known import KnownBenchmark


class HMMT25(KnownBenchmark):
    name = "hmmt25"
    aliases = ("hmmt_feb_2025",)
    description = "HMMT February 2025, 30 problems; no. 10 has two values"
    normalizer = "math"
    stems = ("hmmt25", "hmmt_feb_2025", "hmmt_2025")
    hub = HubRows("MathArena/hmmt_feb_2025", revision="6fdc4277120810ff75aa22d2d5489b91f7a262a1")
    source = hub.repo

    def items(self, rows: Sequence[Mapping[str, Any]], place: str) -> list[Item]:
        return [
            Item(f"{self.name}-{number}", column(row, "problem", place), canonical_latex(_gold(row, place)))
            for row, number in zip(rows, ordinals(rows), strict=True)
        ]

    def problem(self, item: Item, row: Mapping[str, Any]) -> Problem:
        return Problem(item.id, item.statement, _gold(row))

    def checks(self, problems: Sequence[Problem]) -> Sequence[Check]:
        remarks = {"hmmt25-28": "one public copy has an error of text recognition here"}
        return known_golds(self.key, remarks=remarks), unswapped_statements(self.key)


def _gold(row: Mapping[str, Any], place: str = "") -> str:
    return column(row, "gold", place).strip("$")


@hookimpl
def harness_benchmarks() -> list[Benchmark]:
    return [HMMT25()]

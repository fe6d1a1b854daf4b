"""AIME: two contests of 15 problems a year, answers from 0 to 999."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness import Benchmark, Problem, hookimpl
from harness.data import HubRows

from .checks import (
    Check,
    Item,
    canonical_integer,
    integer_golds,
    known_golds,
    no_answer_inside,
    unswapped_statements,
    without,
)
from .columns import column, contest_numbers
from .known import KnownBenchmark


class AIME(KnownBenchmark):
    normalizer = "integer"

    def items(self, rows: Sequence[Mapping[str, Any]], place: str) -> list[Item]:
        return [
            Item(
                f"{self.name}-{contest}-{number}",
                column(row, "problem", place),
                canonical_integer(column(row, "gold", place)),
            )
            for row, (contest, number) in zip(rows, contest_numbers(rows), strict=True)
        ]

    def problem(self, item: Item, row: Mapping[str, Any]) -> Problem:
        return Problem(item.id, item.statement, item.gold)

    def checks(self, problems: Sequence[Problem]) -> Sequence[Check]:
        return (
            integer_golds(0, 999),
            without(
                r"(?:∠|angle)[\s{$]*Z\s*B\s*A",
                "the problem has an angle ZBA: the corrupted copy of AIME 2025 I-14 (the original speaks of "
                "the angles at B and E)",
            ),
            no_answer_inside,
            known_golds(self.key),
            unswapped_statements(self.key),
        )


class AIME25(AIME):
    name = "aime25"
    description = "AIME 2025 I and II, 30 problems"
    stems = ("aime25", "aime_2025")
    hub = HubRows("MathArena/aime_2025", revision="c94da77eb22bbd6439e62a323bec18493a421302")
    source = hub.repo


class AIME24(AIME):
    name = "aime24"
    description = "AIME 2024 I and II, 30 problems"
    stems = ("aime24", "aime_2024")
    hub = HubRows("HuggingFaceH4/aime_2024", revision="2fe88a2f1091d5048c0f36abc874fb997b3dd99a")
    source = hub.repo


@hookimpl
def harness_benchmarks() -> list[Benchmark]:
    return [AIME25(), AIME24()]

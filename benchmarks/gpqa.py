"""GPQA Diamond: 198 graduate-level questions with four choices (Rein et al., 2023).

Its authors ask that the questions not be posted in plain text, so nothing here shows or stores any: messages
name rows by their record id, and what is known of the rows is kept as digests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from harness import Benchmark, HarnessError, Problem, hookimpl
from harness.data import HubRows

from .checks import Check, Item, balance, balanced, known_golds, known_statements
from .columns import as_text, column, ordinals
from .known import KnownBenchmark

LETTERS = "ABCD"

_OPTIONS = ("Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")


class GPQADiamond(KnownBenchmark):
    name = "gpqa-diamond"
    aliases = ("gpqa", "gpqa_diamond")
    description = "GPQA Diamond, 198 questions with four choices, shuffled by a hash of seed and question"
    normalizer = "choice"
    instruction = (
        "Please reason step by step, and put the letter of your choice (A, B, C or D) within \\boxed{}."
    )
    stems = ("gpqa_diamond", "gpqa-diamond", "gpqa")
    hub = HubRows(
        "Idavidrein/gpqa", config="gpqa_diamond", revision="633f5ee89ab8ad4522a9f850766b73f62147ffdd"
    )
    source = f"{hub.repo} (gated)"
    hidden = True
    parameters: ClassVar[Mapping[str, Any]] = {"shuffle_seed": 0}

    def items(self, rows: Sequence[Mapping[str, Any]], place: str) -> list[Item]:
        _refuse_lettered(self.name, rows, place)
        official = list(self.key.rows)
        items = []
        for row, number in zip(rows, ordinals(rows), strict=True):
            id = column({"Record ID": "", **row}, "Record ID")
            if not id:
                id = official[number - 1] if number <= len(official) else f"row {number}"
            correct, *wrong = (_one_line(row[name]) for name in _OPTIONS)
            items.append(Item(id, as_text(row["Question"]), "\x1f".join((correct, *sorted(wrong)))))
        return items

    def problem(self, item: Item, row: Mapping[str, Any]) -> Problem:
        order = shuffled(len(_OPTIONS), self.values["shuffle_seed"], item.statement)
        choices = tuple(as_text(row[_OPTIONS[i]]) for i in order)
        listed = "\n".join(f"{letter}) {choice}" for letter, choice in zip(LETTERS, choices, strict=True))
        domain = as_text(row.get("High-level domain"))
        return Problem(
            item.id,
            f"{item.statement}\n\n{listed}",
            LETTERS[order.index(0)],
            choices,
            {"domain": domain} if domain else {},
        )

    def checks(self, problems: Sequence[Problem]) -> Sequence[Check]:
        return (
            known_golds(self.key, hidden=True, what="set of choices"),
            known_statements(self.key),
            balanced([problem.gold for problem in problems]),
        )

    def notes(self, problems: Sequence[Problem]) -> Mapping[str, Any]:
        return {"gold_positions": balance([problem.gold for problem in problems])}


def shuffled(count: int, seed: int, question: str) -> list[int]:
    """A permutation of 0 .. count-1 that depends on seed and question only: the same on every machine.

    Fisher-Yates with draws from SHA-256, because the order that `random` gives for a seed is a promise of one
    language's library. The question counts without its blanks, which copies differ in.

    >>> sorted(shuffled(4, 0, "Which?"))
    [0, 1, 2, 3]
    """
    order = list(range(count))
    text = _one_line(question)
    for last in range(count - 1, 0, -1):
        hashed = hashlib.sha256(f"{seed}\x1f{last}\x1f{text}".encode()).digest()
        other = int.from_bytes(hashed, "big") % (last + 1)
        order[last], order[other] = order[other], order[last]
    return order


def _one_line(value: object) -> str:
    return " ".join(as_text(value).split())


def _refuse_lettered(name: str, rows: Sequence[Mapping[str, Any]], place: str) -> None:
    """Rows without the four options in columns of their own cannot be shuffled: say what they are."""
    lacking = [title for title in ("Question", *_OPTIONS) if any(title not in row for row in rows)]
    if not lacking:
        return
    remedy = "use gpqa_diamond.csv with its official columns (Question, Correct Answer, Incorrect Answer 1-3)"
    try:
        golds = {column(row, "gold").upper() for row in rows}
    except HarnessError:
        golds = set()
    if len(golds) == 1 and golds <= {*LETTERS, *"0123"}:
        raise HarnessError(
            f"{name}: {place} is a known-bad copy: the gold is {golds.pop()} in all {len(rows)} rows, which "
            f"scores a preference for one letter; {remedy}"
        )
    if golds and golds <= {*LETTERS, *"0123"}:
        raise HarnessError(
            f"{name}: {place} has the choices lettered inside the question, so they cannot be "
            f"shuffled; {remedy}"
        )
    raise HarnessError(f"{name}: {place} has no column {lacking[0]!r}; {remedy}")


@hookimpl
def harness_benchmarks() -> list[Benchmark]:
    return [GPQADiamond()]

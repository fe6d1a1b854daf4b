"""GPQA Diamond: 198 graduate-level questions with four choices (Rein et al., 2023).

Its authors ask that the questions not be posted in plain text, so nothing here shows or stores any: messages
name rows by their record id, and what is known of the rows is kept as digests.

`order=published` gives the questions as one widely used file has them, which the published Fathom-R1, Light-R1 and
LIMO numbers come from: the drafts from before the authors' revision, the correct choice always first. A liking
for the letter A scores there, so it is for reproducing those numbers only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from harness import Benchmark, HarnessError, Problem, hookimpl
from harness.data import DataSource, HubRows

from .checks import Check, Item, balance, balanced, known_golds, known_statements, plain
from .columns import as_text, column, ordinals
from .known import KnownBenchmark

LETTERS = "ABCD"

_OPTIONS = ("Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")

ORDERS = ("shuffled", "published")
"""How the choices stand: by a hash of seed and question, or as in the file behind the published numbers."""

_DRAFT = "Pre-Revision "
"""Columns named so, before the name of an official one, hold the authors' drafts."""
_DRAFTS_DIGEST = "46630db460310e9c77bf3c1dc784238812c71447ae5c5cd8d9650b4ac3477c88"
"""SHA-256 of the letters and digits of the published questions with their choices, in order."""
_WARNING = (
    "order=published: the correct choice is A in every question, and questions and choices are the drafts from "
    "before the authors' revision; a liking for the letter A scores, so this reproduces published numbers and "
    "measures nothing"
)


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
    parameters: ClassVar[Mapping[str, Any]] = {"shuffle_seed": 0, "order": "shuffled"}

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        if self.values["order"] not in ORDERS:
            raise HarnessError(
                f"{self.name}: order={self.values['order']!r} is not one of {', '.join(ORDERS)}"
            )
        if self.published:
            self.description = "GPQA Diamond as in the published Fathom-R1 numbers: drafts, all golds at A"

    @property
    def published(self) -> bool:
        return bool(self.values["order"] == "published")

    def problems(self, data: DataSource) -> Iterable[Problem]:
        problems = super().problems(data)
        if self.published:
            data.warn(f"{self.name}: {_WARNING}")
        return problems

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
        return self._drafted(item, row) if self.published else self._shuffled(item, row)

    def _drafted(self, item: Item, row: Mapping[str, Any]) -> Problem:
        columns = [f"{_DRAFT}{name}" for name in ("Question", *_OPTIONS)]
        if lacking := [name for name in columns if not row.get(name)]:
            raise HarnessError(
                f"{self.name}: {item.id} has nothing in column {lacking[0]!r}, which order=published shows; "
                f"use gpqa_diamond.csv with all of its official columns, or leave order=published out"
            )
        question, *choices = (str(row[name]) for name in columns)
        # Blanks at the ends of choices are kept: this is the published prompt to the letter.
        listed = "\n".join(f"{letter}. {choice}" for letter, choice in zip(LETTERS, choices, strict=True))
        return Problem(
            item.id, f"{question}\n\n{listed}".lstrip(), LETTERS[0], tuple(choices), _metadata(row)
        )

    def _shuffled(self, item: Item, row: Mapping[str, Any]) -> Problem:
        order = shuffled(len(_OPTIONS), self.values["shuffle_seed"], item.statement)
        choices = tuple(as_text(row[_OPTIONS[i]]) for i in order)
        listed = "\n".join(f"{letter}) {choice}" for letter, choice in zip(LETTERS, choices, strict=True))
        return Problem(
            item.id,
            f"{item.statement}\n\n{listed}",
            LETTERS[order.index(0)],
            choices,
            _metadata(row),
        )

    def checks(self, problems: Sequence[Problem]) -> Sequence[Check]:
        return (
            known_golds(self.key, hidden=True, what="set of choices"),
            known_statements(self.key),
            _published_drafts(problems) if self.published else balanced([p.gold for p in problems]),
        )

    def notes(self, problems: Sequence[Problem]) -> Mapping[str, Any]:
        return {"gold_positions": balance([problem.gold for problem in problems])}


def _metadata(row: Mapping[str, Any]) -> Mapping[str, str]:
    domain = as_text(row.get("High-level domain"))
    return {"domain": domain} if domain else {}


def _published_drafts(problems: Sequence[Problem]) -> Check:
    """Questions and choices have the letters and digits of the published file's, in order."""

    def check(items: Sequence[Item]) -> Iterator[str]:
        texts = "\x1f".join(plain(problem.text) for problem in problems)
        if hashlib.sha256(texts.encode()).hexdigest() != _DRAFTS_DIGEST:
            yield "the drafts are not those of the published file"

    return check


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

"""LIMO's evaluation, which Fathom-R1 uses too: one row a problem, with all its chains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness import ForeignChain, Importer, hookimpl
from harness.chainfile import Row, RowFile

from ._fields import gold, score
from ._files import files_at

_PROBLEMS_AT_ONCE = 8  # a row of a parquet file is 64 chains


class Limo(Importer):
    name = "limo"
    description = (
        "LIMO and Fathom-R1: one row a problem with generated_responses, gold_answer, answers_correctness"
    )

    def read(self, path: Path) -> Iterator[ForeignChain]:
        for file in files_at(path, "**/*.jsonl", ".jsonl file"):
            rows = RowFile(file, _PROBLEMS_AT_ONCE)
            for number, row in rows.all_rows():
                yield from _chains(rows, number, row)


def _chains(file: RowFile, number: int, row: Row) -> Iterator[ForeignChain]:
    texts = row.get("generated_responses")
    if not isinstance(texts, list) or not texts:
        raise file.bad(number, "has no generated_responses")
    question = file.text(number, "question", row.get("question"))
    if question is None:
        raise file.bad(number, "has no question")
    verdicts = _verdicts(row.get("answers_correctness"), len(texts))
    for index, (text, verdict) in enumerate(zip(texts, verdicts, strict=True)):
        if not isinstance(text, str):
            raise file.bad(number, f"generated_responses[{index}] is not a text")
        yield ForeignChain(
            text=text,
            where=file.where(number),
            problem=question,
            gold=gold(row.get("gold_answer")),
            index=index,
            score=score(verdict),
        )


def _verdicts(said: Any, n: int) -> list[Any]:
    return said if isinstance(said, list) and len(said) == n else [None] * n


@hookimpl
def harness_importers() -> Sequence[Importer]:
    return [Limo()]

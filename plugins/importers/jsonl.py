"""One chain a row, as jsonl, jsonl.gz or parquet: the columns of `harness.chainfile`, and

optional: gold, score (another grader's verdict: a number, true or false), prompt_tokens, seed, temperature, top_p,
max_tokens
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from harness import ForeignChain, Importer, hookimpl
from harness.chainfile import ChainFile, Row, finish_reason, name_of

from ._files import files_at

_SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet")


class Jsonl(Importer):
    name = "jsonl"
    description = (
        "one chain a row (.jsonl, .jsonl.gz or .parquet): problem_id or problem, text or generation, score"
    )

    def read(self, path: Path) -> Iterator[ForeignChain]:
        missing = f"file of chains ({', '.join(_SUFFIXES)})"
        for file in files_at(path, "*", missing, lambda name: name.endswith(_SUFFIXES)):
            chains = ChainFile(file)
            for number, row in chains.rows():
                yield _chain(chains, number, row)


def _chain(file: ChainFile, number: int, row: Row) -> ForeignChain:
    settings = {
        name: file.number(number, name, row.get(name)) for name in ("temperature", "top_p", "max_tokens")
    }
    return ForeignChain(
        text=file.text_of(number, row),
        where=file.where(number),
        problem_id=name_of(row, "problem_id"),
        problem=file.text(number, "problem", row.get("problem")),
        gold=name_of(row, "gold"),
        index=file.whole_or_none(number, "index", row.get("index")),
        model=file.text(number, "model", row.get("model")),
        benchmark=file.text(number, "benchmark", row.get("benchmark")),
        reasoning=file.text(number, "reasoning", row.get("reasoning")) or "",
        finish_reason=finish_reason(row.get("finish_reason")),
        completion_tokens=file.whole_or_none(number, "completion_tokens", row.get("completion_tokens")),
        prompt_tokens=file.whole_or_none(number, "prompt_tokens", row.get("prompt_tokens")),
        seed=file.whole_or_none(number, "seed", row.get("seed")),
        score=file.number(number, "score", row.get("score")),
        settings={name: value for name, value in settings.items() if value is not None},
    )


@hookimpl
def harness_importers() -> Sequence[Importer]:
    return [Jsonl()]

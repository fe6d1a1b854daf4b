"""LightEval: `details_TASK_DATE.parquet`, in the layout of today (doc, model_response, metric) and the one before."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from harness import ForeignChain, HarnessError, Importer, hookimpl
from harness.chainfile import Row, RowFile, parsed_json

from ._fields import gold, json_file, score, settings
from ._files import files_at

_NAME: Final = re.compile(r"details_(?P<task>.+)_(?P<date>\d{4}-\d\d-\d\dT[\d.-]+)\.parquet")
_ROWS_AT_ONCE: Final = 1  # up to 64 chains each, with their tokens as numbers
_MAX_LITERAL: Final = 16 * 2**20  # characters
_MAX_BARE: Final = 1_000_000  # characters outside of texts: parsing takes up to half a kilobyte for each
_STRINGS: Final = re.compile(r"""'(?:[^'\\]++|\\.)*+'?|"(?:[^"\\]++|\\.)*+"?""", re.DOTALL)
"""Texts as Python prints them. A quote that is never closed is one too, so that no start is tried in vain."""


class LightEval(Importer):
    name = "lighteval"
    description = "LightEval: details_TASK_DATE.parquet, or the folder that holds them"

    def read(self, path: Path) -> Iterator[ForeignChain]:
        for file in _files(path):
            named = _NAME.fullmatch(file.name)
            details = _Details(RowFile(file, _ROWS_AT_ONCE), _task(named["task"]) if named else None)
            yield from details.chains()


def _files(path: Path) -> list[Path]:
    if not path.is_dir() and path.suffix != ".parquet":
        raise HarnessError(f"{path} is no details of LightEval: they end in .parquet")
    missing = "details_TASK_DATE.parquet: run lighteval with --save-details"
    return files_at(path, "**/details_*.parquet", missing, _NAME.fullmatch)


def _task(name: str) -> str:
    """The task without suite and number of examples: "lighteval|aime24|0" is aime24."""
    parts = name.split("|")
    if len(parts) > 1 and parts[-1].isdigit():
        parts.pop()
    return parts[-1]


def _folders(path: Path) -> tuple[Path, tuple[str, ...]] | None:
    """The output folder and the parts of the model's name: OUT/details/ORG/NAME/DATE/details_TASK_DATE.parquet."""
    parts = path.absolute().parts[:-2]
    if "details" not in parts:
        return None
    start = len(parts) - parts[::-1].index("details")
    return Path(*parts[: start - 1]), parts[start:]


def _settings(path: Path) -> dict[str, float]:
    """How chains were sampled, from OUT/results/ORG/NAME/results_DATE.json; a missing or damaged one says nothing."""
    named, folders = _NAME.fullmatch(path.name), _folders(path)
    if named is None or folders is None:
        return {}
    found: Any = json_file(folders[0].joinpath("results", *folders[1], f"results_{named['date']}.json"))
    for key in ("config_general", "model_config", "generation_parameters"):
        found = found.get(key) if isinstance(found, Mapping) else None
    return settings(found)


class _Details:
    def __init__(self, file: RowFile, task: str | None) -> None:
        self._file = file
        self._task = task
        folders = _folders(file.path)
        self._model = "/".join(folders[1]) or None if folders else None
        self._settings = _settings(file.path)

    def chains(self) -> Iterator[ForeignChain]:
        for number, row in self._file.all_rows():
            if isinstance(row.get("model_response"), Mapping):
                yield from self._of_today(number, row)
            elif "predictions" in row:
                yield from self._as_before(number, row)
            else:
                raise self._file.bad(
                    number, "has neither model_response nor predictions: no details of LightEval"
                )

    def _of_today(self, number: int, row: Row) -> Iterator[ForeignChain]:
        doc, response = row.get("doc"), row["model_response"]
        if not isinstance(doc, Mapping):
            raise self._file.bad(number, "has no doc")
        texts = self._texts(number, response.get("text"))
        tokens, reasonings = _list(response.get("output_tokens")), _list(response.get("reasonings"))
        right = _list(doc.get("choices"))
        index = doc.get("gold_index")
        index = index[0] if isinstance(index, list) and index else index
        known = isinstance(index, int) and 0 <= index < len(right)
        task = doc.get("task_name")
        yield from self._chains(
            number,
            texts,
            problem=_first_text(doc.get("original_query"), doc.get("query"), response.get("input")),
            gold_=gold(right[index]) if known and isinstance(index, int) else None,
            verdict=_verdict(row.get("metric")),
            task=self._task or (_task(task) if isinstance(task, str) else None),
            tokens=[len(one) if isinstance(one, list) and one else None for one in tokens],
            reasonings=[one if isinstance(one, str) else "" for one in reasonings],
        )

    def _as_before(self, number: int, row: Row) -> Iterator[ForeignChain]:
        tokens = self._literal(number, row.get("cont_tokens"))
        yield from self._chains(
            number,
            self._texts(number, self._literal(number, row["predictions"])),
            problem=_first_text(row.get("example"), row.get("full_prompt")),
            gold_=gold(self._literal(number, row.get("gold"))),
            verdict=_verdict(self._literal(number, row.get("metrics"))),
            task=self._task,
            tokens=[len(one) if isinstance(one, list) and one else None for one in _list(tokens)],
            reasonings=[],
        )

    def _chains(
        self,
        number: int,
        texts: Sequence[str],
        *,
        problem: str | None,
        gold_: str | None,
        verdict: float | None,
        task: str | None,
        tokens: Sequence[int | None],
        reasonings: Sequence[str],
    ) -> Iterator[ForeignChain]:
        if problem is None:
            raise self._file.bad(number, "has no query")
        for index, text in enumerate(texts):
            yield ForeignChain(
                text=text,
                where=self._file.where(number),
                problem=problem,
                gold=gold_,
                index=index,
                model=self._model,
                benchmark=task,
                reasoning=reasonings[index] if len(reasonings) == len(texts) else "",
                completion_tokens=tokens[index] if len(tokens) == len(texts) else None,
                # Of several chains there is but their mean.
                score=verdict if len(texts) == 1 else None,
                settings=self._settings,
            )

    def _texts(self, number: int, value: Any) -> list[str]:
        texts = [value] if isinstance(value, str) else _list(value)
        if not texts or not all(isinstance(text, str) for text in texts):
            raise self._file.bad(number, "holds no generated text (a task by likelihood?)")
        return texts

    def _literal(self, number: int, value: Any) -> Any:
        """Before 0.9 some columns were the text that Python prints for a list; it is parsed and never run."""
        if not isinstance(value, str) or not value.startswith(("[", "{")):
            return value
        if len(value) > _MAX_LITERAL:
            raise self._file.bad(number, f"holds a list longer than {_MAX_LITERAL:,} characters")
        try:
            return parsed_json(value.encode("utf-8", "surrogatepass"))  # lists of numbers, in little memory
        except (ValueError, RecursionError):
            pass
        if len(_STRINGS.sub("s", value)) > _MAX_BARE:
            raise self._file.bad(number, "holds a list of too many parts")
        try:
            return ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            return value


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _first_text(*values: Any) -> str | None:
    return next((value for value in values if isinstance(value, str) and value.strip()), None)


def _verdict(metrics: Any) -> float | None:
    found = metrics.values() if isinstance(metrics, Mapping) else ()
    return next((value for one in found if (value := score(one)) is not None), None)


@hookimpl
def harness_importers() -> Sequence[Importer]:
    return [LightEval()]

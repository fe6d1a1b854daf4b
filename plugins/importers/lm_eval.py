"""lm-evaluation-harness: `samples_TASK_DATE.jsonl`, written with --log_samples.

One row a document and filter: the responses are those of the document, so the first filter's rows say it all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from harness import ForeignChain, Importer, hookimpl
from harness.chainfile import Row, RowFile

from ._fields import conversation, gold, json_file, score, settings, statement
from ._files import files_at

_NAME: Final = re.compile(r"samples_(?P<task>.+)_(?P<date>\d{4}-\d\d-\d\dT[\d.:-]+)\.jsonl(?:\.gz)?")
_SCORES: Final = ("exact_match", "acc", "math_verify", "pass@1")


class LmEval(Importer):
    name = "lm-eval"
    description = "lm-evaluation-harness: samples_TASK_DATE.jsonl, or the folder that holds them"

    def read(self, path: Path) -> Iterator[ForeignChain]:
        missing = "samples_TASK_DATE.jsonl: run lm-eval with --log_samples"
        for file in files_at(path, "**/samples_*.jsonl*", missing, _NAME.fullmatch):
            yield from _Samples(file).chains()


class _Samples:
    def __init__(self, path: Path) -> None:
        self._file = RowFile(path)
        named = _NAME.fullmatch(path.name)
        self._task = None if named is None else named["task"]
        results = {} if named is None else json_file(path.with_name(f"results_{named['date']}.json"))
        self._model = _model(results, path)
        self._filter: str | None = None
        self._seen: set[str] = set()

    def chains(self) -> Iterator[ForeignChain]:
        for number, row in self._file.all_rows():
            if not self._is_of_another_filter(row):
                yield from self._chains(number, row)

    def _is_of_another_filter(self, row: Row) -> bool:
        """Whether the row repeats a document's responses for one more filter; older versions do not name the filter."""
        if (name := row.get("filter")) is not None:
            self._filter = self._filter or str(name)
            return str(name) != self._filter
        if (doc := row.get("doc_id")) is None:
            return False
        known = str(doc) in self._seen
        self._seen.add(str(doc))
        return known

    def _chains(self, number: int, row: Row) -> Iterator[ForeignChain]:
        prompt, arguments = _arguments(row.get("arguments"))
        responses = self._responses(number, row)
        verdict = _verdict(row)
        filtered = row.get("filtered_resps")
        # A verdict is on what the filter let through: on the first response, where that is it.
        is_of_first = len(responses) == 1 or (
            isinstance(filtered, list) and bool(filtered) and filtered[0] == responses[0]
        )
        for index, text in enumerate(responses):
            yield ForeignChain(
                text=text,
                where=self._file.where(number),
                problem=statement(row.get("doc")) or prompt,
                gold=gold(row.get("target")),
                index=index,
                model=self._model,
                benchmark=self._task,
                score=verdict if index == 0 and is_of_first else None,
                settings=settings(arguments),
            )

    def _responses(self, number: int, row: Row) -> list[str]:
        resps = row.get("resps")
        if not isinstance(resps, list):
            raise self._file.bad(number, "has no resps: it is no sample of lm-eval")
        if len(resps) != 1:
            raise self._file.bad(
                number, f"has {len(resps)} requests (a task by likelihood?): it holds no chain"
            )
        texts = resps[0] if isinstance(resps[0], list) else resps
        if not texts or not all(isinstance(text, str) for text in texts):
            raise self._file.bad(number, "has responses that are no texts (a task by likelihood?)")
        return texts


def _arguments(said: Any) -> tuple[str | None, Any]:
    """Prompt and sampling arguments, in the layout of today or as the list that it was before 0.4.3."""
    first: Any = None
    if isinstance(said, Mapping):
        first = said.get("gen_args_0")
        first = [first.get("arg_0"), first.get("arg_1")] if isinstance(first, Mapping) else None
    elif isinstance(said, list) and said:
        first = said[0]
    if not isinstance(first, list) or not first:
        return None, None
    prompt = first[0]
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], str):
        prompt = _messages(prompt[0])  # a chat, as the JSON that was sent to a server
    return conversation(prompt), first[1] if len(first) > 1 else None


def _messages(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _verdict(row: Row) -> float | None:
    metrics = row.get("metrics")
    names = [name for name in metrics if isinstance(name, str)] if isinstance(metrics, list) else _SCORES
    return next((value for name in names if (value := score(row.get(name))) is not None), None)


def _model(results: Mapping[str, Any], path: Path) -> str | None:
    """The model's name: from the results, else from the folder, where "org__name" is org/name."""
    named = results.get("model_name")
    if isinstance(named, str) and named.strip():
        return named
    config = results.get("config")
    arguments = config.get("model_args") if isinstance(config, Mapping) else None
    if isinstance(arguments, Mapping):
        found = arguments.get("pretrained") or arguments.get("model")
        return found if isinstance(found, str) else None
    if isinstance(arguments, str) and (named := re.search(r"(?:pretrained|model)=([^,]+)", arguments)):
        return named[1]
    folder = path.absolute().parent.name
    return folder.replace("__", "/", 1) if "__" in folder else None


@hookimpl
def harness_importers() -> Sequence[Importer]:
    return [LmEval()]

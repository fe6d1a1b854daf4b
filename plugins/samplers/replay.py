"""Grades chains that somebody already generated: a file (see `harness.chainfile`) takes the place of a model."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from harness import (
    Chain,
    ChainKey,
    Engine,
    Fit,
    HarnessError,
    Request,
    Sampler,
    SamplingSettings,
    hookimpl,
)
from harness.chainfile import ChainFile, Row, finish_reason, squeeze
from harness.models import ResolvedModel


class Replay(Sampler):
    name = "replay"
    description = "grades the chains of a file (--chains FILE.jsonl, .jsonl.gz or .parquet); needs no model"
    options: ClassVar = {"chains": "file with one chain a row"}
    needs_weights = False
    runs_here = False

    def fit(self, model: ResolvedModel) -> Fit:
        return Fit(0, "")  # never by itself: it is asked for with --chains

    @contextmanager
    def open(
        self, model: ResolvedModel, settings: SamplingSettings, options: Mapping[str, str]
    ) -> Iterator[Engine]:
        yield ReplayEngine(_file(options), model.name)

    def identity(self, options: Mapping[str, str]) -> Mapping[str, Any]:
        return {"sampler": self.name, "chains": _file(options).digest}

    def default_model(self, options: Mapping[str, str]) -> str | None:
        file = _file(options)
        models = file.summary.models
        if len(models) > 1:
            names = ", ".join(sorted(models)[:5])
            raise HarnessError(
                f"{file.path} holds chains of several models ({names}): say which with --model"
            )
        return next(iter(models), file.path.name.split(".")[0])

    def default_n(self, model: str, options: Mapping[str, str]) -> int | None:
        file = _file(options)
        counts = file.summary.counts_of(model)
        if not counts:
            names = ", ".join(sorted(file.summary.models)[:5])
            raise HarnessError(
                f"{file.path} holds no chains of {model!r}, but of {names}: say which with --model"
            )
        fewest, most = min(counts.values()), max(counts.values())
        if fewest != most:
            raise HarnessError(
                f"{file.path} holds between {fewest} and {most} chains a problem: say how many to use with --n"
            )
        return most


def _file(options: Mapping[str, str]) -> ChainFile:
    if "chains" not in options:
        raise HarnessError("the replay sampler reads chains from a file: give it with --chains FILE")
    return ChainFile(Path(options["chains"]))


class ReplayEngine(Engine):
    def __init__(self, file: ChainFile, model: str) -> None:
        self._file = file
        self._model = model

    @property
    def info(self) -> Mapping[str, Any]:
        return {"chains": str(self._file.path), "sha256": self._file.digest}

    def sample(self, requests: Iterable[Request]) -> Iterator[Chain]:
        requests = list(requests)
        wanted = {request.key: request for request in requests}
        places = _Places(requests)
        is_ours = self._filter({request.key.benchmark for request in requests})
        seen: Counter[tuple[str, str]] = Counter()
        given: dict[ChainKey, int] = {}
        for number, row in self._file.rows():
            place = places.of(row) if is_ours(row) else None
            if place is None:
                continue
            index = row.get("index")
            if index is None:
                index = seen[place]
                seen[place] += 1
            index = self._file.whole(number, "index", index)
            key = ChainKey(*place, index)
            if (first := given.setdefault(key, number)) != number:
                raise HarnessError(
                    f"{self._file.path}: rows {first} and {number} are both chain {index} of problem {place[1]}"
                )
            if (request := wanted.pop(key, None)) is not None:
                yield self._chain(request, number, row)
        if wanted:
            self._complain(wanted, given)

    def _filter(self, benchmarks: Set[str]) -> Callable[[Row], bool]:
        """Whether a row is meant, where the file tells several models or the wanted benchmarks apart."""
        summary = self._file.summary
        by_model = len(summary.models) > 1
        by_benchmark = bool(summary.benchmarks & benchmarks)
        if by_model and self._model not in summary.models:
            names = ", ".join(sorted(summary.models)[:5])
            raise HarnessError(
                f"{self._file.path} holds chains of several models ({names}), none of them {self._model!r}: say "
                "which with --model"
            )

        def is_ours(row: Row) -> bool:
            if by_model and row.get("model") != self._model:
                return False
            return not by_benchmark or row.get("benchmark") in benchmarks

        return is_ours

    def _chain(self, request: Request, number: int, row: Row) -> Chain:
        file = self._file
        return request.chain(
            file.text_of(number, row),
            finish_reason=finish_reason(row.get("finish_reason")),
            completion_tokens=file.whole_or_none(number, "completion_tokens", row.get("completion_tokens")),
            reasoning=file.text(number, "reasoning", row.get("reasoning")) or "",
        )

    def _complain(self, missing: Mapping[ChainKey, Request], given: Mapping[ChainKey, int]) -> None:
        per_problem: defaultdict[tuple[str, str], int] = defaultdict(int)
        for key in given:
            per_problem[(key.benchmark, key.problem_id)] += 1
        first = next(iter(missing))
        have = per_problem.get((first.benchmark, first.problem_id), 0)
        problems = len({(key.benchmark, key.problem_id) for key in missing})
        raise HarnessError(
            f"{self._file.path} lacks {len(missing):,} of the wanted chains, of {problems} problems; the first is "
            f"number {first.index} of {first.problem_id}, of which it holds {have}: lower --n or --limit, or "
            "complete the file"
        )


class _Places:
    """Finds which problem of which benchmark a row belongs to: by id, else by the statement's text."""

    def __init__(self, requests: Sequence[Request]) -> None:
        self._by_id: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self._by_text: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for place, text in {(r.key.benchmark, r.key.problem_id): r.problem_text for r in requests}.items():
            self._by_id[place[1]].append(place)
            self._by_text[squeeze(text)].append(place)

    def of(self, row: Row) -> tuple[str, str] | None:
        found = self._by_id.get(str(row["problem_id"])) if row.get("problem_id") is not None else None
        if not found and isinstance(text := row.get("problem"), str):
            found = self._by_text.get(squeeze(text))
        if not found:
            return None
        named = [place for place in found if place[0] == row.get("benchmark")]
        return (named or found)[0]


@hookimpl
def harness_samplers() -> Sequence[Sampler]:
    return [Replay()]

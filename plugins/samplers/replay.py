"""Grades chains that somebody already generated: a file takes the place of a model.

One row a chain, as jsonl, jsonl.gz or parquet:

    problem_id (or problem: the statement, matched by its text), text (or generation),
    optional: index, completion_tokens, finish_reason, model, reasoning, benchmark
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from stat import S_ISREG
from typing import Any, ClassVar, NamedTuple

import orjson

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
from harness.models import ResolvedModel
from harness.records import FinishReason

_BUFFER = 2**20  # bytes read at once: chains are long
_MAX_LINE = 256 * 2**20  # bytes; the longest chains seen are below 1 MB

Row = dict[str, Any]


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
        yield ReplayEngine(ChainFile.of(options), model.name)

    def identity(self, options: Mapping[str, str]) -> Mapping[str, Any]:
        return {"sampler": self.name, "chains": ChainFile.of(options).digest}

    def default_model(self, options: Mapping[str, str]) -> str | None:
        file = ChainFile.of(options)
        models = file.summary.models
        if len(models) > 1:
            names = ", ".join(sorted(models)[:5])
            raise HarnessError(
                f"{file.path} holds chains of several models ({names}): say which with --model"
            )
        return next(iter(models), file.path.name.split(".")[0])

    def default_n(self, model: str, options: Mapping[str, str]) -> int | None:
        file = ChainFile.of(options)
        counts = file.summary.counts_of(model)
        fewest, most = min(counts.values()), max(counts.values())
        if fewest != most:
            raise HarnessError(
                f"{file.path} holds between {fewest} and {most} chains a problem: say how many to use with --n"
            )
        return most


class Summary(NamedTuple):
    """What a file of chains holds."""

    counts: Mapping[tuple[str | None, str | None, str], int]
    """Number of chains by model, benchmark (None where the row does not say) and problem."""
    models: Set[str]
    benchmarks: Set[str]

    def counts_of(self, model: str) -> Counter[tuple[str | None, str]]:
        """Number of chains by benchmark and problem, of one model if the file tells several apart."""
        counts: Counter[tuple[str | None, str]] = Counter()
        for (of, benchmark, problem), count in self.counts.items():
            if len(self.models) < 2 or of == model:
                counts[benchmark, problem] += count
        return counts


class ChainFile:
    """A file of chains, read row by row so that its size does not matter."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of(cls, options: Mapping[str, str]) -> ChainFile:
        if "chains" not in options:
            raise HarnessError("the replay sampler reads chains from a file: give it with --chains FILE")
        return cls(Path(options["chains"]))

    @property
    def digest(self) -> str:
        """Hex SHA-256 of the file's bytes."""
        return _digest(self.path, self._state)

    @property
    def summary(self) -> Summary:
        return _summary(self.path, self._state)

    @property
    def _state(self) -> tuple[int, int]:
        """Size and time of the last change: what has been learnt of a file holds while these are the same."""
        try:
            stat = self.path.stat()
        except OSError as error:
            raise self._unreadable(error) from None
        if not S_ISREG(stat.st_mode):
            raise HarnessError(f"{self.path} is not a file: chains are read more than once, a pipe cannot be")
        return stat.st_size, stat.st_mtime_ns

    def _unreadable(self, error: Exception) -> HarnessError:
        reason = getattr(error, "strerror", None) or error
        return HarnessError(f"cannot read chains from {self.path}: {reason}")

    def rows(self) -> Iterator[tuple[int, Row]]:
        """Rows with their number, from 1.

        Raises:
            HarnessError: the file cannot be read, or a row is not a chain; names the row.
        """
        try:
            for number, row in self._rows():
                if not isinstance(row, dict) or (
                    row.get("problem_id") is None and row.get("problem") is None
                ):
                    raise self._bad(number, "has neither problem_id nor problem")
                if row.get("text") is None and row.get("generation") is None:
                    raise self._bad(number, "has neither text nor generation")
                yield number, row
        except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
            raise self._unreadable(error) from None

    def _bad(self, number: int, what: str) -> HarnessError:
        return HarnessError(f"{self.path}, row {number}: {what}")

    def _rows(self) -> Iterator[tuple[int, Any]]:
        if self.path.suffix == ".parquet":
            yield from enumerate(self._parquet_rows(), 1)
            return
        with (
            self.path.open("rb", buffering=_BUFFER) as plain,
            gzip.open(plain) if self.path.suffix == ".gz" else nullcontext(plain) as file,
        ):
            number = 0
            while line := file.readline(_MAX_LINE):
                number += 1
                if len(line) == _MAX_LINE:
                    raise self._bad(number, f"is longer than {_MAX_LINE:,} bytes")
                if not line.isspace():
                    yield number, self._parse(number, line)

    def _parse(self, number: int, line: bytes) -> Any:
        try:
            return orjson.loads(line)
        except orjson.JSONDecodeError:
            pass
        try:
            return json.loads(line)  # takes lone surrogates and NaN, which model output does hold
        except (ValueError, RecursionError) as error:
            raise self._bad(number, f"is not JSON ({error})") from None

    def _parquet_rows(self) -> Iterator[Row]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            with pq.ParquetFile(self.path) as file:
                for batch in file.iter_batches(batch_size=256):
                    yield from batch.to_pylist()
        except pa.ArrowException as error:
            raise HarnessError(f"cannot read chains from {self.path}: {error}") from None


@cache
def _digest(path: Path, state: tuple[int, int]) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ChainFile(path)._unreadable(error) from None


@cache
def _summary(path: Path, state: tuple[int, int]) -> Summary:
    counts: Counter[tuple[str | None, str | None, str]] = Counter()
    for _, row in ChainFile(path).rows():
        counts[_name(row, "model"), _name(row, "benchmark"), _problem_name(row)] += 1
    if not counts:
        raise HarnessError(f"{path} holds no chains")
    return Summary(
        counts,
        {key[0] for key in counts if key[0] is not None},
        {key[1] for key in counts if key[1] is not None},
    )


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
            index = self._whole(number, "index", index)
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

    def _whole(self, number: int, name: str, value: Any) -> int:
        """A whole number from 0 on; data frames with gaps write them as floats."""
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
            raise HarnessError(
                f"{self._file.path}, row {number}: {name} {value!r:.40} is not a whole number from 0"
            )
        return value

    def _chain(self, request: Request, number: int, row: Row) -> Chain:
        text = row["generation"] if row.get("text") is None else row["text"]
        reasoning = row.get("reasoning")
        for name, value in (("text", text), ("reasoning", reasoning)):
            if value is not None and not isinstance(value, str):
                raise HarnessError(f"{self._file.path}, row {number}: {name} is not a text")
        tokens = row.get("completion_tokens")
        if isinstance(tokens, float) and math.isnan(tokens):
            tokens = None
        return request.chain(
            text,
            finish_reason=_finish_reason(row.get("finish_reason")),
            completion_tokens=None if tokens is None else self._whole(number, "completion_tokens", tokens),
            reasoning=reasoning or "",
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
            self._by_text[_squeeze(text)].append(place)

    def of(self, row: Row) -> tuple[str, str] | None:
        found = self._by_id.get(str(row["problem_id"])) if row.get("problem_id") is not None else None
        if not found and isinstance(text := row.get("problem"), str):
            found = self._by_text.get(_squeeze(text))
        if not found:
            return None
        named = [place for place in found if place[0] == row.get("benchmark")]
        return (named or found)[0]


def _finish_reason(said: object) -> FinishReason | None:
    if said is None:
        return None
    return "length" if str(said).lower() in ("length", "max_tokens", "max_length") else "stop"


def _name(row: Row, column: str) -> str | None:
    return None if row.get(column) is None else str(row[column])


def _squeeze(text: str) -> str:
    return "".join(text.split())


def _problem_name(row: Row) -> str:
    return str(row["problem_id"]) if row.get("problem_id") is not None else _squeeze(str(row["problem"]))


@hookimpl
def harness_samplers() -> Sequence[Sampler]:
    return [Replay()]

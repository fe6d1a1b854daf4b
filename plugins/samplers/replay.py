"""Grades chains that somebody already generated: a file takes the place of a model.

One row a chain, as jsonl, jsonl.gz or parquet:

    problem_id (or problem: the statement, matched by its text), text (or generation),
    optional: index, completion_tokens, finish_reason, model, reasoning, benchmark
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
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
    SamplerDefaults,
    SamplingSettings,
    hookimpl,
)
from harness.models import ResolvedModel

_BUFFER = 2**20  # bytes read at once: chains are long
_MAX_LINE = 256 * 2**20  # bytes; the longest chains seen are below 1 MB

Row = dict[str, Any]


class Replay(Sampler):
    name = "replay"
    description = "grades the chains of a file (--chains FILE.jsonl, .jsonl.gz or .parquet); needs no model"
    options: ClassVar = {"chains": "file with one chain a row"}
    needs_weights = False

    def fit(self, model: ResolvedModel) -> Fit:
        return Fit(0, "")  # never by itself: it is asked for with --chains

    @contextmanager
    def open(
        self, model: ResolvedModel, settings: SamplingSettings, options: Mapping[str, str]
    ) -> Iterator[Engine]:
        yield ReplayEngine(ChainFile.of(options))

    def identity(self, options: Mapping[str, str]) -> Mapping[str, Any]:
        return {"sampler": self.name, "chains": ChainFile.of(options).digest}

    def defaults(self, options: Mapping[str, str]) -> SamplerDefaults:
        file = ChainFile.of(options)
        fewest, most, model = file.summary
        if fewest != most:
            raise HarnessError(
                f"{file.path} holds between {fewest} and {most} chains a problem: say how many to use with --n"
            )
        return SamplerDefaults(n=most, model=model or file.path.name.split(".")[0])


class Summary(NamedTuple):
    """What a file of chains holds."""

    fewest: int
    """Chains of the problem that has the fewest of them."""
    most: int
    model: str | None


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
                if not isinstance(row, dict) or ("problem_id" not in row and "problem" not in row):
                    raise self._bad(number, "has neither problem_id nor problem")
                if "text" not in row and "generation" not in row:
                    raise self._bad(number, "has neither text nor generation")
                yield number, row
        except (OSError, EOFError, UnicodeDecodeError) as error:
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
    counts: Counter[str] = Counter()
    model = None
    for _, row in ChainFile(path).rows():
        counts[_problem_name(row)] += 1
        model = model or row.get("model")
    if not counts:
        raise HarnessError(f"{path} holds no chains")
    return Summary(min(counts.values()), max(counts.values()), str(model) if model else None)


class ReplayEngine(Engine):
    def __init__(self, file: ChainFile) -> None:
        self._file = file

    @property
    def info(self) -> Mapping[str, Any]:
        return {"chains": str(self._file.path), "sha256": self._file.digest}

    def sample(self, requests: Sequence[Request]) -> Iterator[Chain]:
        wanted = {request.key: request for request in requests}
        places = _Places(requests)
        seen: Counter[tuple[str, str]] = Counter()
        given: dict[ChainKey, int] = {}
        for number, row in self._file.rows():
            place = places.of(row)
            if place is None:
                continue
            index = row.get("index")
            if index is None:
                index = seen[place]
                seen[place] += 1
            elif not isinstance(index, int) or index < 0:
                raise HarnessError(
                    f"{self._file.path}, row {number}: index {index!r:.40} is not 0, 1, 2, ..."
                )
            key = ChainKey(*place, index)
            if (first := given.setdefault(key, number)) != number:
                raise HarnessError(
                    f"{self._file.path}: rows {first} and {number} are both chain {index} of problem {place[1]}"
                )
            if (request := wanted.pop(key, None)) is not None:
                yield self._chain(request, number, row)
        if wanted:
            self._complain(wanted, given)

    def _chain(self, request: Request, number: int, row: Row) -> Chain:
        text = row.get("text", row.get("generation"))
        tokens, reasoning = row.get("completion_tokens"), row.get("reasoning")
        for name, value, kind in (
            ("text", text, str),
            ("completion_tokens", tokens, int),
            ("reasoning", reasoning, str),
        ):
            if value is not None and not isinstance(value, kind):
                raise HarnessError(f"{self._file.path}, row {number}: {name} is not a {kind.__name__}")
        finish = row.get("finish_reason")
        return request.chain(
            text or "",
            finish_reason=None
            if finish is None
            else "length"
            if finish in ("length", "max_tokens")
            else "stop",
            completion_tokens=tokens,
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


def _squeeze(text: str) -> str:
    return "".join(text.split())


def _problem_name(row: Row) -> str:
    return str(row["problem_id"]) if row.get("problem_id") is not None else _squeeze(str(row["problem"]))


@hookimpl
def harness_samplers() -> Sequence[Sampler]:
    return [Replay()]

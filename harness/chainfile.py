"""Files with one chain a row, as jsonl, jsonl.gz or parquet:

    problem_id (or problem: the statement, matched by its text), text (or generation),
    optional: index, completion_tokens, finish_reason, model, reasoning, benchmark

They are hostile input: rows are read one after the other and are bounded, and what is wrong with one is told in one
line that names file and row.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Set
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from stat import S_ISREG
from typing import Any, Final, NamedTuple

import orjson

from .errors import HarnessError
from .records import FinishReason

Row = dict[str, Any]

_BUFFER: Final = 2**20  # bytes read at once: chains are long
_MAX_LINE: Final = 256 * 2**20  # bytes; the longest chains seen are below 1 MB
_CUT_OFF: Final = ("length", "max_tokens", "max_length", "model_length")


class RowFile:
    """A file of rows, read one by one so that its size does not matter.

    Args:
        batch: rows of a parquet file that are held at once.
    """

    _no_row = "is not an object with names and values"

    def __init__(self, path: Path, batch: int = 256) -> None:
        self.path = path
        self._batch = batch

    @property
    def digest(self) -> str:
        """Hex SHA-256 of the file's bytes.

        Raises:
            HarnessError: it is no file, or cannot be read.
        """
        return _digest(self.path, self.state)

    @property
    def state(self) -> tuple[int, int]:
        """Size and time of the last change: what has been learnt of a file holds while these are the same."""
        try:
            stat = self.path.stat()
        except OSError as error:
            raise self.unreadable(error) from None
        if not S_ISREG(stat.st_mode):
            raise HarnessError(f"{self.path} is not a file: chains are read more than once, a pipe cannot be")
        return stat.st_size, stat.st_mtime_ns

    def all_rows(self) -> Iterator[tuple[int, Row]]:
        """Rows with their number, from 1.

        Raises:
            HarnessError: the file cannot be read, or a row is no mapping of names to values; names the row.
        """
        self.state  # noqa: B018 - a pipe would be waited for
        try:
            for number, row in self._rows():
                if not isinstance(row, dict):
                    raise self.bad(number, self._no_row)
                yield number, row
        except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
            raise self.unreadable(error) from None

    # -- what is wrong ---------------------------------------------------------------------------

    def unreadable(self, error: Exception) -> HarnessError:
        reason = getattr(error, "strerror", None) or error
        return HarnessError(f"cannot read chains from {self.path}: {reason}")

    def bad(self, number: int, what: str) -> HarnessError:
        return HarnessError(f"{self.where(number)}: {what}")

    def where(self, number: int) -> str:
        return f"{self.path}, row {number}"

    # -- fields ----------------------------------------------------------------------------------

    def text(self, number: int, name: str, value: Any) -> str | None:
        """A text, or None."""
        if value is None or isinstance(value, str):
            return value
        raise self.bad(number, f"{name} is not a text")

    def whole(self, number: int, name: str, value: Any) -> int:
        """A whole number from 0 on; data frames with gaps write them as floats."""
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
            raise self.bad(number, f"{name} {value!r:.40} is not a whole number from 0")
        return value

    def whole_or_none(self, number: int, name: str, value: Any) -> int | None:
        """As `whole`, with None where nothing is said: data frames say that with NaN."""
        return None if value is None or is_nan(value) else self.whole(number, name, value)

    def number(self, number: int, name: str, value: Any) -> float | None:
        """A finite number, or None where nothing is said; yes and no are 1 and 0."""
        if value is None or is_nan(value):
            return None
        if isinstance(value, (int, float)) and abs(value) < 1e300:
            return float(value)
        raise self.bad(number, f"{name} {value!r:.40} is not a number")

    # -- reading ---------------------------------------------------------------------------------

    def _rows(self) -> Iterator[tuple[int, Any]]:
        if self.path.suffix.lower() == ".parquet":
            yield from enumerate(self._parquet_rows(), 1)
            return
        with (
            self.path.open("rb", buffering=_BUFFER) as plain,
            gzip.open(plain) if self.path.suffix.lower() == ".gz" else nullcontext(plain) as file,
        ):
            number = 0
            while line := file.readline(_MAX_LINE):
                number += 1
                if len(line) == _MAX_LINE:
                    raise self.bad(number, f"is longer than {_MAX_LINE:,} bytes")
                if not line.isspace():
                    yield number, self._parse(number, line)

    def _parse(self, number: int, line: bytes) -> Any:
        try:
            return parsed_json(line)
        except (ValueError, RecursionError) as error:
            raise self.bad(number, f"is not JSON ({error})") from None

    def _parquet_rows(self) -> Iterator[Row]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            # Without pre_buffer=False all of the file comes to stand in memory.
            with pq.ParquetFile(self.path, pre_buffer=False, buffer_size=_BUFFER) as file:
                for batch in file.iter_batches(batch_size=self._batch):
                    yield from batch.to_pylist()
        except (pa.ArrowException, ValueError, OverflowError) as error:  # the last two: dates that are none
            raise self.unreadable(ValueError(" ".join(str(error).split())[:200])) from None


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


class ChainFile(RowFile):
    """A file with one chain a row."""

    _no_row = "has neither problem_id nor problem"

    @property
    def summary(self) -> Summary:
        return _summary(self.path, self.state)

    def rows(self) -> Iterator[tuple[int, Row]]:
        """Rows with their number, from 1.

        Raises:
            HarnessError: the file cannot be read, or a row is not a chain; names the row.
        """
        for number, row in self.all_rows():
            if row.get("problem_id") is None and row.get("problem") is None:
                raise self.bad(number, self._no_row)
            if row.get("text") is None and row.get("generation") is None:
                raise self.bad(number, "has neither text nor generation")
            yield number, row

    def text_of(self, number: int, row: Row) -> str:
        """All that the model wrote."""
        return self.text(number, "text", row["generation"] if row.get("text") is None else row["text"]) or ""


@cache
def _digest(path: Path, state: tuple[int, int]) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise RowFile(path).unreadable(error) from None


@cache
def _summary(path: Path, state: tuple[int, int]) -> Summary:
    counts: Counter[tuple[str | None, str | None, str]] = Counter()
    for _, row in ChainFile(path).rows():
        counts[name_of(row, "model"), name_of(row, "benchmark"), _problem_name(row)] += 1
    if not counts:
        raise HarnessError(f"{path} holds no chains")
    return Summary(
        counts,
        {key[0] for key in counts if key[0] is not None},
        {key[1] for key in counts if key[1] is not None},
    )


def parsed_json(data: bytes) -> Any:
    """JSON, with the lone surrogates and NaN that model output does hold.

    Raises:
        ValueError, RecursionError: it is not JSON.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return json.loads(data)


def finish_reason(said: object) -> FinishReason | None:
    """Why a chain ended, in any engine's words."""
    if said is None or is_nan(said):
        return None
    return "length" if str(said).lower() in _CUT_OFF else "stop"


def is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def name_of(row: Row, column: str) -> str | None:
    """What a row is called in a column, or None where it does not say: data frames say that with NaN."""
    value = row.get(column)
    return None if value is None or is_nan(value) else str(value)


def squeeze(text: str) -> str:
    """The text without its white space: how statements are compared."""
    return "".join(text.split())


def _problem_name(row: Row) -> str:
    return str(row["problem_id"]) if row.get("problem_id") is not None else squeeze(str(row["problem"]))

"""Rows of a run folder: chains, problems and grades as lines of JSON and as tables."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from .errors import HarnessError
from .records import Chain
from .text import printable

if TYPE_CHECKING:
    import pyarrow as pa

Key = tuple[str, int]
"""(problem id, sample index)"""

CHAIN_COLUMNS: Final = tuple(f.name for f in fields(Chain) if f.name != "benchmark")

_BATCH_BYTES: Final = 8 * 2**20


def _printable(value: Any) -> Any:
    """The value with lone surrogates replaced in all its texts."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {key: _printable(item) for key, item in value.items()}
    return [_printable(item) for item in value] if isinstance(value, list) else value


def line_of(row: Mapping[str, Any]) -> bytes:
    """A row as one line of JSON."""
    try:
        return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        return orjson.dumps(_printable(row), option=orjson.OPT_APPEND_NEWLINE)


def table_of(lines: Sequence[bytes], schema: pa.Schema) -> pa.Table:
    """Lines of JSON as a table. Parsed by Arrow itself, which makes no Python object of a row."""
    import pyarrow as pa
    from pyarrow.json import ParseOptions, ReadOptions, read_json

    if not lines:
        return schema.empty_table()
    block = b"".join(lines)
    return read_json(
        pa.BufferReader(block),
        read_options=ReadOptions(use_threads=False, block_size=len(block) + 1),
        parse_options=ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
    )


_NUMBERS: Final = {"index": 0, "completion_tokens": 0, "prompt_tokens": 0, "seed": -(2**63)}
"""Fields that hold whole numbers, and the least that each may be."""


def row_of(chain: Chain) -> dict[str, Any]:
    """The chain as it is stored: texts as texts and numbers as numbers, whatever the engine made them of.

    Raises:
        HarnessError: a field that is neither; nothing of the chain is stored.
    """
    row = {name: getattr(chain, name) for name in CHAIN_COLUMNS}
    for name, low in _NUMBERS.items():
        value = row[name]
        if type(value) is not int and (value is not None or name == "index"):
            row[name] = value = _whole(chain, name, value)
        if value is not None and not low <= value < 2**63:
            raise _bad_chain(chain, name, value)
    for name in ("problem_id", "text", "reasoning"):
        if not isinstance(row[name], str):
            raise _bad_chain(chain, name, row[name])
    if (score := row["score"]) is not None and not (type(score) in (int, float) and math.isfinite(score)):
        raise _bad_chain(chain, "score", score)
    if row["finish_reason"] not in (None, "stop", "length"):
        raise _bad_chain(chain, "finish_reason", row["finish_reason"])
    return row


def _whole(chain: Chain, name: str, value: Any) -> int:
    """A whole number of another type, such as numpy's, as an int."""
    try:
        if not isinstance(value, bool):
            return operator.index(value)
    except TypeError:
        pass
    raise _bad_chain(chain, name, value)


def _bad_chain(chain: Chain, name: str, value: object) -> HarnessError:
    return HarnessError(
        f"the sampler gave a bad chain for problem {chain.problem_id}, number {chain.index}: {name} is {value!r:.60}"
    )


def key_of(line: bytes) -> Key | None:
    """The key of a journal line, or None if the line is not a chain."""
    try:
        row = orjson.loads(line)
        key, text = (row["problem_id"], row["index"]), row["text"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    whole = isinstance(key[0], str) and type(key[1]) is int and isinstance(text, str)
    return key if whole else None


def read_table(path: Path, remedy: str, columns: Sequence[str] | None = None) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            return file.read(columns=columns)
    except FileNotFoundError:
        raise HarnessError(f"{path} is missing: {remedy}") from None
    except (pa.ArrowException, OSError) as error:
        raise HarnessError(f"{path} is damaged ({' '.join(str(error).split())[:120]}): {remedy}") from None


def chain_schema() -> pa.Schema:
    import pyarrow as pa

    types = {
        "problem_id": pa.string(),
        "index": pa.int32(),
        "text": pa.large_string(),
        "reasoning": pa.large_string(),
        "finish_reason": pa.string(),
        "completion_tokens": pa.int64(),
        "prompt_tokens": pa.int64(),
        "seed": pa.int64(),
        "score": pa.float64(),
    }
    return pa.schema([(name, types[name]) for name in CHAIN_COLUMNS])


def batches(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Lines in groups of about `_BATCH_BYTES`, so that memory stays bounded."""
    batch: list[bytes] = []
    size = 0
    for line in lines:
        batch.append(line)
        size += len(line)
        if size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch

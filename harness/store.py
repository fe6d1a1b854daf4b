"""The run folder: one folder a run, one writer at a time, chains written once.

    run.json          what was asked, where the numbers come from
    problems.parquet  the problems, golds and prompts that were used
    chains.jsonl      append-only journal while the run is open
    chains.parquet    all chains once the run is complete; then the journal goes
    grades.parquet    one row a chain; carries the grader's name and version
    scores.json       every metric with its standard error and interval

Chains are never changed. Everything else is derived from them, or replaced as a whole by an atomic rename. The
format is described for readers of other languages in docs/run-folder.md.
"""

from __future__ import annotations

import errno
import heapq
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from .errors import HarnessError
from .records import Chain, Grade, Problem, Prompt

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT: Final = 1
"""Version of the run folder format; readers refuse a newer one."""

_SYNC_SECONDS: Final = 1.0
_BATCH_BYTES: Final = 8 * 2**20
_COLUMNS: Final = tuple(f.name for f in fields(Chain) if f.name != "benchmark")
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

Key = tuple[str, int]
"""(problem id, sample index)"""


class _Span(NamedTuple):
    """Where a chain's line stands in the journal, in bytes."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class StoredGrades:
    """Grades read back, with the version of the grader that made them."""

    grader: str
    grades: dict[Key, Grade]


def _disk_error(error: OSError, path: Path) -> HarnessError:
    if error.errno in _FULL:
        what = f"no space left to write {path}: everything stored so far is kept, free some space"
        return HarnessError(f"{what} and run the same command again")
    return HarnessError(f"cannot write {path}: {error.strerror or error}")


def _printable(value: Any) -> Any:
    """The value with lone surrogates, which no file can hold, replaced by U+FFFD in all its texts."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, Mapping):
        return {key: _printable(item) for key, item in value.items()}
    return [_printable(item) for item in value] if isinstance(value, list) else value


def _line(row: Mapping[str, Any]) -> bytes:
    """A row as one line of JSON."""
    try:
        return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        return orjson.dumps(_printable(row), option=orjson.OPT_APPEND_NEWLINE)


def _table(lines: Sequence[bytes], schema: pa.Schema) -> pa.Table:
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


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Make a file whole or not at all: written beside its place, synced, renamed.

    Raises:
        HarnessError: the disk is full or the folder cannot be written; the old file is untouched.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise _disk_error(error, path) from None


def _write_all(file: IO[bytes], data: bytes) -> None:
    # A raw write to a disk that fills up is short first, and fails only when asked for the rest.
    while written := file.write(data):
        if written == len(data):
            return
        data = data[written:]
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def write_json(path: Path, value: object) -> None:
    data = orjson.dumps(
        value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS
    )
    write_atomically(path, lambda file: file.write(data))


def read_json(path: Path) -> Any:
    """The content of a JSON file of a run folder.

    Raises:
        HarnessError: the file is missing or is not JSON.
    """
    try:
        return orjson.loads(path.read_bytes())
    except FileNotFoundError:
        raise HarnessError(f"{path} is missing: {path.parent} is not a run folder") from None
    except (OSError, orjson.JSONDecodeError) as error:
        raise HarnessError(f"cannot read {path}: {error}") from None


class RunFolder:
    """Reads a run folder, and writes it while `writing()` holds its lock."""

    def __init__(self, path: Path, benchmark: str) -> None:
        self.path = path
        self.benchmark = benchmark
        self._journal: IO[bytes] | None = None
        self._spans: dict[Key, _Span] = {}
        self._in_parquet: set[Key] = set()
        self._end = 0
        self._synced = 0.0
        self._unreadable = 0

    @classmethod
    def of(cls, path: Path) -> RunFolder:
        """An existing run folder.

        Raises:
            HarnessError: it is not one, or is of a newer format.
        """
        info = read_json(path / "run.json")
        if info.get("format", 0) > FORMAT:
            raise HarnessError(
                f"{path} has run folder format {info['format']}, this harness reads up to {FORMAT}"
            )
        folder = cls(path, info["benchmark"]["label"])
        folder._read_index()
        return folder

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r})"

    # -- what is there ---------------------------------------------------------------------------

    @property
    def _journal_path(self) -> Path:
        return self.path / "chains.jsonl"

    @property
    def _parquet_path(self) -> Path:
        return self.path / "chains.parquet"

    @property
    def keys(self) -> set[Key]:
        """Keys of all stored chains."""
        return self._in_parquet | self._spans.keys()

    @property
    def unreadable(self) -> int:
        """Journal lines that could not be read (a torn last line not counted): their chains are sampled again."""
        return self._unreadable

    def info(self) -> dict[str, Any]:
        info: dict[str, Any] = read_json(self.path / "run.json")
        return info

    def problems(self) -> list[Problem]:
        """The problems of the run, golds included, in their order."""
        import pyarrow.parquet as pq

        rows = pq.read_table(self.path / "problems.parquet").to_pylist()
        return [Problem(r["id"], r["text"], r["gold"], tuple(r["choices"])) for r in rows]

    def scores(self) -> dict[str, Any] | None:
        path = self.path / "scores.json"
        if not path.exists():
            return None
        scores: dict[str, Any] = read_json(path)
        return scores

    def chains(self, order: Sequence[str] = (), only: set[Key] | None = None) -> Iterator[Chain]:
        """Stored chains, by the problems' order and then by sample index.

        Args:
            order: problem ids in their order; ids not in it come last, sorted.
            only: where given, just these.
        """
        for row in self._rows(order):
            if only is None or (row["problem_id"], row["index"]) in only:
                yield Chain(benchmark=self.benchmark, **row)

    # -- writing ---------------------------------------------------------------------------------

    @contextmanager
    def writing(self) -> Iterator[RunFolder]:
        """Hold the folder for writing; at the end the journal is flushed to the disk.

        Raises:
            HarnessError: another process is writing, or the folder cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _disk_error(error, self.path) from None
        with _lock(self.path):
            self._read_index(mend=True)
            try:
                yield self
            finally:
                self.flush()
                self._close_journal()

    def append(self, chain: Chain) -> None:
        """Store a chain: once this returns, it survives the death of this process.

        Raises:
            HarnessError: the disk is full; the journal still ends with a whole line.
        """
        key = (chain.problem_id, chain.index)
        if key in self._spans or key in self._in_parquet:
            return
        row = {name: getattr(chain, name) for name in _COLUMNS}
        line = _line(row)
        journal = self._open_journal()
        try:
            _write_all(journal, line)
            now = time.monotonic()
            if now - self._synced > _SYNC_SECONDS:
                os.fsync(journal.fileno())
                self._synced = now
        except OSError as error:
            with suppress(OSError):
                journal.truncate(self._end)
            raise _disk_error(error, self._journal_path) from None
        self._spans[key] = _Span(self._end, len(line))
        self._end += len(line)

    def flush(self) -> None:
        if self._journal is not None:
            os.fsync(self._journal.fileno())

    def complete(self, order: Sequence[str]) -> None:
        """Put all chains into chains.parquet, sorted, and let the journal go."""
        if not self._spans and self._parquet_path.exists():
            return
        write_atomically(self._parquet_path, lambda file: self._write_parquet(file, order))
        self._in_parquet |= self._spans.keys()
        self._spans.clear()
        self._close_journal()
        self._journal_path.unlink(missing_ok=True)
        self._end = 0

    def write_info(self, info: Mapping[str, Any]) -> None:
        write_json(self.path / "run.json", {"format": FORMAT, **info})

    def write_scores(self, scores: Mapping[str, Any]) -> None:
        write_json(self.path / "scores.json", scores)

    def write_problems(self, problems: Iterable[Problem], prompts: Iterable[Prompt]) -> None:
        import pyarrow as pa

        lines = [
            _line(
                {
                    "id": problem.id,
                    "text": problem.text,
                    "gold": problem.gold,
                    "choices": list(problem.choices),
                    "metadata": orjson.dumps(dict(problem.metadata), default=str).decode(),
                    "messages": [{"role": m.role, "content": m.content} for m in prompt.messages],
                }
            )
            for problem, prompt in zip(problems, prompts, strict=True)
        ]
        message = pa.struct([("role", pa.string()), ("content", pa.string())])
        texts = [(name, pa.string()) for name in ("id", "text", "gold", "metadata")]
        lists = [("choices", pa.list_(pa.string())), ("messages", pa.list_(message))]
        self._write_table("problems.parquet", _table(lines, pa.schema([*texts, *lists])))

    def write_grades(self, grades: Mapping[Key, Grade], grader: str, order: Sequence[str]) -> None:
        """Write the grades of all chains; `grader` names the normalizer and its version."""
        import pyarrow as pa

        rank = {problem_id: i for i, problem_id in enumerate(order)}
        lines = [
            _line(
                {
                    "problem_id": key[0],
                    "index": key[1],
                    "status": grade.status,
                    "correct": grade.correct,
                    "answer": grade.answer,
                    "answer_class": grade.answer_class,
                    "rule": grade.rule,
                }
            )
            for key, grade in sorted(grades.items(), key=lambda item: (rank[item[0][0]], item[0][1]))
        ]
        schema = pa.schema(
            [
                ("problem_id", pa.string()),
                ("index", pa.int32()),
                ("status", pa.string()),
                ("correct", pa.bool_()),
                ("answer", pa.string()),
                ("answer_class", pa.string()),
                ("rule", pa.string()),
            ]
        )
        table = _table(lines, schema).replace_schema_metadata({"grader": grader})
        self._write_table("grades.parquet", table)

    def _write_table(self, name: str, table: pa.Table) -> None:
        import pyarrow.parquet as pq

        write_atomically(self.path / name, lambda file: pq.write_table(table, file, compression="zstd"))

    def read_grades(self) -> StoredGrades | None:
        """The stored grades, or None where there are none."""
        import pyarrow.parquet as pq

        path = self.path / "grades.parquet"
        if not path.exists():
            return None
        table = pq.read_table(path)
        grader = (table.schema.metadata or {}).get(b"grader", b"").decode()
        grades = {
            (row["problem_id"], row["index"]): Grade(
                status=row["status"], answer=row["answer"], answer_class=row["answer_class"], rule=row["rule"]
            )
            for row in table.to_pylist()
        }
        return StoredGrades(grader, grades)

    def read_lengths(self) -> dict[Key, tuple[int | None, bool]]:
        """Completion tokens and whether truncated, for every stored chain; texts are not read."""
        return {
            (row["problem_id"], row["index"]): (row["completion_tokens"], row["finish_reason"] == "length")
            for row in self._rows((), columns=("problem_id", "index", "completion_tokens", "finish_reason"))
        }

    # -- inside ----------------------------------------------------------------------------------

    def _open_journal(self) -> IO[bytes]:
        if self._journal is None:
            try:
                self._journal = self._journal_path.open("ab", buffering=0)
            except OSError as error:
                raise _disk_error(error, self._journal_path) from None
            self._synced = time.monotonic()
        return self._journal

    def _close_journal(self) -> None:
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def _read_index(self, *, mend: bool = False) -> None:
        """Learn which chains are stored; `mend` cuts off the torn last line of a writer that was killed."""
        self._in_parquet = set(self._parquet_keys())
        self._spans.clear()
        self._unreadable = 0
        self._end = 0
        if not self._journal_path.exists():
            return
        with self._journal_path.open("r+b" if mend else "rb") as journal:
            for line in journal:
                if not line.endswith(b"\n"):
                    if mend:
                        journal.truncate(self._end)
                    break
                try:
                    row = orjson.loads(line)
                    key = (row["problem_id"], row["index"])
                except (orjson.JSONDecodeError, KeyError, TypeError):
                    self._unreadable += 1
                else:
                    if key not in self._in_parquet:
                        self._spans.setdefault(key, _Span(self._end, len(line)))
                self._end += len(line)

    def _parquet_keys(self) -> Iterator[Key]:
        if self._parquet_path.exists():
            for row in self._parquet_rows(("problem_id", "index")):
                yield row["problem_id"], row["index"]

    def _parquet_rows(self, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        import pyarrow.parquet as pq

        if not self._parquet_path.exists():
            return
        with pq.ParquetFile(self._parquet_path) as file:
            for batch in file.iter_batches(batch_size=512, columns=list(columns)):
                yield from batch.to_pylist()

    def _journal_rows(self, keys: Iterable[Key], columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        with self._journal_path.open("rb") as journal:
            for key in keys:
                span = self._spans[key]
                journal.seek(span.offset)
                row = orjson.loads(journal.read(span.length))
                yield {name: row.get(name) for name in columns}

    def _rows(self, order: Sequence[str], columns: Sequence[str] = _COLUMNS) -> Iterator[dict[str, Any]]:
        place = _place(order)
        if not self._spans:
            yield from self._parquet_rows(columns)
            return
        journal = self._journal_rows(sorted(self._spans, key=place), columns)
        if not self._in_parquet:
            yield from journal
            return
        yield from heapq.merge(
            self._parquet_rows(columns), journal, key=lambda row: place((row["problem_id"], row["index"]))
        )

    def _lines(self, order: Sequence[str]) -> Iterator[bytes]:
        """Stored chains as lines of JSON, in order; those of the journal as they stand there."""
        if self._in_parquet:
            yield from map(_line, self._rows(order))
            return
        with self._journal_path.open("rb") as journal:
            for key in sorted(self._spans, key=_place(order)):
                journal.seek(self._spans[key].offset)
                yield journal.read(self._spans[key].length)

    def _write_parquet(self, file: IO[bytes], order: Sequence[str]) -> None:
        import pyarrow.parquet as pq

        schema = _chain_schema()
        with pq.ParquetWriter(file, schema, compression="zstd", compression_level=3) as writer:
            for lines in _batches(self._lines(order)):
                writer.write_table(_table(lines, schema))


def _place(order: Sequence[str]) -> Callable[[Key], tuple[int, str, int]]:
    """Sort key: by the problems' order, then by sample index."""
    rank = {problem_id: i for i, problem_id in enumerate(order)}
    return lambda key: (rank.get(key[0], len(rank)), key[0], key[1])


def _chain_schema() -> pa.Schema:
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
    }
    return pa.schema([(name, types[name]) for name in _COLUMNS])


def _batches(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
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


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """One writer at a time. The operating system lets the lock go when its holder dies, however it dies."""
    import fcntl

    lock_path = path / ".lock"
    try:
        lock = lock_path.open("a+")
    except OSError as error:
        raise _disk_error(error, lock_path) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            holder = " ".join(lock.read(200).split()) or "another process"
            raise HarnessError(
                f"{path} is being written by {holder}: wait for it to end, or stop it, then run this again"
            ) from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        lock.flush()
        yield

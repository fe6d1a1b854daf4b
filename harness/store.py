"""The run folder: one folder a run, one writer at a time, chains written once.

    run.json          what was asked, where the numbers come from
    problems.parquet  the problems, golds and prompts that were used
    chains.jsonl      append-only journal while the run is open
    grades.jsonl      the grades so far while the run is open
    chains.parquet    all chains once the run is complete; then the journal goes
    grades.parquet    one row a chain; carries the grader's name and version; then their journal goes
    scores.json       every metric with its standard error and interval

Chains are never changed. Everything else is derived from them, or replaced as a whole by an atomic rename. The
format is described for readers of other languages in docs/run-folder.md.
"""

from __future__ import annotations

import heapq
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple, TypeGuard

import orjson

from .errors import HarnessError
from .files import disk_error, lock, read_json, write_all, write_atomically, write_json
from .grades import GradeJournal, StoredGrades, grades_table, read_grades
from .records import Chain, Grade, Problem, Prompt
from .rows import (
    CHAIN_COLUMNS,
    Key,
    batches,
    chain_schema,
    key_of,
    line_of,
    read_table,
    row_of,
    table_of,
)

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT: Final = 1
"""Version of the run folder format; readers refuse a newer one."""

_SYNC_SECONDS: Final = 1.0


class _Span(NamedTuple):
    """Where a chain's line stands in the journal, in bytes."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Length:
    """What is known of a stored chain besides its text: how long it is, and whether its budget cut it off."""

    completion_tokens: int | None
    truncated: bool
    prompt_tokens: int | None
    score: float | None = None
    """What somebody else's grader gave the chain."""

    @classmethod
    def of(cls, chain: Chain) -> Length:
        return cls(chain.completion_tokens, chain.truncated, chain.prompt_tokens, chain.score)


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
        self._indexed = False
        self._grade_journal: GradeJournal | None = None
        self.read_only = False
        """Nothing can be written here (a read-only disk): a complete run can still be read."""

    @classmethod
    def of(cls, path: Path) -> RunFolder:
        """An existing run folder.

        Raises:
            HarnessError: it is not one, or is of a newer format.
        """
        info = read_json(path / "run.json")
        try:
            label = str(info["benchmark"]["label"])
        except (TypeError, KeyError):
            raise HarnessError(f"{path / 'run.json'} is not of a run: {path} is not a run folder") from None
        folder = cls(path, label)
        folder._check_format()
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
        self._ensure_index()
        return self._in_parquet | self._spans.keys()

    def count(self) -> int:
        """How many chains are on the disk: an interrupt may fall between a chain's writing and our knowing of it."""
        self._read_index()
        return len(self.keys)

    @property
    def is_open(self) -> bool:
        """Whether chains were added since the run was last complete."""
        self._ensure_index()
        return bool(self._spans)

    @property
    def unreadable(self) -> int:
        """Journal lines that could not be read (a torn last line not counted): their chains are sampled again."""
        self._ensure_index()
        return self._unreadable

    def info(self) -> dict[str, Any]:
        info: dict[str, Any] = read_json(self.path / "run.json")
        return info

    def problems(self) -> list[Problem]:
        """The problems of the run, golds included, in their order; texts are empty for hidden benchmarks.

        Raises:
            HarnessError: the file is missing or damaged.
        """
        rows = read_table(
            self.path / "problems.parquet",
            "remove it and run the same `harness run` command to make it again",
        ).to_pylist()
        return [Problem(r["id"], r["text"], r["gold"], tuple(r["choices"])) for r in rows]

    def scores(self) -> dict[str, Any] | None:
        """The result, or None where the run was never completed.

        Raises:
            HarnessError: scores.json is damaged.
        """
        path = self.path / "scores.json"
        if not path.exists():
            return None
        scores = read_json(path)
        if not _is_result(scores):
            raise HarnessError(f"{path} is damaged: run the same `harness run` command to make it again")
        return scores

    def info_or_none(self) -> dict[str, Any] | None:
        """What run.json says, or None where it is missing or damaged: it can be written again."""
        try:
            info = self.info()
        except HarnessError:
            return None
        return info if isinstance(info, dict) and isinstance(info.get("sessions"), list) else None

    def scores_or_none(self) -> dict[str, Any] | None:
        """As `scores`, with None also where they are damaged: they can be made again."""
        try:
            return self.scores()
        except HarnessError:
            return None

    @property
    def has_problems(self) -> bool:
        return (self.path / "problems.parquet").exists()

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
            HarnessError: another process is writing, the folder cannot be made, or it is of a newer format.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(error, self.path) from None
        if not os.access(self.path, os.W_OK):
            self.read_only = True
            self._read_index()
            yield self
            return
        with lock(self.path):
            self._check_format()
            for left_over in self.path.glob(".*.part"):  # of a writer that was killed
                left_over.unlink(missing_ok=True)
            self._read_index(mend=True)
            try:
                yield self
            finally:
                if self._grade_journal is not None:
                    self._grade_journal.close()
                self.flush()
                self._close_journal()

    def append(self, chain: Chain) -> None:
        """Store a chain: once this returns, it survives the death of this process.

        Raises:
            HarnessError: the disk is full, and the journal still ends with a whole line; or the chain has a
                field that no run folder can hold.
        """
        row = row_of(chain)
        key = (row["problem_id"], row["index"])
        if key in self._spans or key in self._in_parquet:
            return
        if self.read_only:
            raise HarnessError(f"{self.path} cannot be written, so no chain can be added to it")
        line = line_of(row)
        journal = self._open_journal()
        try:
            write_all(journal, line)
            now = time.monotonic()
            if now - self._synced > _SYNC_SECONDS:
                os.fsync(journal.fileno())
                self._synced = now
        except OSError as error:
            with suppress(OSError):
                journal.truncate(self._end)
            raise disk_error(error, self._journal_path) from None
        self._spans[key] = _Span(self._end, len(line))
        self._end += len(line)

    def flush(self) -> None:
        if self._journal is not None:
            try:
                os.fsync(self._journal.fileno())
            except OSError as error:
                raise disk_error(error, self._journal_path) from None

    def complete(self, order: Sequence[str]) -> None:
        """Put all chains into chains.parquet, sorted, and let the journal go."""
        if self._spans or not self._parquet_path.exists():
            write_atomically(self._parquet_path, lambda file: self._write_parquet(file, order))
        # Also where a writer was killed between the two: every chain of the journal is in the parquet file.
        self._in_parquet |= self._spans.keys()
        self._spans.clear()
        self._close_journal()
        self._journal_path.unlink(missing_ok=True)
        self._end = 0

    def write_info(self, info: Mapping[str, Any]) -> None:
        write_json(self.path / "run.json", {"format": FORMAT, **info})

    def write_scores(self, scores: Mapping[str, Any]) -> None:
        write_json(self.path / "scores.json", scores)

    def write_problems(
        self, problems: Iterable[Problem], prompts: Iterable[Prompt], *, hidden: bool = False
    ) -> None:
        """Write the problems, in order; of a hidden benchmark no more than ids and golds, since folders get shared."""
        import pyarrow as pa

        lines = [
            line_of(
                {
                    "id": problem.id,
                    "text": "" if hidden else problem.text,
                    "gold": problem.gold,
                    "choices": [] if hidden else list(problem.choices),
                    "metadata": orjson.dumps(dict(problem.metadata), default=str).decode(),
                    "messages": []
                    if hidden
                    else [{"role": m.role, "content": m.content} for m in prompt.messages],
                    "prompt": None if hidden else prompt.text,
                    "stop": [] if hidden else list(prompt.stop),
                }
            )
            for problem, prompt in zip(problems, prompts, strict=True)
        ]
        message = pa.struct([("role", pa.string()), ("content", pa.string())])
        texts = [(name, pa.string()) for name in ("id", "text", "gold", "metadata", "prompt")]
        lists = [(name, pa.list_(pa.string())) for name in ("choices", "stop")] + [
            ("messages", pa.list_(message))
        ]
        self._write_table("problems.parquet", table_of(lines, pa.schema([*texts, *lists])))

    def write_grades(self, grades: Mapping[Key, Grade], grader: str, order: Sequence[str]) -> None:
        """Write the grades of all chains, and let their journal go; `grader` names the normalizer and its version."""
        self._write_table("grades.parquet", grades_table(grades, grader, order))
        self.drop_grades()

    @property
    def _grade_journal_path(self) -> Path:
        return self.path / "grades.jsonl"

    def open_grades(self, grader: str) -> dict[Key, Grade]:
        """Go on with the journal of grades: those that the same grader gave stored chains.

        Grades that a failure decided are left out, since the next attempt may succeed. What another grader said, what
        cannot be read and what is of chains that are not stored is dropped from the file.

        Raises:
            HarnessError: the disk is full.
        """
        journal = GradeJournal(self._grade_journal_path, grader)
        grades, whole = journal.read(self.keys)
        kept = {key: grade for key, grade in grades.items() if grade.status not in ("timeout", "error")}
        if not self.read_only:
            if not whole or len(kept) < len(grades):
                journal.begin_anew(kept)
            if self._grade_journal is not None:
                self._grade_journal.close()
            self._grade_journal = journal
        return kept

    def append_grade(self, key: Key, grade: Grade) -> None:
        """Let readers know of a grade before the run is complete.

        Raises:
            HarnessError: the disk is full; the grade's chain stays stored.
        """
        if self._grade_journal is not None:
            self._grade_journal.append(key, grade)

    def drop_grades(self) -> None:
        """Let the journal of grades go: grades.parquet holds what it held, or nobody waits for it."""
        if self._grade_journal is not None:
            self._grade_journal.close()
        with suppress(OSError):
            self._grade_journal_path.unlink()

    def _write_table(self, name: str, table: pa.Table) -> None:
        import pyarrow.parquet as pq

        write_atomically(self.path / name, lambda file: pq.write_table(table, file, compression="zstd"))

    def read_grades(self) -> StoredGrades | None:
        """The stored grades, or None where there are none or they are damaged: they can be made again."""
        return read_grades(self.path / "grades.parquet")

    def read_lengths(self) -> dict[Key, Length]:
        """The length of every stored chain; texts are not read."""
        columns = ("problem_id", "index", "completion_tokens", "finish_reason", "prompt_tokens", "score")
        return {
            (row["problem_id"], row["index"]): Length(
                row["completion_tokens"], row["finish_reason"] == "length", row["prompt_tokens"], row["score"]
            )
            for row in self._rows((), columns=columns)
        }

    # -- inside ----------------------------------------------------------------------------------

    def _open_journal(self) -> IO[bytes]:
        if self._journal is None:
            try:
                self._journal = self._journal_path.open("ab", buffering=0)
            except OSError as error:
                raise disk_error(error, self._journal_path) from None
            self._synced = time.monotonic()
        return self._journal

    def _close_journal(self) -> None:
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def _check_format(self) -> None:
        try:
            found = self.info().get("format", 0)
        except (HarnessError, AttributeError):
            return  # missing or damaged: it is made again
        if found > FORMAT:
            raise HarnessError(
                f"{self.path} has run folder format {found}, this harness reads up to {FORMAT}: use a newer one"
            )

    def _ensure_index(self) -> None:
        """Which chains are stored is learnt when it is first asked: results can be read without."""
        if not self._indexed:
            self._read_index()

    def _read_index(self, *, mend: bool = False) -> None:
        """Learn which chains are stored; `mend` cuts off the torn last line of a writer that was killed."""
        self._indexed = True
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
                if (key := key_of(line)) is None:
                    self._unreadable += 1
                elif key not in self._in_parquet:
                    self._spans.setdefault(key, _Span(self._end, len(line)))
                self._end += len(line)

    def _parquet_keys(self) -> Iterator[Key]:
        if self._parquet_path.exists():
            for row in self._parquet_rows(("problem_id", "index")):
                yield row["problem_id"], row["index"]

    def _parquet_rows(self, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not self._parquet_path.exists():
            return
        try:
            with pq.ParquetFile(self._parquet_path) as file:
                # Files written before a column came up lack it.
                lacking = dict.fromkeys(set(columns) - set(file.schema_arrow.names))
                for batch in file.iter_batches(batch_size=512, columns=list(columns)):
                    for row in batch.to_pylist():
                        yield row | lacking
        except (pa.ArrowException, OSError) as error:
            raise HarnessError(
                f"{self._parquet_path} is damaged ({' '.join(str(error).split())[:120]}): move it away and run the "
                "same command to sample its chains again"
            ) from None

    def _journal_rows(self, keys: Iterable[Key], columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        with self._journal_path.open("rb") as journal:
            for key in keys:
                span = self._spans[key]
                journal.seek(span.offset)
                row = orjson.loads(journal.read(span.length))
                yield {name: row.get(name) for name in columns}

    def _rows(self, order: Sequence[str], columns: Sequence[str] = CHAIN_COLUMNS) -> Iterator[dict[str, Any]]:
        self._ensure_index()
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
            yield from map(line_of, self._rows(order))
            return
        with self._journal_path.open("rb") as journal:
            for key in sorted(self._spans, key=_place(order)):
                journal.seek(self._spans[key].offset)
                yield journal.read(self._spans[key].length)

    def _write_parquet(self, file: IO[bytes], order: Sequence[str]) -> None:
        import pyarrow.parquet as pq

        schema = chain_schema()
        with pq.ParquetWriter(file, schema, compression="zstd", compression_level=3) as writer:
            for lines in batches(self._lines(order)):
                writer.write_table(table_of(lines, schema))


_OF_RESULT: Final[Mapping[str, type | tuple[type, ...]]] = {
    "model": str,
    "benchmark": str,
    "protocol": str,
    "n": int,
    "problems": int,
    "chains": int,
    "scores": dict,
    "counts": dict,
    "truncated": (int, float),
    "no_answer": (int, float),
}
"""What every reader of a result relies on."""


def _is_result(found: object) -> TypeGuard[dict[str, Any]]:
    """Whether this is a result as `harness run --json` prints it."""
    if not isinstance(found, dict) or not all(isinstance(found.get(k), t) for k, t in _OF_RESULT.items()):
        return False
    settings = [found.get(name, "") for name in ("temperature", "top_p", "max_tokens")]
    if not all(value is None or isinstance(value, (int, float)) for value in settings):
        return False
    return all(
        isinstance(score, dict) and isinstance(score.get("value"), (int, float)) and "stderr" in score
        for score in found["scores"].values()
    )


def _place(order: Sequence[str]) -> Callable[[Key], tuple[int, str, int]]:
    """Sort key: by the problems' order, then by sample index."""
    rank = {problem_id: i for i, problem_id in enumerate(order)}
    return lambda key: (rank.get(key[0], len(rank)), key[0], key[1])

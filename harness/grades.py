"""Grades on the disk: one file when a run is complete, a journal while it is open. They can always be made again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import orjson

from .errors import HarnessError
from .files import disk_error, write_all, write_atomically
from .records import STATUSES, Grade
from .rows import Key, line_of, read_table, table_of

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class StoredGrades:
    """Grades read back, with the version of the grader that made them."""

    grader: str
    grades: dict[Key, Grade]


def read_grades(path: Path) -> StoredGrades | None:
    """The grades of a grades.parquet file, or None where it is missing or damaged."""
    if not path.exists():
        return None
    try:
        table = read_table(path, "")
        grades = {
            (row["problem_id"], row["index"]): Grade(
                row["status"],
                row["answer"],
                row["answer_class"],
                row["rule"],
                orjson.loads(row["scores"]) if row.get("scores") else {},
            )
            for row in table.to_pylist()
        }
    except (HarnessError, KeyError):
        return None
    if len(grades) < table.num_rows:
        return None  # chains of several runs, such as an export holds
    return StoredGrades((table.schema.metadata or {}).get(b"grader", b"").decode(), grades)


def grades_table(grades: Mapping[Key, Grade], grader: str, order: Sequence[str]) -> pa.Table:
    """The grades by the problems' order, then by sample index; `grader` names the normalizer and its version."""
    import pyarrow as pa

    rank = {problem_id: i for i, problem_id in enumerate(order)}
    lines = [
        line_of(
            {
                **_row(key, grade),
                "correct": grade.correct,
                "scores": orjson.dumps(dict(grade.scores)).decode() if grade.scores else None,
            }
        )
        for key, grade in sorted(grades.items(), key=lambda item: (rank[item[0][0]], item[0][1]))
    ]
    names = ("problem_id", "index", "status", "correct", "answer", "answer_class", "rule")
    types = {"index": pa.int32(), "correct": pa.bool_()}
    schema = pa.schema([(name, types.get(name, pa.string())) for name in names])
    if any(grade.scores for grade in grades.values()):
        schema = schema.append(pa.field("scores", pa.string()))
    return table_of(lines, schema).replace_schema_metadata({"grader": grader})


def grade_line(key: Key, grade: Grade) -> bytes:
    """A grade as one line of the journal of grades."""
    row = _row(key, grade)
    return line_of({**row, "scores": dict(grade.scores)} if grade.scores else row)


def _row(key: Key, grade: Grade) -> dict[str, Any]:
    return {
        "problem_id": key[0],
        "index": key[1],
        "status": grade.status,
        "answer": grade.answer,
        "answer_class": grade.answer_class,
        "rule": grade.rule,
    }


def grade_of(line: bytes) -> tuple[Key, Grade] | None:
    """What a line of the journal of grades says, or None if it is not a grade."""
    try:
        row = orjson.loads(line)
        key = row["problem_id"], row["index"]
        grade = Grade(row["status"], row["answer"], row["answer_class"], row["rule"], row.get("scores") or {})
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return None
    if not isinstance(key[0], str) or type(key[1]) is not int or not isinstance(grade.rule, str):
        return None
    texts = (grade.answer, grade.answer_class)
    if grade.status not in STATUSES or not all(text is None or isinstance(text, str) for text in texts):
        return None
    numbers = isinstance(grade.scores, dict) and all(
        type(value) in (int, float) for value in grade.scores.values()
    )
    return (key, grade) if numbers else None


class GradeJournal:
    """The grades of a run that is open, one line each behind a line that names their grader.

    It is derived data: nothing is synced, and whatever cannot be read is graded again.

    Args:
        grader: name and version of what decides the grades.
    """

    def __init__(self, path: Path, grader: str) -> None:
        self.path = path
        self._head = line_of({"grader": grader})
        self._file: IO[bytes] | None = None

    def read(self, stored: Collection[Key]) -> tuple[dict[Key, Grade], bool]:
        """Grades that the same grader gave stored chains, and whether that is all that the file holds."""
        grades: dict[Key, Grade] = {}
        whole = True
        try:
            with self.path.open("rb") as file:
                if file.readline(len(self._head)) != self._head:
                    return {}, False
                for line in file:
                    found = grade_of(line) if line.endswith(b"\n") else None
                    if found is None or found[0] not in stored:
                        whole = False
                    else:
                        grades[found[0]] = found[1]
        except FileNotFoundError:
            pass
        except OSError:
            return {}, False
        return grades, whole

    def begin_anew(self, grades: Mapping[Key, Grade]) -> None:
        """Hold these grades and nothing else. Readers see another file, not one that changed under them.

        Raises:
            HarnessError: the disk is full or the folder cannot be written.
        """
        lines = (grade_line(key, grade) for key, grade in grades.items())
        write_atomically(self.path, lambda file: file.writelines([self._head, *lines]))

    def append(self, key: Key, grade: Grade) -> None:
        """Add a grade; readers see it once this returns.

        Raises:
            HarnessError: the disk is full.
        """
        try:
            if self._file is None:
                self._file = self.path.open("ab", buffering=0)
                if self._file.tell() == 0:
                    write_all(self._file, self._head)
            write_all(self._file, grade_line(key, grade))
        except OSError as error:
            raise disk_error(error, self.path) from None

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

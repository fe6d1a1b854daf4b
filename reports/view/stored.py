"""The chains of one run as tables: verdicts, answers and lengths; their texts stay on disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from harness import HarnessError
from harness.outcomes import Outcomes, Votes, read_outcomes
from harness.records import STATUSES
from harness.rows import read_table

from .places import Place
from .rows import UNGRADED, ChainRow, ProblemRow, ProblemText

if TYPE_CHECKING:
    import pyarrow as pa

_READ_ERRORS: Final = (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError)
"""What tables of another making bring about."""

_MOST_ROWS: Final = 20_000_000
"""A table that claims more is not read: run-length encoding lets a small file hold any number."""

_KEY: Final = {"problem_id": "string", "index": "int64"}
_CHAIN_COLUMNS: Final = {
    **_KEY,
    "finish_reason": "string",
    "completion_tokens": "int64",
    "seed": "int64",
    "score": "float64",
}
_GRADE_COLUMNS: Final = {**_KEY, "answer": "string", "answer_class": "string", "rule": "string"}
_PROBLEM_COLUMNS: Final = {"id": "string", "text": "string", "gold": "string", "choices": "texts"}
"""Columns and what they must hold; those of later formats may be missing."""


@dataclass(eq=False)
class StoredRun:
    """The part of a run that is in tables. Files that are missing or damaged leave a notice and an empty table."""

    place: Place
    ties: str
    notices: list[str] = field(default_factory=list)

    @cached_property
    def problems(self) -> Mapping[str, ProblemText]:
        """By id, in the benchmark's order."""
        with self._told("problems.parquet"):
            rows = _read(self.place, "problems.parquet", _PROBLEM_COLUMNS).to_pylist()
            return {
                row["id"]: ProblemText(
                    row["id"], row["text"] or "", row["gold"] or "", tuple(filter(None, row["choices"] or ()))
                )
                for row in rows
            }
        return {}

    @cached_property
    def _chains(self) -> pa.Table | None:
        """chains.parquet without its texts; None where there is none."""
        if self.place.state("chains.parquet") is None:
            return None
        with self._told("chains.parquet"):
            return _read(self.place, "chains.parquet", _CHAIN_COLUMNS)
        return None

    @cached_property
    def rows(self) -> Mapping[str, Mapping[int, int]]:
        """Problem id -> sample index -> row in chains.parquet."""
        found: dict[str, dict[int, int]] = {}
        if self._chains is not None:
            ids, indices = (self._chains[name].to_pylist() for name in ("problem_id", "index"))
            for row, (problem_id, index) in enumerate(zip(ids, indices, strict=True)):
                found.setdefault(problem_id, {})[index] = row
        return found

    @cached_property
    def _graded(self) -> tuple[Outcomes, pa.Table] | None:
        if None in self.place.states("grades.parquet", "chains.parquet"):
            return None
        with self._told("grades.parquet"):
            grades = _read(self.place, "grades.parquet", _GRADE_COLUMNS)
            outcomes = read_outcomes(self.place.path)
            if len(outcomes.problem) != grades.num_rows:
                raise HarnessError(f"{self.place.path} changed while it was read: load the page again")
            return outcomes, grades
        return None

    @property
    def _is_graded_whole(self) -> bool:
        """Whether every chain of the table has a grade: nothing more need be read to know what waits for one."""
        import pyarrow.parquet as pq

        if self.outcomes is None:
            return False
        with self._told("chains.parquet"):
            return bool(
                pq.read_metadata(self.place.path / "chains.parquet").num_rows == len(self.outcomes.problem)
            )
        return False

    @property
    def outcomes(self) -> Outcomes | None:
        """What became of the graded chains; None where there are none."""
        return None if self._graded is None else self._graded[0]

    @cached_property
    def votes(self) -> Votes | None:
        return None if self.outcomes is None else self.outcomes.votes(self.ties)

    @cached_property
    def _grade_rows(self) -> Mapping[str, list[int]]:
        """Problem id -> its rows in grades.parquet."""
        import numpy as np

        if self.outcomes is None:
            return {}
        order = np.lexsort((self.outcomes.index, self.outcomes.problem))
        ends = np.cumsum(self.outcomes.counts)[:-1]
        parts = np.split(order, ends)
        return {id_: part.tolist() for id_, part in zip(self.outcomes.problems, parts, strict=True)}

    @cached_property
    def table(self) -> list[ProblemRow]:
        """Every problem, in the benchmark's order."""
        return list(self._problem_rows())

    def _problem_rows(self) -> Iterator[ProblemRow]:
        import numpy as np

        outcomes, votes = self.outcomes, self.votes
        rows = {} if self._is_graded_whole else self.rows
        order = list(dict.fromkeys([*self.problems, *(outcomes.problems if outcomes else ()), *rows]))
        if outcomes is None or votes is None or self._graded is None:
            for place, id_ in enumerate(order):
                gold = self.problems[id_].gold if id_ in self.problems else None
                yield ProblemRow(
                    place, id_, gold, 0, 0, None, None, 0, 0, 0, None, waiting=len(rows.get(id_, ()))
                )
            return
        place_of = {id_: place for place, id_ in enumerate(outcomes.problems)}
        size = len(outcomes.problems)
        cut = np.bincount(outcomes.problem[outcomes.truncated], minlength=size)
        known = outcomes.tokens >= 0
        lengths = np.bincount(outcomes.problem[known], outcomes.tokens[known], minlength=size)
        with_length = np.bincount(outcomes.problem[known], minlength=size)
        majority = self._majorities()
        for place, id_ in enumerate(order):
            gold = self.problems[id_].gold if id_ in self.problems else None
            stored = len(rows.get(id_, ()))
            if (at := place_of.get(id_)) is None:
                yield ProblemRow(place, id_, gold, 0, 0, None, None, 0, 0, 0, None, waiting=stored)
                continue
            answer, count = majority.get(at, (None, 0))
            graded = int(outcomes.counts[at])
            yield ProblemRow(
                place,
                id_,
                gold,
                graded,
                int(outcomes.correct_counts[at]),
                float(votes.worth[at]),
                answer,
                count,
                int(votes.tied[at]),
                int(cut[at]),
                float(lengths[at] / with_length[at]) if with_length[at] else None,
                waiting=max(0, stored - graded),
            )

    def _majorities(self) -> dict[int, tuple[str | None, int]]:
        """Problem's place in the outcomes -> an answer of its largest class, the one seen first where several are; and
        that class's votes."""
        import numpy as np

        if self._graded is None or self.votes is None:
            return {}
        (outcomes, grades), votes = self._graded, self.votes
        codes = int(outcomes.answer_class.max(initial=0)) + 1
        places = np.where(
            outcomes.answer_class >= 0,
            outcomes.problem.astype(np.int64) * codes + outcomes.answer_class,
            -1,
        )
        groups, first = np.unique(places, return_index=True)
        seen = first[np.searchsorted(groups, votes.problem * codes + votes.answer_class)]
        best = np.lexsort((seen, -votes.count, votes.problem))
        problems, chosen = np.unique(votes.problem[best], return_index=True)
        chosen = best[chosen]
        answers = grades["answer"].take(seen[chosen]).to_pylist()
        counts = votes.count[chosen].tolist()
        return dict(zip(problems.tolist(), zip(answers, counts, strict=True), strict=True))

    def chains_of(self, problem_id: str) -> list[ChainRow]:
        """The chains of a problem by sample index."""
        found: dict[int, ChainRow] = {}
        place = self.rows.get(problem_id, {})
        if self._chains is not None and place:
            kept = self._chains.take(list(place.values())).to_pylist()
            grades = self._grades_of(problem_id)
            for row in kept:
                found[row["index"]] = _chain_row(row, *grades.get(row["index"], (UNGRADED, {})))
        return [found[index] for index in sorted(found)]

    def _grades_of(self, problem_id: str) -> dict[int, tuple[str, dict[str, Any]]]:
        rows = self._grade_rows.get(problem_id)
        if not rows or self._graded is None:
            return {}
        outcomes, grades = self._graded
        names = [STATUSES[code] if code >= 0 else "error" for code in outcomes.status[rows].tolist()]
        said = grades.take(rows).to_pylist()
        return {row["index"]: (name, row) for row, name in zip(said, names, strict=True)}

    @cached_property
    def chain_rows(self) -> Mapping[str, list[ChainRow]]:
        """Every chain of the table, by problem: for runs that go on, which are counted anew with each chain."""
        if self._chains is None:
            return {}
        grades: dict[tuple[str, int], tuple[str, dict[str, Any]]] = {}
        if self._graded is not None:
            outcomes, table = self._graded
            for code, row in zip(outcomes.status.tolist(), table.to_pylist(), strict=True):
                grades[row["problem_id"], row["index"]] = (STATUSES[code] if code >= 0 else "error", row)
        ungraded: tuple[str, dict[str, Any]] = (UNGRADED, {})
        found: dict[str, list[ChainRow]] = {}
        for row in self._chains.to_pylist():
            status, grade = grades.get((row["problem_id"], row["index"]), ungraded)
            found.setdefault(row["problem_id"], []).append(_chain_row(row, status, grade))
        return found

    @cached_property
    def grader(self) -> str:
        """Name and version of what made grades.parquet; empty where there is none."""
        import pyarrow.parquet as pq

        if self._graded is not None:
            with self._told("grades.parquet"):
                metadata = pq.read_schema(self.place.path / "grades.parquet").metadata or {}
                return bytes(metadata.get(b"grader", b"")).decode("utf-8", "replace")
        return ""

    @cached_property
    def wrong(self) -> list[tuple[str, int]]:
        """Problem and index of the graded chains that are not correct, in the order of the pages."""
        outcomes = self.outcomes
        if outcomes is None:
            return []
        order = {row.id: row.place for row in self.table}
        places, indices = outcomes.problem[~outcomes.correct], outcomes.index[~outcomes.correct]
        keys = [(outcomes.problems[p], i) for p, i in zip(places.tolist(), indices.tolist(), strict=True)]
        return sorted(keys, key=lambda key: (order[key[0]], key[1]))

    @cached_property
    def grade_texts(self) -> pa.Table | None:
        """problem_id, index, answer, answer_class and rule of every graded chain, for searches."""
        return None if self._graded is None else self._graded[1]

    @property
    def cost(self) -> int:
        """Bytes, about, once everything was asked for."""
        chains = 0 if self.outcomes is None else len(self.outcomes.problem)
        return 100_000 + 700 * max(chains, sum(row.chains + row.waiting for row in self.table))

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """What cannot be read becomes a notice."""
        try:
            with reading(self.place, name):
                yield
        except HarnessError as error:
            if (text := str(error)) not in self.notices:
                self.notices.append(text)


@contextmanager
def reading(place: Place, name: str) -> Iterator[None]:
    """Whatever a hostile or damaged table brings about is told in one line.

    Raises:
        HarnessError: that line.
    """
    import pyarrow as pa

    try:
        yield
    except (*_READ_ERRORS, pa.ArrowException) as error:
        what = " ".join(str(error).split())[:120] or type(error).__name__
        raise HarnessError(f"{place.path / name} is damaged ({what})") from None


def _read(place: Place, name: str, columns: Mapping[str, str]) -> pa.Table:
    """Some columns of a table, of the types that they must have."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = place.path / name
    if place.state(name) is None:
        raise HarnessError(f"{path} is missing, or a link that leads elsewhere")
    with reading(place, name):
        metadata = pq.read_metadata(path)
        if metadata.num_rows > _MOST_ROWS:
            raise HarnessError(f"{path} claims {metadata.num_rows:,} rows: that is no run")
        table = read_table(path, "see docs/run-folder.md for what can be made again", list(columns))
        types = {
            "texts": pa.list_(pa.string()),
            **{t: getattr(pa, t)() for t in ("string", "int64", "float64")},
        }
        there = [(column, types[kind]) for column, kind in columns.items() if column in table.column_names]
        table = table.select([column for column, _ in there]).cast(pa.schema(there))
        keys = [column for column in ("id", "problem_id", "index") if column in columns]
        if any(table[column].null_count for column in keys):
            raise ValueError(f"{' or '.join(keys)} is empty in a row")
    return table


def _chain_row(row: Mapping[str, Any], status: str, grade: Mapping[str, Any]) -> ChainRow:
    return ChainRow(
        row["problem_id"],
        row["index"],
        status,
        grade.get("answer"),
        grade.get("answer_class"),
        grade.get("rule") or "",
        row["completion_tokens"],
        row["finish_reason"],
        row.get("seed"),
        row.get("score"),
    )

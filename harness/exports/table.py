"""The chains of finished runs as tables: each row a chain with its problem, its grade and how it was sampled.

Read row group by row group, so that memory stays bounded however long the chains are; no Python object is made of
a row. Texts of benchmarks whose authors ask that they not be posted are left out unless asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from ..errors import HarnessError
from ..plugins import PluginManager
from ..report import ReportRun
from ..runtables import LOST, REGRADE, chain_keys, damaged, read_columns

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_TYPES: Final = {
    "model": "string",
    "benchmark": "string",
    "problem_id": "string",
    "index": "int32",
    "problem": "large_string",
    "gold": "string",
    "text": "large_string",
    "reasoning": "large_string",
    "answer": "string",
    "answer_class": "string",
    "status": "string",
    "correct": "bool",
    "score": "int8",
    "rule": "string",
    "finish_reason": "string",
    "completion_tokens": "int64",
    "prompt_tokens": "int64",
    "seed": "int64",
    "foreign_score": "double",
    "protocol": "string",
    "n": "int64",
    "temperature": "double",
    "top_p": "double",
    "max_tokens": "int64",
    "run_seed": "int64",
    "grader": "string",
    "fingerprint": "string",
}

COLUMNS: Final = tuple(_TYPES)
"""Names of all columns, in order; docs/export.md says what each means."""

TEXTS: Final = ("problem", "text", "reasoning")
"""Columns that hold what benchmarks and models wrote: nearly all of the bytes."""

_CHAIN_TEXTS: Final = ("text", "reasoning")
_CHAIN: Final = {
    "problem_id": "problem_id",
    "index": "index",
    "finish_reason": "finish_reason",
    "completion_tokens": "completion_tokens",
    "prompt_tokens": "prompt_tokens",
    "seed": "seed",
    "foreign_score": "score",
}
"""Column -> its name in chains.parquet."""

_GRADE: Final = ("status", "correct", "answer", "answer_class", "rule")
_RESULT: Final = {
    "model": "model",
    "benchmark": "benchmark",
    "protocol": "protocol",
    "n": "n",
    "temperature": "temperature",
    "top_p": "top_p",
    "max_tokens": "max_tokens",
    "run_seed": "seed",
    "grader": "grader",
    "fingerprint": "fingerprint",
}
"""Column -> its name in the run's result."""

_SHORT: Final = 3
"""Characters of an answer, such as "B" or "(B)", that cannot quote a hidden problem's choices."""

_PROBLEMS: Final = "run the same `harness run` command to make it again"


def schema_of(columns: Sequence[str]) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([(name, pa.type_for_alias(_TYPES[name])) for name in columns])


class ChainTable:
    """The chains of one finished run.

    Args:
        run: the run.
        reveal: show texts also where the benchmark is hidden.
    """

    def __init__(self, run: ReportRun, plugins: PluginManager, *, reveal: bool = False) -> None:
        self.run = run
        self._plugins = plugins
        self._reveal = reveal

    @cached_property
    def hidden(self) -> bool:
        """Whether the benchmark's authors ask that its problems not be posted.

        So says the benchmark; where its plugin is not at hand, or knows only once it has loaded its rows, a run
        folder without any statement tells.
        """
        import pyarrow.compute as pc

        try:
            if self._plugins.benchmark(self.run.benchmark).hidden:
                return True
        except HarnessError:
            pass
        longest = pc.max(pc.binary_length(self._problems["text"])).as_py()
        return not longest

    @property
    def _withheld(self) -> bool:
        return self.hidden and not self._reveal

    @cached_property
    def _problems(self) -> pa.Table:
        types = {"id": "string", "text": "string", "gold": "string"}
        return read_columns(self.run.path / "problems.parquet", _PROBLEMS, types)

    @cached_property
    def _grades(self) -> pa.Table:
        types = {name: _TYPES[name] for name in ("problem_id", "index", *_GRADE)}
        return read_columns(self.run.path / "grades.parquet", REGRADE, types)

    @cached_property
    def _grade_keys(self) -> Any:
        return chain_keys(self._grades)

    def tables(
        self, columns: Sequence[str] = COLUMNS, where: Mapping[str, Collection[Any]] | None = None
    ) -> Iterator[pa.Table]:
        """The chains in the order in which they are stored, in tables of bounded size, each with at least one row.

        Args:
            columns: names out of COLUMNS.
            where: column -> its wanted values; texts of other chains are never read.

        Raises:
            HarnessError: files of the run are missing or damaged.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.run.path / "chains.parquet"
        wanted = [name for name in _CHAIN_TEXTS if name in columns]
        if not path.exists():
            raise HarnessError(f"{path} is missing: {LOST}")
        try:
            with pq.ParquetFile(path) as file:
                start = 0
                # Without texts a run is small, and read at once.
                for group in range(file.num_row_groups) if wanted else [None]:
                    light = self._light(file, group, start, {*columns, *(where or {})})
                    start += file.metadata.row_group(group).num_rows if group is not None else 0
                    mask = self._mask(light, where or {})
                    if not (rows := light.filter(mask)).num_rows:
                        continue
                    for name, values in self._texts(file, group, wanted, mask).items():
                        rows = rows.append_column(name, values)
                    yield rows.select(list(columns)).cast(schema_of(columns))
        except (pa.ArrowException, OSError, KeyError) as error:
            raise damaged(path, error, LOST) from None

    def _light(self, file: pq.ParquetFile, group: int | None, start: int, columns: set[str]) -> pa.Table:
        """The columns of a row group that are no chain's text, "index" among them."""
        import pyarrow as pa
        import pyarrow.compute as pc

        stored = {name: source for name, source in _CHAIN.items() if name in columns} | {
            "problem_id": "problem_id",
            "index": "index",
        }
        there = [source for source in stored.values() if source in file.schema_arrow.names]
        chains = file.read(there) if group is None else file.read_row_group(group, there)
        rows = chains.num_rows
        types = dict(zip(COLUMNS, schema_of(COLUMNS).types, strict=True))
        found = {
            name: chains[source] if source in there else pa.nulls(rows, types[name])
            for name, source in stored.items()
        }
        for name, source in _RESULT.items():
            if name in columns:
                found[name] = pa.repeat(pa.scalar(self.run.result.get(source), types[name]), rows)
        if columns.intersection((*_GRADE, "score")):
            found |= self._judged(chains, start)
        if columns.intersection(("problem", "gold")):
            place = pc.index_in(chains["problem_id"], value_set=self._problems["id"])
            found["problem"] = pc.if_else(
                pa.scalar(self._withheld), pa.scalar(None, pa.string()), self._problems["text"].take(place)
            )
            found["gold"] = self._shown(self._problems["gold"].take(place))
        return pa.table(found)

    def _judged(self, chains: pa.Table, start: int) -> dict[str, Any]:
        """The grades of these chains; null where a chain has none."""
        import pyarrow as pa
        import pyarrow.compute as pc

        grades = self._grades.slice(start, chains.num_rows)
        if not all(grades[key].equals(chains[key]) for key in ("problem_id", "index")):
            grades = self._grades.take(pc.index_in(chain_keys(chains), value_set=self._grade_keys))
        found = {name: grades[name] for name in _GRADE}
        found["score"] = found["correct"].cast(pa.int8())
        for name in ("answer", "answer_class"):
            found[name] = self._shown(found[name])
        if self._withheld:  # the rule of a comparison that failed is the text of its error
            failed = pc.is_in(found["status"], value_set=pa.array(["timeout", "error"]))
            found["rule"] = pc.if_else(failed, found["status"], found["rule"])
        return found

    def _shown(self, answers: Any) -> Any:
        """Answers; of a hidden benchmark only short ones, since longer ones may be one of its choices."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if not self._withheld:
            return answers
        short = pc.less_equal(pc.utf8_length(answers), _SHORT)
        return pc.if_else(short, answers, pa.scalar(None, pa.string()))

    def _mask(self, light: pa.Table, where: Mapping[str, Collection[Any]]) -> Any:
        import pyarrow as pa
        import pyarrow.compute as pc

        mask = pc.less(light["index"], self.run.result["n"])
        for name, values in where.items():
            known = pa.array(list(values), light[name].type)
            mask = pc.and_(mask, pc.is_in(light[name], value_set=known))
        return mask

    def _texts(
        self, file: pq.ParquetFile, group: int | None, wanted: Sequence[str], mask: Any
    ) -> dict[str, Any]:
        import pyarrow as pa

        if not wanted:
            return {}
        if self._withheld:
            rows = sum(chunk.true_count for chunk in mask.chunks)
            return {name: pa.nulls(rows, pa.large_string()) for name in wanted}
        texts = file.read_row_group(group, list(wanted)).filter(mask)
        return {name: texts[name] for name in wanted}

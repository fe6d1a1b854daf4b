"""Writes the chains of finished runs to one file, for other programs and for ourselves to read back."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Protocol

from .. import __version__
from ..files import write_output
from ..plugins import PluginManager
from ..report import ReportRun
from ..rows import line_of
from .table import COLUMNS, TEXTS, ChainTable, schema_of

if TYPE_CHECKING:
    import pyarrow as pa

_GROUP_BYTES: Final = 32 * 2**20
"""About how much a row group of a parquet file holds, before compression: that much a reader needs at once."""

_VARIED: Final = ("text", "reasoning", "index", "seed", "completion_tokens")
"""Columns without repeated values, which dictionaries would only make larger."""


class Writable(Protocol):
    def write(self, data: bytes, /) -> object: ...


class Export:
    """The chains of some runs, one row each.

    Args:
        results: finished runs, as `harness run --json` prints them.
        texts: with what benchmarks and models wrote; without, rows are small, and cannot be graded again.
        include_hidden_text: also where a benchmark's authors ask that it not be posted.
    """

    def __init__(
        self,
        results: Sequence[Mapping[str, Any]],
        plugins: PluginManager,
        *,
        texts: bool = True,
        include_hidden_text: bool = False,
    ) -> None:
        self.results = results
        self.columns = COLUMNS if texts else tuple(name for name in COLUMNS if name not in TEXTS)
        self.runs = [ChainTable(ReportRun(r), plugins, reveal=include_hidden_text) for r in results]
        self._texts = texts
        self._reveal = include_hidden_text
        self.rows = 0
        """Chains written so far."""

    @cached_property
    def hidden(self) -> list[str]:
        """Benchmarks whose authors ask that their problems not be posted."""
        return list(dict.fromkeys(run.run.benchmark for run in self.runs if run.hidden))

    @property
    def withheld(self) -> list[str]:
        """Benchmarks whose texts are left out although texts are exported."""
        return self.hidden if self._texts and not self._reveal else []

    @property
    def revealed(self) -> list[str]:
        """Hidden benchmarks whose texts are exported."""
        return self.hidden if self._texts and self._reveal else []

    def tables(self, runs: Sequence[ChainTable] | None = None) -> Iterator[pa.Table]:
        for run in self.runs if runs is None else runs:
            for table in run.tables(self.columns):
                self.rows += table.num_rows
                yield table

    def write_jsonl(self, file: Writable) -> None:
        """One chain a line, null where something is not known.

        Raises:
            HarnessError: files of a run are missing or damaged.
        """
        for table in self.tables():
            for batch in table.to_batches(max_chunksize=256):
                for row in batch.to_pylist():
                    file.write(line_of(row))

    def write_parquet(self, file: IO[bytes] | Path, runs: Sequence[ChainTable] | None = None) -> None:
        """Compressed with zstd, in row groups of about 32 MiB.

        Raises:
            HarnessError: files of a run are missing or damaged.
        """
        import pyarrow.parquet as pq

        schema = schema_of(self.columns).with_metadata({"harness": __version__})
        repeated = [name for name in self.columns if name not in _VARIED]
        with pq.ParquetWriter(file, schema, compression="zstd", use_dictionary=repeated) as writer:
            waiting: list[pa.Table] = []
            size = 0
            for table in self.tables(runs):
                waiting.append(table)
                size += table.nbytes
                if size >= _GROUP_BYTES:
                    _write_group(writer, waiting)
                    size = 0
            if waiting:
                _write_group(writer, waiting)

    def write(self, path: Path, form: str) -> None:
        """Write a file: a whole one or none, but for a pipe.

        Args:
            form: "jsonl" or "parquet"; a jsonl file whose name ends in .gz is compressed.

        Raises:
            HarnessError: the file cannot be written, or files of a run are missing or damaged.
        """
        if form == "parquet":
            write_output(path, self.write_parquet)
        elif path.suffix.lower() == ".gz":
            write_output(path, self._write_gzip)
        else:
            write_output(path, self.write_jsonl)

    def _write_gzip(self, file: IO[bytes]) -> None:
        # No name and no time inside: the same chains make the same file.
        with gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as packed:
            self.write_jsonl(packed)


def _write_group(writer: Any, waiting: list[pa.Table]) -> None:
    import pyarrow as pa

    table = pa.concat_tables(waiting)
    waiting.clear()
    writer.write_table(table, row_group_size=max(1, table.num_rows))

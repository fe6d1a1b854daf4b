"""The real rows, where they are at hand, and data folders made of changed ones."""

from __future__ import annotations

import csv
import io
import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness import Benchmark, HarnessError, Problem
from harness.data import DataSource

_SHARED = Path(os.environ.get("FATHOM_SHARED", Path(__file__).parents[3] / "shared"))
DATA = _SHARED / "data"

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the real rows are not at hand")


def real_rows(stem: str) -> list[dict[str, Any]]:
    with (DATA / f"{stem}.jsonl").open(encoding="utf-8", newline="\n") as lines:
        return [json.loads(line) for line in lines]


def real_gpqa() -> list[dict[str, Any]]:
    """Never let a test show these."""
    with zipfile.ZipFile(DATA / "gpqa_diamond.zip") as archive:
        text = archive.read("gpqa_diamond.csv").decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def data_of(
    folder: Path, stem: str, rows: Sequence[Mapping[str, Any]], *, allow_modified: bool = False
) -> DataSource:
    """A data folder with these rows, zipped so that nothing lies about in plain text."""
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    with zipfile.ZipFile(folder / f"{stem}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{stem}.jsonl", lines)
    return DataSource(folder, allow_modified)


def load(benchmark: Benchmark, data: DataSource) -> list[Problem]:
    return list(benchmark.problems(data))


def refusal(benchmark: Benchmark, data: DataSource) -> str:
    """The one line with which the benchmark refuses the data."""
    with pytest.raises(HarnessError) as caught:
        load(benchmark, data)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 1500
    return message

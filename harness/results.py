"""Finds run folders below the paths that the user names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .errors import HarnessError
from .store import read_json


def find_runs(paths: Sequence[Path]) -> list[Path]:
    """Run folders at or below the given paths, sorted, each once.

    Raises:
        HarnessError: a path does not exist or holds no run folder.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if not path.exists():
            raise HarnessError(f"{path} does not exist: name a results folder or a run folder")
        runs = sorted(file.parent for file in path.rglob("run.json")) if path.is_dir() else []
        if not runs:
            raise HarnessError(f"{path} holds no run folder (none has a run.json)")
        found.update(dict.fromkeys(runs))
    return list(found)


def finished_results(runs: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """The scores of those runs that have been finished once."""
    for run in runs:
        if (run / "scores.json").exists():
            result: dict[str, Any] = read_json(run / "scores.json")
            yield {**result, "path": str(run)}

"""Finds run folders below the paths that the user names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .errors import HarnessError
from .files import read_json
from .store import RunFolder


def find_runs(paths: Sequence[Path]) -> list[Path]:
    """Run folders at or below the given paths, sorted, each once.

    Raises:
        HarnessError: a path does not exist or holds no run folder.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if not path.exists():
            raise HarnessError(f"{path} does not exist: name a results folder or a run folder")
        files = sorted(path.rglob("run.json")) if path.is_dir() else []
        runs = [file.parent for file in files if _is_run(file)]
        if not runs:
            raise HarnessError(f"{path} holds no run folder (none has a run.json)")
        found.update(dict.fromkeys(runs))
    return list(found)


def _is_run(file: Path) -> bool:
    """Whether a run.json is one of ours: other tools use the name too."""
    try:
        info = read_json(file)
    except HarnessError:
        return (file.parent / "scores.json").exists()
    return isinstance(info, dict) and "fingerprint" in info


def finished_results(runs: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """The scores of those runs that have been finished once.

    Raises:
        HarnessError: a run folder of a newer format, or damaged scores.
    """
    for run in runs:
        if (scores := RunFolder.of(run).scores()) is not None:
            yield {**scores, "path": str(run)}

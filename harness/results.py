"""Finds run folders below the paths that the user names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

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


class Finished(NamedTuple):
    """The finished ones of some runs."""

    results: list[dict[str, Any]]
    """Each as `harness run --json` prints it."""
    unfinished: int = 0
    """How many runs are not finished."""
    damaged: Sequence[str] = ()
    """A line for each run that cannot be read."""

    @property
    def left_out(self) -> list[str]:
        """Lines on the runs that are not among the results."""
        whole = len(self.results) + self.unfinished + len(self.damaged)
        lines = [f"{line} (left out)" for line in self.damaged]
        if self.unfinished:
            lines.append(f"{self.unfinished} of {whole} runs are not finished and left out")
        return lines

    def complain(self) -> None:
        """To be called when all else is done.

        Raises:
            HarnessError: runs are damaged.
        """
        if self.damaged:
            runs = "1 run is" if len(self.damaged) == 1 else f"{len(self.damaged)} runs are"
            raise HarnessError(f"{runs} damaged and left out, see above")


def finished_below(paths: Sequence[Path]) -> Finished:
    """The finished runs at or below the given paths; none stands for the folder that `harness run` writes to.

    Raises:
        HarnessError: a path does not exist or holds no run folder.
    """
    results: list[dict[str, Any]] = []
    unfinished, damaged = 0, []
    for run in find_runs(paths or [Path("results")]):
        try:
            scores = RunFolder.of(run).scores()
        except HarnessError as error:
            damaged.append(str(error))
            continue
        if scores is None:
            unfinished += 1
        else:
            results.append({**scores, "path": str(run)})
    return Finished(results, unfinished, damaged)


def _is_run(file: Path) -> bool:
    """Whether a run.json is one of ours: other tools use the name too."""
    try:
        info = read_json(file)
    except HarnessError:
        return (file.parent / "scores.json").exists()
    return isinstance(info, dict) and "fingerprint" in info

"""Which files of a folder an importer reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness import HarnessError


def files_at(path: Path, pattern: str, missing: str, fits: Callable[[str], object] = bool) -> list[Path]:
    """The path itself, or of a folder those files that match a pattern, in order of their names.

    Args:
        pattern: as `Path.glob` takes it.
        missing: what a folder without any lacks, for the message.
        fits: whether a file of such a name is meant.

    Raises:
        HarnessError: the folder holds none.
    """
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.glob(pattern) if fits(file.name) and file.is_file())
    if not found:
        raise HarnessError(f"{path} holds no {missing}")
    return found

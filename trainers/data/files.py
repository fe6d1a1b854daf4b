"""Rows of the user's own files, one after the other where the format allows it, so that their size does not matter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from harness import HarnessError, rowfiles
from harness.chainfile import RowFile

STREAMED: Final = (".parquet", ".jsonl", ".jsonl.gz")
SUFFIXES: Final = (*STREAMED, ".json", ".csv", ".zip")
"""Endings of files that can be read; of a folder, the files of the first kind that it has."""

_MOST_FILES: Final = 20_000


class _Rows(RowFile):
    def unreadable(self, error: Exception) -> HarnessError:
        return HarnessError(f"cannot read {self.path}: {getattr(error, 'strerror', None) or error}")


def suffix_of(name: str) -> str:
    """The ending by which a file is read; empty where it is none of SUFFIXES."""
    return next((s for s in sorted(SUFFIXES, key=len, reverse=True) if name.lower().endswith(s)), "")


def data_files(path: Path) -> list[Path]:
    """The data files that a path means: itself, or those below a folder, by name.

    Raises:
        HarnessError: there is none.
    """
    if not path.exists():
        raise HarnessError(f"{path} does not exist: give a data file or a folder of them")
    if not path.is_dir():
        if not suffix_of(path.name):
            raise HarnessError(
                f"{path}: its name ends in none of {', '.join(SUFFIXES)}: convert or rename it"
            )
        return [path]
    found: dict[str, list[Path]] = {suffix: [] for suffix in SUFFIXES}
    for count, file in enumerate(path.rglob("*")):
        if count >= _MOST_FILES:
            raise HarnessError(
                f"{path} holds more than {_MOST_FILES:,} files: name the folder that has the data"
            )
        hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
        if not hidden and (suffix := suffix_of(file.name)) and file.is_file():
            found[suffix].append(file)
    # Data sets come with small files of another kind that describe them.
    for suffix in SUFFIXES:
        if found[suffix]:
            return sorted(found[suffix], key=lambda file: file.relative_to(path).parts)
    raise HarnessError(f"{path} holds no data file ({', '.join(SUFFIXES)})")


def digest_of(path: Path) -> str:
    """Hex SHA-256 of a file.

    Raises:
        HarnessError: it cannot be read.
    """
    return _Rows(path).digest


def rows_of(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a data file.

    Raises:
        HarnessError: it cannot be read; names the line or row.
    """
    if suffix_of(path.name) in STREAMED:
        for _, row in _Rows(path).all_rows():
            yield row
    elif path.stat().st_size > rowfiles.MAX_BYTES:
        raise HarnessError(
            f"{path} has more than {rowfiles.MAX_BYTES >> 20} MiB: turn it into .jsonl or .parquet, of which one row "
            "after the other is read"
        )
    else:
        yield from rowfiles.read(path, path.name.split(".")[0])[0]


def quick_count(path: Path, most_bytes: int = 256 << 20) -> int | None:
    """How many rows a file has, where that can be told in a moment."""
    try:
        suffix = suffix_of(path.name)
        if suffix == ".parquet":
            import pyarrow.parquet as pq

            with pq.ParquetFile(path) as file:
                return int(file.metadata.num_rows)
        if suffix == ".jsonl" and path.stat().st_size <= most_bytes:
            with path.open("rb") as lines:
                return sum(not line.isspace() for line in lines)
    except (OSError, ValueError):  # Arrow's own errors are ValueErrors or OSErrors
        return None
    return None


def is_quick(path: Path, most_bytes: int = 16 << 20) -> bool:
    """Whether the first rows can be had in a moment."""
    try:
        return suffix_of(path.name) in STREAMED or path.stat().st_size <= most_bytes
    except OSError:
        return False

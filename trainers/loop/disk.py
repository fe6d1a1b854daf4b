"""Folders that appear whole, by rename, and only where the disk has room for them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from harness import HarnessError
from harness.errors import one_line
from harness.files import disk_error

SPARE: Final = 16 << 20
"""Bytes to leave free beside what a save needs: for the log and the small files."""


def check_space(folder: Path, needed: int) -> None:
    """
    Raises:
        HarnessError: the folder's disk has not that many bytes to spare; says how many there are.
    """
    free = shutil.disk_usage(folder).free
    if free < needed + SPARE:
        raise HarnessError(
            f"no room to save in {folder}: {needed + SPARE:,} bytes are needed and {free:,} are free; what was "
            "saved before is kept, free some space and run the same command again"
        )


def is_full(error: BaseException) -> bool:
    """safetensors and torch tell of a full disk in exceptions of their own."""
    text = str(error).lower()
    return (
        "no space left" in text
        or "os error 28" in text
        or "file write failed" in text
        or "unexpected pos" in text
    )


def sync_folder(folder: Path, *, deep: bool = True) -> None:
    """Have a folder's entries, and with `deep` its files, outlive the machine."""
    for path in [*folder.iterdir()] if deep else []:
        if path.is_dir():
            sync_folder(path)
        else:
            _sync(path)
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def written_whole(out: Path) -> Iterator[Path]:
    """A folder to write into that becomes `out` when all is written, synced and renamed.

    Raises:
        HarnessError: the disk is full or the folder cannot be written; nothing of it is left then.
    """
    saving = out.with_name(f".{out.name}.saving")
    try:
        shutil.rmtree(saving, ignore_errors=True)
        saving.mkdir(parents=True)
        yield saving
        sync_folder(saving)
        if out.is_dir() and not any(out.iterdir()):
            out.rmdir()
        os.replace(saving, out)
        sync_folder(out.parent, deep=False)
    except BaseException as error:
        shutil.rmtree(saving, ignore_errors=True)
        if isinstance(error, OSError):
            raise disk_error(error, out) from None
        if isinstance(error, Exception) and is_full(error) and not isinstance(error, HarnessError):
            raise HarnessError(f"no space left to write {out}: {one_line(error)}; free some space") from None
        raise

"""The folder of prepared models: each is made once, whole or not at all, by one process at a time."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness import HarnessError
from harness.models import ResolvedModel

_SPARE = 64 << 20  # bytes of disk to leave free


def cache_folder() -> Path:
    """$FATHOM_CACHE, else $XDG_CACHE_HOME/fathom-harness, else ~/.cache/fathom-harness."""
    if own := os.environ.get("FATHOM_CACHE"):
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base).expanduser() if base else Path.home() / ".cache") / "fathom-harness"


def check_disk(folder: Path, size: int) -> None:
    """
    Raises:
        HarnessError: the disk has not `size` bytes to spare.
    """
    free = shutil.disk_usage(folder).free
    if size + _SPARE > free:
        raise HarnessError(
            f"{cache_folder()} has {free / 1e9:.1f} GB free and {size / 1e9:.1f} GB are needed for the converted "
            "model: set FATHOM_CACHE to a folder with room"
        )


def cached(name: str, make: Callable[[Path, Path], None], facts: dict[str, Any]) -> Path:
    """The cached file or folder of that name; made first if it is not there or not as it was left.

    Args:
        name: file name; says which content and which version of the maker.
        make: writes the file, or makes the folder, that is its first argument; its second is an empty scratch folder
            on the same disk.
        facts: recorded beside the file, for people.

    Raises:
        HarnessError: the folder cannot be written, the disk is full, or what `make` raises.
    """
    folder = cache_folder() / "models"
    file = folder / name
    if _intact(file):
        return file
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f".{name}.lock")
        try:
            held = lock.acquire(timeout=0)
        except Timeout:
            print(f"another process is preparing {name}, waiting for it", file=sys.stderr, flush=True)
            held = lock.acquire()
        with held:
            if not _intact(file):
                _remake(file, make, facts)
    except OSError as error:
        raise HarnessError(
            f"cannot write the cache folder {folder}: {error.strerror or error}; set FATHOM_CACHE to a folder "
            "with room"
        ) from None
    return file


def _remake(file: Path, make: Callable[[Path, Path], None], facts: dict[str, Any]) -> None:
    for old in file.parent.glob(f".{file.name}.*.tmp"):  # left by a killed process: the lock is ours
        shutil.rmtree(old, ignore_errors=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{file.name}.", suffix=".tmp", dir=file.parent))
    try:
        new = scratch / "new"
        (scratch / "work").mkdir()
        make(new, scratch / "work")
        for part in _parts(new):
            with part.open("rb+") as stream:
                os.fsync(stream.fileno())
        with contextlib.suppress(FileNotFoundError):
            _sidecar(file).unlink()
        if file.is_dir():
            shutil.rmtree(file)
        os.replace(new, file)
        note = scratch / "note"
        note.write_text(json.dumps({"size": _size(file), "content": _content(file), **facts}))
        os.replace(note, _sidecar(file))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _intact(file: Path) -> bool:
    """Whether it is as long as it was and its sampled blocks are what they were: milliseconds."""
    try:
        note = json.loads(_sidecar(file).read_text())
        return bool(note["size"] == _size(file) and note["content"] == _content(file))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _content(file: Path) -> str:
    as_model = ResolvedModel(
        name=file.name, folder=file if file.is_dir() else None, file=None if file.is_dir() else file
    )
    return str(as_model.identity()["content"])


def _parts(file: Path) -> list[Path]:
    return sorted(file.iterdir()) if file.is_dir() else [file]


def _size(file: Path) -> int:
    return sum(part.stat().st_size for part in _parts(file))


def _sidecar(file: Path) -> Path:
    return file.with_name(file.name + ".json")

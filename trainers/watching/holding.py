"""Which process holds the files of a checkpoint until it is evaluated, and what it leaves when it is killed."""

from __future__ import annotations

import os
import shutil
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

from harness.errors import HarnessError
from harness.files import disk_error

from .aside import put_aside

HIDDEN: Final = ".harness"
"""Folder beside checkpoints in which files are held; it goes when it is empty."""
_LOCK: Final = ".lock"
_ATTEMPTS: Final = 20

_held: dict[Path, int] = {}
"""What this process holds, with the locks of the places: numbers of files that stay open."""
_changing = threading.Lock()


def hold(model: Path, name: str, below: Path) -> Path:
    """Put a model aside in a place of this process's own, so that two that hold the same checkpoint are not in each
    other's way. Undone by `let_go`.

    Raises:
        HarnessError: as put_aside.
    """
    with _changing:
        place, lock = _new_place(below)
        try:
            held = put_aside(model, name, place)
        except BaseException:
            _clear(place, lock)
            raise
        _held[held] = lock
    return held


def adopt(below: Path) -> list[Path]:
    """Hold the models that were put aside for a process which ended before their turn came."""
    found: list[Path] = []
    with _changing:
        ours = {held.parent for held in _held}
        for place in _folders(below):
            if place in ours or (lock := _locked(place)) is None:
                continue
            held = next((path for path in _folders(place) if not path.name.startswith(".")), None)
            if held is None:  # whoever made it was killed meanwhile
                _clear(place, lock)
                continue
            _held[held] = lock
            found.append(held)
    return found


def let_go(held: Path, *, remove: bool) -> None:
    """
    Args:
        remove: False leaves the files to whoever adopts them.
    """
    with _changing:
        lock = _held.pop(held, None)
        if remove:
            _clear(held.parent, lock)
        elif lock is not None:
            os.close(lock)


def _new_place(below: Path) -> tuple[Path, int]:
    """A folder, and the lock by which others see that its process lives. The operating system lets go of it when that
    ends, however it ends; unlike a process's number it means the same on every machine that sees the folder.
    """
    for _ in range(_ATTEMPTS):
        place = below / uuid4().hex[:12]
        with suppress(FileNotFoundError):  # somebody who is done has removed what is empty
            try:
                place.mkdir(parents=True)
                lock = _opened(place)
            except FileNotFoundError:
                raise
            except OSError as error:
                raise disk_error(error, place) from None
            if _is_locked(lock, place, without=True):
                return place, lock
            os.close(lock)
    raise HarnessError(f"cannot write {below}: what is made there is removed at once")


def _locked(place: Path) -> int | None:
    """The lock of a place; None where another process has it, or the place is gone."""
    try:
        lock = _opened(place)
    except OSError:
        return None
    if _is_locked(lock, place, without=False):
        return lock
    os.close(lock)
    return None


def _opened(place: Path) -> int:
    return os.open(place / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)


def _is_locked(lock: int, place: Path, *, without: bool) -> bool:
    """Try to lock a place, without waiting.

    Not by flock: processes forked from one that trains, such as those that load data, would hold on to it.

    Args:
        without: the answer where the disk knows no locks. Then nobody adopts what is left there.
    """
    import fcntl

    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return without
    try:
        return os.path.samestat(os.fstat(lock), os.stat(place / _LOCK))
    except OSError:
        return False  # its process has removed it meanwhile


def _clear(place: Path, lock: int | None) -> None:
    shutil.rmtree(place, ignore_errors=True)
    if lock is not None:
        os.close(lock)
    below = place.parent
    with suppress(OSError):  # folders go when they are empty
        below.rmdir()
        if below.parent.name == HIDDEN:
            below.parent.rmdir()


def _folders(below: Path) -> list[Path]:
    try:
        return sorted(path for path in below.iterdir() if path.is_dir())
    except OSError:
        return []

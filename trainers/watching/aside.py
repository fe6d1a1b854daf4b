"""A model's files held under another name, so that whoever saves checkpoints can remove its own."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from harness.errors import HarnessError
from harness.files import disk_error, safe_name
from harness.models import folder_problem

_NOT_NEEDED: Final = (".pt", ".pth", ".distcp")
"""States of optimisers and random generators: twice the size of the model, and no part of it."""

_numbers = itertools.count()
_held: set[Path] = set()
_changing = threading.Lock()


def put_aside(model: Path, name: str, below: Path) -> Path:
    """The model once more, as a folder of that name in `below`: hard links, or copies where the disk has none.

    It appears whole, by a rename. One that is there already and whole is left as it is.

    Raises:
        HarnessError: the disk is full, nothing can be written there, or the model vanished meanwhile.
    """
    name = safe_name(name)
    out = below / name
    if out.is_dir() and _same_files(model, out):
        return out
    making = below / f".saving-{name}.{os.getpid()}"
    try:
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        for entry in sorted(model.iterdir()):
            if entry.is_file() and entry.suffix not in _NOT_NEEDED:
                _link(entry, making / entry.name)
        if (problem := folder_problem(making)) is not None:
            raise HarnessError(f"{model} changed while its files were linked: {problem}")
        if out.exists():
            shutil.rmtree(out)
        making.rename(out)
    except FileNotFoundError as error:
        raise HarnessError(f"{error.filename or model} is gone") from None
    except OSError as error:
        raise disk_error(error, making) from None
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return out


def hold(model: Path, name: str, below: Path) -> Path:
    """Put a model aside in a place of this process's own, so that two that hold the same checkpoint are not in each
    other's way. Undone by `let_go`.

    Raises:
        HarnessError: as put_aside.
    """
    with _changing:
        held = put_aside(model, name, below / f"{_here()}-{os.getpid()}-{next(_numbers)}")
        _held.add(held)
    return held


def adopt(below: Path) -> list[Path]:
    """Hold the models that were put aside for a process which ended before their turn came."""
    found = []
    with _changing:
        for place in _folders(below):
            if not _is_anothers(place.name):
                found += [path for path in _folders(place) if not path.name.startswith(".")]
        found = sorted(path for path in found if path not in _held)
        _held.update(found)
    return found


def let_go(held: Path, *, remove: bool) -> None:
    """
    Args:
        remove: False leaves the files to whoever adopts them.
    """
    with _changing:
        _held.discard(held)
        if remove:
            shutil.rmtree(held, ignore_errors=True)
            with suppress(OSError):  # folders go when they are empty
                for folder in (held.parent, held.parent.parent, held.parent.parent.parent):
                    folder.rmdir()


def _folders(below: Path) -> list[Path]:
    try:
        return sorted(path for path in below.iterdir() if path.is_dir())
    except OSError:
        return []


def _here() -> str:
    return safe_name(socket.gethostname()).replace("-", "_")


def _is_anothers(place: str) -> bool:
    """Whether the process that a place was made by still runs; of one on another machine nobody knows."""
    host, _, rest = place.partition("-")
    number = rest.partition("-")[0]
    if host != _here() or not number.isascii() or not number.isdigit() or int(number) == os.getpid():
        return False
    try:
        os.kill(int(number), 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def _link(source: Path, target: Path) -> None:
    real = source.resolve(strict=True)  # a link to a relative symbolic link would point elsewhere
    try:
        os.link(real, target)
    except FileNotFoundError:
        raise
    except OSError:  # another disk, a file system without links, a file of somebody else's
        shutil.copyfile(real, target)
    # Times stay, so that one can see whether a file is still the one that was held.


def _same_files(model: Path, held: Path) -> bool:
    if folder_problem(held) is not None:
        return False
    try:
        return all(_stamp(file) == _stamp(model / file.name) for file in held.iterdir())
    except OSError:
        return False


def _stamp(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_size, found.st_mtime_ns

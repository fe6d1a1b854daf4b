"""A model's files held under another name, so that whoever saves checkpoints can remove its own."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final

from harness.errors import HarnessError
from harness.files import disk_error, safe_name
from harness.models import folder_problem

_NOT_NEEDED: Final = (".pt", ".pth", ".distcp")
_NOT_NEEDED_EITHER: Final = ("optimizer", "pytorch_model_fsdp", "trainer_state.json")
"""States of optimisers, random generators and FSDP: several times the size of the model, and no part of it. What a
trainer takes from older checkpoints is among them: what is held stays the same."""

_LONGEST_NAME: Final = 200  # bytes


def put_aside(model: Path, name: str, below: Path) -> Path:
    """The model once more, as a folder of that name in `below`: hard links, or copies where the disk has none.

    It appears whole, by a rename. One that is there already and whole is left as it is.

    Raises:
        HarnessError: the disk is full, nothing can be written there, or the model vanished meanwhile.
    """
    name = folder_called(name)
    out = below / name
    if out.is_dir() and _same_files(model, out):
        return out
    making = below / f".saving-{name}.{os.getpid()}"
    try:
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        for entry in sorted(model.iterdir()):
            if entry.is_file() and not _is_of_training(entry.name):
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


def folder_called(name: str) -> str:
    """The name, as far as a folder can have it: the core calls a model as its folder."""
    try:
        usable = not name.startswith(".") and "/" not in name and 0 < len(name.encode()) <= _LONGEST_NAME
    except UnicodeEncodeError:
        usable = False
    return name if usable and name.isprintable() else safe_name(name)


def _is_of_training(name: str) -> bool:
    return name.endswith(_NOT_NEEDED) or name.startswith(_NOT_NEEDED_EITHER)


def _link(source: Path, target: Path) -> None:
    real = source.resolve(strict=True)  # a link to a relative symbolic link would point elsewhere
    try:
        os.link(real, target)
    except FileNotFoundError:
        raise
    except OSError:  # another disk, a file system without links, a file of somebody else's
        found = real.stat()
        shutil.copyfile(real, target)
        with suppress(OSError):  # times stay: they tell whether a file is still the one that was held
            os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))


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

"""Files of a run folder as files: written whole or not at all, locked, and told of in one line when they fail."""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

from .errors import Busy, HarnessError

_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def disk_error(error: OSError, path: Path) -> HarnessError:
    if error.errno in _FULL:
        what = f"no space left to write {path}: everything stored so far is kept, free some space"
        return HarnessError(f"{what} and run the same command again")
    return HarnessError(f"cannot write {path}: {error.strerror or error}")


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Make a file whole or not at all: written beside its place, synced, renamed.

    Raises:
        HarnessError: the disk is full or the folder cannot be written; the old file is untouched.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise disk_error(error, path) from None
        raise


def write_output(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Make a file that the user named, and its folder: whole or not at all, but for a pipe, which takes what comes.

    Raises:
        HarnessError: it is a folder or cannot be written; an old file is untouched.
    """
    if path.is_dir():
        raise HarnessError(f"{path} is a folder: name a file to write with -o")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():  # a pipe, /dev/stdout
            with path.open("wb") as file:
                write(file)
            return
    except OSError as error:
        raise disk_error(error, path) from None
    write_atomically(path, write)


def write_all(file: IO[bytes], data: bytes) -> None:
    """Write all of the data to an unbuffered file.

    A raw write may be short: to a disk that fills up, before it fails when asked for the rest, or to a pipe when a
    signal comes in between.

    Raises:
        OSError: the file takes no more.
    """
    while written := file.write(data):
        if written == len(data):
            return
        data = data[written:]
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def write_json(path: Path, value: object) -> None:
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n"
    # A lone surrogate becomes its own JSON escape.
    data = text.encode("utf-8", "backslashreplace")
    write_atomically(path, lambda file: file.write(data))


def read_json(path: Path) -> Any:
    """The content of a JSON file of a run folder.

    Raises:
        HarnessError: the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise HarnessError(f"{path} is missing: {path.parent} is not a run folder") from None
    except (OSError, ValueError, RecursionError) as error:
        raise HarnessError(f"cannot read {path}: {error}") from None


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """One writer at a time. The operating system lets the lock go when its holder dies, however it dies.

    Raises:
        Busy: another process holds it.
        HarnessError: the folder does not exist, nothing can be written there, or the disk knows no locks.
    """
    import fcntl

    lock_path = path / ".lock"
    try:
        file = lock_path.open("a+")
    except OSError as error:
        raise disk_error(error, lock_path) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = " ".join(file.read(200).split()) or "another process"
            raise Busy(
                f"{path} is being written by {holder}: wait for it to end, or stop it, then run this again"
            ) from None
        except OSError as error:  # a file system without locks
            raise HarnessError(f"{lock_path} cannot be locked: {error.strerror or error}") from None
        with suppress(OSError):  # who holds the lock is only for people to read
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
            file.flush()
        yield


def safe_name(name: str) -> str:
    """A name as one folder: letters, digits and . _ = , + - stay, everything else becomes an underscore."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._=,+-") else "_" for c in name)
    return kept.lstrip(".")[:200] or "_"

"""Which files may be read: those of run folders below RESULTS, found by looking, never by what an address says."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final, NamedTuple

from harness import HarnessError
from harness.files import read_json

from .cache import Cache

_MOST_FOLDERS: Final = 100_000
"""Folders that are looked into for runs."""
_DEEPEST: Final = 16
_FRESH_SECONDS: Final = 1.0
"""How old the list of runs may be."""
_MOST_JSON: Final = 64 << 20  # bytes of a run.json or scores.json


class FileState(NamedTuple):
    """Changes whenever a file does: run folders only append to files, or replace them."""

    inode: int
    modified: int
    """Nanoseconds."""
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class Place:
    """A run folder that was found."""

    key: str
    """`model/benchmark/fingerprint`, as it stands in addresses."""
    path: Path
    root: Path
    """RESULTS, resolved: nothing outside it is read."""

    def state(self, name: str) -> FileState | None:
        """The state of one of the folder's files; None where it is missing, not a file, or a link that leads out."""
        path = self.path / name
        try:
            info = path.lstat()
            if stat.S_ISLNK(info.st_mode):
                if not path.resolve(strict=True).is_relative_to(self.root):
                    return None
                info = path.stat()
        except (OSError, RuntimeError):  # RuntimeError: a link to itself
            return None
        if not stat.S_ISREG(info.st_mode):
            return None
        return FileState(info.st_ino, info.st_mtime_ns, info.st_size)

    def states(self, *names: str) -> tuple[FileState | None, ...]:
        return tuple(map(self.state, names))


class Places:
    """The run folders below RESULTS, by key.

    Links to folders are not followed: those that stay inside would only show a run twice.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._found: dict[str, Place] = {}
        self._looked = float("-inf")
        self._lock = Lock()
        self._ours: Cache[bool] = Cache(100_000)

    def all(self, fresh: float = _FRESH_SECONDS) -> Mapping[str, Place]:
        """The run folders by key, as they were at most `fresh` seconds ago."""
        with self._lock:
            if time.monotonic() - self._looked > fresh:
                self._found = self._named(sorted(self._look()))
                self._looked = time.monotonic()
            return self._found

    def get(self, key: str) -> Place | None:
        """The run of this key; runs that came up a moment ago are looked for."""
        return self.all().get(key) or self.all(fresh=0).get(key)

    def _look(self) -> Iterator[Path]:
        waiting = [(self.root, 0)]
        looked = 0
        while waiting and looked < _MOST_FOLDERS:
            folder, depth = waiting.pop()
            looked += 1
            try:
                with os.scandir(folder) as entries:
                    inside = list(entries)
            except OSError:
                continue
            names = {entry.name for entry in inside}
            if "run.json" in names and self._is_run(folder, names):
                yield folder
            elif depth < _DEEPEST:
                waiting += [
                    (folder / entry.name, depth + 1)
                    for entry in inside
                    if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
                ]

    def _is_run(self, folder: Path, names: set[str]) -> bool:
        """Whether a run.json is one of ours: other tools use the name too."""
        place = Place("", folder, self.root)
        if (state := place.state("run.json")) is None or state.size > _MOST_JSON:
            return False
        if "scores.json" in names:
            return True

        def look() -> bool:
            try:
                info = read_json(folder / "run.json")
            except HarnessError:
                return False
            return isinstance(info, dict) and "fingerprint" in info

        return self._ours.get(folder, state, look)

    def _named(self, paths: list[Path]) -> dict[str, Place]:
        found: dict[str, Place] = {}
        for path in paths:
            key = "/".join(_part(name) for name in ("-", "-", *path.parts[1:])[-3:])
            if key in found:  # two results folders that hold the same run
                key += "~" + _digest(str(path.relative_to(self.root)))
            found[key] = Place(key, path, self.root)
        return found


def _part(name: str) -> str:
    """A folder's name as part of a key: those that an address cannot carry unharmed get another."""
    plain = name.isascii() and name.isprintable() and name.strip(".") and not set(name) & set("/\\%?#~")
    return name if plain else "~" + _digest(name)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]

"""Finds what a recipe means by the name of a source."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from harness import Benchmark, HarnessError, Protocol, closest
from harness.chainfile import squeeze
from harness.data import DataSource, HubRows
from harness.task import load_task

from . import files
from .sources import Files, Hub, Problems, Source

if TYPE_CHECKING:
    from harness.plugins import PluginManager

_HUB: Final = re.compile(
    r"(?P<repo>[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95})"
    r"(?::(?P<config>[^@#/]{1,100}))?(?:@(?P<revision>[^#]{1,100}))?(?:#(?P<split>[\w.+-]{1,100}))?"
)


def find_source(text: str, protocol: Protocol, plugins: PluginManager, folder: Path | None) -> Source:
    """What a recipe means by the name of a source.

    In this order: a path (one that begins with `.`, `/` or `~`, or ends like a data file), a benchmark, a file or
    folder that exists, a data set on the Hub. Relative paths are looked for here, then in the data folder.

    Raises:
        HarnessError: it is none of these.
    """
    data = DataSource(folder)
    name = text.partition(":")[0].lower()
    if text.startswith((".", "/", "~")) or ("=" not in text and files.suffix_of(text)):
        return Files(text, _existing(text, folder) or Path(text).expanduser(), protocol)
    known: Mapping[str, Benchmark] = plugins.benchmarks
    if name in {alias.lower() for b in known.values() for alias in (b.name, *b.aliases)}:
        return Problems(text, plugins.benchmark(text), protocol, data)
    if (path := _existing(text, folder)) is not None:
        return Files(text, path, protocol)
    if (hub := _HUB.fullmatch(text)) is not None:
        beside = _in_data_folder(hub["repo"].rpartition("/")[2], folder)
        if beside is not None:
            return Files(text, beside, protocol)
        rows = HubRows(hub["repo"], hub["split"] or "train", hub["config"], hub["revision"])
        return Hub(text, rows, protocol, data)
    raise HarnessError(
        f"data.source: {text!r:.100} is no file, no folder and no data set of the Hub (org/name), and no benchmark is "
        f"called so: {closest(name, known)}"
    )


def problem_keys(
    names: Iterable[str], protocol: Protocol, plugins: PluginManager, folder: Path | None
) -> frozenset[str]:
    """By what the problems of benchmarks, and the prompts that ask them, are known again: see `key_of`.

    Raises:
        HarnessError: an unknown benchmark, or one whose problems are not to be had.
    """
    found = set()
    for name in names:
        task = load_task(plugins.benchmark(name), protocol, DataSource(folder))
        for problem, prompt in zip(task.problems, task.prompts, strict=True):
            found |= {key_of(problem.text), *(key_of(m.content) for m in prompt.messages[-1:])}
    return frozenset(found)


def key_of(problem: str) -> str:
    """A statement without white space and case."""
    return squeeze(problem).casefold()


def data_folder(given: Path | None) -> Path | None:
    """The user's data folder: as given, else as the environment names it."""
    named = os.environ.get("HARNESS_DATA")
    return given or (Path(named) if named else None)


def _existing(text: str, folder: Path | None) -> Path | None:
    path = Path(text).expanduser()
    places = [path] if path.is_absolute() or folder is None else [path, folder / path]
    try:
        return next((place for place in places if place.exists()), None)
    except OSError:  # longer than a name can be
        return None


def _in_data_folder(name: str, folder: Path | None) -> Path | None:
    if folder is None:
        return None
    return next((place for s in files.SUFFIXES if (place := folder / f"{name}{s}").is_file()), None)

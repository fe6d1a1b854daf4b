"""What files of other programs' chains hold: which models, benchmarks and problems, and how many chains of each."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ..chainfile import RowFile
from ..components import Importer
from ..errors import HarnessError, one_line
from ..records import ForeignChain
from ..text import printable
from .matching import ForeignProblem

SETTINGS: Final = ("temperature", "top_p", "max_tokens")
"""How chains are sampled, as far as it decides what comes out."""

_MAX_FILES: Final = 10_000
_MAX_PROBLEMS: Final = 1_000_000
_MAX_INDEX: Final = 2**31  # run folders hold 32 bits


@dataclass
class Group:
    """The chains of one model on one benchmark, as their files name the two."""

    model: str
    benchmark: str | None
    paths: dict[Path, None] = field(default_factory=dict)
    """Which of the named paths they come from, in order."""
    indexes: dict[ForeignProblem, list[int | None]] = field(default_factory=lambda: defaultdict(list))
    """Of each problem's chains, in the order in which they come; None where they are not numbered."""
    first: dict[ForeignProblem, str] = field(default_factory=dict)
    """File and row of each problem's first chain."""
    settings: dict[str, tuple[float, str]] = field(default_factory=dict)
    """How they were sampled, as far as the files say, and where that stands."""
    digest: Any = field(default_factory=hashlib.sha256)

    @property
    def content(self) -> str:
        """Hex SHA-256 of all chains, in order."""
        return str(self.digest.hexdigest())


@dataclass(frozen=True, slots=True)
class Filter:
    """Which chains are meant, and how they are called.

    Args:
        model: of several models in the files, this one; where they name one or none, its name.
        task: only what the files call so.
        renumber: leave the files' numbering of chains out.
    """

    model: str | None = None
    task: str | None = None
    renumber: bool = False


EVERYTHING: Final = Filter()


class Source:
    """Paths that the user named, read by one importer."""

    def __init__(self, importer: Importer, paths: Sequence[Path], chosen: Filter) -> None:
        self.importer = importer
        self.paths = list(dict.fromkeys(paths))
        self._chosen = chosen
        self._rename = False

    def survey(self) -> list[Group]:
        """Read everything once and say what it holds. Texts of chains are not kept.

        Raises:
            HarnessError: a file that cannot be read or a row that is no chain; no chain at all; several models of
                which none is the one that was asked for.
        """
        groups: dict[tuple[str, str | None], Group] = {}
        problems: dict[ForeignProblem, ForeignProblem] = {}  # a statement is kept once for all models
        for path in self.paths:
            for chain in self._read(path):
                key = (self._model(path, chain), _text(chain.benchmark))
                group = groups.setdefault(key, Group(*key))
                group.paths[path] = None
                problem = problem_of(chain)
                problem = problems.setdefault(problem, problem)
                if len(problems) > _MAX_PROBLEMS:
                    raise HarnessError(
                        f"{chain.where}: more than {_MAX_PROBLEMS:,} problems are no benchmark: import fewer files"
                    )
                _count(group, chain, problem, self.index(chain))
        found = [g for g in groups.values() if self._chosen.task in (None, g.benchmark)]
        if not found:
            names = sorted({str(benchmark) for _, benchmark in groups})
            if groups:
                raise HarnessError(
                    f"nothing here is called {self._chosen.task!r}, but {', '.join(names[:5])}"
                )
            raise HarnessError(f"{', '.join(map(str, self.paths[:3]))}: no chains")
        return self._of_the_model(found)

    def _read(self, path: Path) -> Iterator[ForeignChain]:
        try:
            for chain in self.importer.read(path):
                if not isinstance(chain, ForeignChain):
                    raise TypeError(f"it gives a {type(chain).__name__}, not a ForeignChain")
                yield chain
        except HarnessError:
            raise
        except Exception as error:  # a stranger's code
            raise HarnessError(
                f"importer {self.importer.name} failed on {path}: {one_line(error)}"
            ) from error

    def _of_the_model(self, groups: list[Group]) -> list[Group]:
        asked = self._chosen.model
        models = list(dict.fromkeys(group.model for group in groups))
        if asked is None or asked in models:
            return [group for group in groups if asked in (None, group.model)]
        if len(models) > 1:
            raise HarnessError(
                f"there are chains of several models ({', '.join(models[:5])}), none of them {asked!r}: say which with "
                "--model, or leave it out to import them all"
            )
        self._rename = True
        for group in groups:
            group.model = printable(asked)
        return groups

    def chains(self, paths: Sequence[Path]) -> Iterator[tuple[tuple[str, str | None], ForeignChain]]:
        """The chains of some of the paths, each with its group's model and benchmark."""
        for path in paths:
            for chain in self._read(path):
                model = printable(self._chosen.model or "") if self._rename else self._model(path, chain)
                yield (model, _text(chain.benchmark)), chain

    def index(self, chain: ForeignChain) -> int | None:
        return None if self._chosen.renumber else chain.index

    def _model(self, path: Path, chain: ForeignChain) -> str:
        """The model's name: as the file says, else as the user does, else after the file."""
        return printable(chain.model or self._chosen.model or path.name.split(".")[0] or path.resolve().name)


def _text(name: str | None) -> str | None:
    return None if name is None else printable(name)


def problem_of(chain: ForeignChain) -> ForeignProblem:
    return ForeignProblem(chain.problem_id, chain.problem, chain.gold)


def _count(group: Group, chain: ForeignChain, problem: ForeignProblem, index: int | None) -> None:
    if index is not None and not 0 <= index < _MAX_INDEX:
        raise HarnessError(f"{chain.where}: a chain's number is a whole one from 0, not {index}")
    group.first.setdefault(problem, chain.where)
    group.indexes[problem].append(index)
    for name in SETTINGS:
        if (value := chain.settings.get(name)) is None:
            continue
        known, where = group.settings.setdefault(name, (value, chain.where))
        if known != value:
            raise HarnessError(
                f"{chain.where}: {name} is {value:g}, and {known:g} in {where}: chains that were sampled differently "
                "are runs of their own, import them one by one"
            )
    add_content(group.digest, chain)


def add_content(digest: Any, chain: ForeignChain) -> None:
    """Add to a digest all that is stored of a chain, and what it is stored by."""
    fields = (
        *(chain.problem_id, chain.problem, chain.gold, chain.index, chain.text, chain.reasoning),
        *(chain.finish_reason, chain.completion_tokens, chain.prompt_tokens, chain.seed, chain.score),
    )
    for value in fields:
        data = b"-" if value is None else b"+" + str(value).encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)


def sources(paths: Sequence[Path]) -> list[dict[str, str]]:
    """The files at and below paths, each with its SHA-256: what run.json says of where chains came from.

    Raises:
        HarnessError: a path that is nothing or cannot be read, or a folder of more files than anybody's results.
    """
    return [{"path": str(file), "sha256": RowFile(file).digest} for path in paths for file in _files(path)]


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found: list[Path] = []
    for file in path.rglob("*"):
        if file.is_file():
            found.append(file)
        if len(found) > _MAX_FILES:
            raise HarnessError(f"{path} holds more than {_MAX_FILES:,} files: name the files that are meant")
    return sorted(found)

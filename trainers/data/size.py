"""How much data a stage has, as far as it can be told before anything is sampled or read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from harness.progress import Progress

from .curation import Curation
from .filters import read_filters
from .finding import data_folder as the_data_folder
from .preparing import asked_of, mean, recall, rows_path, sources_of
from .records import Needs, Prepared
from .sources import Problems, Source
from .spool import Spool

if TYPE_CHECKING:
    from harness.plugins import PluginManager

    from ..recipes.schema import Data

_LOOKED_AT: Final = 64
"""Rows whose tokens stand for those of all."""
_OF_ONE_ROW: Final = ("chain", "checks", "check_weights")
"""Filters that make rows what they are."""


@dataclass(frozen=True, slots=True)
class DataSize:
    """What a plan says of a stage's data. None: not known before it is made."""

    rows: int | None
    exact: bool
    """False: at most so many, since filters may take some away."""
    prepared: bool
    """Whether the rows are there already."""
    prompt_tokens: float | None = None
    """Mean of a row, by the first of them where they are not there yet."""
    completion_tokens: float | None = None
    sampled_chains: int | None = None
    """That are to be sampled at most, each of up to `sample.max_tokens` tokens."""
    notes: tuple[str, ...] = ()


def describe(
    data: Data,
    *,
    needs: Needs,
    folder: Path,
    name: str,
    model: Path | None,
    plugins: PluginManager,
    protocol: str = "deepseek-r1",
    data_folder: Path | None = None,
) -> DataSize:
    """Arguments as those of `prepare`, which does the work.

    This samples nothing, writes nothing that stays, and reads no more than the first rows.

    Raises:
        HarnessError: no source, one that does not exist or whose first rows cannot be used, an unknown filter.
    """
    if (found := _prepared(data, needs, folder, name, model, plugins, protocol, data_folder)) is not None:
        return DataSize(
            found.rows, True, True, found.prompt_tokens, found.completion_tokens, None, found.notes
        )
    place = the_data_folder(data_folder)
    sources = sources_of(data, plugins, protocol, place)
    filters = read_filters(data.filters)
    sizes = [source.size() for source in sources]
    problems = None if None in sizes else sum(size for size in sizes if size is not None)
    rows = problems
    if filters.chain == "all correct" and problems is not None:  # a data set does not say how many a row has
        rows = None if data.sample is None else problems * data.sample.n
    if data.size is not None:
        rows = data.size if rows is None else min(rows, data.size)
    sampled = problems * data.sample.n if data.sample is not None and problems is not None else None
    some = filters.bounds or filters.max_tokens is not None or filters.not_in
    notes = []
    if data.size is not None and problems is not None and problems < data.size:
        notes.append(f"the sources have {problems:,} rows, {data.size:,} were asked for")
    prompt, completion = _first_rows(data, needs, sources, model, plugins, protocol, place)
    # Of rows of a data set, some may be of no use.
    benchmarks = all(isinstance(source, Problems) for source in sources)
    exact = rows is not None and benchmarks and data.sample is None and not some
    return DataSize(rows, exact, False, prompt, completion, sampled, tuple(notes))


def _first_rows(
    data: Data,
    needs: Needs,
    sources: Sequence[Source],
    model: Path | None,
    plugins: PluginManager,
    protocol: str,
    place: Path | None,
) -> tuple[float | None, float | None]:
    """Mean tokens of prompts and of completions, by the first rows where these are here and can be counted."""
    first = sources[0]
    if data.sample is not None or not first.is_near:
        return None, None
    filters = {name: value for name, value in data.filters.items() if name in _OF_ONE_ROW}
    curation = Curation(
        data.model_copy(update={"size": _LOOKED_AT, "sort": None, "filters": filters}),
        needs,
        model=model,
        plugins=plugins,
        protocol=protocol,
        data_folder=place,
        excluded=frozenset(),
        progress=Progress(),
    )
    with TemporaryDirectory() as folder, Spool(Path(folder)) as spool:
        entries = curation.run([first], spool, Path(folder))
        counted = [curation.counted(spool.row(entry), entry)[1:] for entry in entries]
    return mean([prompt for prompt, _ in counted]), mean([completion for _, completion in counted])


def _prepared(
    data: Data,
    needs: Needs,
    folder: Path,
    name: str,
    model: Path | None,
    plugins: PluginManager,
    protocol: str,
    place: Path | None,
) -> Prepared | None:
    path = rows_path(folder, name)
    if not path.exists():
        return None
    asked = asked_of(data, needs, model=model, plugins=plugins, protocol=protocol, folder=place)
    return recall(path, asked.digest)

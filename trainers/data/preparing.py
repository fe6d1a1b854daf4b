"""Makes the training rows of a stage, once: the same call finds its file."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from harness import HarnessError
from harness.files import disk_error, lock, read_json, safe_name, write_atomically, write_json
from harness.models import ResolvedModel
from harness.progress import Progress
from harness.protocol import digest
from harness.rows import line_of

from .curation import Curation
from .filters import read_filters
from .finding import data_folder, find_source, problem_keys
from .records import Needs, Prepared
from .sources import Source
from .spool import Entry, Spool

if TYPE_CHECKING:
    from harness.plugins import PluginManager

    from ..recipes.schema import Data

_FORMAT: Final = 1


def prepare(
    data: Data,
    *,
    needs: Needs,
    folder: Path,
    name: str,
    model: Path | None,
    plugins: PluginManager,
    protocol: str = "deepseek-r1",
    data_folder: Path | None = None,
    progress: Progress | None = None,
) -> Prepared:
    """The training rows of a stage, in `folder`/`name`.jsonl: made now, or found where the same was asked before.

    The file appears whole. Chains that are sampled are stored one by one below `folder`/runs, so that after a kill
    the same call goes on and makes the same file.

    Args:
        needs: "chains" for trainers that imitate, "golds" for those that reward.
        model: folder of the model that samples (where `data.sample` says so) and whose tokenizer counts.
        protocol: how a problem becomes a prompt.
        data_folder: where relative sources and the rows of benchmarks are looked for; None: $HARNESS_DATA.

    Raises:
        HarnessError: a source that does not exist or lacks columns, a filter that is unknown or cannot be looked at,
            no row that is left, a model that cannot be sampled, a full disk.
        Interrupted: stopped while sampling; the same call goes on.
    """
    asked = asked_of(data, needs, model=model, plugins=plugins, protocol=protocol, folder=data_folder)
    path = rows_path(folder, name)
    if (found := recall(path, asked.digest)) is not None:
        return found
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, folder) from None
    with lock(folder):
        if (found := recall(path, asked.digest)) is not None:  # another process has made it meanwhile
            return found
        for left_over in folder.glob(f".{path.name}.*.part"):  # of a writer that was killed
            left_over.unlink(missing_ok=True)
        with Spool(folder) as spool:
            curation = Curation(
                data,
                needs,
                model=model,
                plugins=plugins,
                protocol=protocol,
                data_folder=asked.data_folder,
                excluded=asked.excluded,
                progress=progress or Progress(),
            )
            entries = curation.run(asked.sources, spool, folder / "runs")
            return _written(path, asked, curation, spool, entries)


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """What rows are asked for."""

    sources: Sequence[Source]
    data_folder: Path | None
    excluded: frozenset[str]
    """Problems that are left out, by `sources.key_of`."""
    digest: str
    """Hex SHA-256 of all that decides which rows these are."""


def asked_of(
    data: Data,
    needs: Needs,
    *,
    model: Path | None,
    plugins: PluginManager,
    protocol: str,
    folder: Path | None,
) -> Asked:
    """
    Raises:
        HarnessError: no source, one that does not exist, an unknown filter or protocol.
    """
    place = data_folder(folder)
    sources = sources_of(data, plugins, protocol, place)
    named = plugins.protocol(protocol)
    excluded = problem_keys(read_filters(data.filters).not_in, named, plugins, place)
    wanted = {
        "format": _FORMAT,
        "needs": needs,
        "data": data.model_dump(mode="json"),
        "protocol": [named.system, named.user, named.instruction, named.normalizer],
        "sources": [source.identity() for source in sources],
        "excluded": sorted(excluded),
        "model": _identity(model, sampled=data.sample is not None),
    }
    return Asked(sources, place, excluded, digest(wanted))


def sources_of(data: Data, plugins: PluginManager, protocol: str, folder: Path | None) -> list[Source]:
    """
    Raises:
        HarnessError: as `asked_of`.
    """
    if not data.source:
        raise HarnessError(
            "data.source is missing: name a file, a folder, a benchmark or a data set of the Hub"
        )
    if len(set(data.source)) < len(data.source):
        raise HarnessError("data.source names a source twice")
    read_filters(data.filters)
    named = plugins.protocol(protocol)
    return [find_source(text, named, plugins, folder) for text in data.source]


def _identity(model: Path | None, *, sampled: bool) -> Any:
    """Of a model that only counts, its tokenizer; of one that samples, all of it."""
    if model is None:
        return None
    if sampled:
        return ResolvedModel(name=model.name, folder=model).identity()
    try:
        return hashlib.sha256((model / "tokenizer.json").read_bytes()).hexdigest()
    except OSError:
        return None


def rows_path(folder: Path, name: str) -> Path:
    return folder / f"{safe_name(name)}.jsonl"


def _beside(path: Path) -> Path:
    """What is told of the rows."""
    return path.with_suffix(".json")


def recall(path: Path, asked: str) -> Prepared | None:
    """The rows, where they are those that are asked for, and are as they were written."""
    try:
        told = read_json(_beside(path))
        if told["asked"] != asked or path.stat().st_size != told["bytes"]:
            return None
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != told["digest"]:
                return None
        return Prepared(
            path,
            told["digest"],
            told["rows"],
            told["prompt_tokens"],
            told["completion_tokens"],
            tuple(told["notes"]),
        )
    except (HarnessError, OSError, LookupError, TypeError):
        return None


def _written(
    path: Path, asked: Asked, curation: Curation, spool: Spool, entries: Sequence[Entry]
) -> Prepared:
    """Write the rows, then what is told of them: a file without that counts for nothing."""
    with suppress(FileNotFoundError):
        _beside(path).unlink()
    sizes: list[tuple[int | None, float | None]] = []
    hashed, count = hashlib.sha256(), 0

    def lines() -> Iterator[bytes]:
        nonlocal count
        for entry in entries:
            row, prompt_tokens, completion_tokens = curation.counted(spool.row(entry), entry)
            sizes.append((prompt_tokens, completion_tokens))
            line = line_of(row)
            hashed.update(line)
            count += len(line)
            yield line

    def write(file: IO[bytes]) -> None:
        file.writelines(lines())

    write_atomically(path, write)
    prepared = Prepared(
        path,
        hashed.hexdigest(),
        len(entries),
        mean([prompt for prompt, _ in sizes]),
        mean([completion for _, completion in sizes]),
        tuple(curation.notes),
    )
    told = {
        "asked": asked.digest,
        "digest": prepared.digest,
        "bytes": count,
        "rows": prepared.rows,
        "prompt_tokens": prepared.prompt_tokens,
        "completion_tokens": prepared.completion_tokens,
        "notes": list(prepared.notes),
        "data": curation.data.model_dump(mode="json"),
    }
    write_json(_beside(path), told)
    return prepared


def mean(values: Sequence[float | None]) -> float | None:
    """None where one of them is not known."""
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 3) if known and len(known) == len(values) else None

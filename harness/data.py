"""Where a benchmark's rows come from: the user's data folder, else the Hugging Face Hub."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import HarnessError

if TYPE_CHECKING:
    from typing import NoReturn

__all__ = ["DataSource", "HubRows", "Row", "Rows"]

Row = dict[str, Any]

_log = logging.getLogger("harness")


@dataclass(frozen=True, slots=True)
class HubRows:
    """A split of a data set on the Hub."""

    repo: str
    """Hub id, `org/name`."""
    split: str = "train"
    config: str | None = None
    revision: str | None = None
    """Commit, where known: the main branch may change under a published number."""

    def __str__(self) -> str:
        config = f"/{self.config}" if self.config else ""
        return f"hub:{self.repo}{config}@{self.revision or 'main'}[{self.split}]"


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows as their source has them, columns unchanged."""

    rows: Sequence[Row]
    origin: str
    """`PATH sha256:DIGEST`, `PATH.zip!MEMBER sha256:DIGEST` or `hub:REPO[/CONFIG]@REVISION[SPLIT]`."""

    @property
    def place(self) -> str:
        """The origin without the digest, for messages."""
        return self.origin.partition(" sha256:")[0]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


class DataSource:
    """Reads rows for benchmarks.

    Args:
        folder: the user's data folder; None where there is none.
        allow_modified: checks of the rows warn instead of stopping (`--allow-modified-data`).
    """

    def __init__(self, folder: Path | None = None, allow_modified: bool = False) -> None:
        self.folder = folder
        self.allow_modified = allow_modified
        self.warnings: list[str] = []
        """What a reader of the scores must know of the data, in order."""
        self.origins: list[str] = []
        """Origin of everything that has been read, in order."""

    def warn(self, text: str) -> None:
        """Tell the user now, and every reader of the run's scores later."""
        _log.warning("%s", text)
        self.warnings.append(text)

    def rows(self, stem: str | Sequence[str], hub: HubRows | None = None) -> Rows:
        """The rows of the first file in the data folder whose name is a stem, else those of the Hub.

        Args:
            stem: file name without ending, or several in order of preference.
            hub: where the Hub has the rows; None: only a file will do.

        Raises:
            HarnessError: no such file and no answer from the Hub (within 8 seconds), or an unreadable file.
        """
        stems = (stem,) if isinstance(stem, str) else tuple(stem)
        from . import rowfiles

        found = self._file(stems)
        if found is not None:
            rows, origin = rowfiles.read(*found)
            result = Rows(rows, origin)
        elif hub is None:
            raise HarnessError(f"{self._missing(stems)}; give a folder that has it with --data DIR")
        else:
            result = _from_hub(hub, self._missing(stems), f"--data DIR with {stems[0]}.jsonl or .csv")
        self.origins.append(result.origin)
        return result

    def _file(self, stems: Sequence[str]) -> tuple[Path, str] | None:
        from .rowfiles import SUFFIXES

        if self.folder is None:
            return None
        if not self.folder.is_dir():
            problem = "is not a folder" if self.folder.exists() else "does not exist"
            raise HarnessError(f"data folder {self.folder} {problem}: --data takes a folder of data files")
        try:
            names = set(os.listdir(self.folder))
        except OSError as error:
            raise HarnessError(f"cannot read data folder {self.folder}: {error.strerror}") from None
        wanted = [(stem + suffix, stem) for stem in stems for suffix in SUFFIXES]
        present = [(name, stem) for name, stem in wanted if name in names]
        if not present:
            return None
        if others := [name for name, _ in present[1:]]:
            _log.warning("%s: reading %s, not %s", self.folder, present[0][0], ", ".join(others))
        name, stem = present[0]
        return self.folder / name, stem

    def _missing(self, stems: Sequence[str]) -> str:
        from .rowfiles import SUFFIXES

        if self.folder is None:
            return f"no data folder is given for {stems[0]}"
        return f"{self.folder} has no {' or '.join(stems)} ({', '.join(SUFFIXES)})"


def _from_hub(hub: HubRows, missing: str, file_hint: str) -> Rows:
    """Rows of a Hub data set: from the local cache if the pinned revision is there, else over the network."""
    from . import hub as network

    if hub.revision and (rows := _cached(hub, hub.revision)) is not None:
        return rows
    # Asked first, under a deadline: the Hub's own client retries for minutes.
    unreachable = network.reachable()
    if unreachable is not None:
        rows = _cached(hub, None)
        if rows is None:
            raise HarnessError(
                f"{missing}, and the Hub cannot be reached for {hub.repo} ({unreachable}): give {file_hint}, "
                "set HF_ENDPOINT to a mirror, or set HF_HOME to a cache that holds it"
            )
        if hub.revision:
            _log.warning("%s: the Hub cannot be reached; using the cached %s", hub.repo, rows.origin)
        return rows
    if Path(hub.repo).is_dir():  # the library would read it and call it the Hub's
        raise HarnessError(
            f"the folder {Path(hub.repo).resolve()} would be taken for the Hub's {hub.repo}: run in another folder"
        )
    import datasets

    datasets.disable_progress_bars()
    try:
        # Its rows stay on the disk, where `datasets` has put them: training data may be larger than the memory.
        table = datasets.load_dataset(hub.repo, hub.config, split=hub.split, revision=hub.revision)
        commits = {Path(file["filename"]).parent.name for file in table.cache_files}
    except Exception as error:  # noqa: BLE001
        _fail(hub, error, missing, file_hint)
    commit = commits.pop() if len(commits) == 1 else ""
    revision = commit if re.fullmatch(r"[0-9a-f]{40}", commit) else hub.revision
    return Rows(table, str(HubRows(hub.repo, hub.split, hub.config, revision)))


def _fail(hub: HubRows, error: Exception, missing: str, file_hint: str) -> NoReturn:
    from .hub import endpoint

    text = " ".join(str(error).split())
    page = f"{endpoint()}/datasets/{hub.repo}"
    if "gated" in text.lower():
        raise HarnessError(
            f"{missing}, and {hub.repo} is a gated data set: ask for access at {page} with your account, "
            f"then run `hf auth login`; or give {file_hint}"
        ) from None
    raise HarnessError(
        f"{missing}, and {hub} cannot be loaded ({type(error).__name__}: {text[:200]}): see {page}, or give "
        f"{file_hint}"
    ) from None


def _cached(hub: HubRows, revision: str | None) -> Rows | None:
    """Rows that the `datasets` library has cached: of this revision, or of the newest where None is given.

    Read here rather than through `datasets`, which in offline mode takes the newest copy whatever revision is
    asked for. Its layout: CACHE/ORG___NAME/CONFIG/VERSION/REVISION/NAME-SPLIT[-SHARD].arrow.
    """
    import pyarrow as pa

    org, _, name = hub.repo.partition("/")
    root = _cache_folder()
    # The library writes CamelCase as snake_case.
    plain = name.replace("_", "").lower()
    homes = [p for p in root.glob(f"{org}___*") if p.name[len(org) + 3 :].replace("_", "").lower() == plain]
    folders = [f for home in homes for f in home.glob(f"{hub.config or 'default'}/*/{revision or '*'}")]
    split = re.compile(rf".*-{re.escape(hub.split)}(-\d{{5}}-of-\d{{5}})?\.arrow")
    for folder in sorted(folders, key=lambda f: f.stat().st_mtime, reverse=True):
        shards = sorted(f for f in folder.glob("*.arrow") if split.fullmatch(f.name))
        try:
            rows = _Shards(shards)
        except (pa.ArrowException, OSError, ValueError) as error:
            _log.warning("skipping the cached copy %s: %s", folder, " ".join(str(error).split())[:120])
            continue
        if rows:
            return Rows(rows, str(HubRows(hub.repo, hub.split, hub.config, folder.name)))
    return None


class _Shards(Sequence[Row]):
    """Rows of Arrow files, which stay on the disk."""

    def __init__(self, paths: Sequence[Path]) -> None:
        import pyarrow as pa

        tables = [pa.ipc.open_stream(pa.memory_map(str(path))).read_all() for path in paths]
        self._table = pa.concat_tables(tables) if tables else pa.table({})

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __iter__(self) -> Iterator[Row]:
        for batch in self._table.to_batches(max_chunksize=256):
            yield from batch.to_pylist()

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        row: Row = self._table.slice(range(len(self))[place], 1).to_pylist()[0]
        return row


def _cache_folder() -> Path:
    if folder := os.environ.get("HF_DATASETS_CACHE"):
        return Path(folder).expanduser()
    if home := os.environ.get("HF_HOME"):
        return Path(home).expanduser() / "datasets"
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache).expanduser() if cache else Path.home() / ".cache") / "huggingface" / "datasets"

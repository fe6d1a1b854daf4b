"""Turns other programs' chains into run folders: graded here, beside what their own graders said.

Everything is read twice: once to see what there is and to find the benchmark's problems, once to store the chains.
Their texts are never held together, and what is stored already is not stored again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from .. import __version__
from ..benchmark_run import BenchmarkRun, RunInfo
from ..components import Protocol
from ..data import DataSource
from ..errors import HarnessError, Interrupted
from ..files import safe_name
from ..grading import DEFAULT_DEADLINE, open_pool
from ..models import ResolvedModel
from ..plugins import PluginManager
from ..pool import WorkerPool
from ..progress import Progress
from ..protocol import data_fingerprint, run_fingerprint
from ..provenance import asked, now
from ..records import Chain, ForeignChain, Grade
from ..rows import Key
from ..store import RunFolder
from .placing import Placed, Tasks
from .sources import EVERYTHING, SETTINGS, Filter, Group, Source, add_content, problem_of, sources

UNKNOWN: Final = Protocol(
    name="imported",
    n=1,
    temperature=None,
    top_p=None,
    max_tokens=None,
    instruction="",
    user="{problem}",
    description="somebody else's chains: how they were asked and drawn is not known",
)

_AT_ONCE: Final = 32
"""Runs that are written at the same time where one file holds the chains of many."""


@dataclass(frozen=True, slots=True)
class ImportConfig:
    """One `harness import`."""

    paths: Sequence[Path]
    importer: str
    bench: str | None = None
    """None: what the files call it."""
    chosen: Filter = EVERYTHING
    results: Path = Path("results")
    data: Path | None = None
    allow_modified_data: bool = False
    n: int | None = None
    """Chains per problem that are taken; None: all, where all problems have as many."""
    protocol: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    normalizer: str | None = None
    """Of benchmarks that the harness does not know; None: math."""
    skip_unmatched: bool = False
    grading_deadline: float = DEFAULT_DEADLINE


def import_chains(
    config: ImportConfig, plugins: PluginManager, progress: Progress | None = None
) -> list[dict[str, Any]]:
    """Make one run folder a model and benchmark. Returns their results, as `harness run --json` prints.

    Raises:
        HarnessError: anything the user can mend; chains stored so far are kept, and the same command goes on.
        Interrupted: stopped by Ctrl-C or SIGTERM; the same command goes on.
    """
    progress = progress or Progress()
    importer = plugins.importer(config.importer)
    data = DataSource(config.data or _data_from_environment(), allow_modified=config.allow_modified_data)
    tasks = Tasks(plugins, data, progress, config.bench, config.normalizer, config.skip_unmatched)
    origins = {path: sources([path]) for path in config.paths}
    _refuse_copies(origins)
    source = Source(importer, config.paths, config.chosen)
    groups = tasks.chosen(source.survey())
    base = UNKNOWN if config.protocol is None else plugins.protocol(config.protocol)
    placed = [tasks.place(group, _protocol(base, config, group), config.n) for group in groups]
    _refuse_twins(placed)
    if len(placed) > 1:  # a benchmark's name does not tell the runs of several models apart
        progress = _NotesOnly(progress)
    results: list[dict[str, Any]] = []
    with ExitStack() as stack:
        pool = open_pool(plugins, config.grading_deadline)
        stack.callback(pool.close)
        for batch in _batches(placed):
            imports = [
                _Import(one, source, config.results, origins, plugins, pool, progress) for one in batch
            ]
            results += _store(imports, source)
    return results


class _NotesOnly(Progress):
    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def note(self, text: str) -> None:
        self._progress.note(text)


def _data_from_environment() -> Path | None:
    folder = os.environ.get("HARNESS_DATA")
    return Path(folder) if folder else None


def _refuse_copies(origins: Mapping[Path, Sequence[Mapping[str, str]]]) -> None:
    """Chains that are not numbered would be taken for more chains where a file comes a second time."""
    seen: dict[str, Path] = {}
    for path, files in origins.items():
        if len(files) == 1 and (other := seen.setdefault(files[0]["sha256"], path)) is not path:
            raise HarnessError(f"{path} is a copy of {other}: name it once")


def _protocol(base: Protocol, config: ImportConfig, group: Group) -> Protocol:
    """How chains were drawn: as the command line says, else the files, else the protocol that was named."""
    said: dict[str, Any] = {name: value for name, (value, _) in group.settings.items()}
    said |= {name: value for name in SETTINGS if (value := getattr(config, name)) is not None}
    if "max_tokens" in said:
        said["max_tokens"] = int(said["max_tokens"])
    return replace(base, **said)


def _refuse_twins(placed: Sequence[Placed]) -> None:
    """One model's chains on one benchmark under two foreign names would be two runs that look like one."""
    seen: dict[tuple[str, str], str | None] = {}
    for one in placed:
        key, name = (one.group.model, one.task.benchmark.label), one.group.benchmark
        if (other := seen.setdefault(key, name)) != name:
            raise HarnessError(
                f"the chains of {key[0]} on {key[1]} go by two names, {other!r} and {name!r}: say which is meant with "
                "--task"
            )


def _batches(placed: Sequence[Placed]) -> list[list[Placed]]:
    """Runs that stand in the same files together, so that these are not read for each of them."""
    batches: dict[tuple[Path, ...], list[list[Placed]]] = {}
    for one in placed:
        mine = batches.setdefault(tuple(one.group.paths), [[]])
        if len(mine[-1]) == _AT_ONCE:
            mine.append([])
        mine[-1].append(one)
    return [batch for mine in batches.values() for batch in mine]


class _Import:
    """One model's run on one benchmark."""

    def __init__(
        self,
        placed: Placed,
        source: Source,
        results: Path,
        origins: Mapping[Path, Sequence[Mapping[str, str]]],
        plugins: PluginManager,
        pool: WorkerPool,
        progress: Progress,
    ) -> None:
        self.group = placed.group
        self._placed = placed
        self._numbers = placed.numbers()
        self._source = source
        self._plugins = plugins
        self._note = progress.note
        self._read = hashlib.sha256()
        task, protocol = placed.task, placed.protocol
        model, label = ResolvedModel(name=self.group.model), task.benchmark.label
        # Known by their chains rather than by their files, which may hold more than these.
        self._identity = {"importer": source.importer.name, "chains": self.group.content}
        self._sources = [file for path in self.group.paths for file in origins[path]]
        fingerprint = run_fingerprint(
            model={"name": model.name, **model.identity()},
            data=data_fingerprint(task.problems, task.prompts),
            protocol=protocol,
            seed=0,
            sampler=self._identity,
        )
        path = results / safe_name(model.name) / safe_name(label) / fingerprint
        info = RunInfo(model.name, label, protocol, None, fingerprint, path)
        what = asked(task, protocol, None, fingerprint, model, f"import {source.importer.name}")
        self.run = BenchmarkRun(task, info, what, plugins, pool, progress)

    def open(self) -> None:
        run = self.run
        run.open()
        self._plugins.tell("harness_run_started", self._note, run=run.info, pending=run.missing)
        run.grade_stored()
        if run.missing:
            run.begin_session(self._session())

    def _session(self) -> dict[str, Any]:
        n = self._placed.protocol.n
        return {
            "started": now(),
            "harness": __version__,
            "n": n,
            "stored_before": len(self._placed.task.problems) * n - self.run.missing,
            "imported": {
                "importer": self._identity["importer"],
                "chains_sha256": self.group.content,
                "benchmark": self.group.benchmark,
                "sources": self._sources,
            },
            "warnings": [],
        }

    def add(self, foreign: ForeignChain) -> None:
        """Store a chain, unless it is stored already or not wanted."""
        add_content(self._read, foreign)
        problem_id = self._placed.ids.get(problem_of(foreign))
        if problem_id is None:
            return
        index = self._numbers.of(problem_id, self._source.index(foreign))
        if index is None or index >= self._placed.protocol.n or not self.run.lacks((problem_id, index)):
            return
        self.run.add(
            Chain(
                benchmark=self.run.info.benchmark,
                problem_id=problem_id,
                index=index,
                text=foreign.text,
                reasoning=foreign.reasoning,
                finish_reason=foreign.finish_reason,
                completion_tokens=foreign.completion_tokens,
                prompt_tokens=foreign.prompt_tokens,
                seed=foreign.seed,
                score=foreign.score,
            )
        )

    def finish(self) -> dict[str, Any]:
        result = self.run.finish()
        self._plugins.tell("harness_run_finished", self._note, run=self.run.info, result=result)
        return result

    def require_unchanged(self) -> None:
        if self._read.hexdigest() != self.group.content:
            paths = ", ".join(map(str, list(self.group.paths)[:3]))
            raise HarnessError(
                f"{paths} changed while it was read: remove {self.run.info.path}, which holds a mixture, and run the "
                "same command again"
            )


def _store(imports: Sequence[_Import], source: Source) -> list[dict[str, Any]]:
    with ExitStack() as stack:
        for one in imports:
            stack.enter_context(one.run.folder.writing())
        try:
            for one in imports:
                one.open()
            missing = {(one.group.model, one.group.benchmark): one for one in imports if one.run.missing}
            if missing:
                for key, chain in source.chains(list(imports[0].group.paths)):
                    if (taker := missing.get(key)) is not None:
                        taker.add(chain)
            for one in missing.values():
                one.require_unchanged()
            return [one.finish() for one in imports]
        except KeyboardInterrupt:
            stored = sum(one.run.folder.count() for one in imports)
            raise Interrupted(
                f"interrupted: {stored:,} chains of this run are stored; run the same command to go on"
            ) from None


class Difference(NamedTuple):
    """A chain that our grader judges differently than the one that it was imported with."""

    key: Key
    theirs: float
    ours: Grade


def differences(path: Path, n: int) -> list[Difference]:
    """The chains of a run folder on which the foreign scores and our grades disagree, in their order.

    Raises:
        HarnessError: not a run folder, or one that is damaged.
    """
    folder = RunFolder.of(path)
    stored = folder.read_grades()
    grades = {} if stored is None else stored.grades
    return [
        Difference(key, length.score, grades[key])
        for key, length in folder.read_lengths().items()
        if key[1] < n
        and key in grades
        and length.score is not None
        and (length.score >= 0.5) != grades[key].correct
    ]

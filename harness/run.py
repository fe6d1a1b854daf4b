"""One evaluation: pending -> sample -> store -> grade -> measure."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from . import __version__
from .components import Benchmark, Engine, Protocol
from .config import RunConfig
from .data import DataSource
from .errors import HarnessError, Interrupted
from .grading import Grader, open_pool
from .measure import measure
from .plugins import PluginManager
from .pool import WorkerPool
from .progress import Progress
from .protocol import asked_protocol, chain_seed, data_fingerprint, run_fingerprint
from .records import Chain, ChainKey, Grade, GradedChain, Problem, Prompt, Request
from .selection import Selection, select
from .store import Key, RunFolder


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What plugins are told of a run."""

    model: str
    benchmark: str
    protocol: Protocol
    seed: int
    fingerprint: str
    path: Path


@dataclass(frozen=True, slots=True)
class Task:
    """A benchmark with its problems loaded and prompted."""

    benchmark: Benchmark
    problems: Sequence[Problem]
    prompts: Sequence[Prompt]
    origin: str
    notes: Mapping[str, Any]


def load_task(benchmark: Benchmark, protocol: Protocol, data: DataSource, limit: int | None) -> Task:
    """Load a benchmark's problems and ask them in the protocol's way.

    Raises:
        HarnessError: rows that are missing, modified or bad, or no problems at all.
    """
    read_before = len(data.origins)
    problems = list(benchmark.problems(data))
    origin = ", ".join(data.origins[read_before:]) or benchmark.source
    if not problems:
        raise HarnessError(f"benchmark {benchmark.label} has no problems")
    seen: set[str] = set()
    for problem in problems:
        if problem.id in seen:
            raise HarnessError(f"benchmark {benchmark.label} has two problems with the id {problem.id!r}")
        seen.add(problem.id)
    notes = benchmark.notes(problems)
    chosen = problems[:limit]
    prompts = [protocol.prompt(problem, benchmark) for problem in chosen]
    return Task(benchmark, chosen, prompts, origin, notes)


class Run:
    """One benchmark's run: its folder, what is pending, and the grades so far."""

    def __init__(
        self, task: Task, info: RunInfo, plugins: PluginManager, pool: WorkerPool, progress: Progress
    ) -> None:
        self.task = task
        self.info = info
        self.folder = RunFolder(info.path, info.benchmark)
        self._plugins = plugins
        self._progress = progress
        self._grader = Grader(plugins.normalizer(task.benchmark.normalizer), pool)
        self._grades: dict[Key, Grade] = {}
        self._lengths: dict[Key, tuple[int | None, bool]] = {}
        self._golds = {problem.id: problem.gold for problem in task.problems}
        self._order = [problem.id for problem in task.problems]
        self._tells_grades = plugins.hears("harness_chain_graded")
        self._stored_grades_complete = False

    @property
    def _wanted(self) -> Iterator[Key]:
        return ((id_, index) for id_ in self._order for index in range(self.info.protocol.n))

    def open(self) -> None:
        """Take up what the folder holds: stored grades where the same grader made them, else grade again."""
        self._lengths = self.folder.read_lengths()
        if self.folder.unreadable:
            self._progress.note(
                f"{self.folder.unreadable} unreadable lines in {self.folder.path}/chains.jsonl are left alone; "
                "their chains are sampled again"
            )
        stored = self.folder.read_grades() if self._lengths else None
        if stored is not None and stored.grader == self._grader.version:
            self._grades = {key: grade for key, grade in stored.grades.items() if key in self._lengths}
        elif stored is not None:
            self._progress.note(
                f"{self.info.benchmark}: grades were made by {stored.grader!r}, grading again with "
                f"{self._grader.version!r}"
            )
        missing = self._lengths.keys() - self._grades.keys()
        self._stored_grades_complete = not missing and bool(self._lengths)
        total = len(self._order) * self.info.protocol.n
        self._progress.started(self.info.benchmark, total, total - self.missing)
        if missing:
            for chain in self.folder.chains(self._order, only=missing):
                self._grade(chain)

    def pending(self) -> list[Request]:
        """Requests for the chains that are wanted and not stored, problem by problem."""
        label, n = self.info.benchmark, self.info.protocol.n
        requests = []
        for problem, prompt in zip(self.task.problems, self.task.prompts, strict=True):
            for index in range(n):
                if (problem.id, index) not in self._lengths:
                    key = ChainKey(label, problem.id, index)
                    requests.append(Request(key, prompt, chain_seed(self.info.seed, key), problem.text))
        return requests

    def add(self, chain: Chain) -> None:
        """Store a chain, then grade it."""
        self.folder.append(chain)
        self._stored_grades_complete = False
        self._lengths[chain.problem_id, chain.index] = (chain.completion_tokens, chain.truncated)
        self._progress.stored(self.info.benchmark, chain)
        self._grade(chain)

    def _grade(self, chain: Chain) -> None:
        gold = self._golds.get(chain.problem_id)
        if gold is None:
            return
        self._grader.submit(
            chain.problem_id, gold, chain.text, partial(self._graded, chain), truncated=chain.truncated
        )

    def _graded(self, chain: Chain, grade: Grade) -> None:
        self._grades[chain.problem_id, chain.index] = grade
        self._progress.graded(self.info.benchmark, grade)
        if self._tells_grades:
            self._plugins.tell(
                "harness_chain_graded", self._progress.note, run=self.info, chain=chain, grade=grade
            )

    @property
    def missing(self) -> int:
        return sum(key not in self._lengths for key in self._wanted)

    def finish(self, description: Mapping[str, Any]) -> dict[str, Any]:
        """Close the run: all chains into one file, grades and scores beside it. Returns the result."""
        self._grader.finish()
        n = self.info.protocol.n
        graded = {
            id_: [GradedChain(id_, i, self._grades[id_, i], *self._lengths[id_, i]) for i in range(n)]
            for id_ in self._order
        }
        result = self._result(measure(graded, n, self._plugins.metrics.values()))
        # A smaller n than is stored is a question, not a new state of the run.
        if len(self._lengths) > len(self._order) * n:
            return result
        self.folder.complete(self._order)
        if not self._stored_grades_complete:
            self.folder.write_grades(self._grades, self._grader.version, self._order)
        if self.folder.scores() != result:
            self.folder.write_scores(result)
            self.folder.write_info({**description, "status": "complete", "finished": now()})
        return result

    def _result(self, measured: Mapping[str, Any]) -> dict[str, Any]:
        protocol = self.info.protocol
        return {
            "model": self.info.model,
            "benchmark": self.info.benchmark,
            "protocol": protocol.name,
            "n": protocol.n,
            "problems": len(self._order),
            "chains": len(self._order) * protocol.n,
            "temperature": protocol.temperature,
            "top_p": protocol.top_p,
            "max_tokens": protocol.max_tokens,
            "seed": self.info.seed,
            **measured,
            "grader": self._grader.version,
            "fingerprint": self.info.fingerprint,
            "path": str(self.info.path),
            "harness": __version__,
        }


def evaluate(
    config: RunConfig, plugins: PluginManager, progress: Progress | None = None
) -> list[dict[str, Any]]:
    """Run what is asked, from where it stands. Returns one result a benchmark, as `harness run --json` prints.

    Raises:
        HarnessError: anything the user can mend; chains sampled so far are stored.
        Interrupted: stopped by Ctrl-C or SIGTERM; the same command goes on.
    """
    progress = progress or Progress()
    benchmarks = [plugins.benchmark(name) for name in config.bench]
    base = plugins.protocol(config.protocol)
    selection = select(config, plugins)
    default_n = selection.sampler.defaults(selection.options).n if config.n is None else None
    protocol = asked_protocol(base, config, default_n)
    if protocol.temperature == 0 and protocol.n > 1 and selection.sampler.needs_weights:
        progress.note(f"temperature 0 is greedy: the {protocol.n} chains of a problem will be the same")
    data = DataSource(config.data or _data_from_environment(), allow_modified=config.allow_modified_data)
    tasks = [load_task(benchmark, protocol, data, config.limit) for benchmark in benchmarks]
    progress.note(f"sampler {selection.sampler.name}: {selection.reason}")

    with ExitStack() as stack:
        pool = open_pool(plugins, config.grading_deadline)
        stack.callback(pool.close)
        runs = [_start(task, config, protocol, selection, plugins, pool, progress) for task in tasks]
        if len({run.info.path for run in runs}) < len(runs):
            raise HarnessError("--bench names the same benchmark twice")
        for run in runs:
            stack.enter_context(run.folder.writing())
        try:
            return _carry_out(runs, protocol, selection, plugins, progress)
        except KeyboardInterrupt:
            stored = sum(len(run.folder.keys) for run in runs)
            raise Interrupted(
                f"interrupted: {stored:,} chains are stored; run the same command to go on"
            ) from None


def _data_from_environment() -> Path | None:
    folder = os.environ.get("HARNESS_DATA")
    return Path(folder) if folder else None


def _start(
    task: Task,
    config: RunConfig,
    protocol: Protocol,
    selection: Selection,
    plugins: PluginManager,
    pool: WorkerPool,
    progress: Progress,
) -> Run:
    fingerprint = run_fingerprint(
        model={"name": selection.model.name, **selection.model.identity()},
        data=data_fingerprint(task.problems, task.prompts),
        protocol=protocol,
        seed=config.seed,
        sampler=selection.sampler.identity(selection.options),
    )
    label = task.benchmark.label
    path = config.results / safe_name(selection.model.name) / safe_name(label) / fingerprint
    info = RunInfo(selection.model.name, label, protocol, config.seed, fingerprint, path)
    return Run(task, info, plugins, pool, progress)


def _carry_out(
    runs: Sequence[Run],
    protocol: Protocol,
    selection: Selection,
    plugins: PluginManager,
    progress: Progress,
) -> list[dict[str, Any]]:
    descriptions = {run.info.benchmark: _describe(run, selection) for run in runs}
    for run in runs:
        run.open()
    pending = {run.info.benchmark: run.pending() for run in runs}
    for run in runs:
        count = len(pending[run.info.benchmark])
        plugins.tell("harness_run_started", progress.note, run=run.info, pending=count)
    results: dict[str, dict[str, Any]] = {}

    def finish(run: Run) -> None:
        result = run.finish(descriptions[run.info.benchmark])
        plugins.tell("harness_run_finished", progress.note, run=run.info, result=result)
        results[run.info.benchmark] = result

    requests = [request for run in runs for request in pending[run.info.benchmark]]
    if requests:
        with selection.sampler.open(selection.model, protocol.settings, selection.options) as engine:
            for run in runs:
                if pending[run.info.benchmark]:
                    _record_session(run, descriptions[run.info.benchmark], engine)
            _warn_of_short_context(engine, protocol, progress)
            progress.sampling()
            _sample(engine, requests, runs, finish)
    for run in runs:
        if run.info.benchmark not in results:
            if run.missing:
                raise HarnessError(
                    f"the sampler ended {run.missing:,} chains short of "
                    f"{len(run.task.problems) * protocol.n:,} on {run.info.benchmark}; those it gave are stored "
                    f"in {run.info.path}, run the same command to go on"
                )
            finish(run)
    return [results[run.info.benchmark] for run in runs]


def _warn_of_short_context(engine: Engine, protocol: Protocol, progress: Progress) -> None:
    context = engine.info.get("context")
    if isinstance(context, int) and context < protocol.max_tokens:
        progress.note(
            f"the model's context is {context:,} tokens, less than the budget of {protocol.max_tokens:,}: chains "
            "are cut off where the context ends and count as truncated"
        )


def _sample(
    engine: Engine, requests: Sequence[Request], runs: Sequence[Run], finish: Callable[[Run], None]
) -> None:
    """Store and grade chains as they come; a benchmark whose last chain has come is finished at once."""
    by_label = {run.info.benchmark: run for run in runs}
    wanted = {request.key for request in requests}
    open_count = {label: sum(key.benchmark == label for key in wanted) for label in by_label}
    with closing(engine.sample(requests)) as chains:  # type: ignore[type-var]
        for chain in chains:
            key = chain.key
            if key not in wanted:
                continue
            wanted.discard(key)
            run = by_label[key.benchmark]
            run.add(chain)
            open_count[key.benchmark] -= 1
            if not open_count[key.benchmark]:
                finish(run)


def _describe(run: Run, selection: Selection) -> dict[str, Any]:
    """run.json: what was asked, and where the numbers come from."""
    task, info, model = run.task, run.info, selection.model
    protocol = info.protocol
    earlier = run.folder.info().get("sessions", []) if (run.folder.path / "run.json").exists() else []
    return {
        "harness": __version__,
        "fingerprint": info.fingerprint,
        "model": {"name": model.name, "repo": model.repo, "revision": model.revision, **model.identity()},
        "benchmark": {
            "name": task.benchmark.name,
            "label": info.benchmark,
            "parameters": task.benchmark.values,
            "origin": task.origin,
            "fingerprint": data_fingerprint(task.problems, task.prompts),
            "normalizer": task.benchmark.normalizer,
            "problems": len(task.problems),
            "notes": dict(task.notes),
        },
        "protocol": {name: getattr(protocol, name) for name in protocol.__dataclass_fields__},
        "seed": info.seed,
        "sampler": {
            "name": selection.sampler.name,
            "options": dict(selection.options),
            "why": selection.reason,
        },
        "hardware": _hardware(),
        "sessions": earlier,
    }


def _record_session(run: Run, description: dict[str, Any], engine: Engine) -> None:
    session = {"started": now(), "stored_before": len(run.folder.keys), "engine": dict(engine.info)}
    description["sessions"] = [*description["sessions"], session]
    run.folder.write_problems(run.task.problems, run.task.prompts)
    run.folder.write_info({**description, "status": "running"})


def _hardware() -> dict[str, Any]:
    return {
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
    }


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def safe_name(name: str) -> str:
    """A name as one folder: letters, digits and . _ = , + - stay, everything else becomes an underscore."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._=,+-") else "_" for c in name)
    return kept.lstrip(".") or "_"

"""One evaluation: pending -> sample -> store -> grade -> measure."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from .benchmark_run import BenchmarkRun, RunInfo
from .components import Engine, Protocol
from .config import RunConfig
from .data import DataSource
from .errors import HarnessError, Interrupted, one_line
from .grading import open_pool
from .plugins import PluginManager
from .pool import WorkerPool
from .progress import Progress
from .protocol import asked_protocol, data_fingerprint, run_fingerprint
from .provenance import describe, session
from .records import Chain, Request
from .selection import Selection, select
from .task import Task, load_task

__all__ = ["RunInfo", "evaluate", "safe_name"]


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
    if len({benchmark.label for benchmark in benchmarks}) < len(benchmarks):
        raise HarnessError("--bench names the same benchmark twice")
    base = plugins.protocol(config.protocol)
    selection = select(config, plugins)
    protocol = asked_protocol(base, config, _default_n(config, selection))
    if protocol.temperature == 0 and protocol.n > 1 and selection.sampler.needs_weights:
        progress.note(f"temperature 0 is greedy: the {protocol.n} chains of a problem will be the same")
    data = DataSource(config.data or _data_from_environment(), allow_modified=config.allow_modified_data)
    tasks = [load_task(benchmark, protocol, data, config.limit) for benchmark in benchmarks]
    progress.note(f"sampler {selection.sampler.name}: {selection.reason}")

    with ExitStack() as stack:
        pool = open_pool(plugins, config.grading_deadline)
        stack.callback(pool.close)
        runs = [_prepare(task, config, protocol, selection, plugins, pool, progress) for task in tasks]
        for run in runs:
            stack.enter_context(run.folder.writing())
        try:
            return _carry_out(runs, protocol, selection, plugins, progress)
        except KeyboardInterrupt:
            stored = sum(run.folder.count() for run in runs)
            raise Interrupted(
                f"interrupted: {stored:,} chains are stored; run the same command to go on"
            ) from None


def _default_n(config: RunConfig, selection: Selection) -> int | None:
    if config.n is not None:
        return None
    return selection.sampler.default_n(selection.model.name, selection.options)


def _data_from_environment() -> Path | None:
    folder = os.environ.get("HARNESS_DATA")
    return Path(folder) if folder else None


def _prepare(
    task: Task,
    config: RunConfig,
    protocol: Protocol,
    selection: Selection,
    plugins: PluginManager,
    pool: WorkerPool,
    progress: Progress,
) -> BenchmarkRun:
    model, label = selection.model, task.benchmark.label
    fingerprint = run_fingerprint(
        model={"name": model.name, **model.identity()},
        data=data_fingerprint(task.problems, task.prompts),
        protocol=protocol,
        seed=config.seed,
        sampler=selection.sampler.identity(selection.options),
    )
    path = config.results / safe_name(model.name) / safe_name(label) / fingerprint
    info = RunInfo(model.name, label, protocol, config.seed, fingerprint, path)
    asked = describe(task, protocol, config.seed, fingerprint, selection)
    return BenchmarkRun(task, info, asked, plugins, pool, progress)


def _carry_out(
    runs: Sequence[BenchmarkRun],
    protocol: Protocol,
    selection: Selection,
    plugins: PluginManager,
    progress: Progress,
) -> list[dict[str, Any]]:
    pending: dict[str, list[Request]] = {}
    for run in runs:
        run.open()
        pending[run.info.benchmark] = run.pending()
        count = len(pending[run.info.benchmark])
        plugins.tell("harness_run_started", progress.note, run=run.info, pending=count)
        run.grade_stored()
    results: dict[str, dict[str, Any]] = {}

    def finish(run: BenchmarkRun) -> None:
        result = run.finish()
        plugins.tell("harness_run_finished", progress.note, run=run.info, result=result)
        results[run.info.benchmark] = result

    requests = [request for run in runs for request in pending[run.info.benchmark]]
    if requests:
        with _engine(selection, protocol) as engine:
            for run in runs:
                if pending[run.info.benchmark]:
                    stored = len(run.folder.keys)
                    run.begin_session(session(selection, engine, protocol.n, stored))
            _warn_of_short_context(engine, protocol, progress)
            progress.sampling()
            # Closed before the engine is, also when a chain cannot be stored.
            with closing(_chains(engine, requests, selection)) as chains:
                _sample(chains, requests, runs, finish)
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


@contextmanager
def _engine(selection: Selection, protocol: Protocol) -> Iterator[Engine]:
    """The opened engine; only what happens while it opens is put down to it."""
    with ExitStack() as stack:
        with _blamed_on(selection):
            opening = selection.sampler.open(selection.model, protocol.settings, selection.options)
            engine = stack.enter_context(opening)
        yield engine


def _chains(
    engine: Engine, requests: Sequence[Request], selection: Selection
) -> Generator[Chain, None, None]:
    """The engine's chains; what goes wrong inside it is told as one line."""
    with _blamed_on(selection), closing(engine.sample(requests)) as chains:  # type: ignore[type-var]
        while True:
            try:
                chain = next(chains)
            except StopIteration:
                return
            yield chain


@contextmanager
def _blamed_on(selection: Selection) -> Iterator[None]:
    try:
        yield
    except (HarnessError, GeneratorExit):
        raise
    except Exception as error:
        if os.environ.get("HARNESS_DEBUG"):
            raise
        raise HarnessError(
            f"sampler {selection.sampler.name} failed: {one_line(error)}; chains that it finished are stored, run "
            "the same command to go on (HARNESS_DEBUG=1 shows where it failed)"
        ) from error


def _warn_of_short_context(engine: Engine, protocol: Protocol, progress: Progress) -> None:
    context = engine.info.get("context")
    if isinstance(context, int) and context < protocol.max_tokens:
        progress.note(
            f"the model's context is {context:,} tokens, less than the budget of {protocol.max_tokens:,}: chains "
            "are cut off where the context ends and count as truncated"
        )


def _sample(
    chains: Iterator[Chain],
    requests: Sequence[Request],
    runs: Sequence[BenchmarkRun],
    finish: Callable[[BenchmarkRun], None],
) -> None:
    """Store and grade chains as they come; a benchmark whose last chain has come is finished at once."""
    by_label = {run.info.benchmark: run for run in runs}
    wanted = {request.key for request in requests}
    left = Counter(key.benchmark for key in wanted)
    for chain in chains:
        key = chain.key
        if key not in wanted:
            continue
        wanted.discard(key)
        run = by_label[key.benchmark]
        run.add(chain)
        left[key.benchmark] -= 1
        if not left[key.benchmark]:
            finish(run)


def safe_name(name: str) -> str:
    """A name as one folder: letters, digits and . _ = , + - stay, everything else becomes an underscore."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._=,+-") else "_" for c in name)
    return kept.lstrip(".")[:200] or "_"

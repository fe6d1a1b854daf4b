"""One evaluation: pending -> sample -> store -> grade -> measure."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from .benchmark_run import BenchmarkRun, RunInfo
from .components import Protocol
from .config import RunConfig
from .cost import Prices, prices
from .data import DataSource
from .errors import HarnessError, Interrupted
from .files import safe_name
from .grading import open_pool
from .plugins import PluginManager
from .pool import WorkerPool
from .progress import Progress
from .protocol import asked_protocol, data_fingerprint, run_fingerprint
from .provenance import describe
from .sampling import Replicas, sample_pending
from .selection import Selection, select
from .task import Task, load_task

__all__ = ["RunInfo", "evaluate"]


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
    protocol = asked_protocol(base, config, _n(config, selection))
    if protocol.temperature == 0 and protocol.n > 1 and selection.sampler.needs_weights:
        progress.note(f"temperature 0 is greedy: the {protocol.n} chains of a problem will be the same")
    replicas = _replicas(config, selection, plugins)
    known_prices = prices(config, _prices_of_models(plugins))
    data = DataSource(config.data or _data_from_environment(), allow_modified=config.allow_modified_data)
    tasks = [load_task(benchmark, protocol, data, config.limit) for benchmark in benchmarks]
    progress.note(f"sampler {selection.sampler.name}: {selection.reason}")

    with ExitStack() as stack:
        pool = open_pool(plugins, config.grading_deadline)
        stack.callback(pool.close)
        runs = [
            _prepare(task, config, protocol, selection, plugins, pool, progress, known_prices)
            for task in tasks
        ]
        for run in runs:
            stack.enter_context(run.folder.writing())
        try:
            return _carry_out(runs, protocol, selection, replicas, plugins, progress)
        except KeyboardInterrupt:
            stored = sum(run.folder.count() for run in runs)
            raise Interrupted(
                f"interrupted: {stored:,} chains are stored; run the same command to go on"
            ) from None


def _n(config: RunConfig, selection: Selection) -> int | None:
    if config.n is not None:
        return config.n
    return selection.sampler.default_n(selection.model.name, selection.options)


def _replicas(config: RunConfig, selection: Selection, plugins: PluginManager) -> Replicas | None:
    if config.replicas is None and config.ray_address is None:
        return None
    if not selection.sampler.runs_here:
        raise HarnessError(
            f"--replicas starts engines, and sampler {selection.sampler.name} starts none: leave it out"
        )
    return Replicas(plugins.cluster("ray"), config.replicas or 1, config.ray_address)


def _prices_of_models(plugins: PluginManager) -> dict[str, tuple[float, float]]:
    known = plugins.models.values()
    return {model.name: model.usd_per_mtok for model in known if model.usd_per_mtok is not None}


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
    known_prices: Prices,
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
    return BenchmarkRun(
        task,
        info,
        asked,
        plugins,
        pool,
        progress,
        prices=known_prices,
        stop_when_decided=config.stop_when_decided,
    )


def _carry_out(
    runs: Sequence[BenchmarkRun],
    protocol: Protocol,
    selection: Selection,
    replicas: Replicas | None,
    plugins: PluginManager,
    progress: Progress,
) -> list[dict[str, Any]]:
    for run in runs:
        run.open()
        plugins.tell("harness_run_started", progress.note, run=run.info, pending=run.missing)
        run.grade_stored()
    results: dict[str, dict[str, Any]] = {}

    def finish(run: BenchmarkRun) -> None:
        result = run.finish()
        plugins.tell("harness_run_finished", progress.note, run=run.info, result=result)
        results[run.info.benchmark] = result

    sample_pending(runs, protocol, selection, replicas, progress, finish)
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

"""Which rows a comparison has: models under their headings, each row one model with at most one run a benchmark."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from harness import Published
from harness.checkpoints import natural
from harness.report import ReportRun

from .figures import published_score

MEASURED: Final = "measured"
NOT_MEASURED: Final = "published, not measured"


@dataclass(frozen=True)
class Entry:
    """One row: a measured model with its runs, or a published one with its figures, by benchmark."""

    label: str
    group: str
    runs: Mapping[str, ReportRun] = field(default_factory=dict)
    published: Mapping[str, Published] = field(default_factory=dict)

    def score(self, benchmark: str, metric: str) -> float | None:
        """A score in 0..1."""
        if (run := self.runs.get(benchmark)) is not None:
            value: float | None = run.result["scores"].get(metric, {}).get("value")
            return value
        row = self.published.get(benchmark)
        return None if row is None else published_score(row, metric)


def by_protocol(runs: Iterable[ReportRun]) -> list[list[ReportRun]]:
    """Runs whose figures are comparable, together."""
    found: dict[Hashable, list[ReportRun]] = {}
    for run in runs:
        found.setdefault(run.protocol, []).append(run)
    return list(found.values())


def series_of(runs: Iterable[ReportRun]) -> dict[str, list[ReportRun]]:
    """Training runs of which there are several checkpoints: name -> their runs in order of step."""
    found: dict[str, list[ReportRun]] = defaultdict(list)
    for run in runs:
        if run.checkpoint is not None:
            found[run.checkpoint.series].append(run)
    return {
        series: sorted(members, key=_step)
        for series, members in found.items()
        if len(set(map(_step, members))) > 1
    }


def _step(run: ReportRun) -> int:
    assert run.checkpoint is not None
    return run.checkpoint.step


def series_title(series: str) -> str:
    return f"checkpoints of {series}" if series else "checkpoints"


def entries(
    runs: Sequence[ReportRun],
    published: Sequence[Published],
    benchmarks: Sequence[str],
    trained: Mapping[str, int] = MappingProxyType({}),
) -> list[Entry]:
    """The rows of a table, in order: published groups, then measured models, then checkpoints step by step.

    Within a group the best on the first benchmark stands first, but for models of which is known how they were trained.

    Args:
        trained: these models -> their place before all others that were measured.
    """

    def rank(entry: Entry) -> tuple[object, ...]:
        scores = [entry.score(benchmark, "pass@1") for benchmark in benchmarks]
        names = [trained.get(run.model, len(trained)) for run in entry.runs.values()]
        return (
            min(names, default=0),
            *((1, 0.0) if score is None else (0, -score) for score in scores),
            natural(entry.label),
        )

    found: list[Entry] = []
    of_others = _published(published)
    for group in dict.fromkeys(entry.group for entry in of_others):
        found += sorted((entry for entry in of_others if entry.group == group), key=rank)
    series = series_of(run for run in runs if run.model not in trained)
    in_series = {run for members in series.values() for run in members}
    found += sorted(_measured([run for run in runs if run not in in_series], MEASURED), key=rank)
    for name, members in series.items():
        found += _measured(members, series_title(name))
    return found


def _published(rows: Sequence[Published]) -> list[Entry]:
    models: dict[tuple[str, str], dict[str, Published]] = {}
    for row in rows:
        models.setdefault((row.group, row.model), {})[row.benchmark] = row
    return [
        Entry(model, f"{group} ({NOT_MEASURED})" if group else NOT_MEASURED, published=found)
        for (group, model), found in models.items()
    ]


def _measured(runs: Sequence[ReportRun], group: str) -> list[Entry]:
    models: dict[str, list[ReportRun]] = {}
    for run in runs:
        models.setdefault(run.model, []).append(run)
    return [
        Entry(label, group, runs={run.benchmark: run for run in members})
        for model in models
        for label, members in told_apart(models[model]).items()
    ]


def told_apart(runs: Sequence[ReportRun]) -> dict[str, list[ReportRun]]:
    """The runs of one model under one protocol as rows: by name, else by seed, by weights, or one by one."""
    for suffix in _WAYS:
        rows: dict[str, list[ReportRun]] = {}
        for run in runs:
            rows.setdefault(run.model + suffix(run), []).append(run)
        if all(len({run.benchmark for run in members}) == len(members) for members in rows.values()):
            return rows
    return {f"{run.model} ({place})": [run] for place, run in enumerate(runs, 1)}


def _weights(run: ReportRun) -> str:
    """What tells the weights of two models of one name apart, in a few characters."""
    model = run.info.get("model")
    known = model if isinstance(model, Mapping) else {}
    return str(known.get("content") or known.get("revision") or "?")[:8]


_WAYS: Final[tuple[Callable[[ReportRun], str], ...]] = (
    lambda run: "",
    lambda run: "" if run.result["seed"] is None else f" (seed {run.result['seed']})",
    lambda run: f" (seed {run.result['seed']}, weights {_weights(run)})",
    lambda run: f" (run {str(run.result.get('fingerprint', '?'))[:8]})",
)


def labels(runs: Iterable[ReportRun]) -> dict[ReportRun, str]:
    """What each run's row is called, told apart from other runs of its model under its protocol."""
    models: dict[Hashable, list[ReportRun]] = {}
    for run in runs:
        models.setdefault((run.model, run.protocol), []).append(run)
    return {
        run: label
        for members in models.values()
        for label, same in told_apart(members).items()
        for run in same
    }

"""What a report is made of: finished runs, how they compare, and published figures beside them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .checkpoints import Checkpoint, checkpoint_of, natural
from .comparison import METRICS, Comparison, Side, compare_family
from .errors import HarnessError, closest
from .outcomes import Outcomes, read_outcomes
from .records import Published
from .store import RunFolder

if TYPE_CHECKING:  # what reads it takes longer to import than a report of runs takes to write
    from .training import Training


def truncated_share(result: Mapping[str, Any]) -> float | None:
    """Share of a run's chains that hit their budget, in 0..1.

    None where nobody knows: chains that somebody else sampled, with neither a budget nor a chain that was cut off.
    """
    share: float = result["truncated"]
    return None if result["max_tokens"] is None and not share else share


class ReportRun:
    """One finished run: its result, and on demand what became of its chains."""

    def __init__(self, result: Mapping[str, Any]) -> None:
        self.result = result

    @property
    def model(self) -> str:
        return str(self.result["model"])

    @property
    def benchmark(self) -> str:
        return str(self.result["benchmark"])

    @property
    def path(self) -> Path:
        return Path(self.result["path"])

    @property
    def protocol(self) -> tuple[Any, ...]:
        """What two runs must share to be comparable."""
        return tuple(self.result[name] for name in ("protocol", "temperature", "top_p", "max_tokens"))

    @cached_property
    def checkpoint(self) -> Checkpoint | None:
        """Training run and step, where the model's name tells them."""
        return checkpoint_of(self.model)

    @cached_property
    def outcomes(self) -> Outcomes:
        """What became of the run's chains.

        Raises:
            HarnessError: the files are missing or damaged.
        """
        return read_outcomes(self.path, self.result["n"])

    @cached_property
    def info(self) -> Mapping[str, Any]:
        """What run.json says; empty where it is missing or damaged."""
        return RunFolder(self.path, self.benchmark).info_or_none() or {}

    @property
    def ties(self) -> str:
        """What a tied vote is worth, as the run's protocol has it."""
        return str((self.info.get("protocol") or {}).get("ties", "expected"))

    @cached_property
    def side(self) -> Side:
        return Side(
            self.model, str(self.result.get("fingerprint", "")), self.result["n"], self.ties, self.outcomes
        )


class Report:
    """Runs in order (benchmark, then model, step by step), compared with each other.

    With the training of models beside them, the base stands first, then its checkpoints as the recipe makes them, then
    all others.

    Args:
        results: each as `harness run --json` prints it.
        baseline: compare every model with this one; None compares all with all.
        published: figures of others, to stand beside the measured ones.
        charts: file format of charts that a report in a file is to have: "svg", "png" or None.
        training: runs of recipes: what their checkpoints cost, and how their stages went.
    """

    def __init__(
        self,
        results: Iterable[Mapping[str, Any]],
        *,
        baseline: str | None = None,
        published: Sequence[Published] = (),
        charts: str | None = None,
        training: Sequence[Training] = (),
    ) -> None:
        self.training = tuple(training)
        self.trained = _trained(self.training)
        """Models that the training is told of -> their place among them."""
        self.runs = sorted(
            map(ReportRun, results),
            key=lambda run: (natural(run.benchmark), self._place(run.model), str(run.protocol)),
        )
        self.published = tuple(published)
        self.charts = charts
        self.baseline = None if baseline is None else self._model_called(baseline)

    def _model_called(self, name: str) -> str:
        models = {run.model for run in self.runs}
        if name in models:
            return name
        raise HarnessError(f"--baseline: no run is of a model called {name!r}: {closest(name, models)}")

    @property
    def results(self) -> list[Mapping[str, Any]]:
        return [run.result for run in self.runs]

    @property
    def models(self) -> list[str]:
        """Names of the measured models, in order, each once."""
        return sorted({run.model for run in self.runs}, key=self._place)

    def _place(self, model: str) -> tuple[object, ...]:
        return self.trained.get(model, len(self.trained)), natural(model)

    @property
    def benchmarks(self) -> list[str]:
        """Names of the benchmarks, of measured runs first, each once."""
        found = [run.benchmark for run in self.runs] + [row.benchmark for row in self.published]
        return list(dict.fromkeys(found))

    @cached_property
    def comparisons(self) -> list[Comparison]:
        """Every two runs of a benchmark under one protocol; with a baseline only those that it is part of.

        `a` stands before `b` in the report; the baseline is always `b`.

        Raises:
            HarnessError: a run's files are missing or damaged.
        """
        families: dict[tuple[Any, ...], list[ReportRun]] = {}
        for run in self.runs:
            families.setdefault((run.benchmark, *run.protocol), []).append(run)
        found = []
        for (benchmark, *_), runs in families.items():
            pairs = list(self._pairs(runs))
            for metric in METRICS:
                found += compare_family(benchmark, metric, [(a.side, b.side) for a, b in pairs])
        return found

    def _pairs(self, runs: Sequence[ReportRun]) -> Iterable[tuple[ReportRun, ReportRun]]:
        if self.baseline is None:
            return itertools.combinations(runs, 2)
        rest = [run for run in runs if run.model != self.baseline]
        return ((a, b) for b in runs if b.model == self.baseline for a in rest)


def _trained(training: Sequence[Training]) -> Mapping[str, int]:
    names = [name for each in training for name in (each.base, *(cost.checkpoint for cost in each.costs))]
    return {name: place for place, name in enumerate(dict.fromkeys(filter(None, names)))}

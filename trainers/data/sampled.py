"""Lets a model answer the problems of sources: an evaluation like any other, whose run folders keep the chains."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import Benchmark, Chain, Grade, HarnessError
from harness.store import RunFolder

from .records import Candidate, Item, LeftOut, Tally, Wanted
from .sources import Source

if TYPE_CHECKING:
    from harness.plugins import PluginManager
    from harness.progress import Progress

    from ..recipes.schema import Sampled


@dataclasses.dataclass(frozen=True, slots=True)
class Sampling:
    """A finished run on the problems of a source."""

    path: Path
    n: int

    def answers(self) -> Iterator[tuple[str, tuple[Candidate, ...]]]:
        """Problem by problem, in the run's order: its id, and the chains that the model wrote, graded.

        Raises:
            HarnessError: the run folder is damaged.
        """
        folder = RunFolder.of(self.path)
        stored = folder.read_grades()
        if stored is None:
            raise HarnessError(
                f"{self.path} has no grades: remove its scores.json and run the same command again"
            )
        order = [problem.id for problem in folder.problems()]
        for id_, chains in groupby(folder.chains(order), key=lambda chain: chain.problem_id):
            yield id_, tuple(_candidate(chain, stored.grades) for chain in chains if chain.index < self.n)

    def items(self, source: Source, wanted: Wanted, tally: Tally) -> Iterator[Item]:
        """The source's items with the chains that the model wrote, and without what they knew of pass rates.

        Raises:
            HarnessError: the run folder is damaged.
        """
        answers = self.answers()
        found = next(answers, None)
        for item in source.items(wanted, tally):
            while found is not None and found[0] != item.id:  # of problems that are left out
                found = next(answers, None)
            if found is None:
                tally.leave_out(LeftOut("without chains"))
                continue
            yield dataclasses.replace(item, chains=found[1], pass_rate=None)


def _candidate(chain: Chain, grades: Mapping[tuple[str, int], Grade]) -> Candidate:
    grade = grades.get((chain.problem_id, chain.index))
    thought = f"<think>\n{chain.reasoning.strip()}\n</think>\n\n" if chain.reasoning.strip() else ""
    right = grade is not None and grade.correct
    return Candidate(thought + chain.text, right, chain.completion_tokens, chain.truncated)


def sample(
    sources: Sequence[Source],
    asked: Sampled,
    wanted: Wanted,
    *,
    model: Path | None,
    results: Path,
    plugins: PluginManager,
    protocol: str,
    data_folder: Path | None,
    progress: Progress,
) -> list[Sampling]:
    """Chains of the model on the problems of each source: those that are missing are sampled, in this process.

    Args:
        results: where the run folders go.

    Raises:
        HarnessError: no model, or one that cannot be sampled here.
        Interrupted: stopped; the chains so far are stored.
    """
    if model is None:
        raise HarnessError(f"data.sample: there is no model to sample from ({asked.model})")
    found = [source.benchmark(wanted) for source in sources]
    sampler = asked.sampler or "auto"
    weights = sampler == "auto" or plugins.sampler(sampler.partition(":")[0]).needs_weights
    said = {
        "model": str(model.resolve()) if weights else model.name,
        "sampler": sampler,
        "bench": [name for name, _ in found],
        "n": asked.n,
        "temperature": float(asked.temperature),
        "top_p": float(asked.top_p),
        "max_tokens": asked.max_tokens,
        "seed": asked.seed,
        "protocol": protocol,
        "data": data_folder,
        "results": results,
    }
    return answered({b.name: b for n, b in found if n == b.name}, said, asked.n, plugins, progress)


def answered(
    benchmarks: Mapping[str, Benchmark],
    said: Mapping[str, Any],
    n: int,
    plugins: PluginManager,
    progress: Progress,
) -> list[Sampling]:
    """Runs of a model, finished: those of its chains that are missing are sampled, in this process.

    Args:
        benchmarks: those that the plugins do not know, such as rows of data sets.
        said: flags of `harness run`; `bench` names what is run.

    Raises:
        HarnessError: a model that cannot be sampled here.
        Interrupted: stopped; the chains so far are stored.
    """
    from harness.config import load_config
    from harness.evaluation import evaluate

    knowing = copy.copy(plugins)
    vars(knowing)["benchmarks"] = {**plugins.benchmarks, **benchmarks}
    outcome = evaluate(load_config(None, said), knowing, progress)
    return [Sampling(Path(result["path"]), n) for result in outcome]

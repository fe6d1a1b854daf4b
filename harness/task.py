"""A benchmark with its problems loaded, checked and prompted: what a run works on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .components import Benchmark, Protocol
from .data import DataSource
from .errors import HarnessError, one_line
from .records import Problem, Prompt


@dataclass(frozen=True, slots=True)
class Task:
    benchmark: Benchmark
    problems: Sequence[Problem]
    prompts: Sequence[Prompt]
    origin: str
    """Where the rows came from."""
    notes: Mapping[str, Any]
    warnings: Sequence[str] = ()
    """What a reader of the scores must know: modified data, an order of choices that gives answers away."""


def load_task(benchmark: Benchmark, protocol: Protocol, data: DataSource, limit: int | None = None) -> Task:
    """Load a benchmark's problems and ask them in the protocol's way.

    Args:
        limit: only the first problems; None takes all.

    Raises:
        HarnessError: rows that are missing, modified or bad, problems that are not as they should be, or none.
    """
    read_before, warned_before = len(data.origins), len(data.warnings)
    try:
        problems = list(benchmark.problems(data))
        notes = benchmark.notes(problems)
    except HarnessError:
        raise
    except Exception as error:  # a stranger's code
        raise HarnessError(
            f"benchmark {benchmark.label} cannot load its problems: {one_line(error)}"
        ) from error
    origin = ", ".join(data.origins[read_before:]) or benchmark.source
    _check(benchmark, problems)
    chosen = problems[:limit]
    prompts = [protocol.prompt(problem, benchmark) for problem in chosen]
    return Task(benchmark, chosen, prompts, origin, notes, data.warnings[warned_before:])


def _check(benchmark: Benchmark, problems: Sequence[Problem]) -> None:
    if not problems:
        raise HarnessError(f"benchmark {benchmark.label} has no problems")
    seen: set[str] = set()
    for number, problem in enumerate(problems, 1):
        if not isinstance(problem, Problem):
            raise HarnessError(f"benchmark {benchmark.label}: problem {number} is a {type(problem).__name__}")
        for name in ("id", "text", "gold"):
            if not isinstance(value := getattr(problem, name), str):
                raise HarnessError(
                    f"benchmark {benchmark.label}: {name} of problem {number} is {value!r:.40}, not a text"
                )
        if problem.id in seen:
            raise HarnessError(f"benchmark {benchmark.label} has two problems with the id {problem.id!r}")
        seen.add(problem.id)

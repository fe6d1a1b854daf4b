"""In which order chains are begun: the longest first, so that no long chain is left to run alone at the end.

Giving the longest jobs to free machines first keeps the makespan within 4/3 of the best possible one, where any
order keeps it within 2 (Graham 1969, SIAM J. Appl. Math. 17:416-429). How long a problem's chains will be is not
known, but what was long for one model is mostly long for another: earlier runs in the same results folder tell.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from .errors import HarnessError
from .records import Request
from .rows import read_table

_POWER = 4
"""A problem's place is decided by the power mean of its chains' lengths: what hurts at the end is a chain that turns
out long after it was begun late, so long ones weigh more than in the plain mean. perf/scheduling.py compares the two:
much is won where many chains are known, a little is lost where few are."""

_MOST_RUNS = 16
"""Earlier runs that are read, the latest first: each costs a few milliseconds."""

ROUND = 8
"""Chains of a problem that are begun together where later ones may turn out superfluous."""


def longest_first(
    requests: Sequence[Request], expected: Mapping[tuple[str, str], float], at_once: int | None = None
) -> list[Request]:
    """The requests, problem by problem, the problems with the longest chains first.

    Problems of which nothing is known are taken to be as long as the known ones are on average; among equals the
    longer prompt goes first. Problems of all benchmarks are ordered together, so that the tail of one benchmark is
    filled by the others.

    Args:
        expected: (benchmark, problem id) -> tokens that a chain is expected to have.
        at_once: begin so many chains of every problem before more of any, so that their votes are known by then;
            None begins all chains of a problem together.
    """
    groups: dict[tuple[str, str], list[Request]] = defaultdict(list)
    for request in requests:
        groups[request.key.benchmark, request.key.problem_id].append(request)
    usual = fmean(known) if (known := [expected[key] for key in groups if key in expected]) else 0.0

    def rank(key: tuple[str, str]) -> tuple[float, int]:
        return -expected.get(key, usual), -groups[key][0].prompt.size

    ordered = [groups[key] for key in sorted(groups, key=rank)]
    step = at_once or max(map(len, ordered), default=1)
    starts = range(0, max(map(len, ordered), default=0), step)
    return [request for start in starts for group in ordered for request in group[start : start + step]]


def expected_tokens(folders: Iterable[Path]) -> dict[str, float]:
    """Problem id -> tokens that a long chain of it has had in earlier complete runs of a benchmark, whatever the model.

    Args:
        folders: run folders of one benchmark; those without a chains.parquet, or with a damaged one, tell nothing.
    """
    files = [file for folder in folders if (file := folder / "chains.parquet").is_file()]
    files.sort(key=lambda file: file.stat().st_mtime, reverse=True)
    means: dict[str, list[float]] = defaultdict(list)
    for file in files[:_MOST_RUNS]:
        for problem_id, tokens in _tokens(file).items():
            means[problem_id].append(tokens)
    return {problem_id: fmean(values) for problem_id, values in means.items()}


def power_mean(lengths: Sequence[int]) -> float:
    """(mean of x^4)^(1/4): between the mean and the maximum."""
    return float(fmean(length**_POWER for length in lengths) ** (1 / _POWER))


def _tokens(file: Path) -> dict[str, float]:
    try:
        table = read_table(file, "", columns=["problem_id", "completion_tokens"])
    except (HarnessError, KeyError):
        return {}
    tokens: dict[str, list[int]] = defaultdict(list)
    columns = (table.column(name).to_pylist() for name in ("problem_id", "completion_tokens"))
    for problem_id, count in zip(*columns, strict=True):
        if count is not None:
            tokens[problem_id].append(count)
    return {problem_id: power_mean(counts) for problem_id, counts in tokens.items()}

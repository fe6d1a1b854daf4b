"""Turns the grades of a run into its scores and counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from .components import Metric
from .records import STATUSES, GradedChain


def measure(
    problems: Mapping[str, Sequence[GradedChain]], n: int, metrics: Iterable[Metric]
) -> dict[str, Any]:
    """Every metric's scores, and how the chains ended.

    Args:
        problems: problem id -> its n graded chains, ordered by sample index.

    Returns:
        `scores` by name; `counts` of chains by status; `truncated`, the share of chains that hit their budget,
        and `no_answer`, the share of chains that ended by themselves without an answer (both in 0..1).
    """
    everything = list(chain.from_iterable(problems.values()))
    counts = Counter(graded.grade.status for graded in everything)
    scores = {
        name: score.as_dict() for metric in metrics for name, score in metric.compute(problems, n).items()
    }
    return {
        "scores": scores,
        "truncated": sum(graded.truncated for graded in everything) / len(everything),
        "no_answer": counts["no_answer"] / len(everything),
        "counts": {status: counts[status] for status in STATUSES},
    }

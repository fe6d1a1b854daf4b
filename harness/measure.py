"""Turns the grades of a run into its scores and counts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from .components import Metric, Protocol
from .errors import one_line
from .records import STATUSES, GradedChain, Score


def measure(
    problems: Mapping[str, Sequence[GradedChain]],
    protocol: Protocol,
    metrics: Iterable[Metric],
    note: Callable[[str], None],
) -> dict[str, Any]:
    """Every metric's scores, and how the chains ended.

    Args:
        problems: problem id -> its n graded chains, ordered by sample index.
        note: is told of a metric that fails; its scores are left out.

    Returns:
        `scores` by name; `counts` of chains by status; `truncated`, the share of chains that hit their budget,
        and `no_answer`, the share of chains that ended by themselves without an answer (both in 0..1).
    """
    everything = list(chain.from_iterable(problems.values()))
    counts = Counter(graded.grade.status for graded in everything)
    scores: dict[str, Any] = {}
    for metric in metrics:
        for name, score in _scores(metric, problems, protocol, note).items():
            if name in scores:
                note(f"metric {metric.name} gives {name!r}, which another metric gives too: it is left out")
            else:
                scores[name] = score.as_dict()
    return {
        "scores": scores,
        "truncated": sum(graded.truncated for graded in everything) / len(everything),
        "no_answer": counts["no_answer"] / len(everything),
        "counts": {status: counts[status] for status in STATUSES},
    }


def _scores(
    metric: Metric,
    problems: Mapping[str, Sequence[GradedChain]],
    protocol: Protocol,
    note: Callable[[str], None],
) -> dict[str, Score]:
    try:
        scores = dict(metric.compute(problems, protocol))
    except Exception as error:  # noqa: BLE001 - a stranger's code
        note(f"metric {metric.name} failed, its scores are left out: {one_line(error)}")
        return {}
    for name in [name for name, score in scores.items() if not math.isfinite(score.value)]:
        note(f"metric {metric.name} gives {scores.pop(name).value} for {name!r}: it is left out")
    return scores

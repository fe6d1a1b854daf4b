"""Turns the grades of a run into its scores and counts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from statistics import fmean
from typing import Any

from .components import Metric, Protocol
from .decided import decided
from .errors import one_line
from .records import STATUSES, Grade, GradedChain, Score
from .rows import Key
from .statistics import mean_over_problems
from .store import Length


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
        and `no_answer`, the share of chains that ended by themselves without an answer (both in 0..1); `tokens`
        of all prompts and completions, each prompt counted once a chain; `foreign` where chains bring the scores of
        another grader: of how many `chains`, their mean over chains, then problems (`score`), and on how many chains
        the two disagree (`differs`: half a point and more is correct); and `decided` where problems have fewer
        than n chains: how many (`problems`), how many chains that saved, and how many of these problems are not
        decided by the grades at hand.
    """
    everything = list(chain.from_iterable(problems.values()))
    counts = Counter(graded.grade.status for graded in everything)
    scores: dict[str, Any] = {}
    given = [(f"metric {metric.name}", _scores(metric, problems, protocol, note)) for metric in metrics]
    for source, found in [*given, ("the grader", _figures_of_grades(problems))]:
        for name, score in found.items():
            if name in scores:
                note(f"{source} gives {name!r}, which another metric gives too: it is left out")
            else:
                scores[name] = score.as_dict()
    return {
        "scores": scores,
        "truncated": sum(graded.truncated for graded in everything) / len(everything),
        "no_answer": counts["no_answer"] / len(everything),
        "counts": {status: counts[status] for status in STATUSES},
        **({"foreign": foreign} if (foreign := _foreign(problems))["chains"] else {}),
        **({"decided": early} if (early := _early_stops(problems, protocol.n))["problems"] else {}),
        "tokens": {
            "prompt": _sum(graded.prompt_tokens for graded in everything),
            "completion": _sum(graded.completion_tokens for graded in everything),
        },
    }


def table_of_grades(
    order: Sequence[str], n: int, grades: Mapping[Key, Grade], lengths: Mapping[Key, Length]
) -> dict[str, list[GradedChain]]:
    """Problem id -> its graded chains by sample index: n of them, or fewer where sampling stopped early."""
    return {
        id_: [
            GradedChain(
                id_, i, grades[id_, i], have.completion_tokens, have.truncated, have.prompt_tokens, have.score
            )
            for i in range(n)
            if (have := lengths.get((id_, i))) is not None
        ]
        for id_ in order
    }


def _early_stops(problems: Mapping[str, Sequence[GradedChain]], n: int) -> dict[str, int]:
    """How many problems have fewer than n chains, how many chains that saved, and whether it was right."""
    short = [chains for chains in problems.values() if len(chains) < n]
    votes = [
        Counter(g.grade.answer_class for g in chains if g.grade.answer_class is not None) for chains in short
    ]
    left = [n - len(chains) for chains in short]
    return {
        "problems": len(short),
        "chains_saved": sum(left),
        "undecided": sum(not decided(*pair) for pair in zip(votes, left, strict=True)),
    }


def _foreign(problems: Mapping[str, Sequence[GradedChain]]) -> dict[str, Any]:
    """What another grader gave these chains, beside what ours does."""
    scored = {
        id_: [(graded.score, graded.grade.correct) for graded in chains if graded.score is not None]
        for id_, chains in problems.items()
    }
    known = [pairs for pairs in scored.values() if pairs]
    return {
        "chains": sum(map(len, known)),
        "score": fmean(fmean(score for score, _ in pairs) for pairs in known) if known else None,
        "differs": sum((score >= 0.5) != correct for pairs in known for score, correct in pairs),
    }


def _sum(counts: Iterable[int | None]) -> int | None:
    """The sum, or None where nothing is known of any."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _figures_of_grades(problems: Mapping[str, Sequence[GradedChain]]) -> dict[str, Score]:
    """Means over chains, then problems, of the further figures that a grader gave; a chain without one counts 0."""
    names = {name: None for chains in problems.values() for graded in chains for name in graded.grade.scores}
    return {
        name: _mean([fmean(g.grade.scores.get(name, 0.0) for g in chains) for chains in problems.values()])
        for name in names
    }


def _mean(values: Sequence[float]) -> Score:
    if min(values) >= 0 and max(values) <= 1:
        return Score(*mean_over_problems(values))
    return Score(fmean(values))  # the intervals are those of shares


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

"""Which models solve which problems: a heat map, the hardest problem first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from harness.report import Report

from .chart import Chart, Rows, finished, percent
from .engine import LETTERS, altair, names
from .subjects import Subject, left_out, shortened

_MOST_MODELS: Final = 40
_MOST_PROBLEMS: Final = 600
"""More columns than that are narrower than a pixel."""
_MOST_NAMED: Final = 60
"""Problems up to which each column is labelled."""


def heat_maps(report: Report, subjects: Mapping[str, Sequence[Subject]]) -> list[Chart]:
    """One chart a benchmark: models x problems, coloured by the share of correct chains."""
    return [
        chart
        for benchmark, all_ in subjects.items()
        if (chart := _heat_map(benchmark, sorted(all_, key=lambda s: -s.pass1)[:_MOST_MODELS], all_))
    ]


def _heat_map(benchmark: str, shown: Sequence[Subject], all_: Sequence[Subject]) -> Chart | None:
    shown = [subject for subject in all_ if subject in shown]  # checkpoints stay step by step
    rates: dict[str, list[float]] = {}
    for subject in shown:
        outcomes = subject.run.outcomes
        for problem, rate in zip(outcomes.problems, outcomes.rates.tolist(), strict=True):
            rates.setdefault(problem, []).append(rate)
    if not 1 < len(rates) <= _MOST_PROBLEMS:
        return None
    order = sorted(rates, key=lambda problem: sum(rates[problem]) / len(rates[problem]))
    place = {problem: i for i, problem in enumerate(order)}
    names = _problem_names(order)
    rows: Rows = []
    for subject in shown:
        outcomes = subject.run.outcomes
        columns = (outcomes.problems, outcomes.rates.tolist(), outcomes.counts.tolist())
        for problem, rate, count in zip(*columns, strict=True):
            rows.append(
                {
                    "label": subject.label,
                    "problem": names[problem],
                    "place": place[problem],
                    "rate": percent(rate),
                    "chains": count,
                }
            )
    never = sum(not any(rates[problem]) for problem in order)
    always = sum(min(rates[problem]) == 1 for problem in order)
    caption = (
        f"{benchmark}: share of correct chains of {len(shown)} models on {len(order)} problems, the hardest problem on"
        f" the left. {never} are never solved by any model, {always} always by all."
    )
    return finished(
        benchmark,
        "problems",
        f"{shortened(benchmark, 60)}: who solves what",
        _drawing([subject.label for subject in shown], len(order)),
        {"cells": rows},
        caption + left_out(shown, all_),
        "problems from hard to easy",
        params=[LETTERS],
    )


def _drawing(models: Sequence[str], problems: int) -> Any:
    alt = altair()
    few = problems <= _MOST_NAMED
    axis = alt.Axis(labelAngle=-90, labelLimit=90, labelOverlap="greedy", ticks=False) if few else None
    return (
        alt.Chart(alt.NamedData("cells"))
        .mark_rect(style="edge" if few else "cell")
        .encode(
            x=alt.X(
                "problem:N",
                sort=alt.EncodingSortField("place", op="min"),
                title="problem" if few else None,
                axis=axis,
                scale=alt.Scale(padding=0),
            ),
            y=alt.Y("label:N", sort=list(models), title=None, axis=names()),
            color=alt.Color(
                "rate:Q",
                title="correct chains, %",
                scale=alt.Scale(domain=[0, 100], range="heatmap"),
                legend=alt.Legend(gradientLength=180, values=[0, 25, 50, 75, 100], format="d"),
            ),
            tooltip=[
                alt.Tooltip("label:N", title="model"),
                alt.Tooltip("problem:N"),
                alt.Tooltip("rate:Q", title="correct, %", format=".1f"),
                alt.Tooltip("chains:Q"),
            ],
        )
        .properties(height=20 * len(models))
    )


def _problem_names(problems: Sequence[str]) -> dict[str, str]:
    """Ids that fit below a column: without what all of them begin with, and different for each problem."""
    first, last = min(problems), max(problems)
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), 0)
    cut = max(first.rfind(mark, 0, same) for mark in "-_/. :") + 1
    found: dict[str, str] = {}
    taken: set[str] = set()
    for problem in problems:
        name = shortened(problem[cut:] or problem, 16)
        if name in taken:
            name = f"{name} ({len(taken)})"
        taken.add(name)
        found[problem] = name
    return found

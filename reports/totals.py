"""What a row of the overview says over all its benchmarks: truncated chains, tokens, cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from harness import HarnessError
from harness.report import ReportRun, truncated_share

from .figures import UNKNOWN, money, percent_cell, sum_known, usd_of
from .groups import Entry
from .table import Cell

EMPTY: Final = Cell("")


def totals(entry: Entry, with_cost: bool) -> list[Cell]:
    """Over all benchmarks of a measured row: truncated, mean tokens, tokens per correct answer, and cost."""
    runs = list(entry.runs.values())
    if not runs:
        return [EMPTY] * (4 if with_cost else 3)
    chains = sum(run.result["chains"] for run in runs)
    cut = sum_known([_truncated_sum(run) for run in runs])
    mean = sum_known([_mean_tokens_sum(run) for run in runs])
    tokens = sum_known([completion_tokens(run) for run in runs])
    correct = sum(run.result["counts"]["correct"] for run in runs)
    cells = [
        percent_cell(None if cut is None else cut / chains),
        Cell(UNKNOWN) if mean is None else Cell(f"{mean / chains:,.0f}", mean / chains),
        _per_correct(tokens, correct),
    ]
    return [*cells, _cost(runs)] if with_cost else cells


def _truncated_sum(run: ReportRun) -> float | None:
    share = truncated_share(run.result)
    return None if share is None else share * run.result["chains"]


def _mean_tokens_sum(run: ReportRun) -> float | None:
    mean = run.result["scores"].get("mean_tokens")
    return None if mean is None else mean["value"] * run.result["chains"]


def completion_tokens(run: ReportRun) -> int | None:
    """Tokens of all chains of a run, or None where some are unknown."""
    known: int | None = (run.result.get("cost") or {}).get("completion_tokens")
    if known is not None:
        return known
    try:
        tokens = run.outcomes.tokens
    except HarnessError:
        return None
    return int(tokens.sum()) if len(tokens) and tokens.min() >= 0 else None


def _per_correct(tokens: float | None, correct: int) -> Cell:
    if tokens is None:
        return Cell(UNKNOWN)
    return Cell(f"{tokens / correct:,.0f}", tokens / correct) if correct else Cell("∞")


def _cost(runs: Sequence[ReportRun]) -> Cell:
    known = [usd for run in runs if (usd := usd_of(run.result)) is not None]
    if not known:
        return Cell(UNKNOWN)
    least = "" if len(known) == len(runs) else "≥ "
    return Cell(least + money(sum(known)), sum(known))

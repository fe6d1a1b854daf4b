"""Columns of the tables, kinds of problems, and what else is said of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from harness.checkpoints import natural

from .data import Run
from .queries import Column
from .rows import ChainRow, ProblemRow
from .summaries import Summary, number

RUN_COLUMNS: Final[tuple[Column[Summary], ...]] = (
    Column("model", "Model", lambda row: natural(row.model), number=False),
    Column("status", "Status", lambda row: (row.status, row.progress or 0), number=False),
    Column("n", "n", lambda row: row.n, help="chains per problem"),
    Column(
        "pass1",
        "pass@1",
        lambda row: row.pass1 and row.pass1.value,
        help="mean share of correct chains ± standard error",
    ),
    Column(
        "cons",
        "cons@n",
        lambda row: row.cons and row.cons.value,
        help="correctness of the majority answer ± standard error",
    ),
    Column(
        "truncated", "truncated", lambda row: row.truncated, help="share of chains cut off by their budget, %"
    ),
    Column("tokens", "tokens", lambda row: row.tokens, help="mean length of a chain"),
    Column("usd", "cost", lambda row: row.usd),
)

PROBLEM_COLUMNS: Final[tuple[Column[ProblemRow], ...]] = (
    Column("place", "#", lambda row: row.place, number=False),
    Column("id", "Problem", lambda row: natural(row.id), number=False),
    Column("share", "correct", lambda row: row.share, help="share of the chains that are correct, %"),
    Column(
        "worth", "vote", lambda row: row.worth, help="what the majority vote is worth: 1 correct, 0 wrong"
    ),
    Column("majority", "Majority answer", lambda row: row.majority, number=False),
    Column("gold", "Gold", lambda row: row.gold, number=False),
    Column("truncated", "truncated", lambda row: row.cut, help="share of chains cut off by their budget, %"),
    Column("tokens", "tokens", lambda row: row.tokens, help="mean length of a chain"),
)

CHAIN_COLUMNS: Final[tuple[Column[ChainRow], ...]] = (
    Column("index", "#", lambda row: row.index, number=False),
    Column("status", "Verdict", lambda row: row.status, number=False),
    Column("answer", "Answer", lambda row: row.answer, number=False),
    Column(
        "rule",
        "Rule",
        lambda row: row.rule or None,
        number=False,
        help="what found the answer / what compared it",
    ),
    Column("tokens", "tokens", lambda row: row.tokens),
    Column("finish", "Ended by", lambda row: row.finish_reason, number=False),
    Column("foreign", "foreign", lambda row: row.foreign, help="what the grader before ours gave"),
)

KINDS: Final[dict[str, tuple[str, Callable[[ProblemRow], bool]]]] = {
    "never": ("never solved", lambda row: bool(row.chains) and row.correct == 0),
    "sometimes": ("sometimes", lambda row: 0 < row.correct < row.chains),
    "always": ("always", lambda row: bool(row.chains) and row.correct == row.chains),
    "outvoted": ("outvoted", lambda row: row.correct > 0 and row.worth is not None and row.worth < 1),
}
"""Kinds of problems to look at: "outvoted" are those that some chains solve and the vote does not."""


def facts(run: Run) -> list[tuple[str, str]]:
    """What else is known of a run, for people."""
    result = run.summary.result
    cost = result.get("cost") if isinstance(result.get("cost"), dict) else {}
    cost = cost if isinstance(cost, dict) else {}
    foreign = result.get("foreign") if isinstance(result.get("foreign"), dict) else None
    hours, spent = number(cost.get("device_hours")), number(cost.get("completion_tokens"))
    facts = [
        ("protocol", run.summary.protocol),
        ("grader", str(result.get("grader") or "")),
        ("seed", str(result.get("seed", ""))),
        ("tokens spent", "" if spent is None else f"{spent:,.0f}"),
        ("device hours", "" if hours is None else f"{hours:,.2f}"),
        ("sampler", str(run.summary.info.get("sampler") or "")),
        ("folder", str(run.place.path)),
    ]
    if foreign is not None:
        score, differs = number(foreign.get("score")), number(foreign.get("differs"))
        facts.insert(
            2,
            (
                "grader before",
                f"{'' if score is None else f'{100 * score:.2f} % correct'}, "
                f"differs on {0 if differs is None else differs:,.0f} chains",
            ),
        )
    return [(name, text) for name, text in facts if text]

"""How figures are written: the same in every table of every format."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from harness import Published

from .table import Cell

Result = Mapping[str, Any]
"""A run's result, as `harness run --json` prints it."""

UNKNOWN: Final = "?"
_CONS: Final = re.compile(r"cons@(?:k|n|\d{1,9})")


def protocol_of(result: Result) -> str:
    """What two figures must share to be comparable, for people."""
    parts = [
        str(result["protocol"]),
        _said("T {:g}", result["temperature"]),
        _said("top_p {:g}", result["top_p"]),
        _said("budget {:,} tokens", result["max_tokens"]),
    ]
    return ", ".join(filter(None, parts))


def _said(form: str, value: float | None) -> str:
    """A setting, or nothing where nobody knows it: chains that somebody else sampled."""
    return "" if value is None else form.format(value)


def value_and_error(score: Mapping[str, Any]) -> str:
    """`52.71 ± 6.31`: percent, with the standard error where it is known."""
    value = f"{100 * score['value']:.2f}"
    return value if score["stderr"] is None else f"{value} ± {100 * score['stderr']:.2f}"


def interval(score: Mapping[str, Any]) -> str:
    """`39.8–65.6`: the 95 % interval in percent; empty where there is none."""
    if score["ci95"] is None:
        return ""
    low, high = score["ci95"]
    return f"{100 * low:.1f}–{100 * high:.1f}"


def full_score(score: Mapping[str, Any]) -> str:
    """`52.71 ± 6.31 (39.8–65.6)`"""
    span = interval(score)
    return f"{value_and_error(score)} ({span})" if span else value_and_error(score)


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def points(difference: float, digits: int = 2) -> str:
    """A difference of two scores in percentage points, with its sign."""
    text = f"{100 * difference:+.{digits}f}"
    return text.replace("-", "−") if float(text) else text[1:]


def p_value(p: float) -> str:
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}" if p < 0.01 else f"{p:.3f}"


def percent_cell(share: float | None) -> Cell:
    return Cell(UNKNOWN) if share is None else Cell(percent(share), share)


def money(usd: float) -> str:
    return f"{usd:,.2f}" if usd >= 0.1 or usd == 0 else f"{usd:.4f}"


def count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def usd_of(result: Result) -> float | None:
    usd: float | None = (result.get("cost") or {}).get("usd")
    return usd


def votes_title(sizes: Iterable[int]) -> str:
    """`cons@64` where every figure of the column has as many votes, else `cons@n`."""
    different = set(sizes)
    return f"cons@{different.pop()}" if len(different) == 1 else "cons@n"


def published_score(row: Published, metric: str) -> float | None:
    """A published score in 0..1; "cons@k" also finds what was published as "cons@64"."""
    if metric in row.scores or metric != "cons@k":
        return row.scores.get(metric)
    return next((value for name, value in row.scores.items() if _CONS.fullmatch(name)), None)


def sum_known(values: Sequence[float | None]) -> float | None:
    """The sum, or None where any is unknown."""
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None

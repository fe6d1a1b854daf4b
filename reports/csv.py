"""Reports as CSV: one row a run with every figure, for spreadsheets and data frames."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from harness import Published, Reporter, hookimpl
from harness.report import Report, ReportRun
from harness.text import one_row

from .totals import completion_tokens

Value = str | float | int | None

_FIRST: Final = (
    "kind",
    "model",
    "benchmark",
    "protocol",
    "n",
    "problems",
    "chains",
    "temperature",
    "top_p",
    "max_tokens",
    "seed",
    "pass@1",
    "pass@1_stderr",
    "pass@1_ci95_low",
    "pass@1_ci95_high",
    "pass@1_stderr_sampling",
    "pass@1_stderr_questions",
    "cons@k",
    "cons@k_stderr",
    "cons@k_ci95_low",
    "cons@k_ci95_high",
    "cons@k_k",
    "cons@k_ties",
    "mean_tokens",
    "p95_tokens",
    "tokens_per_correct",
    "truncated",
    "no_answer",
)
"""Columns that every file has, in this order; the others follow as they come."""


class Csv(Reporter):
    name = "csv"
    endings = (".csv",)
    description = "one row a run with every figure, for spreadsheets and data frames; scores in 0..1"

    def render(self, report: Report) -> str:
        rows = [_measured(run) for run in report.runs] + [_published(row) for row in report.published]
        columns = list(dict.fromkeys([*_FIRST, *(name for row in rows for name in row)]))
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([_text(name) for name in columns])
        for row in rows:
            writer.writerow([_cell(row.get(name)) for name in columns])
        return out.getvalue()


def _measured(run: ReportRun) -> dict[str, Value]:
    result = run.result
    row: dict[str, Value] = {"kind": "measured"}
    late: dict[str, Value] = {}
    for name, value in result.items():
        if name == "scores":
            for score, parts in value.items():
                row |= _score(score, parts)
        elif isinstance(value, Mapping):
            late |= {f"{name}_{part}": _plain(inner) for part, inner in value.items()}
        else:
            late[name] = _plain(value)
    tokens, correct = completion_tokens(run), result["counts"]["correct"]
    row["tokens_per_correct"] = tokens / correct if tokens is not None and correct else None
    return row | late


def _score(name: str, parts: Mapping[str, Any]) -> dict[str, Value]:
    low, high = parts.get("ci95") or (None, None)
    found: dict[str, Value] = {
        name: parts["value"],
        f"{name}_stderr": parts.get("stderr"),
        f"{name}_ci95_low": low,
        f"{name}_ci95_high": high,
    }
    more = {key: value for key, value in parts.items() if key not in ("value", "stderr", "ci95")}
    # Curves are no cells: the JSON has them.
    return found | {
        f"{name}_{key}": value for key, value in more.items() if isinstance(value, (str, int, float))
    }


def _plain(value: Any) -> Value:
    if isinstance(value, (list, tuple)):
        return "; ".join(map(str, value))
    return value if value is None or isinstance(value, (str, int, float)) else str(value)


def _published(row: Published) -> dict[str, Value]:
    return {
        "kind": "published",
        "model": row.model,
        "benchmark": row.benchmark,
        "n": row.k,
        **row.scores,
        "group": row.group,
        "source": row.source,
        "note": row.note,
    }


def _cell(value: Value) -> Value:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _text(text: str) -> str:
    """Text that no spreadsheet takes for a formula: it would be run when the file is opened."""
    plain = one_row(text)
    return f"'{plain}" if plain.lstrip().startswith(("=", "+", "-", "@")) else plain


@hookimpl
def harness_reporters() -> Sequence[Reporter]:
    return [Csv()]

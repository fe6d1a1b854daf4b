"""Finished runs as pandas frames: runs, scores, grades, chains."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from ..errors import HarnessError, closest
from ..exports.table import COLUMNS, ChainTable, schema_of
from ..records import STATUSES
from ..report import ReportRun, truncated_share

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_REPEATED: Final = (
    "model",
    "benchmark",
    "problem_id",
    "gold",
    "answer",
    "answer_class",
    "status",
    "rule",
    "finish_reason",
    "protocol",
    "grader",
    "fingerprint",
)
"""Columns whose values occur again and again: categories, which take little memory and group quickly."""

GRADE_COLUMNS: Final = (
    "model",
    "benchmark",
    "problem_id",
    "index",
    "status",
    "correct",
    "answer",
    "answer_class",
    "rule",
    "completion_tokens",
    "prompt_tokens",
    "finish_reason",
    "foreign_score",
    "fingerprint",
)

_PLAIN: Final = (
    "protocol",
    "n",
    "problems",
    "chains",
    "temperature",
    "top_p",
    "max_tokens",
    "seed",
)


def runs_frame(runs: Sequence[ReportRun]) -> pd.DataFrame:
    """One row a run. Of a score called `name`: columns `name`, `name_stderr`, `name_low` and `name_high` (its 95 %
    interval), in 0..1, of token figures in tokens."""
    import pandas as pd

    return pd.DataFrame([_flat(run) for run in runs], columns=None if runs else ["model", "benchmark"])


def _flat(run: ReportRun) -> dict[str, Any]:
    result = run.result
    row: dict[str, Any] = {"model": run.model, "benchmark": run.benchmark}
    row |= {name: result.get(name) for name in _PLAIN}
    for name, score in result["scores"].items():
        row[name] = score["value"]
        if score.get("stderr") is not None:
            row[f"{name}_stderr"] = score["stderr"]
        if score.get("ci95") is not None:
            row[f"{name}_low"], row[f"{name}_high"] = score["ci95"]
    row |= {"truncated": truncated_share(result), "no_answer": result["no_answer"]}
    row |= {f"chains_{status}": result["counts"].get(status, 0) for status in STATUSES}
    row |= dict(result.get("cost") or {})
    for part in ("foreign", "decided"):
        row |= {f"{part}_{name}": value for name, value in (result.get(part) or {}).items()}
    if run.checkpoint is not None:
        row |= {"series": run.checkpoint.series, "step": run.checkpoint.step}
    row["warnings"] = "; ".join(result.get("warnings") or ())
    return row | {name: result.get(name) for name in ("grader", "fingerprint", "path", "harness")}


SCORE_COLUMNS: Final = (
    "model",
    "benchmark",
    "n",
    "metric",
    "value",
    "stderr",
    "low",
    "high",
    "k",
    "fingerprint",
)


def scores_frame(runs: Sequence[ReportRun]) -> pd.DataFrame:
    """One row a run and metric: value, standard error, 95 % interval; `k` where the metric is of k chains a problem."""
    import pandas as pd

    rows = []
    for run in runs:
        for name, score in run.result["scores"].items():
            low, high = score.get("ci95") or (None, None)
            what = (run.model, run.benchmark, run.result["n"], name)
            figures = (score["value"], score.get("stderr"), low, high, score.get("k"))
            rows.append((*what, *figures, run.result.get("fingerprint")))
    frame = pd.DataFrame(rows, columns=list(SCORE_COLUMNS))
    numbers = dict.fromkeys(("value", "stderr", "low", "high"), "float64")
    return frame.astype(
        {**numbers, "k": "Int64", **dict.fromkeys(("model", "benchmark", "metric"), "category")}
    )


def chains_frame(
    tables: Sequence[ChainTable],
    columns: Sequence[str],
    where: Mapping[str, Collection[Any]] | None = None,
    limit: int | None = None,
) -> pd.DataFrame:
    """One row a chain, in the order of the runs, then as they are stored.

    Args:
        columns: names out of `harness.exports.table.COLUMNS`.
        where: column -> its wanted values; texts of other chains are never read.
        limit: no more than so many; nothing behind them is read.

    Raises:
        HarnessError: an unknown column, a limit below 0, or files that are missing or damaged.
    """
    if limit is not None and limit < 0:
        raise HarnessError(f"limit={limit}: take 0 or more chains, or leave it out for all")
    for name in (*columns, *(where or {})):
        if name not in COLUMNS:
            raise HarnessError(f"chains have no column {name!r}: {closest(name, COLUMNS)}")
    import pyarrow as pa

    for name, values in (where or {}).items():
        try:
            pa.array(list(values), schema_of([name])[0].type)
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            raise HarnessError(
                f"{name} of a chain is a {schema_of([name])[0].type}, not {values!r:.100}"
            ) from None
    found: list[pa.Table] = []
    rows = 0
    for table in chain.from_iterable(run.tables(columns, where) for run in tables):
        found.append(table if limit is None else table.slice(0, limit - rows))
        rows += found[-1].num_rows
        if limit is not None and rows >= limit:
            break
    return _frame(pa.concat_tables(found) if found else schema_of(columns).empty_table())


def _frame(table: pa.Table) -> pd.DataFrame:
    import pandas as pd
    import pyarrow as pa

    # Numbers that may be missing stay whole numbers.
    nullable = {pa.int64(): pd.Int64Dtype(), pa.int8(): pd.Int8Dtype(), pa.bool_(): pd.BooleanDtype()}
    repeated = [name for name in table.column_names if name in _REPEATED]
    frame: pd.DataFrame = table.to_pandas(categories=repeated, types_mapper=nullable.get)
    if "status" in repeated:
        frame["status"] = frame["status"].cat.set_categories(list(STATUSES))
    return frame

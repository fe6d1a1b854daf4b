"""The figures of a comparison table by pandas, from sample files of one line a problem: what one would write by hand.

    python perf/report_pandas.py FOLDER

Prints JSON: model -> benchmark -> pass@1 with its standard error, cons@n, truncated share and mean tokens.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd


def figures(path: Path) -> dict[str, float]:
    """The figures of one file. Only the columns that are needed are kept, as soon as they are read."""
    rows = pd.read_json(path, lines=True, dtype=False)
    rows = rows[["doc_id", "filtered_resps", "exact_match", "completion_tokens", "finish_reason"]]
    chains = rows.explode(["filtered_resps", "exact_match", "completion_tokens", "finish_reason"])
    chains["exact_match"] = chains["exact_match"].astype(float)
    rates = chains.groupby("doc_id")["exact_match"].mean()
    voting = chains.dropna(subset="filtered_resps")
    votes = voting.groupby(["doc_id", "filtered_resps"])["exact_match"].agg(["size", "max"]).reset_index()
    most = votes["size"] == votes.groupby("doc_id")["size"].transform("max")
    cons = votes[most].groupby("doc_id")["max"].mean().reindex(rates.index, fill_value=0.0)
    return {
        "pass@1": rates.mean(),
        "stderr": rates.sem(),
        "cons@k": cons.mean(),
        "truncated": (chains["finish_reason"] == "length").mean(),
        "mean_tokens": chains["completion_tokens"].astype(float).mean(),
    }


if __name__ == "__main__":
    found: dict[str, dict[str, dict[str, float]]] = {}
    for file in sorted(Path(sys.argv[1]).glob("*/samples_*.jsonl")):
        benchmark = file.name.removeprefix("samples_").rsplit("_", 1)[0]
        found.setdefault(file.parent.name, {})[benchmark] = figures(file)
    print(json.dumps(found))

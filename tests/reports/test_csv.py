"""The report as CSV: one row a run, numbers as numbers, and nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from harness import Published
from harness.plugins import PluginManager

from .made import HOSTILE, make_run, report_of


def rows_of(plugins: PluginManager, *results: dict[str, object], **options: object) -> list[dict[str, str]]:
    text = plugins.reporter("csv").render(report_of(*results, **options))
    return list(csv.DictReader(io.StringIO(text)))


def test_a_run_is_a_row_with_every_figure(plugins: PluginManager, tmp_path: Path) -> None:
    result = make_run(
        tmp_path,
        "m",
        ["ccw-", "tt!c", "wwcc"],
        tokens=50,
        foreign={"chains": 12, "score": 0.5, "differs": 2},
        warnings=["one", "two"],
    )
    (row,) = rows_of(plugins, result)
    scores = result["scores"]
    assert float(row["pass@1"]) == scores["pass@1"]["value"]
    assert [float(row[f"pass@1_ci95_{end}"]) for end in ("low", "high")] == scores["pass@1"]["ci95"]
    assert float(row["pass@1_stderr_sampling"]) == scores["pass@1"]["stderr_sampling"]
    assert float(row["cons@k"]) == scores["cons@k"]["value"]
    assert int(row["cons@k_k"]) == 4
    assert float(row["tokens_per_correct"]) == 12 * 50 / 5
    assert (row["counts_truncated"], row["counts_timeout"], row["foreign_differs"]) == ("2", "1", "2")
    assert row["warnings"] == "one; two"
    assert (row["kind"], row["max_tokens"], row["seed"]) == ("measured", "16384", "0")


def test_what_is_not_known_is_an_empty_cell(plugins: PluginManager, tmp_path: Path) -> None:
    (row,) = rows_of(plugins, make_run(tmp_path, "m", ["cw"] * 2, tokens=None, temperature=None))
    assert row["temperature"] == row["mean_tokens"] == row["tokens_per_correct"] == row["cost_usd"] == ""


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", " ="])
def test_text_is_never_a_formula(plugins: PluginManager, tmp_path: Path, sign: str) -> None:
    name = f"{sign}cmd|' /C calc'!A0"
    (row,) = rows_of(plugins, make_run(tmp_path, name, ["cw"] * 2))
    assert row["model"] == f"'{name}"


def test_a_negative_number_stays_a_number(plugins: PluginManager, tmp_path: Path) -> None:
    result = make_run(tmp_path, "m", ["cw"] * 2)
    result["scores"]["=own"] = {"value": -0.5, "stderr": None, "ci95": None, "k": float("nan")}
    (row,) = rows_of(plugins, result)
    assert row["'=own"] == "-0.5"
    assert row["'=own_k"] == ""


def test_a_name_stays_in_its_cell(plugins: PluginManager, tmp_path: Path) -> None:
    rows = rows_of(plugins, *(make_run(tmp_path, name, ["cw"] * 2) for name in (HOSTILE, 'x","y\r\nz')))
    assert len(rows) == 2
    assert all(None not in row for row in rows)
    assert {row["benchmark"] for row in rows} == {"aime25"}


def test_published_figures_are_rows_of_another_kind(plugins: PluginManager, tmp_path: Path) -> None:
    row = Published("gpt", "closed", "aime25", {"pass@1": 0.4, "cons@k": 0.5}, 64, "a paper", "beware")
    measured, published = rows_of(plugins, make_run(tmp_path, "m", ["cw"] * 2), published=[row])
    assert measured["kind"] == "measured"
    assert (published["kind"], published["group"], published["note"]) == ("published", "closed", "beware")
    assert (published["pass@1"], published["cons@k"], published["n"]) == ("0.4", "0.5", "64")


def test_without_results_the_columns_stand(plugins: PluginManager) -> None:
    assert plugins.reporter("csv").render(report_of()).startswith("kind,model,benchmark,protocol,n,")

"""The report as JSON: the rows of `harness run --json`, every comparison, published figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.plugins import PluginManager

from .made import HOSTILE, make_run, report_of, solving


def refuse(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def render(plugins: PluginManager, *results: dict[str, Any], **options: Any) -> dict[str, Any]:
    text = plugins.reporter("json").render(report_of(*results, **options))
    found: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return found


def test_rows_are_results_and_every_pair_is_compared(plugins: PluginManager, tmp_path: Path) -> None:
    runs = [make_run(tmp_path, name, solving(share)) for name, share in (("a", 0.9), ("b", 0.5), ("c", 0.1))]
    found = render(plugins, *runs)
    assert set(found) == {"rows", "comparisons", "published"}
    assert found["rows"] == json.loads(json.dumps(runs))
    assert found["published"] == []
    pairs = {(c["benchmark"], c["metric"], c["a"], c["b"]) for c in found["comparisons"]}
    assert pairs == {
        ("aime25", metric, a, b)
        for metric in ("pass@1", "cons@k")
        for a, b in (("a", "b"), ("a", "c"), ("b", "c"))
    }
    first = found["comparisons"][0]
    assert first["difference"] == pytest.approx(0.4)
    assert first["ci95"][0] < 0.4 < first["ci95"][1]
    assert first["p"] <= first["p_adjusted"] < 0.05


def test_what_is_no_number_is_null(plugins: PluginManager, tmp_path: Path) -> None:
    result = make_run(tmp_path, "m", ["cw"] * 2)
    result["scores"]["own"] = {"value": 1.0, "stderr": float("nan"), "ci95": [float("-inf"), float("inf")]}
    own = render(plugins, result)["rows"][0]["scores"]["own"]
    assert own == {"value": 1.0, "stderr": None, "ci95": [None, None]}


def test_a_single_problem_has_no_interval(plugins: PluginManager, tmp_path: Path) -> None:
    found = render(plugins, make_run(tmp_path, "a", ["cw"]), make_run(tmp_path, "b", ["ww"]))
    assert {(c["ci95"], c["stderr"], c["p"]) for c in found["comparisons"]} == {(None, None, 1.0)}


def test_names_are_told_as_they_are(plugins: PluginManager, tmp_path: Path) -> None:
    assert render(plugins, make_run(tmp_path, HOSTILE, ["cw"] * 2))["rows"][0]["model"] == HOSTILE


def test_without_results_the_shape_stands(plugins: PluginManager) -> None:
    assert render(plugins) == {"rows": [], "comparisons": [], "published": []}


def test_published_figures_are_apart_from_measured_ones(plugins: PluginManager) -> None:
    found = render(plugins, published=plugins.published)
    (row,) = [r for r in found["published"] if (r["model"], r["benchmark"]) == ("Fathom-R1-14B", "aime25")]
    assert row["scores"] == pytest.approx({"pass@1": 0.5271, "cons@k": 0.7667})
    assert row["k"] == 64
    assert "README" in row["source"]


def test_a_damaged_run_is_named_and_the_rest_compared(plugins: PluginManager, tmp_path: Path) -> None:
    runs = [make_run(tmp_path, name, solving(share)) for name, share in (("a", 0.9), ("b", 0.5), ("c", 0.1))]
    (Path(runs[1]["path"]) / "grades.parquet").unlink()
    found = render(plugins, *runs)
    assert len(found["rows"]) == 3
    assert {(c["a"], c["b"]) for c in found["comparisons"]} == {("a", "c")}
    (note,) = found["notes"]
    assert "b on aime25 is compared with nothing" in note

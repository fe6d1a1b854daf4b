"""Charts: what stands in them is what was measured, whatever models are called."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from harness import HarnessError, Published
from harness.plugins import PluginManager
from harness.report import Report
from harness_reports.charts import Chart, chart_files, charts
from harness_reports.charts.subjects import short_names

from .made import HOSTILE, make_run, report_of, solving

altair = pytest.importorskip("altair")
pytest.importorskip("vl_convert")

SVG = "{http://www.w3.org/2000/svg}"


def chart(report: Report, name: str) -> Chart:
    return next(chart for chart in charts(report) if chart.name == name)


def rows(chart: Chart) -> list[dict[str, Any]]:
    (found,) = chart.spec["datasets"].values()
    return list(found)


def kinds(report: Report) -> list[str]:
    return [chart.kind for chart in charts(report)]


def mixed(seed: int, problems: int = 12, n: int = 8) -> list[str]:
    """Chains of a model that finds some problems harder than others."""
    draw = random.Random(seed)
    share = [draw.random() for _ in range(problems)]
    return ["".join("c" if draw.random() < s else draw.choice("abt-") for _ in range(n)) for s in share]


@pytest.fixture
def report(tmp_path: Path) -> Report:
    models = {"one": 1, "two": 2, "sky/step-10": 3, "sky/step-20": 4}
    return report_of(
        *(
            make_run(tmp_path, model, mixed(seed), benchmark)
            for model, seed in models.items()
            for benchmark in ("aime25", "hmmt25")
        )
    )


def test_every_chart_of_a_report_with_everything(report: Report) -> None:
    found = charts(report)
    assert [chart.name for chart in found] == [
        *(
            f"{kind}-{benchmark}"
            for kind in ("figure", "differences", "budget", "cons", "pass", "problems", "lengths")
            for benchmark in ("aime25", "hmmt25")
        ),
        "progress-sky",
    ]
    for each in found:
        altair.Chart.from_dict(dict(each.spec), validate=True)  # as Vega-Lite's schema has it
        assert "http" not in json.dumps({**each.spec, "$schema": ""})
        assert each.caption.endswith(".")
        assert each.subject in each.caption


def test_charts_become_files_that_say_the_same_each_time(report: Report) -> None:
    svg, png = chart_files(report, "svg"), chart_files(report, "png")
    assert [name.removesuffix(".svg") for name in svg] == [name.removesuffix(".png") for name in png]
    assert all(data.startswith(b"\x89PNG") for data in png.values())
    assert chart_files(report, "svg") == svg
    for data in svg.values():
        drawing = ElementTree.fromstring(data)
        marks = [e for e in drawing.iter(f"{SVG}g") if e.get("class", "").startswith("mark-") and len(e) > 0]
        assert marks
        assert "NaN" not in data.decode()


def test_the_published_figure_comes_from_the_published_numbers(plugins: PluginManager) -> None:
    report = report_of(published=plugins.published)
    bars = rows(chart(report, "figure-aime25"))
    told = [row for row in plugins.published if row.benchmark == "aime25"]
    assert len(bars) == len(told) > 10
    assert [bar["pass"] for bar in bars] == sorted((bar["pass"] for bar in bars), reverse=True)
    by_name = {row.model: row for row in told}
    for bar in bars:
        row = by_name[bar["label"]]
        votes = next(value for name, value in row.scores.items() if name.startswith("cons"))
        assert bar["pass"] == pytest.approx(100 * row.scores["pass@1"])
        assert bar["end"] == pytest.approx(100 * votes)
        assert bar["gain"] == pytest.approx(100 * (votes - row.scores["pass@1"]))
        assert bar["pass_text"] == f"{100 * row.scores['pass@1']:.2f}"
        assert row.group in bar["group"]
        assert "published" in bar["group"]
        assert bar["interval"] == ""
    assert set(kinds(report)) == {"figure"}
    assert "published: not measured here" in chart(report, "figure-aime25").spec["title"]["subtitle"][0]
    gpqa = chart(report, "figure-gpqa-diamond")
    assert "gold answers" in gpqa.caption
    assert "gold answers" in gpqa.spec["title"]["subtitle"][1], "the picture alone must say so"


def test_measured_bars_have_an_interval_and_a_group_of_their_own(tmp_path: Path) -> None:
    result = make_run(tmp_path, "mine", mixed(5))
    other = Published("theirs", "closed", "aime25", {"pass@1": 0.01, "cons@64": 0.02}, 64, "a paper")
    bars = {bar["label"]: bar for bar in rows(chart(report_of(result, published=[other]), "figure-aime25"))}
    low, high = result["scores"]["pass@1"]["ci95"]
    assert bars["mine"]["group"] == "measured"
    assert (bars["mine"]["low"], bars["mine"]["high"]) == pytest.approx((100 * low, 100 * high), abs=0.01)
    assert bars["mine"]["inside"]
    assert not bars["theirs"]["inside"], "a short bar has its number beside it"
    assert bars["theirs"]["end_text"] == "1.00 | 2.00"


def test_a_vote_that_is_worth_less_than_pass_at_1_is_no_gain(tmp_path: Path) -> None:
    result = make_run(tmp_path, "loser", ["ccaaa", "ccbbb", "aaaaa"])
    (bar,) = rows(chart(report_of(result), "figure-aime25"))
    assert bar["gain"] < 0
    assert bar["end"] == bar["pass"]
    assert bar["end_text"] == "0.00"


def test_curves_end_where_the_scores_are(report: Report) -> None:
    for run in report.runs:
        scores, label = run.result["scores"], "one"
        if run.model != "one":
            continue
        budget = [row for row in rows(chart(report, f"budget-{run.benchmark}")) if row["label"] == label]
        cons = [row for row in rows(chart(report, f"cons-{run.benchmark}")) if row["label"] == label]
        tries = [row for row in rows(chart(report, f"pass-{run.benchmark}")) if row["label"] == label]
        last = {row["metric"]: row["value"] for row in budget if row["x"] == run.result["max_tokens"]}
        assert last["pass@1"] == pytest.approx(100 * scores["pass@1"]["value"], abs=0.01)
        assert last["cons@n"] == pytest.approx(100 * scores["cons@k"]["value"], abs=0.01)
        assert [row["x"] for row in cons] == list(range(1, 9))
        assert cons[-1]["value"] == pytest.approx(100 * scores["cons@k"]["value"], abs=0.01)
        assert tries[0]["value"] == pytest.approx(100 * scores["pass@1"]["value"], abs=0.01)
        assert tries[-1]["value"] == pytest.approx(100 * scores["pass@k"]["value"], abs=0.01)


def test_the_heat_map_shows_each_problem_of_each_model_the_hardest_first(tmp_path: Path) -> None:
    report = report_of(
        make_run(tmp_path, "a", ["cccc", "cwww", "wwww"]), make_run(tmp_path, "b", ["ccww", "cccc", "wwww"])
    )
    cells = {(row["label"], row["problem"]): row for row in rows(chart(report, "problems-aime25"))}
    assert {key: row["rate"] for key, row in cells.items()} == {
        ("a", "p0"): 100,
        ("a", "p1"): 25,
        ("a", "p2"): 0,
        ("b", "p0"): 50,
        ("b", "p1"): 100,
        ("b", "p2"): 0,
    }
    order = sorted({(row["place"], row["problem"]) for row in cells.values()})
    assert [problem for _, problem in order] == ["p2", "p1", "p0"]
    assert "1 are never solved by any model, 0 always by all" in chart(report, "problems-aime25").caption


def test_every_chain_is_in_the_histogram_once(report: Report) -> None:
    bins = rows(chart(report, "lengths-aime25"))
    for run in report.runs:
        if (run.model, run.benchmark) == ("one", "aime25"):
            mine = [row for row in bins if row["label"] == "one"]
            count = {
                outcome: sum(row["chains"] for row in mine if row["outcome"] == outcome)
                for outcome in ("correct", "incorrect", "truncated", "no answer")
            }
            told = run.result["counts"]
            assert count == {
                "correct": told["correct"],
                "incorrect": told["incorrect"],
                "truncated": told["truncated"],
                "no answer": told["no_answer"],
            }
            assert sum(row["share"] for row in mine) == pytest.approx(100, abs=0.01)


def test_chains_are_counted_not_copied_into_the_charts(tmp_path: Path) -> None:
    report = report_of(*(make_run(tmp_path, f"m{i}", mixed(i, 198, 64), "gpqa-diamond") for i in range(3)))
    sizes = {chart.name: len(json.dumps(chart.spec)) for chart in charts(report)}
    assert sum(sizes.values()) < 150_000, sizes  # 38,016 chains


def test_without_lengths_there_is_no_chart_of_lengths(tmp_path: Path) -> None:
    report = report_of(*(make_run(tmp_path, f"x/step-{i}", mixed(i), tokens=None) for i in (1, 2)))
    assert not {"budget", "lengths"} & set(kinds(report))
    panels = chart(report, "progress-x").spec["vconcat"]
    assert len(panels) == 1


def test_one_chain_a_problem_has_no_vote(tmp_path: Path) -> None:
    report = report_of(make_run(tmp_path, "m", ["c", "w", "c"]))
    assert kinds(report) == ["figure", "budget", "problems", "lengths"]
    (bar,) = rows(chart(report, "figure-aime25"))
    assert bar["vote"] is None
    assert bar["end_text"] == ""


def test_progress_shows_scores_lengths_and_cost_where_they_are_known(tmp_path: Path) -> None:
    usd = {"cost": {"usd": 1.5, "device_hours": 0.1}}
    results = [make_run(tmp_path, f"org/x-step-{i}", mixed(i), **usd) for i in (5, 10, 100)]
    report = report_of(*results)
    progress = chart(report, "progress-org-x")
    assert [row["step"] for row in rows(progress)] == [5, 10, 100]
    for row, result in zip(rows(progress), results, strict=True):
        assert row["pass"] == pytest.approx(100 * result["scores"]["pass@1"]["value"], abs=0.01)
        assert row["low"] < row["pass"] < row["high"]
        assert row["tokens"] == 100
    assert len(progress.spec["vconcat"]) == 3
    assert [subject["label"] for subject in rows(chart(report, "problems-aime25"))[::12]] == [
        "x step 5",
        "x step 10",
        "x step 100",
    ]


def test_differences_are_to_the_best_or_to_the_baseline(tmp_path: Path) -> None:
    results = [
        make_run(tmp_path, name, solving(share, 12)) for name, share in (("a", 0.25), ("b", 0.5), ("c", 0.75))
    ]

    def told(report: Report) -> Mapping[str, float]:
        found = rows(chart(report, "differences-aime25"))
        return {row["label"]: row["difference"] for row in found if row["metric"] == "pass@1"}

    assert told(report_of(*results)) == pytest.approx({"b": -25, "a": -50})
    against_b = report_of(*results, baseline="b")
    assert told(against_b) == pytest.approx({"c": 25, "a": -25})
    for row in rows(chart(against_b, "differences-aime25")):
        assert row["low"] < row["difference"] < row["high"]


def test_a_single_run_is_compared_with_nothing(tmp_path: Path) -> None:
    assert "differences" not in kinds(report_of(make_run(tmp_path, "only", mixed(1))))


def test_of_many_models_curves_show_the_best_and_say_so(tmp_path: Path) -> None:
    results = [make_run(tmp_path, f"m{i}-7b", solving(i / 20, 20)) for i in range(15)]
    cons = chart(report_of(*results, baseline="m0-7b"), "cons-aime25")
    shown = {row["label"] for row in rows(cons)}
    assert shown == {"m0-7b"} | {f"m{i}-7b" for i in range(6, 15)}
    assert "Shown are the best 10 of 15 runs" in cons.caption
    assert len(rows(chart(report_of(*results), "figure-aime25"))) == 15


@pytest.mark.parametrize(
    ("models", "labels"),
    [
        (["org/a", "org/b"], ["a", "b"]),
        (["x/a", "y/a"], ["x/a", "y/a"]),
        (["sky/step-5", "sky/step-50"], ["sky step 5", "sky step 50"]),
        (["sky/step-5", "other"], ["sky step 5", "other"]),
        (["", " "], ["?", "? (2)"]),
        (["a\x1b[31m\nb"], ["a [31m b"]),
    ],
)
def test_names_are_as_short_as_they_can_be(models: Sequence[str], labels: Sequence[str]) -> None:
    assert list(short_names(models).values()) == labels


def test_long_names_keep_both_ends_and_stay_apart() -> None:
    names = short_names([f"lab/{'long-' * 20}{size}B" for size in (7, 14)] + ["z" * 100, "z" * 101])
    assert len(set(names.values())) == 4
    assert all(len(name) <= 34 for name in names.values())
    assert [name[-3:] for name in names.values()][:2] == ["-7B", "14B"]


def test_runs_of_one_model_are_told_apart_by_what_they_differ_in(tmp_path: Path) -> None:
    report = report_of(
        make_run(tmp_path, "m", mixed(1)), make_run(tmp_path, "m", mixed(2), max_tokens=8192, seed=3)
    )
    labels = {row["label"] for row in rows(chart(report, "figure-aime25"))}
    assert labels == {"m, 16,384 tokens, seed 0", "m, 8,192 tokens, seed 3"}


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    names = [
        HOSTILE,
        "</script><img src=x onerror=alert(1)>",
        "a\0\x1b]0;x\x07b",
        "\u202egpj.exe",
        "]]>",
        "x" * 500,
    ]
    report = report_of(
        *(make_run(tmp_path, name, mixed(i), "fresh:level=1,<b>") for i, name in enumerate(names)),
        published=[Published(HOSTILE, "<i>group", "fresh:level=1,<b>", {"pass@1": 0.5}, note="<u>note")],
    )
    files = chart_files(report, "svg")
    assert len(files) == 7
    for name, data in files.items():
        assert name.removesuffix(".svg").replace("-", "").isalnum()
        tags = {element.tag.removeprefix(SVG) for element in ElementTree.fromstring(data).iter()}
        assert tags <= {
            "svg",
            "g",
            "path",
            "text",
            "tspan",
            "rect",
            "line",
            "defs",
            "clipPath",
            "linearGradient",
            "stop",
        }
    assert b"\xe2\x80\xae" not in files["figure-fresh-level-1-b.svg"]


def test_benchmarks_whose_names_differ_in_signs_only_have_files_of_their_own(tmp_path: Path) -> None:
    names = ["fresh:a=1", "fresh:a,1", "FRESH:A=1"]
    report = report_of(*(make_run(tmp_path, "m", mixed(1), name) for name in names))
    files = [name.lower() for name in chart_files(report, "svg")]
    assert len(set(files)) == len(files) == 3 * 6


@pytest.mark.parametrize("missing", ["altair", "vl_convert"])
def test_a_missing_library_is_named_with_the_command_that_mends_it(
    report: Report, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(HarnessError, match=r'pip install "fathom-harness\[report\]"') as caught:
        chart_files(report, "svg")
    assert missing.replace("_", "-") in str(caught.value)


def test_no_other_form(report: Report) -> None:
    with pytest.raises(HarnessError, match="svg or png"):
        chart_files(report, "bmp")

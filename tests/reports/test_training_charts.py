"""Learning curves show what was logged: every step as a point, its neighbours' mean as a line, nothing made up."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from harness.plugins import PluginManager
from harness.training import Curve, Training
from harness_reports.charts import Chart, charts, theme
from harness_reports.charts.engine import drawn
from harness_reports.learning import MOST_POINTS

from .made import HOSTILE, make_run, report_of, solving
from .training import falling, grpo, recipe, sft

altair = pytest.importorskip("altair")
pytest.importorskip("vl_convert")

SVG = "{http://www.w3.org/2000/svg}"


def of(*curves: Curve) -> list[Chart]:
    return charts(report_of(training=[recipe([], curves)], charts="svg"))


def rows(chart: Chart) -> list[dict[str, Any]]:
    (found,) = chart.spec["datasets"].values()
    return list(found)


def picture(chart: Chart) -> tuple[list[str], str]:
    """All texts of a chart as it is drawn, and the whole drawing."""
    svg = drawn(chart.spec, theme.config(), "svg").decode()
    assert "NaN" not in svg
    assert "Infinity" not in svg
    return ["".join(text.itertext()) for text in ElementTree.fromstring(svg).iter(f"{SVG}text")], svg


def test_reward_and_length_stand_in_one_panel_each_with_an_axis_of_its_own() -> None:
    (chart,) = of(grpo())
    altair.Chart.from_dict(dict(chart.spec), validate=True)
    assert (chart.name, chart.kind, chart.subject) == ("learning-tiny-rl", "learning", "tiny:rl")
    assert [row["step"] for row in rows(chart)] == list(range(1, 50))
    series = grpo().series
    for place, row in enumerate(rows(chart)):
        assert row["reward"] == pytest.approx(series["reward"][place], rel=1e-5)
        assert row["tokens"] == pytest.approx(series["mean_tokens"][place], rel=1e-5)
        assert row["truncated"] == pytest.approx(100 * (series["truncated"][place] or 0), rel=1e-5)
    middle = [value or 0.0 for value in series["reward"][20:25]]
    assert rows(chart)[22]["reward_mean"] == pytest.approx(sum(middle) / 5, rel=1e-5), "5 of 49 steps"
    left, right = chart.spec["layer"]
    assert chart.spec["resolve"] == {"scale": {"y": "independent"}}
    assert left["layer"][0]["encoding"]["y"]["axis"]["orient"] == "left"
    assert right["layer"][0]["encoding"]["y"]["axis"]["orient"] == "right"
    assert "reward 0.31 → 0.58" in chart.caption
    assert "Dashed: the budget of 6,144 tokens." in chart.caption
    assert "moving average over 5 of them" in chart.caption
    texts, svg = picture(chart)
    assert {"optimiser step", "reward", "mean tokens of a chain", "budget 6,144 tokens"} <= set(texts)
    assert svg.count("stroke-dasharray") == 1


def test_a_budget_far_above_all_lengths_is_told_and_not_drawn() -> None:
    curve = grpo()
    (chart,) = of(Curve(curve.stage, "grpo", "c", curve.steps, curve.series, 100_000))
    assert "The budget was 100,000 tokens." in chart.caption
    texts, svg = picture(chart)
    assert "stroke-dasharray" not in svg
    assert not [text for text in texts if "budget" in text]


def test_losses_of_a_recipe_are_panels_of_one_chart() -> None:
    found = of(sft(), sft(40, "tiny:v0.4"), grpo(), sft(1, "other:part"))
    assert [chart.name for chart in found] == ["learning-tiny-rl", "learning-tiny"]
    chart = found[1]
    altair.Chart.from_dict(dict(chart.spec), validate=True)
    assert chart.subject == "tiny"
    stages = [row["stage"] for row in rows(chart)]
    assert list(dict.fromkeys(stages)) == ["v0.6", "v0.4", "other:part"]
    assert stages.count("v0.4") == 40
    assert "2.43 → 0.569 in v0.6" in chart.caption
    texts, _ = picture(chart)
    assert {"v0.6", "v0.4", "other:part", "loss"} <= set(texts)


def test_many_stages_show_the_first_and_say_so() -> None:
    (chart,) = of(*(sft(3, f"tiny:part-{place}") for place in range(30)))
    assert len({row["stage"] for row in rows(chart)}) == 12
    assert "Shown are the first 12 of 30 stages." in chart.caption


def test_a_long_training_is_thinned_out_with_its_extremes() -> None:
    reward = list(falling(0.3, 0.6, 7000, 0.1))
    reward[5000] = -3.0
    (chart,) = of(grpo(7000, reward=tuple(reward)))
    assert len(rows(chart)) <= MOST_POINTS
    assert -3.0 in [row["reward"] for row in rows(chart)]
    assert [rows(chart)[0]["step"], rows(chart)[-1]["step"]] == [1, 7000]
    assert "of 7,000, with the highest and the lowest" in chart.caption
    picture(chart)
    (losses,) = of(sft(7000))
    assert len(rows(losses)) <= MOST_POINTS


NOTHING = (None,) * 12


@pytest.mark.parametrize(
    "curve",
    [
        grpo(1),
        grpo(2),
        sft(1),
        grpo(12, mean_tokens=NOTHING),
        grpo(12, reward=NOTHING, loss=NOTHING),
        grpo(12, truncated=NOTHING),
        grpo(12, reward=(0.0,) * 12, mean_tokens=(0.0,) * 12),
        grpo(12, reward=(-0.5,) * 12, mean_tokens=(100.0,) * 12),
        grpo(12, reward=(None, 0.5, None, math.nan, math.inf, *[0.25] * 7)),
        grpo(12, reward=(1e99, *[-1e99] * 10, 1e308), mean_tokens=(1e-300,) * 12),
        Curve("r:s", "t", "c", (10**18, 10**18 + 1), {"loss": (1.0, 1.0)}),
    ],
    ids=lambda curve: f"{curve.stage}-{len(curve.steps)}",
)
def test_whatever_was_logged_is_drawn(curve: Curve) -> None:
    (chart,) = of(curve)
    altair.Chart.from_dict(dict(chart.spec), validate=True)
    json.dumps(chart.spec, allow_nan=False)
    _, svg = picture(chart)
    assert "<path aria-roledescription" in svg or "mark-symbol" in svg


def test_what_nothing_is_to_be_seen_of_has_no_chart() -> None:
    assert of() == []
    assert of(Curve("r:s", "t", "c", (), {"loss": ()})) == []
    assert of(grpo(12, reward=NOTHING, loss=NOTHING, mean_tokens=NOTHING)) == []
    assert of(Curve("r:s", "t", "c", (1, 2), {"odd": (1.0, 2.0)})) == []


def test_stages_of_one_name_and_hostile_names_are_told_apart() -> None:
    evil = Training(
        HOSTILE, None, None, (), (grpo(12, HOSTILE), grpo(12, HOSTILE), sft(3, "模型"), sft(3, "模型"))
    )
    found = charts(report_of(training=[evil], charts="svg"))
    assert len({chart.name for chart in found}) == len(found) == 3
    assert {row["stage"] for row in rows(found[2])} == {"模型", "模型 (2)"}
    for chart in found:
        assert all(c.isascii() and (c.isalnum() or c == "-") for c in chart.name)
        assert "<script" not in picture(chart)[1]


@pytest.mark.parametrize("form", ["svg", "png"])
def test_markdown_in_a_file_has_the_curves_in_its_section(
    plugins: PluginManager, tmp_path: Path, form: str
) -> None:
    report = report_of(make_run(tmp_path, "Tiny", solving(0.5)), training=[recipe()], charts=form)
    text, files = plugins.reporter("markdown").render_file(report, tmp_path / "report.md")
    section = text.partition("## How the stages of tiny went")[2].partition("\n## ")[0]
    for name in ("learning-tiny-rl", "learning-tiny"):
        assert f"(report_files/{name}.{form})" in section
        assert files[f"report_files/{name}.{form}"].startswith(b"<svg" if form == "svg" else b"\x89PNG")
    text, files = plugins.reporter("markdown").render_file(
        report_of(training=[recipe()], charts=None), tmp_path / "report.md"
    )
    assert not files
    assert "![" not in text

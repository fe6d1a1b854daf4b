"""What checkpoints cost stands beside what they score, and how they were trained is told in words, in every format."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.plugins import PluginManager
from harness.report import Report
from harness.training import Cost, Curve, Training, write_training
from harness_reports.costs import hours, training_tables, usd
from harness_reports.learning import MOST_POINTS, moving_average, sentence, thinned, window

from ..conftest import Command, one_line_error
from .made import HOSTILE, make_run, report_of, solving
from .training import BASE, grpo, recipe, sft


def render(plugins: PluginManager, form: str, report: Report) -> str:
    return plugins.reporter(form).render(report)


def measured(folder: Path, **shares: float) -> list[dict[str, Any]]:
    return [
        make_run(folder, model.replace("_", "-"), solving(share), benchmark)
        for model, share in shares.items()
        for benchmark in ("aime25", "hmmt25")
    ]


def lines_of(text: str, heading: str) -> list[str]:
    """The lines of a section of a markdown report."""
    section = text.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return section.strip().split("\n")


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


# -- costs -----------------------------------------------------------------------------------------------------


def test_costs_stand_beside_scores_in_the_published_tables_form(
    plugins: PluginManager, tmp_path: Path
) -> None:
    results = measured(tmp_path, **{BASE: 0.2, "Tiny": 0.6, "other": 0.9})
    text = render(plugins, "markdown", report_of(*results, training=[recipe()]))
    header, _, *rows = lines_of(text, "Training: tiny")[:6]
    assert cells(header) == [
        *("checkpoint", "made from", "H100 hours", "USD", "kWh"),
        *("aime25 pass@1", "hmmt25 pass@1"),
    ]
    assert [cells(row) for row in rows] == [
        [BASE, "the base model", "", "", "", "20.00 ± 7.43", "20.00 ± 7.43"],
        ["Tiny-V0.6", "iterative curriculum SFT on Tiny-Base", "48", "136", "1.5", "", ""],
        ["Tiny-V0.4-RS [a]", "GRPO, then SFT on shortest chains", "0.0612", "?", "?", "", ""],
        ["Tiny", "linear merge of V0.6 and V0.4", "?", "?", "?", "60.00 ± 9.10", "60.00 ± 9.10"],
    ]
    assert "[a] unfinished" in text
    assert "each of them once" in text


def test_the_published_costs_come_out_as_published() -> None:
    for given, hour, money in (
        (48, "48", "136"),
        (128, "128", "363"),
        (293, "293", "831"),
        (341, "341", "967"),
    ):
        assert (hours(given), usd(given * 2.8355)) == (hour, money)
    assert [hours(0.01234), hours(1.5), hours(1234.4)] == ["0.0123", "1.5", "1,234"]
    assert [usd(0), usd(0.00123), usd(0.5), usd(1e4)] == ["0", "0.0012", "0.50", "10,000"]


def test_energy_has_no_column_where_nobody_measured_it(tmp_path: Path) -> None:
    costs = [Cost("a", "b", 1.0, 2.0)]
    (table,) = training_tables(report_of(training=[recipe(costs, [], device=None, base=None)]))
    assert [column.title for column in table.columns] == ["checkpoint", "made from", "device-hours", "USD"]
    assert len(table.rows) == 1
    assert table.footnotes == ()


def test_models_stand_in_the_order_of_the_recipe_the_rest_after_them(
    plugins: PluginManager, tmp_path: Path
) -> None:
    results = measured(
        tmp_path, Tiny=0.6, aaa=0.9, **{BASE: 0.2, "Tiny-V0.6": 0.5, "Tiny-V0.4-RS": 0.4, "z": 0.95}
    )
    known = [BASE, "Tiny-V0.6", "Tiny-V0.4-RS", "Tiny"]
    report = report_of(*results, training=[recipe()])
    assert report.models == [*known, "aaa", "z"]
    assert [run.model for run in report.runs] == [*known, "aaa", "z"] * 2
    text = render(plugins, "markdown", report)
    protocol = "deepseek-r1, T 0.6, top\\_p 0.95, budget 16,384 tokens".replace("\\_", "_")
    names = [cells(line)[0] for line in lines_of(text, protocol)[2:] if line.startswith("|")]
    assert names == [*known, "z", "aaa"], "the others best first, as without training"
    without = report_of(*results)
    assert without.models == sorted(report.models, key=str.lower)
    text = render(plugins, "markdown", without)
    assert [cells(line)[0] for line in lines_of(text, protocol)[2:4]] == ["z", "aaa"]
    assert "Training" not in text


def test_checkpoints_of_the_recipe_that_are_named_like_steps_keep_its_order(tmp_path: Path) -> None:
    costs = [Cost(f"x/epoch-{epoch}", "sft", 1.0, 1.0) for epoch in (1, 2)]
    results = [
        make_run(tmp_path, name, solving(0.5)) for name in ("x/epoch-1", "x/epoch-2", "x/step-7", "x/step-8")
    ]
    report = report_of(*results, training=[recipe(costs, [])])
    from harness_reports.tables import overview

    rows = overview(report).rows
    assert [row.cells[0].text for row in rows] == ["x/epoch-1", "x/epoch-2", "x/step-7", "x/step-8"]
    assert [row.group for row in rows] == ["measured", "measured", "checkpoints of x", "checkpoints of x"]


def test_scores_of_a_column_are_all_under_one_protocol(plugins: PluginManager, tmp_path: Path) -> None:
    results = [
        make_run(tmp_path, BASE, solving(0.2)),
        make_run(tmp_path, "Tiny", solving(0.6)),
        make_run(tmp_path, "Tiny", solving(0.7), temperature=0.0),
        make_run(tmp_path, "Tiny", solving(0.5, n=2), seed=1),
    ]
    text = render(plugins, "markdown", report_of(*results, training=[recipe()]))
    rows = {cells(line)[0]: cells(line) for line in lines_of(text, "Training: tiny") if line.startswith("|")}
    assert rows["Tiny"][-1] == "60.00 ± 9.10", "of two seeds the run with more chains"
    assert rows[BASE][-1] == "20.00 ± 7.43"
    assert "aime25: pass@1 under deepseek-r1, T 0.6" in text
    assert "of several runs of one checkpoint, the one with the most chains" in text


def test_two_recipes_have_a_table_each(plugins: PluginManager, tmp_path: Path) -> None:
    two = [recipe(), recipe([Cost("Other", "sft", 1.0, 2.0)], [], name="other", base="Tiny")]
    report = report_of(*measured(tmp_path, Other=0.5, Tiny=0.4), training=two)
    assert [table.name for table in training_tables(report)] == [
        "training-1",
        "training-stages-1",
        "training-2",
    ]
    assert report.models == ["Tiny", "Other"]
    text = render(plugins, "markdown", report)
    assert text.index("## Training: tiny") < text.index("## Training: other") < text.index("## Runs")


# -- in words --------------------------------------------------------------------------------------------------


def test_a_stage_is_told_by_the_means_of_its_first_and_last_tenth() -> None:
    curve = grpo(40)
    tokens = [value for value in curve.series["mean_tokens"] if value is not None]
    first, last = sum(tokens[:4]) / 4, sum(tokens[-4:]) / 4
    assert sentence(curve) == (
        f"tiny:rl (grpo, for Tiny-V0.4-RS) over 40 steps: reward 0.31 → 0.59, mean tokens {first:,.0f} → {last:,.0f},"
        " truncated 30.3 % → 12.7 % (means of the first 4 and of the last 4 logged steps)."
    )
    assert sentence(sft()) == (
        "tiny:v0.6 (sft, for Tiny-V0.6) over 150 steps: loss 2.43 → 0.569"
        " (means of the first 3 and of the last 3 logged steps)."
    )


@pytest.mark.parametrize(
    ("curve", "words"),
    [
        (grpo(1), "over 1 step: reward 0.28, mean tokens 5,340, truncated 31.0 % (its only logged step)."),
        (sft(2, every=1), "over 2 steps: loss 2.50 → 0.500 (the first and the last logged step)."),
        (Curve("r:s", "t", "c", (), {}), "r:s (t, for c): no step is logged."),
        (Curve("r:s", "t", "c", (3,), {"odd": (1.0,)}), "nothing is logged that can be told in words."),
        (
            Curve("r:s", "t", "c", (1, 2, 3), {"loss": (None, 2.0, math.nan)}),
            "loss 2.00 (its only logged step).",
        ),
        (Curve("r:s", "t", "c", (1, 2), {"loss": (1e-30, 1e90)}), "loss 1e-30 → 1e+90 ("),
    ],
)
def test_little_is_told_of_little(curve: Curve, words: str) -> None:
    assert words in sentence(curve)


def test_steps_without_a_figure_do_not_count_towards_the_mean() -> None:
    gappy = tuple(value if place % 4 == 0 else None for place, value in enumerate(grpo(80).series["reward"]))
    assert "reward 0.29 → 0.56," in sentence(grpo(80, reward=gappy))


# -- points ----------------------------------------------------------------------------------------------------


def test_thousands_of_steps_keep_their_ends_and_extremes() -> None:
    values: list[float | None] = [math.sin(place / 90) for place in range(20_000)]
    values[4567], values[12_345], values[777] = 9.0, -9.0, None
    other: list[float | None] = [None] * 20_000
    other[321] = 5.0
    places = thinned([values, other])
    assert len(places) <= MOST_POINTS
    assert {0, 321, 4567, 12_345, 19_999} <= set(places)
    assert places == sorted(places)
    assert thinned([values[:500]]) == list(range(500))


def test_the_moving_average_goes_over_what_is_known() -> None:
    assert moving_average([1.0, 2.0, 6.0, 3.0], 3) == [1.5, 3.0, pytest.approx(11 / 3), 4.5]
    assert moving_average([None, None, 4.0, None, None], 3) == [None, 4.0, 4.0, 4.0, None]
    assert moving_average([5.0], 1) == [5.0]
    assert moving_average([], 3) == []
    assert [window(steps) for steps in (1, 9, 10, 49, 200, 10**6)] == [1, 1, 3, 5, 21, 101]


# -- every format ----------------------------------------------------------------------------------------------


def test_json_has_costs_and_curves_as_they_were_noted(plugins: PluginManager, tmp_path: Path) -> None:
    infinite = grpo(3, reward=(0.1, math.inf, math.nan))
    found = json.loads(render(plugins, "json", report_of(training=[recipe(curves=[infinite])])))
    (training,) = found["training"]
    assert (training["recipe"], training["device"], training["base"]) == ("tiny", "H100", BASE)
    assert training["costs"][1] == {
        "checkpoint": "Tiny-V0.4-RS",
        "made_from": "GRPO, then SFT on shortest chains",
        "device_hours": 0.0612,
        "usd": None,
        "energy_kwh": None,
        "complete": False,
    }
    (curve,) = training["curves"]
    assert (curve["stage"], curve["steps"], curve["budget"]) == ("tiny:rl", [1, 2, 3], 6144)
    assert curve["series"]["reward"] == [0.1, None, None]
    assert "training" not in json.loads(render(plugins, "json", report_of()))


def test_latex_has_the_costs_and_csv_stays_as_it_is(plugins: PluginManager, tmp_path: Path) -> None:
    results = measured(tmp_path, Tiny=0.5)
    report = report_of(*results, training=[recipe()])
    text = render(plugins, "latex", report)
    assert r"\label{tab:training}" in text
    assert r"Tiny{-}V0.4{-}RS\textsuperscript{a} & GRPO, then SFT on shortest chains & 0.0612 & ? & ?" in text
    for table in text.split(r"\midrule")[1:]:
        body = table[: table.index(r"\bottomrule")].strip().split("\n")
        assert len({len(re.findall(r"(?<!\\)&", line)) for line in body}) == 1
    assert render(plugins, "csv", report) == render(plugins, "csv", report_of(*results))


def test_names_from_a_recipe_are_text_and_nothing_else(plugins: PluginManager) -> None:
    evil = Training(
        HOSTILE, HOSTILE, HOSTILE, (Cost("模型|一", HOSTILE, 1.0, 1.0),), (grpo(12, HOSTILE), sft(3, HOSTILE))
    )
    report = report_of(training=[evil])
    text = render(plugins, "markdown", report)
    assert "<script" not in text
    assert "模型\\|一" in text
    rows = [line for line in text.split("\n") if line.startswith("|")]
    assert len({len(cells(row)) for row in rows}) == 1
    assert "\\input{" not in render(plugins, "latex", report)
    for form in ("csv", "json", "runs"):
        render(plugins, form, report)


@pytest.mark.parametrize(
    "empty", [recipe([], [], base=None), recipe([], []), recipe([], [Curve("r:s", "t", "c", (), {})])]
)
def test_training_of_which_nothing_is_known_yet_is_told_as_such(
    plugins: PluginManager, empty: Training
) -> None:
    text = render(plugins, "markdown", report_of(training=[empty]))
    assert "No checkpoint has a cost yet." in text
    render(plugins, "latex", report_of(training=[empty]))


def test_a_run_whose_files_are_gone_does_not_take_the_training_with_it(
    plugins: PluginManager, tmp_path: Path
) -> None:
    pytest.importorskip("altair")
    results = measured(tmp_path, Tiny=0.5, other=0.4)
    (Path(results[0]["path"]) / "grades.parquet").unlink()
    report = report_of(*results, training=[recipe()], charts="svg")
    text, files = plugins.reporter("markdown").render_file(report, tmp_path / "report.md")
    assert "## Training: tiny" in text
    assert "report_files/learning-tiny-rl.svg" in files


# -- the command -----------------------------------------------------------------------------------------------


def test_the_command_shows_the_folders_of_recipes(harness: Command) -> None:
    for name in ("one", "two"):
        folder = harness.folder / "trained" / name
        folder.mkdir(parents=True)
        write_training(folder, recipe(name=name))
    make_run(harness.folder / "results", "Tiny", solving(0.5))
    arguments = ("report", "results", "--training", "trained/one", "--training", "trained/two")
    done = harness(*arguments, "--charts", "none", "-o", "report.md")
    assert done.returncode == 0, done.stderr
    text = (harness.folder / "report.md").read_text()
    assert text.index("## Training: one") < text.index("## Training: two")
    done = harness(*arguments, "--format", "csv")
    assert len(list(csv.reader(io.StringIO(done.stdout)))) == 2


def test_before_anything_is_measured_the_training_is_a_report_of_its_own(harness: Command) -> None:
    write_training(harness.folder, recipe())
    done = harness("report", "--training", ".")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("## Training: tiny")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "has no training.json: name the folder that harness train wrote to"),
        ("{", "cannot read"),
        ('{"recipe": 1, "device": null, "base": null}', "recipe: Input should be a valid string"),
        (
            json.dumps(
                {
                    "recipe": "r",
                    "device": None,
                    "base": None,
                    "curves": [
                        {
                            "stage": "r:s",
                            "trainer": "t",
                            "checkpoint": "c",
                            "steps": [1, 2],
                            "series": {"loss": [1]},
                        }
                    ],
                }
            ),
            "r:s: loss has not one figure for each step",
        ),
    ],
)
def test_a_folder_that_is_none_of_a_recipe_is_told_in_a_line(
    harness: Command, content: str | None, complaint: str
) -> None:
    make_run(harness.folder / "results", "Tiny", solving(0.5))
    (harness.folder / "trained").mkdir()
    if content is not None:
        (harness.folder / "trained" / "training.json").write_text(content)
    done = harness("report", "--training", "trained", "-o", "report.md")
    assert complaint in one_line_error(done)
    assert not (harness.folder / "report.md").exists()


def test_a_report_without_training_does_not_import_what_reads_it(tmp_path: Path) -> None:
    make_run(tmp_path / "results", "Tiny", solving(0.5))
    code = (
        "import sys; from harness.cli import main\n"
        "try: main(['report', 'results'])\n"
        "finally: print([name for name in ('harness.training', 'altair', 'jinja2') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.rstrip().endswith("[]"), done.stdout + done.stderr

"""Published figures: the shipped data are what was published, and come out of a report as they went in."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from harness import Published, hookimpl
from harness.plugins import PluginManager, load_plugins

from ..conftest import Command
from .made import make_run, report_of, solving

tables = pytest.importorskip("harness_reports.tables")

GROUPS = {"closed": "closed", "open": "open", "fathom": "Fathom-R1"}


def shared_rows(shared: Path) -> list[dict[str, str]]:
    with (shared / "data" / "published_results.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def test_the_shipped_figures_are_the_published_ones(plugins: PluginManager, shared: Path) -> None:
    shipped = {
        (row.model, row.benchmark): (row.group, row.scores["pass@1"], row.scores["cons@k"])
        for row in plugins.published
    }
    rows = shared_rows(shared)
    assert len(shipped) == len(rows) == 28
    for row in rows:
        group, pass1, cons = shipped[row["model"], row["benchmark"]]
        assert group == GROUPS[row["group"]]
        assert (pass1, cons) == pytest.approx((float(row["pass@1"]) / 100, float(row["cons@64"]) / 100))


def test_every_figure_comes_out_to_the_second_decimal(plugins: PluginManager, shared: Path) -> None:
    table = tables.overview(report_of(published=plugins.published))
    titles = [(column.group, column.title) for column in table.columns]
    shown = {row.cells[0].text: dict(zip(titles, row.cells, strict=True)) for row in table.rows}
    for row in shared_rows(shared):
        for metric in ("pass@1", "cons@64"):
            assert shown[row["model"]][row["benchmark"], metric].text == row[metric]


def test_groups_and_their_order(plugins: PluginManager) -> None:
    table = tables.overview(report_of(published=plugins.published))
    groups = list(dict.fromkeys(row.group for row in table.rows))
    assert groups == [f"{name} (published, not measured)" for name in ("closed", "open", "Fathom-R1")]
    for group in groups:
        first = [row.cells[1].value for row in table.rows if row.group == group]
        assert first == sorted(first, reverse=True)


def test_caveats_stand_at_the_figures(plugins: PluginManager) -> None:
    table = tables.overview(report_of(published=plugins.published))
    texts = dict(table.footnotes)
    for row in table.rows:
        model, *cells = row.cells
        notes = " ".join(texts[mark] for mark in model.note.split(",") if mark)
        assert "published, not measured" in notes
        assert ("3 runs only" in notes) == (model.text in ("o1-preview", "gpt-4.5-preview"))
        for column, cell in zip(table.columns[1:], cells, strict=True):
            assert bool(cell.note) == (column.group == "gpqa-diamond" and bool(cell.text))
            assert 'all "A"' in texts.get(cell.note, 'all "A"')


def test_a_plugin_adds_figures_of_its_own(tmp_path: Path) -> None:
    class Stranger:
        @hookimpl
        def harness_published(self) -> list[Published]:
            return [Published("theirs", "", "aime25", {"pass@1": 0.25, "cons@16": 0.5}, 16, "a paper")]

    manager = load_plugins()
    manager.register(Stranger(), "stranger")
    assert {row.model for row in manager.published} > {"theirs", "Fathom-R1-14B"}
    only = [row for row in manager.published if row.model == "theirs"]
    (row,) = tables.overview(report_of(make_run(tmp_path, "m", ["cw"] * 2), published=only)).rows[:1]
    assert (row.group, [cell.text for cell in row.cells[:3]]) == (
        "published, not measured",
        ["theirs", "25.00", "50.00"],
    )


def test_the_command_shows_them_where_nothing_was_measured(harness: Command) -> None:
    done = harness("report", "--published")
    assert done.returncode == 0, done.stderr
    assert "Fathom-R1-14B" in done.stdout
    assert "nothing here was measured" in done.stdout


def test_a_measured_benchmark_lines_up_with_the_published_one(plugins: PluginManager, tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path, "mine", solving(0.5, n=64), benchmark)
        for benchmark in ("aime25", "gpqa-diamond:order=published")
    ]
    table = tables.overview(report_of(*runs, published=plugins.published))
    assert [column.group for column in table.columns[1:9:2]] == [
        "aime25",
        "gpqa-diamond:order=published",
        "hmmt25",
        "gpqa-diamond",
    ]
    assert table.columns[2].title == "cons@64"
    mine = table.rows[-1]
    assert mine.group == "measured"
    assert [bool(cell.text) for cell in mine.cells[1:9]] == [True] * 4 + [False] * 4

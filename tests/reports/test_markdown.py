"""The comparison report as markdown: readable as it stands, and rendered; nothing breaks out of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.plugins import PluginManager
from harness.report import Report

from ..conftest import Command, one_line_error
from .made import HOSTILE, make_run, report_of, solving

Files = Callable[[Path], set[str]]


def tables_of(text: str) -> list[list[str]]:
    blocks = [block.split("\n") for block in text.split("\n\n")]
    return [block for block in blocks if block[0].startswith("|")]


def cells_of(line: str) -> list[str]:
    """Cells as GitHub splits them: at every pipe that no backslash takes away."""
    return [cell.strip() for cell in re.findall(r"\|((?:\\.|[^|\\])*)(?=\|)", line)]


@pytest.fixture
def report(tmp_path: Path) -> Report:
    shares = {"good": 0.9, "bad": 0.2, "sky/step-10": 0.4, "sky/step-20": 0.5}
    return report_of(
        *(
            make_run(tmp_path, model, solving(share, problems=12), benchmark)
            for model, share in shares.items()
            for benchmark in ("aime25", "hmmt25")
        )
    )


def test_scores_then_comparisons_then_runs(plugins: PluginManager, report: Report) -> None:
    text = plugins.reporter("markdown").render(report)
    headings = [line for line in text.split("\n") if line.startswith("#")]
    assert headings == [
        "## deepseek-r1, T 0.6, top_p 0.95, budget 16,384 tokens",
        "## Comparisons",
        "## Runs",
    ]
    overview, comparisons, runs = tables_of(text)
    assert cells_of(overview[0])[:3] == ["model", "aime25 pass@1", "aime25 cons@4"]
    assert cells_of(comparisons[0])[-1] == "verdict"
    assert len(runs) == 2 + 8
    assert "*checkpoints of sky*" in text


def test_tables_are_aligned_as_plain_text(plugins: PluginManager, report: Report) -> None:
    for table in tables_of(plugins.reporter("markdown").render(report)):
        assert len({len(line) for line in table}) == 1
        assert len({len(cells_of(line)) for line in table}) == 1


def test_a_significant_best_is_bold(plugins: PluginManager, tmp_path: Path) -> None:
    runs = [make_run(tmp_path, name, solving(share)) for name, share in (("good", 0.9), ("bad", 0.2))]
    text = plugins.reporter("markdown").render(report_of(*runs))
    assert re.search(r"\| good +\| \*\*90\.00 ± [\d.]+ \([\d.]+–[\d.]+\)\*\* \|", text)


def test_a_name_cannot_break_out(plugins: PluginManager, tmp_path: Path) -> None:
    runs = [make_run(tmp_path, name, solving(0.5, problems=8)) for name in (HOSTILE, "other")]
    runs[0]["warnings"] = ["<img src=x onerror=alert(1)>\n# heading"]
    text = plugins.reporter("markdown").render(report_of(*runs))
    for table in tables_of(text):
        assert len({len(cells_of(line)) for line in table}) == 1
    assert not re.search(r"<(script|img)", text)
    assert not re.search(r"(?<!\\)\[p(?<!\\)\]\(", text)
    assert not re.search(r"^# heading", text, re.MULTILINE)
    assert "p < 0.05" in text  # what is harmless stays readable


def test_nothing_measured_is_said(plugins: PluginManager) -> None:
    assert plugins.reporter("markdown").render(report_of()).startswith("no results")


def test_one_run_is_a_report(plugins: PluginManager, tmp_path: Path) -> None:
    text = plugins.reporter("markdown").render(report_of(make_run(tmp_path, "m", ["cw"] * 3)))
    assert "## Comparisons" not in text
    assert "Bold" not in text
    assert "seed 0" in text


def test_a_folder_without_runs_is_an_error_of_one_line(harness: Command) -> None:
    (harness.folder / "empty").mkdir()
    assert "holds no run folder" in one_line_error(harness("report", "empty"))


def test_charts_lie_beside_the_report_and_are_linked(harness: Command, tmp_path: Path) -> None:
    pytest.importorskip("altair")
    pytest.importorskip("vl_convert")
    make_run(harness.folder / "results", "m", solving(0.5, problems=8))
    done = harness("report", "-o", "out/a report.md")
    assert done.returncode == 0, done.stderr
    text = (harness.folder / "out" / "a report.md").read_text()
    linked = set(re.findall(r"!\[[^]]*\]\(([^)]+)\)", text))
    there = {
        str(path.relative_to(harness.folder / "out")) for path in (harness.folder / "out").rglob("*.svg")
    }
    assert linked == there != set()


def test_without_charts_the_report_stands_and_names_what_to_install(harness: Command, tmp_path: Path) -> None:
    make_run(harness.folder / "results", "m", solving(0.5, problems=8))
    (tmp_path / "hidden").mkdir()
    for name in ("altair", "vl_convert"):
        (tmp_path / "hidden" / f"{name}.py").write_text(f"raise ModuleNotFoundError('no', name='{name}')")
    done = harness("report", "-o", "report.md", PYTHONPATH=str(tmp_path / "hidden"))
    assert done.returncode == 0, done.stderr
    text = (harness.folder / "report.md").read_text()
    (line,) = [line for line in text.split("\n") if line.startswith("No charts: ")]
    assert "fathom-harness" in line
    assert "report" in line
    assert "## Runs" in text
    assert not list(harness.folder.rglob("*.svg"))


def test_charts_can_be_left_out(harness: Command) -> None:
    make_run(harness.folder / "results", "m", solving(0.5, problems=8))
    assert harness("report", "-o", "report.md", "--charts", "none").returncode == 0
    assert [path.name for path in harness.folder.iterdir() if "report" in path.name] == ["report.md"]
    assert "![" not in (harness.folder / "report.md").read_text()


def test_damaged_files_cost_only_their_comparisons(harness: Command) -> None:
    runs = [
        make_run(harness.folder / "results", name, solving(share))
        for name, share in (("a", 0.9), ("b", 0.5), ("c", 0.1))
    ]
    (Path(runs[0]["path"]) / "chains.parquet").write_bytes(b"PAR1 nonsense PAR1")
    done = harness("report")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "90.00" in done.stdout
    assert done.stdout.count("a on aime25 is compared with nothing") == 1

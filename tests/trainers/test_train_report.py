"""What a recipe's report is of, where many share one results folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .recipes_of_pupils import EVALUATE, School
from .watched import Moody


@pytest.fixture
def school(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> School:
    moody = Moody(tmp_path / "moody")
    school = School(tmp_path / "school", monkeypatch)
    monkeypatch.syspath_prepend(str(moody.folder))
    monkeypatch.setenv("PYTHONPATH", moody.path)
    return school


MEASURED = "fresh:level=1,seed=0,size=2"


def add(school: School, model: str, benchmark: str = MEASURED) -> None:
    """A finished run of somebody else's in the same results."""
    (run,) = (school.folder / "results" / "First").glob("*/*/run.json")
    copy = school.folder / "results" / model / benchmark / ("0" * 12)
    shutil.copytree(run.parent, copy)
    for file in ("run.json", "scores.json"):
        text = (copy / file).read_text().replace('"First"', f'"{model}"')
        (copy / file).write_text(text.replace(MEASURED, benchmark))


def models_in(report: str) -> list[str]:
    """Model of each run that a report is of."""
    rows = [line.split("|") for line in report.partition("## Runs")[2].split("\n") if line.startswith("|")]
    return [row[1].strip(" *") for row in rows[2:]]


def test_a_report_is_of_the_recipe_s_own_models_on_its_benchmarks(
    school: School, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nor of those that the same recipe has made in another folder: they have the same titles and other weights."""
    school.usual(evaluate={**EVALUATE, "saves": True}, save_steps=2)
    assert school.train("--no-published", "--stage", "first") == 0
    assert models_in(capfd.readouterr().out) == ["base", "First", "First-checkpoint-2"]
    add(school, "Stranger")
    add(school, "base", "fresh:level=2")
    again = ("--out", "again", "--set", "first.steps=5", "--set", "evaluate.saves=false")
    assert school.train("--no-published", "--stage", "first", *again) == 0
    assert len(list((school.folder / "results" / "First").glob("*/*"))) == 2
    for report in (capfd.readouterr().out, (school.folder / "again" / "report.md").read_text()):
        assert models_in(report) == ["base", "First"]
        assert "fresh:level=2" not in report
    assert "Stranger" not in (school.folder / "again" / "report.html").read_text()

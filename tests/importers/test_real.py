"""Eleven real checkpoints of one training run on AIME 2024, whose statements are another copy than the benchmark's."""

from __future__ import annotations

from pathlib import Path

from harness.checkpoints import checkpoint_of
from harness.store import RunFolder

from .conftest import Importing

RIGHT = {21: 11, 35: 10, 49: 11, 63: 8, 70: 9, 84: 8, 98: 10, 105: 10, 119: 11, 133: 12, 140: 9}
"""Step -> how many of the 30 chains the files' own grader finds right."""


def test_eleven_checkpoints_in_one_command_are_judged_as_the_files_judge_them(
    importing: Importing, shared: Path
) -> None:
    files = sorted((shared / "data" / "chains").glob("*aime24.jsonl.gz"))
    assert len(files) == 11
    results = importing("jsonl", *files, bench="aime24", data=shared / "data")
    found = {}
    for result in results:
        checkpoint = checkpoint_of(result["model"])
        assert checkpoint is not None
        assert checkpoint.series == "icml_models/Sky-T1-math-correct-5K-32B"
        assert (result["problems"], result["chains"], result["warnings"]) == (30, 30, [])
        assert result["foreign"]["differs"] == 0
        found[checkpoint.step] = result["counts"]["correct"]
    assert found == RIGHT
    info = RunFolder.of(Path(results[0]["path"])).info()
    assert info["benchmark"]["notes"]["matched"] == {"statement": 6, "letters": 12, "likeness": 11, "gold": 1}


def test_without_the_data_the_files_own_statements_and_golds_give_the_same_scores(
    importing: Importing, shared: Path
) -> None:
    file = next((shared / "data" / "chains").glob("*checkpoint-133__aime24.jsonl.gz"))
    (result,) = importing("jsonl", file)
    assert (result["benchmark"], result["counts"]["correct"]) == ("aime24", 12)
    assert any("the files' own" in warning for warning in result["warnings"])

"""The result table: what a reader needs beside a score, and nothing that a model could inject."""

from __future__ import annotations

from typing import Any

from harness.plugins import PluginManager
from harness.report import Report


def result(**changes: Any) -> dict[str, Any]:
    return {
        "model": "m",
        "benchmark": "b",
        "protocol": "deepseek-r1",
        "n": 4,
        "problems": 2,
        "chains": 8,
        "temperature": 0.6,
        "top_p": 0.95,
        "max_tokens": 16384,
        "seed": 0,
        "scores": {
            "pass@1": {
                "value": 0.5,
                "stderr": 0.1,
                "ci95": [0.3, 0.7],
                "stderr_sampling": 0.06,
                "stderr_questions": 0.08,
            },
            "cons@k": {"value": 0.75, "stderr": None, "ci95": None, "k": 4, "ties": 1},
        },
        "truncated": 0.125,
        "no_answer": 0.25,
        "counts": {"correct": 4, "incorrect": 0, "no_answer": 2, "truncated": 1, "timeout": 1, "error": 0},
        **changes,
    }


def render(plugins: PluginManager, *results: dict[str, Any]) -> str:
    return plugins.reporter("runs").render(Report(results))


def test_scores_stand_with_error_interval_and_truncation(plugins: PluginManager) -> None:
    row = render(plugins, result()).split("\n")[2]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == ["m", "b", "4", "50.00 ± 10.00", "30.0 – 70.0", "75.00", "", "12.5 %", "25.0 %", "?"]


def test_what_a_reader_should_not_overlook_is_said_below(plugins: PluginManager) -> None:
    text = render(plugins, result())
    assert "budget 16,384 tokens" in text
    assert "1 tied vote." not in text
    assert "1 tied vote;" in text
    assert "1 chain could not be graded (1 timeout, 0 errors)" in text
    assert "6.00 is sampling and 8.00 the choice of problems" in text


def test_two_protocols_never_share_a_table(plugins: PluginManager) -> None:
    text = render(plugins, result(model="a"), result(model="b", max_tokens=6144), result(model="c"))
    tables = [part for part in text.split("\n\n") if part.startswith("| model")]
    assert [[line.split("|")[1].strip() for line in table.split("\n")[2:]] for table in tables] == [
        ["a", "c"],
        ["b"],
    ]
    assert "budget 16,384 tokens:\n\n|" in text
    assert "budget 6,144 tokens:\n\n|" in text


def test_seeds_are_no_difference_of_protocol(plugins: PluginManager) -> None:
    text = render(plugins, result(seed=0), result(seed=1))
    assert text.count("| model") == 1
    assert "seed 1" in text


def test_the_table_is_a_table_whatever_the_model_is_called(plugins: PluginManager) -> None:
    text = render(plugins, result(model="a|b\n<script>alert(1)</script>`x`"))
    lines = text.split("\n")
    assert lines[2].replace("\\|", "").count("|") == lines[0].count("|")
    assert "<script>" not in text

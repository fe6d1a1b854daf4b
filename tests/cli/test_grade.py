"""`harness grade` and `harness regrade --compare`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Command, one_line_error


def grade(
    harness: Command, rows: str, *arguments: object
) -> tuple[subprocess.CompletedProcess[str], list[Any]]:
    done = subprocess.run(
        harness.arguments("grade", *arguments),
        input=rows,
        cwd=harness.folder,
        env=harness.environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done, [json.loads(line) for line in done.stdout.split("\n") if line]


def lines(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_rows_come_back_in_order_with_their_verdicts(harness: Command) -> None:
    done, rows = grade(
        harness,
        lines(
            {"id": "hard", "text": r"\boxed{\sin(x)^2+\cos(x)^2}"},
            {"id": "easy", "generation": r"so \boxed{1}"},
            {"id": "wrong", "text": r"\boxed{2}"},
            {"id": "cut", "text": "<think>and", "finish_reason": "length"},
        ),
        *("--gold", "1"),
    )
    assert done.returncode == 0, done.stderr
    assert [(row["id"], row["status"]) for row in rows] == [
        ("hard", "correct"),
        ("easy", "correct"),
        ("wrong", "incorrect"),
        ("cut", "truncated"),
    ]
    assert rows[0]["answer_class"] == rows[1]["answer_class"]
    assert rows[2] == {
        "id": "wrong",
        "status": "incorrect",
        "correct": False,
        "answer": "2",
        "answer_class": "2",
        "rule": rows[2]["rule"],
    }


def test_every_row_may_bring_its_own_gold(harness: Command) -> None:
    rows = lines({"text": "\\boxed{B}", "gold": "B"}, {"text": "\\boxed{A}", "gold": "B"})
    _, graded = grade(harness, rows, "--kind", "choice")
    assert [row["correct"] for row in graded] == [True, False]


def test_one_answer_to_two_golds_is_judged_twice(harness: Command) -> None:
    rows = lines(*({"text": "\\boxed{5}", "gold": gold} for gold in ("5", "6", "5")))
    _, graded = grade(harness, rows)
    assert [row["correct"] for row in graded] == [True, False, True]


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        ("{", "row 2: is not JSON"),
        ("[]", "row 2: is not a JSON object"),
        ('{"gold": "1"}', "row 2: has no text"),
        ('{"text": "1"}', "row 2: has no gold, and --gold is not given"),
    ],
)
def test_a_bad_row_is_named_and_what_came_before_it_is_not_lost(
    harness: Command, bad: str, expected: str
) -> None:
    done, rows = grade(harness, lines({"text": "\\boxed{1}", "gold": "1"}) + bad + "\n")
    assert done.returncode == 1
    assert expected in one_line_error(done)
    assert [row["status"] for row in rows] == ["correct"]


def test_a_missing_file_and_an_unknown_kind(harness: Command) -> None:
    assert "cannot read gone.jsonl" in one_line_error(grade(harness, "", "gone.jsonl", "--gold", "1")[0])
    assert "did you mean math?" in one_line_error(grade(harness, "", "--gold", "1", "--kind", "maths")[0])


def test_compare_lists_what_another_grading_judges_differently(
    harness: Command, write_chains: Callable[..., Path], tmp_path: Path
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    chains = write_chains(
        [{"problem_id": f"fresh-l1-s0-000{i}", "text": f"\\boxed{{{i}|0}}"} for i in range(3)]
    )
    bench = "fresh:level=1,size=3"
    (result,) = harness.json("run", "--bench", bench, "--sampler", "replay", "--chains", chains)
    new = harness.folder / result["path"] / "grades.parquet"
    table = pq.read_table(new).to_pylist()
    table[1] = {**table[1], "status": "correct", "rule": "by hand"}
    old = tmp_path / "old.parquet"
    pq.write_table(pa.Table.from_pylist(table).replace_schema_metadata({"grader": "math 0"}), old)
    done = harness("regrade", "--compare", old, result["path"])
    assert done.returncode == 0, done.stderr
    assert "1 of 3 chains differ (math 0 -> math " in done.stderr
    rows = done.stdout.split("\n")[2:-1]
    assert len(rows) == 1
    assert rows[0].startswith(r"| fresh-l1-s0-0001 | 0 | correct: 1\|0 (by hand) | incorrect: 1\|0 (boxed")
    (change,) = [
        json.loads(line)
        for line in harness("regrade", "--compare", old, new, "--json").stdout.split("\n")
        if line
    ]
    assert change["old"]["status"] == "correct"
    assert "nothing: leave RUNS out" in harness("regrade", "x", "--compare", old, new).stderr

    assert f"{tmp_path} has no grades" in harness("regrade", "--compare", old, tmp_path).stderr

"""Copies name their columns and number their rows differently; the problems come out the same."""

from __future__ import annotations

import pytest

from harness import HarnessError
from harness_benchmarks.columns import as_text, column, contest_numbers, ordinals


@pytest.mark.parametrize("name", ["problem", "Problem", "question", "Question", "problem statement"])
def test_the_problem_by_any_of_its_names(name):
    assert column({"id": 1, name: " text "}, "problem") == "text"


@pytest.mark.parametrize("name", ["answer", "Answer", "expected_answer", "final_answer", "gold"])
def test_the_gold_by_any_of_its_names(name):
    assert column({"problem": "?", name: 70}, "gold") == "70"


@pytest.mark.parametrize("cell", [70, 70.0, "70", " 70\n", ["70"], [70]])
def test_a_number_reads_the_same_whatever_type_the_file_has(cell):
    assert as_text(cell) == "70"


@pytest.mark.parametrize("cell", [None, float("nan"), "", [None]])
def test_an_empty_cell(cell):
    assert as_text(cell) == ""


def test_a_missing_column_is_said_without_quoting_the_row():
    with pytest.raises(HarnessError, match="FILE has no column for the gold") as caught:
        column({"secret": "secret"}, "gold", "FILE")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("ids", "numbers"),
    [
        ([1, 2, 3], [1, 2, 3]),
        (["0", "1", "2"], [1, 2, 3]),
        ([3, 1, 2], [3, 1, 2]),
        (["hmmt25-2", "hmmt25-1"], [2, 1]),
        ([60, 61], [1, 2]),
        (["a", "b"], [1, 2]),
    ],
)
def test_rows_are_numbered_by_their_ids_where_these_count(ids, numbers):
    assert ordinals([{"id": id} for id in ids]) == numbers


@pytest.mark.parametrize(
    "row",
    [
        {"id": "aime25-II-4"},
        {"ID": "2025-II-4"},
        {"id": 63, "url": "https://wiki.example/index.php/2025_AIME_II_Problems/Problem_4"},
        {"id": 63, "Part": "II", "Problem Number": 4},
        {"problem_idx": 19},
        {"id": "18"},
    ],
)
def test_contest_and_number_are_found_in_every_copys_manner(row):
    first = {"id": 0} if row.get("id") == "18" else {"problem_idx": 1}
    if "problem_idx" in row or row.get("id") == "18":
        assert contest_numbers([first, row])[1] == ("II", 4)
    else:
        assert contest_numbers([row]) == [("II", 4)]


def test_without_ids_the_position_counts():
    assert contest_numbers([{}] * 30)[14:16] == [("I", 15), ("II", 1)]

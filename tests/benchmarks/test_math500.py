"""MATH-500."""

from __future__ import annotations

from collections import Counter

from harness.data import DataSource
from harness_benchmarks.math500 import MATH500, harness_benchmarks

from .known_rows import DATA, data_of, load, needs_data, real_rows, refusal


def test_it_is_provided():
    (benchmark,) = harness_benchmarks()
    assert (benchmark.name, benchmark.normalizer) == ("math500", "math")


@needs_data
def test_the_real_rows_pass_all_checks(caplog):
    problems = load(MATH500(), DataSource(DATA))

    assert len({problem.id for problem in problems}) == 500
    assert problems[0].id == "test/precalculus/807.json"
    assert problems[0].metadata == {"subject": "Precalculus", "level": 2}
    assert Counter(problem.metadata["level"] for problem in problems) == {
        1: 43,
        2: 90,
        3: 105,
        4: 128,
        5: 134,
    }
    assert not caplog.records


@needs_data
def test_the_hubs_column_names_and_plain_numbers_give_the_same_problems(tmp_path):
    original = load(MATH500(), DataSource(DATA))
    rows = real_rows("math500")
    named = [{"unique_id": r["id"], "solution": "s", **{k: r[k] for k in r if k != "id"}} for r in rows]
    numbered = [{**row, "id": number} for number, row in enumerate(rows)]

    for number, copy in enumerate((named[::-1], numbered[::-1])):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert load(MATH500(), data_of(folder, "math500", copy)) == original


@needs_data
def test_edited_rows_are_named(tmp_path):
    rows = real_rows("math500")
    rows[5]["answer"] += "1"
    rows[7]["problem"] = rows[7]["problem"].replace("2", "3")
    rows[9]["id"] = "test/algebra/0.json"

    message = refusal(MATH500(), data_of(tmp_path, "math500", rows))

    # The last is told apart by its position, as in copies that number their rows.
    assert f"{rows[5]['id']}: the gold" in message
    assert f"{rows[7]['id']}: the problem is not the original's" in message
    assert message.count("test/") == 2


@needs_data
def test_too_few_and_twice(tmp_path):
    rows = real_rows("math500")
    message = refusal(MATH500(), data_of(tmp_path, "math500", rows[:-1]))
    assert "499 rows instead of 500" in message
    assert f"no row for {rows[-1]['id']}" in message
    assert f"several rows for {rows[0]['id']}" in refusal(
        MATH500(), data_of(tmp_path, "math500", [*rows, rows[0]])
    )

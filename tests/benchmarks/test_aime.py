"""AIME 2024 and 2025: whatever the copy, the same 30 problems under the same ids, or a refusal."""

from __future__ import annotations

import logging
import random

import pytest

from harness.data import DataSource
from harness_benchmarks.aime import AIME24, AIME25, harness_benchmarks

from .known_rows import DATA, data_of, load, needs_data, real_rows, refusal

BOTH = pytest.mark.parametrize("benchmark", [AIME25(), AIME24()], ids=["aime25", "aime24"])


def made_up(**changes: dict[int, object]) -> list[dict]:
    rows = [{"problem": f"Find the number {n} of {n * n + 7} things.", "answer": n} for n in range(1, 31)]
    for name, values in changes.items():
        for index, value in values.items():
            rows[index][name] = value
    return rows


def test_both_years_are_provided():
    assert [(b.name, b.normalizer) for b in harness_benchmarks()] == [
        ("aime25", "integer"),
        ("aime24", "integer"),
    ]


@needs_data
@BOTH
def test_the_real_rows_pass_all_checks(benchmark, caplog):
    problems = load(benchmark, DataSource(DATA))

    expected = [f"{benchmark.name}-{contest}-{n}" for contest in ("I", "II") for n in range(1, 16)]
    assert [problem.id for problem in problems] == expected
    assert all(problem.gold == str(int(problem.gold)) for problem in problems)
    assert not caplog.records


@needs_data
@BOTH
def test_a_copy_with_other_columns_types_and_order_gives_the_same_problems(benchmark, tmp_path):
    original = load(benchmark, DataSource(DATA))
    rows = [
        {"problem_idx": number, "question": p.text, "expected_answer": p.gold.zfill(3), "problem_type": ["x"]}
        for number, p in enumerate(original, 1)
    ]
    random.Random(1).shuffle(rows)

    assert load(benchmark, data_of(tmp_path, benchmark.stems[1], rows)) == original


@needs_data
def test_a_copy_numbered_by_web_pages_gives_the_same_problems(tmp_path):
    original = load(AIME24(), DataSource(DATA))
    rows = []
    for number, problem in enumerate(sorted(original, key=lambda p: p.text), 60):
        _, contest, place = problem.id.split("-")
        url = f"https://wiki.example/index.php/2024_AIME_{contest}_Problems/Problem_{place}"
        rows.append(
            {"id": number, "problem": problem.text, "answer": problem.gold, "url": url, "year": "2024"}
        )

    assert load(AIME24(), data_of(tmp_path, "aime24", rows)) == original


@needs_data
@BOTH
def test_an_edited_gold_is_named(benchmark, tmp_path):
    rows = real_rows(benchmark.name)
    rows[16]["answer"] = "50"

    message = refusal(benchmark, data_of(tmp_path, benchmark.name, rows))

    assert f"{benchmark.name}-II-2: the gold '50' is not the original's" in message
    assert message.count("the gold") == 1
    assert f"{benchmark.name}.zip!{benchmark.name}.jsonl is not the known data" in message


@needs_data
@BOTH
def test_rows_moved_duplicated_dropped_or_emptied_are_named(benchmark, tmp_path):
    name = benchmark.name
    rows = [{"problem": row["problem"], "answer": row["answer"]} for row in real_rows(name)]

    swapped = [rows[1], rows[0], *rows[2:]]
    message = refusal(benchmark, data_of(tmp_path, name, swapped))
    assert f"{name}-I-1: the gold" in message
    assert f"{name}-I-2: the gold" in message
    assert f"{name}-I-1: has the problem of {name}-I-2" in message
    assert f"{name}-I-3:" not in message

    message = refusal(benchmark, data_of(tmp_path, name, [*rows[:29], rows[3]]))
    assert f"{name}-II-15: the same problem as {name}-I-4" in message

    message = refusal(benchmark, data_of(tmp_path, name, rows[:29]))
    assert "29 rows instead of 30" in message
    assert f"no row for {name}-II-15" in message

    message = refusal(benchmark, data_of(tmp_path, name, [*rows[:29], {**rows[29], "problem": " "}]))
    assert f"{name}-II-15: the problem is empty" in message

    twice = real_rows(name)
    message = refusal(benchmark, data_of(tmp_path, name, [*twice, twice[3]]))
    assert f"several rows for {name}-I-4" in message


@needs_data
@BOTH
def test_statements_that_slipped_against_their_golds_are_named(benchmark, tmp_path):
    rows = real_rows(benchmark.name)
    statements = [row["problem"] for row in rows]
    slipped = [
        {**row, "problem": text} for row, text in zip(rows, statements[1:] + statements[:1], strict=True)
    ]

    message = refusal(benchmark, data_of(tmp_path, benchmark.name, slipped))

    assert f"{benchmark.name}-I-1: has the problem of {benchmark.name}-I-2" in message
    assert "and 22 more" in message


@needs_data
@pytest.mark.parametrize("angle", ["∠ZBA = 60°", r"$\angle ZBA=60^{\circ}$", r"\angle{ZBA}", r"\angle Z B A"])
def test_the_corrupted_copy_of_2025_I_14_is_caught(tmp_path, angle):
    rows = real_rows("aime25")
    rows[13]["problem"] = rows[13]["problem"].replace(r"$\angle B=\angle E=60^{\circ}$", angle)

    message = refusal(AIME25(), data_of(tmp_path, "aime25", rows))

    assert "aime25-I-14: the problem has an angle ZBA: the corrupted copy" in message


def test_the_corrupted_statement_is_caught_in_any_file(tmp_path):
    rows = made_up(problem={13: "Let ABCDE be a pentagon with ∠ZBA = 60°."})
    assert "aime25-I-14: the problem has an angle ZBA" in refusal(AIME25(), data_of(tmp_path, "aime25", rows))


def test_a_copy_that_tells_its_answers_is_caught(tmp_path):
    rows = made_up(problem={4: "Find x. The answer is 005."})
    assert "aime24-I-5: the problem contains its answer" in refusal(
        AIME24(), data_of(tmp_path, "aime24", rows)
    )


def test_golds_that_no_aime_can_have_are_named(tmp_path):
    rows = made_up(answer={0: 1000, 1: "x", 2: None})
    message = refusal(AIME25(), data_of(tmp_path, "aime25", rows))

    assert "aime25-I-1: gold '1000' is not an integer from 0 to 999" in message
    assert "aime25-I-2: gold 'x' is not an integer" in message
    assert "aime25-I-3: the gold is empty" in message


def test_the_user_may_run_on_modified_data(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "harness"):
        problems = load(AIME25(), data_of(tmp_path, "aime25", made_up()[:3], allow_modified=True))

    assert [(p.id, p.gold) for p in problems] == [
        ("aime25-I-1", "1"),
        ("aime25-I-2", "2"),
        ("aime25-I-3", "3"),
    ]
    assert "3 rows instead of 30" in caplog.text


def test_rows_without_golds(tmp_path):
    message = refusal(AIME25(), data_of(tmp_path, "aime25", [{"problem": "?"}]))
    assert "aime25.zip!aime25.jsonl has no column for the gold" in message

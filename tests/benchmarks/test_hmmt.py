"""HMMT February 2025."""

from __future__ import annotations

from harness.data import DataSource
from harness_benchmarks.hmmt import HMMT25, harness_benchmarks

from .known_rows import DATA, data_of, load, needs_data, real_rows, refusal


def test_it_is_provided_under_its_long_name_too():
    (benchmark,) = harness_benchmarks()
    assert (benchmark.name, benchmark.aliases, benchmark.normalizer) == ("hmmt25", ("hmmt_feb_2025",), "math")


@needs_data
def test_the_real_rows_pass_all_checks(caplog):
    problems = load(HMMT25(), DataSource(DATA))

    assert [problem.id for problem in problems] == [f"hmmt25-{n}" for n in range(1, 31)]
    assert not caplog.records


@needs_data
def test_another_spelling_of_golds_and_numbers_gives_the_same_ids(tmp_path):
    rows = [
        {
            "problem_idx": n,
            "problem": row["problem"],
            "answer": "$" + row["answer"].replace("frac", "dfrac") + "$",
        }
        for n, row in enumerate(real_rows("hmmt25"))
    ]
    problems = load(HMMT25(), data_of(tmp_path, "hmmt_feb_2025", rows[::-1]))

    assert [problem.id for problem in problems] == [f"hmmt25-{n}" for n in range(1, 31)]
    assert problems[2].gold == r"\dfrac{1}{576}"


@needs_data
def test_the_copy_with_another_gold_for_no_28_is_caught(tmp_path):
    rows = real_rows("hmmt25")
    rows[27]["answer"] = r"\sqrt{5}"

    message = refusal(HMMT25(), data_of(tmp_path, "hmmt25", rows))

    assert r"hmmt25-28: the gold '\\sqrt{5}' is not the original's (one public copy has an error" in message
    assert message.count("hmmt25-") == 1


@needs_data
def test_swapped_and_missing_rows_are_named(tmp_path):
    rows = [{"problem": row["problem"], "answer": row["answer"]} for row in real_rows("hmmt25")]

    message = refusal(HMMT25(), data_of(tmp_path, "hmmt25", [rows[1], rows[0], *rows[2:]]))
    assert "hmmt25-1: has the problem of hmmt25-2" in message
    assert "hmmt25-2: the gold '103'" in message

    assert "no row for hmmt25-30" in refusal(HMMT25(), data_of(tmp_path, "hmmt25", rows[:-1]))


def test_strange_rows_are_refused(tmp_path):
    rows = [{"problem": f"Problem {n}", "answer": n} for n in range(1, 31)]
    message = refusal(HMMT25(), data_of(tmp_path, "hmmt25", rows))
    assert "hmmt25-1: the gold '1' is not the original's" in message
    assert "and 22 more" in message

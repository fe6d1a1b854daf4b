"""The tables that decide: who is better, how sure that is, and what must not be overlooked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness import Published
from harness.report import Report

from .made import make_run, report_of, solving

tables = pytest.importorskip("harness_reports.tables")
comparisons = pytest.importorskip("harness_reports.comparisons")

GPT = Published("gpt", "closed", "aime25", {"pass@1": 0.4, "cons@64": 0.5}, 64, "a paper", "")


def rows_of(table: Any) -> dict[str, dict[str, str]]:
    """First cell -> title of the column -> text."""
    titles = [" ".join(filter(None, (column.group, column.title))) for column in table.columns]
    return {
        row.cells[0].text: dict(zip(titles, [c.text for c in row.cells], strict=True)) for row in table.rows
    }


def bold_of(table: Any) -> set[tuple[str, str]]:
    return {
        (row.cells[0].text, column.title)
        for row in table.rows
        for column, cell in zip(table.columns, row.cells, strict=True)
        if cell.bold
    }


def notes_of(table: Any) -> str:
    return "\n".join([*(text for _, text in table.footnotes), *table.notes])


def overview(*results: Any, **options: Any) -> Any:
    return tables.overview(Report(results, **options))


def test_a_score_stands_with_its_error_and_interval(tmp_path: Path) -> None:
    result = make_run(tmp_path, "m", [*["cccw"] * 6, *["wwwc"] * 4])
    score = result["scores"]["pass@1"]
    low, high = score["ci95"]
    row = rows_of(overview(result))["m"]
    assert row["aime25 pass@1"] == f"55.00 ± {100 * score['stderr']:.2f} ({100 * low:.1f}–{100 * high:.1f})"
    assert row["aime25 cons@4"].startswith("60.00 ± ")


def test_what_a_correct_answer_costs_is_counted_over_all_benchmarks(tmp_path: Path) -> None:
    one = make_run(tmp_path, "m", ["cc", "tt"], tokens=100)
    two = make_run(tmp_path, "m", ["cw", "ww"], "hmmt25", tokens=400)
    row = rows_of(overview(one, two))["m"]
    assert row["all benchmarks truncated"] == "25.0 %"
    assert row["all benchmarks tokens"] == "250"
    assert row["all benchmarks tokens per correct"] == "667"  # (4 * 100 + 4 * 400) / 3


def test_nobody_knows_how_many_chains_an_unknown_budget_cut_off(tmp_path: Path) -> None:
    unknown = {"temperature": None, "top_p": None, "max_tokens": None, "seed": None}
    silent = make_run(tmp_path, "silent", ["cw"] * 3, **unknown)
    telling = make_run(tmp_path, "telling", ["ct"] * 3, **unknown)
    report = report_of(silent, telling)
    for table in (tables.overview(report), tables.runs_table(report)):
        rows = rows_of(table)
        assert (rows["silent"]["truncated"], rows["telling"]["truncated"]) == ("?", "50.0 %")
    assert "seed None" not in notes_of(tables.runs_table(report))


def test_what_is_not_known_is_not_made_up(tmp_path: Path) -> None:
    row = rows_of(overview(make_run(tmp_path, "m", ["cw"] * 3, tokens=None)))["m"]
    assert (row["tokens"], row["tokens per correct"]) == ("?", "?")
    assert "USD" not in row


def test_lengths_of_the_chains_tell_the_tokens_where_the_cost_does_not(tmp_path: Path) -> None:
    result = make_run(tmp_path, "m", ["cw"] * 3, tokens=70, cost={"completion_tokens": None})
    assert rows_of(overview(result))["m"]["tokens per correct"] == "140"


def test_a_model_without_a_correct_answer_has_no_finite_price(tmp_path: Path) -> None:
    assert rows_of(overview(make_run(tmp_path, "m", ["ww"] * 3)))["m"]["tokens per correct"] == "∞"


def test_a_partly_known_cost_is_a_lower_bound(tmp_path: Path) -> None:
    paid = {"completion_tokens": 100, "usd": 1.5}
    one = make_run(tmp_path, "m", ["cw"] * 2, cost=paid)
    two = make_run(tmp_path, "m", ["cw"] * 2, "hmmt25")
    assert rows_of(overview(one, two))["m"]["all benchmarks USD"] == "≥ 1.50"


def test_the_best_is_bold_where_it_is_significantly_better_than_the_next(tmp_path: Path) -> None:
    good = make_run(tmp_path, "good", solving(0.9))
    next_ = make_run(tmp_path, "next", solving(0.5))
    worst = make_run(tmp_path, "worst", solving(0.1))
    table = overview(good, next_, worst)
    assert bold_of(table) == {("good", "pass@1"), ("good", "cons@4")}
    assert "Bold: the best measured score" in notes_of(table)
    assert list(rows_of(table)) == ["good", "next", "worst"]


def test_the_best_is_not_bold_where_the_next_may_be_as_good(tmp_path: Path) -> None:
    good = make_run(tmp_path, "good", solving(0.9))
    close = make_run(tmp_path, "close", solving(0.8))
    worst = make_run(tmp_path, "worst", solving(0.1))
    table = overview(good, close, worst)
    assert bold_of(table) == set()
    assert "no model is significantly better than the next" in notes_of(table)


def test_nothing_is_bold_for_equal_models(tmp_path: Path) -> None:
    table = overview(make_run(tmp_path, "a", solving(0.9)), make_run(tmp_path, "b", solving(0.9)))
    assert bold_of(table) == set()


def test_a_run_of_fewer_problems_says_so_and_beats_nobody(tmp_path: Path) -> None:
    whole = make_run(tmp_path, "whole", solving(0.5))
    part = make_run(tmp_path, "part", solving(0.9, problems=15))
    table = overview(whole, part)
    assert bold_of(table) == set()
    (mark,) = [mark for mark, text in table.footnotes if "on 15 problems only, not 30" in text]
    assert [cell.note for cell in table.rows[0].cells if cell.note] == [mark, mark]
    assert table.rows[0].cells[0].text == "part"


def test_warnings_stand_at_the_figures_that_they_concern(tmp_path: Path) -> None:
    bad = make_run(tmp_path, "bad", ["cw"] * 3, warnings=["rows were modified"])
    table = overview(bad, make_run(tmp_path, "fine", ["cw"] * 3))
    marked = {row.cells[0].text for row in table.rows if any(cell.note for cell in row.cells)}
    assert marked == {"bad"}
    assert table.footnotes == (("a", "WARNING: rows were modified"),)


def test_protocols_never_share_a_table(tmp_path: Path) -> None:
    small = make_run(tmp_path, "m", ["cw"] * 3, max_tokens=6144)
    unknown = make_run(tmp_path, "m", ["cw"] * 3, temperature=None, top_p=None, max_tokens=None)
    found = tables.overviews(report_of(make_run(tmp_path, "m", ["cw"] * 3), small, unknown))
    assert [len(table.rows) for table in found] == [1, 1, 1]
    assert {table.title for table in found} == {
        "deepseek-r1, T 0.6, top_p 0.95, budget 16,384 tokens",
        "deepseek-r1, T 0.6, top_p 0.95, budget 6,144 tokens",
        "deepseek-r1",
    }
    assert len({table.name for table in found}) == 3


def test_two_seeds_of_a_model_are_two_rows(tmp_path: Path) -> None:
    one = make_run(tmp_path, "m", ["cw"] * 3, seed=1)
    two = make_run(tmp_path, "m", ["cc"] * 3, seed=2)
    assert set(rows_of(overview(one, two))) == {"m (seed 1)", "m (seed 2)"}


def test_two_weights_of_one_name_are_two_rows(tmp_path: Path) -> None:
    one = make_run(tmp_path, "m", ["cw"] * 3, info={"model": {"content": "aaaaaaaaaa"}}, harness="1")
    two = make_run(tmp_path, "m", ["cc"] * 3, info={"model": {"content": "bbbbbbbbbb"}}, harness="2")
    assert set(rows_of(overview(one, two))) == {
        "m (seed 0, weights aaaaaaaa)",
        "m (seed 0, weights bbbbbbbb)",
    }


def test_checkpoints_stand_step_by_step_under_their_training_run(tmp_path: Path) -> None:
    names = ["sky/checkpoint-105", "sky/checkpoint-21", "sky/checkpoint-63", "other"]
    table = overview(*(make_run(tmp_path, name, ["cw"] * 3) for name in names))
    groups = {row.cells[0].text: row.group for row in table.rows}
    assert [name for name, group in groups.items() if group == "checkpoints of sky"] == [
        "sky/checkpoint-21",
        "sky/checkpoint-63",
        "sky/checkpoint-105",
    ]
    assert groups["other"] == "measured"


def test_published_figures_are_marked_and_never_bold(tmp_path: Path) -> None:
    low = [make_run(tmp_path, name, solving(share)) for name, share in (("a", 0.3), ("b", 0.1))]
    table = overview(*low, published=[GPT])
    assert [(row.cells[0].text, row.group) for row in table.rows] == [
        ("gpt", "closed (published, not measured)"),
        ("a", "measured"),
        ("b", "measured"),
    ]
    assert rows_of(table)["gpt"]["aime25 pass@1"] == "40.00"
    assert "published, not measured: a paper" in notes_of(table)
    assert ("gpt", "pass@1") not in bold_of(table)


def test_votes_of_different_sizes_are_not_under_one_number(tmp_path: Path) -> None:
    table = overview(make_run(tmp_path, "m", ["cw"] * 3), published=[GPT])
    assert "cons@n" in [column.title for column in table.columns]
    assert "2 here" in notes_of(table)


def test_a_damaged_run_keeps_its_scores_and_costs_only_its_comparisons(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, name, solving(share)) for name, share in (("a", 0.9), ("b", 0.5), ("c", 0.1))]
    (Path(runs[2]["path"]) / "grades.parquet").write_bytes(b"nonsense")
    report = report_of(*runs)
    overview_, compared, _ = tables.all_tables(report)
    assert set(rows_of(overview_)) == {"a", "b", "c"}
    assert bold_of(overview_) == {("a", "pass@1"), ("a", "cons@4")}
    (warning,) = [note for note in compared.notes if note.startswith("WARNING")]
    assert warning.startswith("WARNING: c on aime25 is compared with nothing: ")
    assert "\n" not in warning
    assert {(row.cells[2].text, row.cells[3].text) for row in compared.rows} == {("a", "b")}


def test_a_damaged_baseline_leaves_the_table_and_says_so(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, name, solving(share)) for name, share in (("a", 0.9), ("b", 0.5))]
    (Path(runs[1]["path"]) / "chains.parquet").unlink()
    compared = tables.comparisons_table(report_of(*runs, baseline="b"))
    assert compared.rows == ()
    assert "b on aime25 is compared with nothing" in notes_of(compared)


def comparison_rows(report: Report) -> list[list[str]]:
    return [[cell.text for cell in row.cells] for row in tables.comparisons_table(report).rows]


def test_a_comparison_says_in_words_what_it_found(tmp_path: Path) -> None:
    good, bad, close = (
        make_run(tmp_path, name, solving(share)) for name, share in (("x", 0.9), ("y", 0.1), ("z", 0.86))
    )
    rows = {(row[1], row[2], row[3]): row for row in comparison_rows(report_of(good, bad, close))}
    assert rows["pass@1", "x", "y"][-1] == "a is better"
    assert rows["pass@1", "x", "y"][4].startswith("+80.00 ± ")
    assert rows["pass@1", "x", "z"][-1].startswith("no difference seen; differences below ")


def test_a_handful_of_problems_can_never_tell(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, name, solving(share, problems=5)) for name, share in (("a", 1), ("b", 0))]
    assert comparison_rows(report_of(*runs))[0][-1] == "cannot tell: 5 problems can never be enough"


def test_a_difference_that_is_one_among_many_is_not_sure(tmp_path: Path) -> None:
    names = [f"m{place}" for place in range(6)]
    runs = [make_run(tmp_path, name, solving(0.5)) for name in names]
    runs.append(make_run(tmp_path, "ahead", solving(0.7)))
    row = comparison_rows(report_of(*runs))[0]
    assert row[2] == "ahead"
    assert float(row[5]) < 0.05 <= float(row[6])
    assert row[-1] == "not sure: a difference like this is not rare among 21 comparisons"


def test_with_a_baseline_every_model_is_compared_with_it(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, name, solving(share)) for name, share in (("a", 0.9), ("b", 0.5), ("c", 0.1))]
    rows = comparison_rows(report_of(*runs, baseline="b"))
    assert [(row[1], row[2], row[3]) for row in rows] == [
        ("pass@1", "a", "b"),
        ("pass@1", "c", "b"),
        ("cons@4", "a", "b"),
        ("cons@4", "c", "b"),
    ]
    assert rows[1][-1] == "b is better"


def test_checkpoints_are_compared_from_first_to_last_and_each_with_the_one_before(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, f"sky/step-{step}", solving(step / 40)) for step in (10, 20, 30)]
    pairs = [(row[2], row[3]) for row in comparison_rows(report_of(*runs)) if row[1] == "pass@1"]
    assert pairs == [
        ("step-30", "step-20"),  # the two best
        ("step-30", "step-10"),
        ("step-20", "step-10"),
    ]


def test_the_two_best_checkpoints_are_compared_even_if_others_lie_between(tmp_path: Path) -> None:
    shares = {10: 0.1, 20: 0.8, 30: 0.2, 40: 0.9, 50: 0.3}
    runs = [make_run(tmp_path, f"sky/step-{step}", solving(share)) for step, share in shares.items()]
    pairs = [(row[2], row[3]) for row in comparison_rows(report_of(*runs)) if row[1] == "pass@1"]
    assert ("step-40", "step-20") in pairs
    assert len(pairs) == len(set(pairs)) == 6


def test_the_best_checkpoint_stands_for_its_training_run(tmp_path: Path) -> None:
    shares = {"other": 0.5, "sky/step-10": 0.2, "sky/step-20": 0.6, "sky/step-30": 0.4}
    runs = [make_run(tmp_path, name, solving(share)) for name, share in shares.items()]
    pairs = [(row[2], row[3]) for row in comparison_rows(report_of(*runs)) if row[1] == "pass@1"]
    assert pairs[0] == ("sky/step-20", "other")
    assert not [pair for pair in pairs[1:] if "other" in pair]


def test_one_chain_is_no_vote(tmp_path: Path) -> None:
    report = report_of(
        *(make_run(tmp_path, name, solving(share, n=1)) for name, share in (("a", 0.9), ("b", 0.2)))
    )
    assert "cons@1" not in [column.title for column in tables.overview(report).columns]
    assert {row[1] for row in comparison_rows(report)} == {"pass@1"}


def test_many_models_make_no_wall_of_comparisons(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path, f"model-{place}", solving(place / 12, problems=12, n=2), benchmark)
        for place in range(12)
        for benchmark in ("aime25", "hmmt25")
    ]
    table = tables.comparisons_table(report_of(*runs))
    assert len(table.rows) == comparisons.MOST_ROWS == 25
    # Every benchmark has its share, and the best stands first against the next.
    assert [row.cells[0].text for row in table.rows].count("hmmt25") >= 12
    assert [cell.text for cell in table.rows[0].cells[:4]] == ["aime25", "pass@1", "model-11", "model-10"]
    assert "239 more comparisons" in notes_of(table)  # 2 benchmarks x 2 metrics x 66 pairs - 25


def test_runs_that_share_nothing_are_not_compared(tmp_path: Path) -> None:
    runs = make_run(tmp_path, "a", solving(0.5)), make_run(tmp_path, "b", solving(0.5), "hmmt25")
    table = tables.comparisons_table(report_of(*runs))
    assert table.rows == ()
    assert "nothing to compare" in notes_of(table)


def test_verdicts_of_two_graders_stand_beside_each_other(tmp_path: Path) -> None:
    foreign = make_run(tmp_path, "a", ["cw"] * 4, foreign={"chains": 8, "score": 0.625, "differs": 1})
    table = tables.runs_table(report_of(foreign, make_run(tmp_path, "b", ["cw"] * 4)))
    rows = rows_of(table)
    assert (rows["a"]["foreign score"], rows["a"]["differs"]) == ("62.50", "1")
    assert rows["b"]["differs"] == ""
    assert "decides otherwise on 1 of 8 chains" in notes_of(table)


def test_notes_of_many_runs_tell_only_what_is_unusual(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, f"m{place}", ["cw"] * 4) for place in range(9)]
    runs.append(make_run(tmp_path, "odd", ["c!"] * 4, warnings=["beware"]))
    notes = notes_of(tables.runs_table(report_of(*runs)))
    assert "m3" not in notes
    assert "odd on aime25: 4 chains could not be graded (4 timeouts, 0 errors)." in notes
    assert "odd on aime25: WARNING: beware" in notes

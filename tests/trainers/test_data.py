"""Stage data: what a recipe's `data` becomes, in what order, and that it is made once."""

from __future__ import annotations

import dataclasses
import errno
import os
import re
from pathlib import Path
from typing import Any

import pytest

from harness import HarnessError
from harness.data import DataSource
from harness.plugins import PluginManager
from harness_trainers.data import DataSize, describe
from harness_trainers.recipes import Data

from . import sums
from .prepared import SOLVED, Make, chains_of, rows_of, write


def test_a_row_has_what_trainers_read(make: Make) -> None:
    row = {
        "id": "a",
        "problem": "1 + 1?",
        "response": "<think>\nwell\n</think>\n\n2",
        "gold": "2",
        "pass_rate": 0.25,
    }

    prepared = make([row])

    assert rows_of(prepared) == [
        {
            "id": "a",
            "prompt": [
                {
                    "role": "user",
                    "content": "1 + 1?\nPlease reason step by step, and put your final answer within \\boxed{}.",
                }
            ],
            "completion": "<think>\nwell\n</think>\n\n2",
            "difficulty": 0.75,
            "pass_rate": 0.25,
            "tokens": None,
            "source": str(prepared.path.parent.parent / "rows.jsonl"),
        }
    ]
    assert prepared.rows == 1


def test_rows_to_be_rewarded_have_a_gold_and_who_grades_it(make: Make) -> None:
    (row,) = rows_of(make([{"question": "1 + 1?", "answer": 2.0}], needs="golds"))

    assert (row["gold"], row["normalizer"]) == ("2", "math")
    assert "completion" not in row
    assert row["id"] == "row-1"


def test_a_benchmark_is_asked_as_in_an_evaluation_and_its_solution_is_the_chain(
    make: Make, summing: PluginManager
) -> None:
    prepared = make("sums:size=3", protocol="fathom")

    benchmark = summing.benchmark("sums:size=3")
    prompts = [summing.protocol("fathom").prompt(p, benchmark) for p in benchmark.problems(DataSource())]
    rows = rows_of(prepared)
    assert [row["prompt"] for row in rows] == [
        [dataclasses_as_dict(message) for message in prompt.messages] for prompt in prompts
    ]
    assert rows[2]["completion"] == "<think>\n2 and 2 make 4\n</think>\n\nThe answer is $\\boxed{4}$."
    golds = rows_of(make("sums:size=3", needs="golds"))
    assert [(row["id"], row["gold"], row["normalizer"]) for row in golds] == [
        ("s0", "0", "integer"),
        ("s1", "2", "integer"),
        ("s2", "4", "integer"),
    ]


def dataclasses_as_dict(message: Any) -> dict[str, str]:
    return dataclasses.asdict(message)


def test_solutions_are_checked_as_often_as_asked_and_each_problem_always_as_often(make: Make) -> None:
    filters = {"chain": "solution", "checks": [0, 1, 2], "check_weights": [1, 2, 1]}

    many = chains_of(make("sums:size=400", filters=filters))
    few = chains_of(make("sums:size=40", filters=filters))

    counts = [chain.count("Let me check that again.") for chain in many]
    assert [counts.count(times) / 400 for times in (0, 1, 2)] == pytest.approx([0.25, 0.5, 0.25], abs=0.08)
    assert many[:40] == few
    once = next(chain for chain, times in zip(many, counts, strict=True) if times == 1)
    first, second = (
        once.removeprefix("<think>\n").split("\n</think>")[0].split("\n\nLet me check that again.\n")
    )
    assert first == second
    only = chains_of(make("sums:size=40", filters={"checks": [0, 3], "check_weights": [0, 1]}))
    assert {chain.count("Let me check that again.") for chain in only} == {3}


def test_tokens_are_counted_by_the_models_tokenizer(make: Make, tmp_path: Path) -> None:
    model = sums.tokenizer_folder(tmp_path / "model")

    prepared = make([{"prompt": "one two three", "completion": "four " * 30}, *SOLVED[:1]], model=model)

    assert [row["tokens"] for row in rows_of(prepared)] == [30, 3]
    assert prepared.completion_tokens == 16.5
    assert prepared.prompt_tokens == (3 + 17) / 2
    kept = make(
        [{"prompt": "one two", "completion": "a " * n} for n in range(1, 9)],
        model=model,
        filters={"max_tokens": 6},
    )
    assert [row["tokens"] for row in rows_of(kept)] == [1, 2, 3, 4]
    assert kept.notes == (f"{tmp_path / 'rows.jsonl'}: 4 of 8 rows are left out: 4 of more than 6 tokens",)


def test_texts_that_no_file_can_hold_are_mended(make: Make) -> None:
    assert chains_of(make([{"prompt": "p", "completion": "half \ud800 a pair\u2028"}])) == [
        "half \ufffd a pair\u2028"
    ]


def test_where_tokens_can_be_counted_nobody_is_believed(make: Make, tmp_path: Path) -> None:
    """What a data set tells was counted by another tokenizer."""
    rows = [{"prompt": "one two", "completion": "a " * n, "tokens": 99 // n} for n in (3, 1, 2)]

    assert [row["tokens"] for row in rows_of(make(rows))] == [33, 99, 49]
    model = sums.tokenizer_folder(tmp_path / "model")
    prepared = make(rows, model=model, filters={"max_tokens": 4}, sort="tokens")
    assert [row["tokens"] for row in rows_of(prepared)] == [1, 2]
    assert prepared.completion_tokens == 1.5


# -- filters, order, size --------------------------------------------------------------------------


def test_bounds_and_order_and_size(make: Make) -> None:
    filters = {"pass_rate_above": 0.2, "pass_rate_below": 0.7}

    prepared = make(SOLVED, filters=filters, sort="difficulty")
    assert [row["pass_rate"] for row in rows_of(prepared)] == [0.6, 0.5, 0.4, 0.3]
    cut = make(SOLVED, filters=filters, sort="difficulty", size=2)
    assert [row["pass_rate"] for row in rows_of(cut)] == [0.4, 0.3], (
        "the first two of the source, then in order"
    )
    short = make(SOLVED, filters=filters, size=5)
    assert short.notes[-1] == "4 rows are left, 5 were asked for"


def test_equal_rows_keep_their_order_and_any_number_sorts(make: Make) -> None:
    rows = [
        {**SOLVED[0], "id": name, "level": level}
        for name, level in (("a", 2), ("b", "1"), ("c", 2), ("d", 1.5))
    ]

    assert [row["id"] for row in rows_of(make(rows, sort="level"))] == ["b", "d", "a", "c"]
    assert [row["id"] for row in rows_of(make("sums:size=3", sort="size"))] == ["s0", "s1", "s2"]


def test_rows_without_what_others_have_are_left_out_and_counted(make: Make, tmp_path: Path) -> None:
    rows = [SOLVED[9], {**SOLVED[8], "pass_rate": None}, SOLVED[1], {**SOLVED[1], "pass_rate": "often"}]

    prepared = make(rows, filters={"pass_rate_at_least": 0.5})

    assert prepared.rows == 1
    assert prepared.notes == (
        f"{tmp_path / 'rows.jsonl'}: 3 of 4 rows are left out: 2 without a pass_rate, 1 by pass_rate_at_least 0.5",
        f"{tmp_path / 'rows.jsonl'}: 1 rows have a pass_rate that is not a number",
    )


def test_a_published_data_set_that_does_not_tell_what_it_was_filtered_by_is_taken_at_its_word(
    make: Make,
) -> None:
    rows = [{"problem": "1 + 1?", "generation": "two"}]
    filters = {
        "corpus": ["a", "b"],
        "decontaminated": True,
        "pass_rate_at_most": 0.4,
        "chain": "shortest correct",
    }

    notes = make(rows, filters=filters).notes

    assert "chain: taken as filtered already" in notes[0]
    assert "pass_rate_at_most: no row says, taken as filtered already" in notes[1]
    assert notes[2] == "taken at their word: corpus, decontaminated"


def test_problems_of_benchmarks_that_are_to_stay_unseen_are_left_out(make: Make) -> None:
    prepared = make("sums:size=8", filters={"not_in": ["sums:size=3"]}, needs="golds")
    assert [row["id"] for row in rows_of(prepared)] == ["s3", "s4", "s5", "s6", "s7"]
    assert prepared.notes == ("sums:size=8: 3 of 8 rows are left out: 3 in sums:size=3",)

    asked = [message["content"] for message in rows_of(prepared)[0]["prompt"]]
    rows = [{"problem": "what is  3+3?", "chain": "six"}, {"prompt": asked[0], "chain": "6"}, SOLVED[0]]
    assert chains_of(make(rows, filters={"not_in": "sums:size=8"})) == ["It is 1."]
    with pytest.raises(HarnessError, match="no benchmark is called 'sumz': did you mean sums"):
        make(rows, filters={"not_in": ["sumz"]})


# -- once ------------------------------------------------------------------------------------------


def test_the_same_call_finds_its_file(make: Make, tmp_path: Path) -> None:
    first = make(SOLVED)
    before = os.stat(first.path).st_mtime_ns, first.path.read_bytes()

    assert make(SOLVED) == first
    assert os.stat(first.path).st_mtime_ns == before[0]
    assert make(SOLVED, name="other").digest == first.digest
    assert make(SOLVED[:5]).rows == 5, "the source has changed"
    assert make(SOLVED[:5], size=3).rows == 3
    assert make("sums:size=4").digest != make("sums:size=4", protocol="fathom").digest


@pytest.mark.parametrize("harm", ["truncated", "changed", "gone", "unknown", "torn"])
def test_rows_that_are_not_as_they_were_written_are_made_again(make: Make, harm: str) -> None:
    first = make(SOLVED)
    whole = first.path.read_bytes()
    if harm == "gone":
        first.path.unlink()
    elif harm == "unknown":
        first.path.with_suffix(".json").unlink()
    elif harm == "torn":
        first.path.with_suffix(".json").write_text('{"asked"')
    else:
        first.path.write_bytes(whole[:-9] if harm == "truncated" else whole.replace(b"What", b"Whom", 1))
    (first.path.parent / f".{first.path.name}.1.part").write_bytes(b"x")

    assert make(SOLVED) == first
    assert first.path.read_bytes() == whole
    assert sorted(path.name for path in first.path.parent.iterdir()) == [".lock", "stage.json", "stage.jsonl"]


def test_two_at_once_are_told_of_each_other(make: Make, tmp_path: Path) -> None:
    from harness.files import lock

    (tmp_path / "out").mkdir()
    with lock(tmp_path / "out"), pytest.raises(HarnessError, match="out is being written by process"):
        make(SOLVED)
    first = make(SOLVED)
    with lock(tmp_path / "out"):
        assert make(SOLVED) == first, "what is there can be found meanwhile"


def test_a_full_disk_is_one_line_and_leaves_no_file(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(HarnessError, match=r"no space left to write .*stage\.jsonl"):
        make(SOLVED)
    monkeypatch.undo()
    assert not list((tmp_path / "out").glob("*.jsonl"))
    assert make(SOLVED).rows == 11


# -- what is told of it ----------------------------------------------------------------------------


def test_the_plan_knows_sizes_where_they_can_be_told(
    tmp_path: Path, summing: PluginManager, make: Make
) -> None:
    def plan(**said: Any) -> DataSize:
        usual: Any = {
            "needs": said.pop("needs", "chains"),
            "model": said.pop("model", None),
            "plugins": summing,
        }
        return describe(Data.model_validate(said), folder=tmp_path / "out", name="stage", **usual)

    rows = str(write(tmp_path / "rows.jsonl", SOLVED))
    assert plan(source="fresh:level=1,size=2000,seed=101") == DataSize(2000, True, False)
    counted = plan(source=rows, model=sums.tokenizer_folder(tmp_path / "model"))
    assert (counted.prompt_tokens, counted.completion_tokens) == (17, 3)
    with pytest.raises(HarnessError, match="a gold"):
        plan(source=str(write(tmp_path / "bare.jsonl", [{"problem": "1 + 1?"}])), needs="golds")
    assert plan(source=["sums:size=7", rows]).rows == 18
    assert plan(source=rows, size=4, filters={"pass_rate_above": 0.2}) == DataSize(4, False, False)
    assert plan(source=rows, size=40).notes == ("the sources have 11 rows, 40 were asked for",)
    assert not plan(source=rows).exact, "some may be of no use"
    assert plan(source=rows, filters={"chain": "all correct"}).rows is None
    sampled = plan(source="sums:size=7", sample={"n": 8}, filters={"chain": "all correct"})
    assert (sampled.rows, sampled.sampled_chains, sampled.exact) == (56, 56, False)
    assert plan(source="org/anything").rows is None
    with pytest.raises(HarnessError, match="did you mean pass_rate_above"):
        plan(source=rows, filters={"passrate_above": 0.2})
    make(rows, filters={"pass_rate_above": 0.8})
    assert plan(source=rows, filters={"pass_rate_above": 0.8}) == DataSize(
        2, True, True, notes=(f"{rows}: 9 of 11 rows are left out: 9 by pass_rate_above 0.8",)
    )


def test_the_documented_examples_columns_and_filters_are_those_that_are_understood() -> None:
    import yaml

    from harness_trainers.data import columns, filters

    text = (Path(__file__).parents[2] / "docs" / "training-data.md").read_text(encoding="utf-8")
    examples = re.findall(r"(?m)^    data:.*\n(?:      .*\n)*", text)
    assert len(examples) == 3
    for example in examples:
        filters.read_filters(Data.model_validate(yaml.safe_load(example)["data"]).filters)
    names = (
        *columns.PROBLEM,
        *columns.GOLD,
        *columns.MESSAGES,
        *columns.ID,
        *columns.CORRECT,
        *filters.CHOICES,
    )
    own = ("pass_rate_at_tokens", "max_tokens", "checks", "check_weights", "not_in", *filters.DESCRIPTIVE)
    assert [name for name in (*names, *own) if f"`{name}`" not in text] == []

"""What of a row of a data set is understood as a prompt, a chain, a gold and a name."""

from __future__ import annotations

from typing import Any

import pytest

from .prepared import SOLVED, USER, Make, chains_of, rows_of

SHAPES: dict[str, dict[str, Any]] = {
    "prompt and completion": {"prompt": "1 + 1?", "completion": "two"},
    "both as messages": {"prompt": [USER], "completion": [{"role": "assistant", "content": "two"}]},
    "a conversation": {"messages": [USER, {"role": "assistant", "content": "two"}, USER]},
    "a conversation of humans and gpts": {
        "conversations": [{"from": "human", "value": "1 + 1?"}, {"from": "gpt", "value": "two"}]
    },
    "prompt before problem": {"prompt": "1 + 1?", "problem": "no", "chain": "two", "solution": "no"},
}


@pytest.mark.parametrize("row", SHAPES.values(), ids=SHAPES)
def test_prompts_that_a_row_has_are_taken_as_they_stand(make: Make, row: dict[str, Any]) -> None:
    (made,) = rows_of(make([row]))

    assert made["prompt"] == [USER]
    assert made["completion"] == "two"


def test_all_turns_but_the_last_are_the_prompt_and_reasoning_stands_before_the_answer(make: Make) -> None:
    turns = [
        {"role": "system", "content": "be kind"},
        USER,
        {"role": "assistant", "content": "what?"},
        USER,
        {"role": "assistant", "content": "two", "reasoning_content": "one and one\n"},
    ]

    (made,) = rows_of(make([{"messages": turns}]))

    assert made["prompt"] == turns[:4]
    assert made["completion"] == "<think>\none and one\n</think>\n\ntwo"


OPEN = {
    "problem": "1 + 1?",
    "solution": "a person's",
    "answer": "2",
    "generations": ["long and right \\boxed{2}", "wrong", "right \\boxed{2}", "\\boxed{2}"],
    "correctness_math_verify": [True, False, True, True],
    "finish_reasons": ["stop", "stop", "stop", "length"],
    "messages": [USER, {"role": "assistant", "content": "no"}],
    "uuid": "u",
}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, ["right \\boxed{2}"]),
        ("shortest correct", ["right \\boxed{2}"]),
        ("first correct", ["long and right \\boxed{2}"]),
        ("longest correct", ["long and right \\boxed{2}"]),
        ("all correct", ["long and right \\boxed{2}", "right \\boxed{2}"]),
        ("solution", ["<think>\na person's\n</think>\n\nThe answer is $\\boxed{2}$."]),
    ],
)
@pytest.mark.parametrize("graded", [True, False])
def test_of_several_chains_the_one_that_is_asked_for_and_never_one_that_was_cut_off(
    make: Make, choice: str | None, expected: list[str], graded: bool
) -> None:
    """Without a word on which are correct, they are graded here."""
    row = {**OPEN} if graded else {key: value for key, value in OPEN.items() if "correctness" not in key}

    rows = rows_of(make([row], filters={"chain": choice} if choice else {}))

    assert [made["completion"] for made in rows] == expected
    assert rows[0]["id"] == ("u/0" if choice == "all correct" else "u")
    assert rows[0]["pass_rate"] == (None if choice == "solution" else 0.75)


def test_ids_are_unique_and_rows_without_one_have_their_number(make: Make) -> None:
    rows = [{**SOLVED[0], "id": id_} for id_ in ("a", "a", None, 7, ["x"], True, "a")]

    assert [row["id"] for row in rows_of(make(rows))] == ["a", "a#2", "row-3", "7", "row-5", "row-6", "a#7"]


@pytest.mark.parametrize(
    ("said", "kept"),
    [("True", True), ("yes", True), (1.0, True), ("1", True), ("False", False), ("no", False), (0, False)],
)
def test_verdicts_are_understood_as_tables_of_texts_have_them(make: Make, said: object, kept: bool) -> None:
    rows = [{"problem": "1 + 1?", "completion": "two", "correct": said}, {**SOLVED[0], "correct": True}]

    assert chains_of(make(rows)) == ["two", "It is 1."][not kept :]


def test_a_chain_of_nothing_counts_as_wrong_and_one_that_is_not_there_does_not_count(make: Make) -> None:
    row = {"problem": "1 + 1?", "chains": ["two", " ", None, "2"], "correct": [True, True, True, False]}

    (made,) = rows_of(make([row]))

    assert made["completion"] == "two"
    assert made["pass_rate"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("answer", "gold"),
    [(7, "7"), (7.0, "7"), (-0.0, "0"), (0.5, "0.5"), (2**63 - 1, "9223372036854775807"), ([7], "7")],
)
def test_golds_that_are_numbers_are_written_as_people_write_them(
    make: Make, answer: object, gold: str
) -> None:
    assert rows_of(make([{"problem": "p", "answer": answer}], needs="golds"))[0]["gold"] == gold


def test_a_gold_of_hundreds_of_digits_is_one(make: Make) -> None:
    (row,) = rows_of(make([{"problem": "p", "answer": 10**400}], needs="golds"))

    assert row["gold"] == "1" + 400 * "0"


def test_a_gold_that_a_number_of_json_cannot_hold_is_not_guessed(make: Make) -> None:
    rows = [{"problem": "p", "answer": answer} for answer in (1e22, 2**64 + 1, 2.0**53, 7)]

    prepared = make(rows, needs="golds")

    assert [row["gold"] for row in rows_of(prepared)] == ["7"]
    assert "3 whose answer is a number too large to be exact, it is to be a text" in prepared.notes[0]


def test_of_equally_short_chains_the_first_is_taken(make: Make) -> None:
    row = {"problem": "1 + 1?", "chains": ["no", "it", "is", "two"], "correct": [False, True, True, True]}

    assert chains_of(make([row])) == ["it"]
    assert chains_of(make([row], filters={"chain": "longest correct"})) == ["two"]

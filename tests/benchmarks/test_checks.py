"""The vocabulary of checks, each on a few made-up rows."""

from __future__ import annotations

import pytest

from harness import HarnessError
from harness_benchmarks.checks import (
    Item,
    Key,
    Known,
    balanced,
    canonical_integer,
    canonical_latex,
    digest,
    distinct_problems,
    integer_golds,
    key_digest,
    known_golds,
    known_statements,
    no_answer_inside,
    plain,
    require,
    row_count,
    sketch,
    unswapped_statements,
    without,
)

ITEMS = [
    Item("x-1", "How many sheep does Ann have after buying 12 at the fair of Ulm?", "12"),
    Item("x-2", "A train of 300 metres crosses a bridge in 20 seconds. Find its speed.", "15"),
    Item("x-3", "Let $n$ be a prime such that $n+2$ is a prime too; find the 5th such $n$.", "29"),
]
EXACT = Key(
    key_digest(ITEMS), {i.id: Known(digest(i.id, i.gold), digest(i.id, plain(i.statement))) for i in ITEMS}
)
SKETCHED = Key(
    EXACT.digest, {i.id: Known(digest(i.id, i.gold), f"{sketch(i.statement):016x}") for i in ITEMS}
)
ALL = (
    row_count(3),
    distinct_problems,
    integer_golds(0, 999),
    no_answer_inside,
    known_golds(EXACT),
    known_statements(EXACT),
    unswapped_statements(SKETCHED),
)


def changed(index: int, **values: str) -> list[Item]:
    items = list(ITEMS)
    items[index] = items[index]._replace(**values)
    return items


def test_the_original_rows_pass_every_check_in_any_order():
    for items in (ITEMS, ITEMS[::-1]):
        assert [fault for check in ALL for fault in check(items)] == []


LONGER_TRAIN = changed(1, statement=ITEMS[1].statement.replace("300", "301"))


@pytest.mark.parametrize(
    ("check", "items", "fault"),
    [
        (row_count(3), ITEMS[:2], "2 rows instead of 3"),
        (distinct_problems, changed(1, statement=" \n"), "x-2: the problem is empty"),
        (distinct_problems, changed(1, gold=""), "x-2: the gold is empty"),
        (distinct_problems, changed(2, statement=ITEMS[0].statement.upper() + " "), "x-3: the same problem as x-1"),
        (integer_golds(0, 999), changed(0, gold="1000"), "x-1: gold '1000' is not an integer from 0 to 999"),
        (integer_golds(0, 999), changed(0, gold="-1"), "x-1: gold '-1' is not an integer from 0 to 999"),
        (integer_golds(0, 999), changed(0, gold="1/2"), "x-1: gold '1/2' is not an integer from 0 to 999"),
        (integer_golds(0, 999), changed(0, gold="٣"), "x-1: gold '٣' is not an integer from 0 to 999"),
        (no_answer_inside, changed(0, statement="The answer is 12."), "x-1: the problem contains its answer"),
        (no_answer_inside, changed(0, statement="\\boxed{012}"), "x-1: the problem contains its answer"),
        (known_golds(EXACT), changed(0, gold="13"), "x-1: the gold '13' is not the original's"),
        (known_golds(EXACT, hidden=True), changed(0, gold="13"), "x-1: the gold is not the original's"),
        (known_golds(EXACT, remarks={"x-1": "!"}), changed(0, gold="1"), "x-1: the gold '1' is not the original's (!)"),
        (known_golds(EXACT), [*ITEMS, Item("x-4", "?", "1")], "x-4: no such problem in the original"),
        (known_golds(EXACT), ITEMS[1:], "no row for x-1"),
        (known_golds(EXACT._replace(digest="0")), ITEMS, f"the digest of all golds is {EXACT.digest}, not 0"),
        (known_statements(EXACT), LONGER_TRAIN, "x-2: the problem is not the original's"),
        (unswapped_statements(SKETCHED), changed(1, statement=ITEMS[2].statement), "x-2: has the problem of x-3"),
        (without("sheep", "has sheep"), ITEMS, "x-1: has sheep"),
        (balanced(["A"] * 198), ITEMS, "the golds are not spread over the choices (A 198, B 0, C 0, D 0)"),
    ],
)  # fmt: skip
def test_a_fault_is_named(check, items, fault):
    assert list(check(items)) == [fault]


def test_another_wording_is_no_fault_where_copies_differ():
    reworded = changed(
        1, statement="A train, 300 metres long, crosses a bridge in 20 seconds; find the speed."
    )
    assert list(unswapped_statements(SKETCHED)(reworded)) == []


def test_blanks_and_case_are_no_fault_where_copies_agree():
    reset = changed(2, statement=ITEMS[2].statement.replace("$", " $ ").upper())
    assert list(known_statements(EXACT)(reset)) == []


def test_an_honest_shuffle_is_balanced_enough():
    assert list(balanced(list("ABCD" * 40 + "AAAABBB"))(ITEMS)) == []
    assert list(balanced(["A", "A"])(ITEMS)) == []  # two rows say nothing


def test_modified_rows_stop_the_run():
    with pytest.raises(HarnessError) as caught:
        require("x", "FILE", changed(0, gold="13"), ALL, allow_modified=False)

    assert str(caught.value) == (
        "x: FILE is not the known data: x-1: the gold '13' is not the original's. "
        "Get the original rows, or pass --allow-modified-data to go on"
    )


def test_modified_rows_are_a_warning_where_the_user_allows_them():
    warning = require("x", "FILE", changed(0, gold="13"), ALL, allow_modified=True)
    assert warning is not None
    assert "x-1: the gold '13' is not the original's" in warning


def test_rows_of_one_id_are_never_allowed():
    with pytest.raises(HarnessError, match="several rows for x-1; keep one of each"):
        require("x", "FILE", [*ITEMS, ITEMS[0]], ALL, allow_modified=True)


def test_many_faults_are_counted_rather_than_listed():
    items = [Item(f"y-{number}", f"problem {number}", "1") for number in range(100)]
    with pytest.raises(HarnessError) as caught:
        require("x", "FILE", items, [known_golds(EXACT)], allow_modified=False)

    assert "y-7: no such problem in the original; and 93 more." in str(caught.value)


@pytest.mark.parametrize(
    ("text", "canonical"), [("070", "70"), (" $7$ ", "7"), ("000", "0"), ("7.5", "7.5"), ("", "")]
)
def test_integers_are_written_one_way(text, canonical):
    assert canonical_integer(text) == canonical


@pytest.mark.parametrize(
    "text",
    [r"\frac{1}{2}, \pi", r"$\dfrac{1}{2},\pi$", r"\tfrac{1}{2},\, \pi.", r"\left\frac{1}{2} ,\pi\right"],
)
def test_latex_that_looks_alike_is_one_gold(text):
    assert canonical_latex(text) == r"\frac{1}{2},\pi"


def test_arrows_are_not_brackets():
    assert canonical_latex(r"a \rightarrow b") == r"a\rightarrowb"

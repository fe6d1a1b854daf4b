"""Votes are whole: whatever the gold, right and wrong answers never share a class, and one key means one verdict."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness_plugins.normalizers.math import MathNormalizer

math = MathNormalizer()

VALUES = [
    "50",
    "0.5",
    "\\frac{1}{2}",
    "5",
    "0.05",
    "\\pi",
    "180",
    "1",
    "\\frac{\\pi}{4}",
    "45",
    "-5",
    "\\sqrt{2}",
]
MARKS = [
    "{}", "{}\\%", "{} percent", "{}^\\circ", "{}\\text{{ degrees}}", "{}\\text{{ cm}}", "{}\\text{{ m}}",
    "{}\\text{{ apples}}", "\\${}",
]  # fmt: skip
NAMES = ["{}", "x={}", "y={}", "f(x)={}", "{}=x", "\\boxed{{{}}}"]
LISTS = [
    "1,2", "2,1", "(1,2)", "(2,1)", "[1,2]", "(1,2]", "\\{1,2\\}", "\\{2,1\\}", "1,2,2", "\\{1,2,2\\}", "x=1,x=2",
    "a=1,b=2", "a=2,b=1", "1 \\text{ and } 2", "\\begin{pmatrix}1\\\\2\\end{pmatrix}", "1<x<2", "1\\le x\\le 2",
    "x\\in(1,2)", "y\\in(1,2)", "x>1, x<2", "[1,3]\\cap[0,2]", "2, 1.0", "(1, 2, 3)", "[1,2,3]", "3,2,1", "1,2,3",
]  # fmt: skip
OTHERS = [
    "2x+1", "y=2x+1", "f(x)=2x+1", "2x-y+1=0", "x=2y+1", "B", "(B)", "(B) 42", "\\text{B}", "100,200", "100200",
    "2/3", "2:3", "0.6666666666666667", "101_2", "101_3", "10:30", "10:30\\text{ am}", "10:30\\text{ pm}",
    "\\text{even}", "even", "no solution", "\\emptyset", "\\infty", "x<5", "(-\\infty,5)",
]  # fmt: skip

marked = st.builds(
    lambda value, mark, name: name.format(mark.format(value)),
    st.sampled_from(VALUES), st.sampled_from(MARKS), st.sampled_from(NAMES),
)  # fmt: skip
answers = st.one_of(marked, st.sampled_from(LISTS), st.sampled_from(OTHERS))


@settings(max_examples=500, deadline=None)
@given(answers, answers)
def test_equality_is_reflexive_and_symmetric(a: str, b: str) -> None:
    assert math.same(a, a).same
    assert math.same(a, b).same == math.same(b, a).same


@settings(max_examples=500, deadline=None)
@given(answers, answers)
def test_a_wrong_answer_never_votes_with_the_gold(answer: str, gold: str) -> None:
    if not math.same(answer, gold).same:
        assert math.key(answer) != math.key(gold)
        assert math.key(answer, gold) != math.key(gold)


@settings(max_examples=300, deadline=None)
@given(answers, st.lists(answers, min_size=2, max_size=12))
def test_answers_with_one_key_beside_a_gold_are_all_right_or_all_wrong(
    gold: str, given_answers: list[str]
) -> None:
    classes = defaultdict(set)
    for answer in given_answers:
        classes[math.key(answer, gold)].add(math.same(answer, gold).same)
    assert all(len(verdicts) == 1 for verdicts in classes.values()), classes


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(VALUES), marked, marked)
def test_without_a_gold_one_key_means_one_verdict_too(gold: str, a: str, b: str) -> None:
    if math.key(a) == math.key(b):
        assert math.same(a, gold).same == math.same(b, gold).same


@pytest.mark.parametrize("gold", ["50", "0.5", "7"])
def test_fifty_and_one_half_are_never_one_vote(gold: str) -> None:
    votes = {
        answer: math.key(gold if math.same(answer, gold).same else answer, gold)
        for answer in ("50", "0.5", "50\\%", "50 percent")
    }
    assert votes["50"] != votes["0.5"]
    assert votes["50\\%"] == votes["50 percent"]


def test_the_gold_decides_what_a_percent_sign_means() -> None:
    assert math.same("50\\%", "50").same
    assert math.same("50\\%", "0.5").same
    assert math.same("150\\%", "1.5").same
    assert not math.same("0.5\\%", "0.5").same
    assert not math.same("50", "0.5").same
    assert not math.same("5\\%", "50").same


@pytest.mark.parametrize(
    ("gold", "together"),
    [
        ("7", ["5", "x=5", "5\\text{ cm}", "5^\\circ", "5\\%", "\\boxed{5}", "n = 5"]),
        ("7\\text{ cm}", ["5", "5\\text{ cm}", "x=5\\text{ cm}"]),
        ("x=7", ["5", "x=5", "f(2)=5"]),
        ("7^\\circ", ["5", "5^\\circ", "5\\text{ degrees}"]),
        ("7\\%", ["5", "5\\%", "0.05"]),
        ("0.07", ["0.05", "5\\%"]),
        ("(1,3)", ["(1,2)", "1,2", "x=1,x=2"]),
        ("1,3", ["1,2", "2,1", "\\{1,2\\}", "x=1,x=2", "1\\text{ and }2"]),
        ("(0,3)", ["(1,2)", "1<x<2", "x\\in(1,2)"]),
    ],
)
def test_wrong_answers_that_differ_only_in_what_the_gold_leaves_out_vote_together(
    gold: str, together: list[str]
) -> None:
    assert not any(math.same(answer, gold).same for answer in together)
    assert len({math.key(answer, gold) for answer in together}) == 1

"""The grader behind the published Fathom-R1 numbers: what it finds, what it takes for equal, and that it is safe."""

from __future__ import annotations

import gzip
import json
import os
import sys
import time
from pathlib import Path

import pytest

from harness import grade
from harness_plugins.normalizers.fathom import FathomNormalizer
from harness_plugins.normalizers.fathom.extract import MAX_ANSWER
from harness_plugins.normalizers.fathom.tidy import tidy

fathom = FathomNormalizer()


def answer(text: str) -> str | None:
    found = fathom.extract(text)
    return None if found is None else found.answer


# --------------------------------------------------------------------------------------------------
# Extraction
# --------------------------------------------------------------------------------------------------

FOUND = {
    "a box": ("so $\\boxed{73}$.", "73"),
    "the last of several": ("\\boxed{1} ... \\boxed{2}", "2"),
    "inside an unfinished think": ("<think>I would say \\boxed{5}, but wait, let me", "5"),
    "inside think, after a box in the answer": ("\\boxed{7}</think> the word boxed{8} again", "8"),
    "nested braces": ("\\boxed{\\frac{1}{2}}", "\\frac{1}{2}"),
    "never closed": ("\\boxed{\\frac{1}{2} and then it ends", "\\frac{1}{2} and then it ends"),
    "fbox is no box, the word is": ("boxed 17$ apples", "17"),
    "lines": ("\\boxed{\n  12,\n  13\n}", "12,13"),
    "a colon before": ("\\boxed{: 5}", " 5"),
    "a full stop behind": ("\\boxed{5.}", "5"),
    "a slash behind": ("\\boxed{5/}", "5"),
    "spelled as it stands": ("\\boxed{ \\dfrac12 }", " \\dfrac12 "),
}


@pytest.mark.parametrize("what", FOUND)
def test_the_answer_is_what_stands_in_the_last_box(what: str) -> None:
    text, expected = FOUND[what]
    assert answer(text) == expected


@pytest.mark.parametrize(
    "text", ["", "The answer is 73.", "**73**", "\\boxed{}", "\\boxed{.}", "the end: boxed"]
)
def test_nothing_else_is_an_answer(text: str) -> None:
    assert fathom.extract(text) is None


def test_an_answer_cut_off_by_the_budget_counts_if_it_is_boxed() -> None:
    found = fathom.extract("<think>perhaps \\boxed{73} or")
    assert found is not None
    assert found.explicit


def test_a_box_that_never_ends_is_bounded_and_read_in_no_time() -> None:
    start = time.process_time()
    found = answer("\\boxed{" + "{x} " * 1_250_000)
    assert found is not None
    assert len(found) == MAX_ANSWER
    assert answer("a { b " * 800_000) is None
    assert time.process_time() - start < 0.2


# --------------------------------------------------------------------------------------------------
# Comparison: its known ways, the false ones included
# --------------------------------------------------------------------------------------------------

PUBLISHED_FALSE_POSITIVES = [
    ("7000", "70"),  # a hundredfold counts as a percentage
    ("0.7", "70"),
    ("5%", "0.05"),
    ("5\\%", "5"),
    ("0.05", "5"),
    ("2,1", "1,2"),  # lists are sorted
    ("11111111100", "11111111110"),  # within 1e-9 of each other
    ("0.00005", "0.0001"),  # within 1e-4
    ("(2,\\infty)", "[2,\\infty)"),  # kinds of brackets are not looked at
    ("c+5", "a+5"),  # lone letters are taken for units
    ("B, so 42", "B"),  # the last letter that stands by itself
    ("x<3", "x>3"),  # only the two sides of a relation are compared
]


@pytest.mark.parametrize(("given", "gold"), PUBLISHED_FALSE_POSITIVES)
def test_the_published_false_positives_are_reproduced(given: str, gold: str) -> None:
    assert fathom.same(given, gold).same


SAME = [
    ("073", "73", "number"),
    ("1,000", "1000", "number"),
    ("5.00", "5", "text"),
    (".5", "0.5", "text"),
    ("x=5", "5", "text"),
    ("\\dfrac12", "\\frac{1}{2}", "text"),
    ("1/2", "\\frac{1}{2}", "text"),
    ("30^\\circ", "30", "text"),
    ("7\\text{ cm}", "7", "text"),
    ("12 inches", "12", "text"),
    ("twenty-one", "21", "text"),
    ("\\text{(C)}", "C", "letter"),
    ("(B) 42", "42", "label"),
    ("\\text{Even}", "even", "text"),
    ("[1, 2]", "(1,2)", "tuple"),
    ("\\left(3, \\frac{2}{4}\\right)", "(3,\\frac{1}{2})", "list"),
    (
        "\\begin{bmatrix} 1 & 2 \\\\ 3 & 0.5 \\end{bmatrix}",
        "\\begin{pmatrix}1&2\\\\3&1/2\\end{pmatrix}",
        "matrix",
    ),
    ("2a + b = 1", "b - 1 = -2a", "equation"),
    ("n_1 = 4", "n_1=4", "text"),
    ("\\frac{206}{2}", "103", "symbolic"),
    ("2^{25} \\cdot 26!", "26! \\times 2^{25}", "symbolic"),
    ("\\frac{9}{\\sqrt{23}}", "\\frac{9 \\sqrt{23}}{23}", "symbolic"),
    ("0.36338", "1-\\frac{2}{\\pi}", "symbolic"),
    ("2\\sqrt{3}, 1", "1, \\sqrt{12}", "list"),
    ("(x+1)^2", "x^2+2x+1", "symbolic"),
    ("sqrt(3)*2", "\\sqrt{12}", "symbolic"),
    ("1.2 \\times 10^{4}", "12000", "symbolic"),
]


@pytest.mark.parametrize(("given", "gold", "rule"), SAME)
def test_answers_are_recognised_by_the_rung_that_should(given: str, gold: str, rule: str) -> None:
    verdict = fathom.same(given, gold)
    assert verdict.same
    assert verdict.rule == rule


DIFFERENT = [
    ("72", "73"),
    ("", "73"),
    ("B", "A"),
    ("even", "odd"),
    ("0.7001", "0.7004"),
    ("\\sqrt{2}", "\\sqrt{3}"),
    ("(1,2)", "(2,3)"),
    ("(1,2,3)", "(1,2)"),
    ("y=2x", "y=3x"),
    ("x+1", "x+2"),
    ("\\begin{pmatrix}1\\\\2\\end{pmatrix}", "\\begin{pmatrix}1\\\\3\\end{pmatrix}"),
    ("\\begin{pmatrix}1\\\\2\\end{pmatrix}", "\\begin{pmatrix}1&2\\end{pmatrix}"),
    # Right answers that the original misses too: it knows no plus-minus, and it sorts lists by their spelling.
    ("2\\pm\\sqrt{3}", "2+\\sqrt{3}, 2-\\sqrt{3}"),
    (
        "\\frac{-1-\\sqrt{17}}{2}, \\frac{\\sqrt{17}-1}{2}",
        "\\frac{-1+\\sqrt{17}}{2}, \\frac{-1-\\sqrt{17}}{2}",
    ),
]


@pytest.mark.parametrize(("given", "gold"), DIFFERENT)
def test_other_answers_are_not(given: str, gold: str) -> None:
    assert not fathom.same(given, gold).same


def test_golds_of_the_published_benchmarks_equal_themselves_only(shared: Path) -> None:
    golds = []
    for name in ("aime25", "hmmt25"):
        with (shared / "data" / f"{name}.jsonl").open(encoding="utf-8", newline="\n") as lines:
            golds.append([str(json.loads(line)["answer"]) for line in lines])
    for family in golds:
        for gold in family:
            assert [other for other in family if fathom.same(gold, other).same and other != gold] in (
                [],
                ["6300"],
                ["63"],
            )
    assert fathom.same("63", "6300").same  # HMMT has both: the percentage rule at work


def test_integers_letters_and_words_need_no_worker() -> None:
    for given, gold in [("72", "73"), ("B", "A"), ("E", "A"), ("even", "odd"), ("73", "even"), ("", "5")]:
        verdict = fathom.quick_same(given, gold)
        assert verdict is not None
        assert not verdict.same
    assert fathom.quick_same("\\sqrt{4}", "3") is None


def test_what_is_left_open_in_a_part_is_left_open_in_the_whole() -> None:
    assert fathom.quick_same("(\\sqrt{4}, 1)", "(2, 1)") is None
    assert fathom.same("(\\sqrt{4}, 1)", "(2, 1)").same
    assert not fathom.same("(\\sqrt{4}, 2)", "(2, 1)").same


def test_votes_are_by_spelling() -> None:
    assert fathom.key("\\frac12") != fathom.key("1/2")
    assert fathom.key(" 5") == " 5"


def test_an_assignment_in_one_answer_does_not_change_how_the_next_is_read() -> None:
    assert fathom.same("k = \\frac{4}{2}", "2").same
    assert not fathom.same("2k", "4").same


def test_words_of_other_answers_are_not_read_as_products_of_letters() -> None:
    assert not fathom.same("\\text{neve}", "\\text{even}").same


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\\frac1{72}", "\\frac{1}{72}"),
        ("\\sqrt3", "\\sqrt{3}"),
        ("\\$18.90", "18.90"),
        ("1,2\\text{ and }3", "1,23"),
        ("j+1", "i+1"),
        ("inf", "\\infty"),
        ("{.5}", "{0.5}"),
        ("\\min(2, 6 \\times 3)", "\\min(2,6\\times3)"),
    ],
)
def test_tidying(text: str, expected: str) -> None:
    assert tidy(text) == expected


# --------------------------------------------------------------------------------------------------
# Real chains
# --------------------------------------------------------------------------------------------------


def test_real_chains_with_integer_golds_get_the_verdict_that_a_relative_of_the_grader_stored(
    shared: Path,
) -> None:
    boxed = agreed = 0
    for file in sorted((shared / "data" / "chains").glob("*aime24.jsonl.gz")):
        with gzip.open(file, "rt", encoding="utf-8", newline="\n") as lines:
            for line in lines:
                chain = json.loads(line)
                found = answer(chain["generation"])
                if found is None:  # the relative then takes the last number of the text
                    continue
                boxed += 1
                agreed += fathom.same(found, chain["gold"]).same == bool(chain["score"])
    assert boxed > 150
    assert agreed == boxed


# --------------------------------------------------------------------------------------------------
# Hostile answers
# --------------------------------------------------------------------------------------------------

HOSTILE = {
    "braces": "{" * 100_000,
    "brackets": "(" * 900 + "1" + ")" * 900,
    "short brackets": "(" * 150 + "1" + ")" * 150,
    "tower": "9^{9^{9^{9}}}",
    "plain tower": "9**9**9**9",
    "big power": "10^{10^{10}}",
    "powers of powers": "((2**9999)**9999)**9999",
    "factorial": "(10^9)!",
    "plain factorial": "factorial(10**9)",
    "factorials": "5!!!!!!",
    "long integer": "9" * 1_000_000,
    "exponent": "1e999999999",
    "binomial": "\\binom{1000000000}{500000000}",
    "lists": ",".join(map(str, range(5_000))),
    "nested lists": "(1,(2,(3,(4,(5,(6,(7,(8,9))))))))",
    "labels": "(A)" * 700,
    "signs": "-" * 300 + "1",
    "equations": "=".join("abcdef"),
    "fractions": "\\frac" * 300,
    "texts": "\\text{" * 300,
    "NUL": "7\x003",
    "surrogate": "\ud8007",
    "right to left": "\u202e73\u202c",
    "division by zero": "\\frac{1}{0}",
    "plain division by zero": "1/(1-1)",
    "comparison of lists": "(1,2)<(3,4)",
    "words": "and " * 450,
    "not a number": "nan",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_the_main_process_never_hangs_or_raises(name: str) -> None:
    hostile = HOSTILE[name]
    for other in ("73", "x+\\sqrt{2}", "A", hostile):
        start = time.process_time()
        fathom.quick_same(hostile, other)
        fathom.quick_same(other, hostile)
        fathom.extract(f"\\boxed{{{hostile}}}")
        assert time.process_time() - start < 0.3, other[:20]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_worker_decides_in_time(name: str) -> None:
    start = time.process_time()
    assert not fathom.same(HOSTILE[name], "x+\\sqrt{2}").same
    assert time.process_time() - start < 2.5


PAYLOADS = [
    "__import__('os').system('touch marker')",
    "~open('marker','w')",
    "{1:open('marker','w')}",
    "[open('marker','w')]",
    "(1,open('marker','w'))",
    "exec(\"open('marker','w')\")",
    "sqrt(open('marker','w'))",
    "open(marker)",
    "().__class__.__bases__[0].__subclasses__()",
    "lambda:open('marker','w')",
    "x=open('marker','w')",
    "\\variable{open('marker','w')}",
    "\\input{marker}",
]


def test_no_model_text_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fathom.same("\\sqrt{4}", "3")  # imports done
    ran: list[str] = []

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        opened = event == "open" and "marker" in str(arguments[0])
        if (
            opened
            or event in ("os.system", "subprocess.Popen")
            or (event == "compile" and "marker" in str(arguments[0]))
        ):
            ran.append(f"{event} {arguments}")

    sys.addaudithook(watch)
    for payload in PAYLOADS:
        for dress in ("{}", "\\frac{{{}}}{{1}}", "x={}", "(1,{})", "0 or {}"):
            for gold in ("7", "x+1", "(1,2)", "y=2"):
                assert not fathom.same(dress.format(payload), gold).same
    assert not ran
    assert os.listdir(tmp_path) == []


def test_it_is_found_by_name_and_grades() -> None:
    assert grade("\\boxed{7000}", "70", kind="fathom").correct
    assert grade("The answer is 70.", "70", kind="fathom").status == "no_answer"
    assert grade("\\boxed{\\frac{140}{2}}", "70", kind="fathom").rule == "boxed/symbolic"

"""What exact arithmetic leaves open is decided numerically, where it can be killed."""

from __future__ import annotations

import sys

import pytest

from harness_plugins.normalizers.math import MathNormalizer

math = MathNormalizer()

EQUAL = [
    ("\\frac{6\\sqrt{1789-240\\sqrt{21}}+8\\sqrt{1236-240\\sqrt{21}}}{5}", "96-10\\sqrt{21}"),
    ("\\sqrt{3+2\\sqrt{2}}", "1+\\sqrt2"),
    ("\\tan^2(y)+1", "\\sec^2(y)"),
    ("\\sin(90^{\\circ}-x)", "\\cos(x)"),
    ("\\frac{\\sinh(at)}{a}", "\\frac{1}{2a}(\\exp{a*t} - \\exp{-a*t})"),
    ("\\frac{1}{2+iw/4-w^2}", "\\frac{2-w^2-iw/4}{w^4-\\frac{63}{16}w^2+4}"),
    ("0.8660254037844386", "\\frac{\\sqrt{3}}{2}"),
    ("2.8284271247461903", "\\sqrt 8"),
    ("\\frac{x^2-1}{x-1}", "x+1"),
    ("\\max(\\sqrt3, 0, 1)", "\\sqrt 3"),
    ("\\binom{n}{2}", "\\frac{n(n-1)}{2}"),
    ("\\lfloor n/2 \\rfloor", "\\frac{2n-1+(-1)^n}{4}"),
    ("\\sum_{k=1}^{10} k", "55"),
    ("\\sum_{k=1}^{n} k", "\\frac{n(n+1)}{2}"),
    ("\\int_0^1 x^2 \\, dx", "\\frac{1}{3}"),
    ("\\lim_{x \\to 0} \\frac{\\sin x}{x}", "1"),
    ("\\sqrt{x}\\sqrt{y}", "\\sqrt{xy}"),
    ("\\frac{1}{46}\\binom{2024}{990}+\\frac{1}{2}", "\\frac{\\binom{2024}{990}+23}{46}"),
]

DIFFERENT = [
    ("\\sqrt{3+2\\sqrt{2}}", "1+\\sqrt3"),
    ("\\sqrt{x^2}", "x"),
    ("|x|", "x"),
    ("\\sin(x)=\\frac{42}{59}", "\\cos(x)=\\frac{42}{59}"),
    ("\\frac{1}{2 n+2}", "\\frac{1}{n^2}"),
    ("2^n-n-1", "\\lfloor \\frac{n^2}{4} \\rfloor"),
    ("\\frac{1}{2004!}", "\\frac{1}{2006!}"),
    ("(10^9)!", "(10^9+1)!"),
    ("9^{9^{9^9}}", "9^{9^{9^8}}"),
    ("e^{\\pi\\sqrt{163}}", "262537412640768744"),
    ("\\int_0^1 x^2 \\, dx", "\\frac{1}{2}"),
    ("\\sum_{k=1}^{n} k", "\\frac{n(n-1)}{2}"),
    ("\\sin 1", "0.84"),
]


@pytest.mark.parametrize(("answer", "gold"), EQUAL)
def test_identities_are_recognised(answer: str, gold: str) -> None:
    assert math.same(answer, gold).same
    assert math.same(gold, answer).same


@pytest.mark.parametrize(("answer", "gold"), DIFFERENT)
def test_near_misses_are_not(answer: str, gold: str) -> None:
    assert not math.same(answer, gold).same
    assert not math.same(gold, answer).same


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("\\sqrt{3+2\\sqrt{2}}", "1+\\sqrt2"),
        ("\\frac{x^2-1}{x-1}", "x+1"),
        ("\\sin^2 x", "1-\\cos^2 x"),
        ("\\sqrt{324^2 + (-432)^2}", "540"),
        ("\\sqrt{6+2\\sqrt5} - \\sqrt5", "1"),
        ("\\frac{1}{\\sin(\\pi/26)}", "\\csc\\frac{\\pi}{26}"),
    ],
)
def test_votes_for_one_value_fall_into_one_class_however_hard_it_is_written(a: str, b: str) -> None:
    assert math.key(a) == math.key(b)


def test_an_assignment_in_one_answer_does_not_change_how_the_next_is_read() -> None:
    integral = "\\int_0^x t \\, dt"
    before = math.same(integral, "\\frac{x^2}{2}")
    math.same("x = \\int_0^1 5 \\, dt", "\\int_0^1 x \\, dt")
    assert math.same(integral, "\\frac{x^2}{2}") == before
    assert before.same


def test_warming_up_imports_what_hard_comparisons_need(capfd: pytest.CaptureFixture[str]) -> None:
    math.warm()
    assert {"mpmath", "sympy", "latex2sympy2"} <= sys.modules.keys()
    assert capfd.readouterr() == ("", "")

"""Values that are decided exactly, in the main process: equal ones share a key, different ones are told apart."""

from __future__ import annotations

from itertools import combinations

import pytest

from harness_plugins.normalizers.math import MathNormalizer

math = MathNormalizer()

FACTORIAL_26 = 403291461126605635584000000

CLASSES = [
    ["1/2", "0.5", ".5", "\\frac{2}{4}", "\\frac12", "\\dfrac{1}{2}", "2^{-1}", "50/100", "5e-1", "5 \\times 10^{-1}"],
    ["73", "073", "73.0", "73\\text{ apples}", "\\text{(73)}", "x=73",
     "73\\text{ cm}", "\\$73", "73 cm", "+73", "(73)"],
    ["-2/3", "2/(-3)", "\\frac{-2}{3}", "-\\frac{2}{3}", "−2/3", "\\frac{2}{-3}"],
    ["1234567", "1,234,567", "1{,}234{,}567", "1\\,234\\,567", "1,\\!234,\\!567", "1.234567e6",
     "1.234567\\cdot10^6"],
    ["9/5", "1\\frac{4}{5}", "1 4/5", "1.8", "1 \\frac45"],
    ["\\frac{9}{\\sqrt{23}}", "\\frac{9\\sqrt{23}}{23}", "9/√23", "\\sqrt{\\frac{81}{23}}", "9*sqrt(23)/23"],
    ["2\\sqrt{2}", "\\sqrt{8}", "2\\sqrt2", "8^{1/2}", "\\frac{4}{\\sqrt{2}}", "2^{1.5}", "2*2^(1/2)",
     "2 \\cdot \\sqrt{2}"],
    ["\\frac{1}{1+\\sqrt2}", "\\sqrt{2}-1", "-1+\\sqrt 2"],
    ["\\frac{1}{\\sqrt{2}+\\sqrt{3}+\\sqrt{5}}", "\\frac{\\sqrt{12}+\\sqrt{18}-\\sqrt{30}}{12}"],
    ["2^{25} \\cdot 26!", str(2**25 * FACTORIAL_26), "26!*2^25"],
    ["2^{100000}", "4^{50000}", "2 \\cdot 2^{99999}", "\\frac{2^{100001}}{2}"],
    ["\\binom{10}{3}", "120", "\\frac{10!}{3!7!}", "5!"],
    ["\\frac{\\pi}{6}", "\\pi/6", "\\frac{1}{6}\\pi", "30\\pi/180"],
    ["1-\\frac{2}{\\pi}", "\\frac{\\pi-2}{\\pi}", "-2/\\pi+1"],
    ["\\sqrt[3]{16}", "2\\sqrt[3]{2}", "16^{1/3}", "2^{4/3}"],
    ["6-5i", "-5i+6", "6 - 5 i"],
    ["\\frac{1}{1+i}", "\\frac{1-i}{2}"],
    ["\\sin\\frac{\\pi}{3}", "\\frac{\\sqrt3}{2}", "\\cos 30^\\circ", "\\sqrt{0.75}"],
    ["3\\ln 2", "\\ln 8", "\\ln(8)", "\\log 8"],
    ["\\log_2 8", "3", "\\lfloor \\pi \\rfloor + 0"][:2],
    ["x^2-4", "(x-2)(x+2)", "-4+x^2", "x\\cdot x - 4"],
    ["p - q", "-q+p", "p-q"],
    ["\\frac{x+2}{7}", "\\frac{x}{7}+\\frac27", "(x+2)/7"],
    ["0.\\overline{3}", "\\frac13", "1/3"],
    ["(3, \\frac{\\pi}{2})", "\\left(3,\\pi/2\\right)", "(3.0, 0.5\\pi)"],
    ["\\{1\\pm\\sqrt{5},-2\\}", "-2, 1+\\sqrt5, 1-\\sqrt5", "\\{-2, 1-\\sqrt{5}, \\sqrt{5}+1\\}"],
    ["\\frac{-1 \\pm \\sqrt{17}}{2}", "\\frac{-1-\\sqrt{17}}{2}, \\frac{-1+\\sqrt{17}}{2}",
     "\\frac{-1+\\sqrt{17}}{2} \\text{ and } \\frac{-1-\\sqrt{17}}{2}"],
    ["(-\\infty, 2) \\cup (3, \\infty)", "(3,\\infty)\\cup(-\\infty,2)", "(-\\infty,2) ∪ (3,+\\infty)"],
    ["\\left(\\frac{3}{5},\\frac{8}{3}\\right]", "(0.6, 8/3]", "\\frac35 < x \\le \\frac83", "x \\in (3/5, 8/3]"],
    ["[2,\\infty)", "x \\ge 2", "2 \\leq x", "[2,+\\infty)", "-x \\le -2"],
    ["\\begin{pmatrix} -1 & 0 \\\\ 0 & -1 \\end{pmatrix}", "\\begin{bmatrix}-1&0\\\\0&-1\\end{bmatrix}"],
    ["\\text{even}", "even", "Even", "\\textbf{even}", "\\text{Even.}"],
    ["\\text{no solution}", "No solution", "no  solution."],
    ["\\text{(C)}", "C", "(C)", "\\textbf{C}", "\\mathrm{(C)}"],
    ["204_5", "204_{5}", "66_8"],
    ["17.5\\%", "17.5%", "17.5 percent", "17.5"],
]  # fmt: skip


@pytest.mark.parametrize("members", CLASSES, ids=lambda members: members[0])
def test_ways_to_write_one_value_are_equal_and_share_a_key(members: list[str]) -> None:
    for a, b in combinations(members, 2):
        for answer, gold in ((a, b), (b, a)):
            verdict = math.quick_same(answer, gold)
            assert verdict is not None, (answer, gold)
            assert verdict.same, (answer, gold)
    assert len({math.key(member, members[0]) for member in members}) == 1


def test_different_values_are_told_apart_at_once_and_have_different_keys() -> None:
    for left, right in combinations(CLASSES, 2):
        a, b = left[0], right[0]
        verdict = math.quick_same(a, b)
        assert verdict is not None, (a, b)
        assert not verdict.same, (a, b)
        assert math.key(a) != math.key(b), (a, b)


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("10^{20}", "10^{20}+1"),
        ("2^{99}", "2^{98}"),
        ("1/2^{99}", "1/2^{98}"),
        ("3.89e-10", "1.55e-10"),
        ("11111111100", "11111111110"),
        ("\\pi", "22/7"),
        ("[2,\\infty)", "(2,\\infty)"),
        ("[1,2]", "[1,2)"),
        ("[1,2]", "(1,2)"),
        ("(1,2)", "(2,1)"),
        ("(0,9)\\cup(9,36)", "(-9,0)\\cup(9,36)"),
        ("1, 2, 2", "1, 2"),
        ("\\sqrt{67}", "\\sqrt{67}, -\\sqrt{85}"),
        ("32, 349", "32349"),
        ("1010_2", "1010_3"),
        ("52_8", "42"),
        ("12:00", "1:00"),
        ("10:30 \\text{ a.m.}", "10:30\\text{ p.m.}"),
        ("7=11a+c", "11a+c"),
        ("3:2", "2:3"),
        ("\\mathbb{R}", "\\mathbb{Z}"),
        ("x^2+y^2=4", "x^2+y^2=2"),
        ("\\text{odd}", "\\text{even}"),
        ("\\text{Evelyn}", "\\text{Carla}"),
        ("5\\%", "500"),
        ("5\\%", "0.5"),
        ("5\\text{ cm}", "5\\text{ m}"),
        ("x=5", "y=5"),
        ("x+y=5", "5"),
        ("2x=6", "6"),
        ("x<5", "x>5"),
        ("x<5", "x \\le 5"),
        ("a=1, b=2", "a=2, b=1"),
        ("x^2+2x+1", "y^2+2y+1"),
        ("-x", "x"),
        ("y = 2x + 3", "y = 2x - 3"),
        ("\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}", "\\begin{pmatrix} 2 \\\\ 1 \\end{pmatrix}"),
        ("13", "\\text{a small positive integer}"),
        ("1 - i", "1 + i"),
        ("AB", "BC"),
    ],
)
def test_values_that_graders_are_known_to_confuse_stay_different(answer: str, gold: str) -> None:
    assert not math.same(answer, gold).same
    assert not math.same(gold, answer).same
    assert math.key(answer) != math.key(gold)


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("33.5\\%", "0.335"),
        ("33.5\\%", "33.5"),
        ("180^\\circ", "\\pi"),
        ("a = \\frac13, b = -2, c = 5", "\\frac13, -2, 5"),
        ("(1000, 10)", "10^3, 10"),
        ("x = -10, -8, -6", "-6,-8,-10"),
        ("p=5, q=2; p=7, q=2", "\\{(5,2),(7,2)\\}"),
        ("1,2;3,4;5,6", "(1,2),(3,4),(5,6)"),
        ("2x+4y-3=0", "y=-\\frac{1}{2}x+\\frac{3}{4}"),
        ("5x - 7y + 11z + 4 = 0", "-5x+7y-11z=4"),
        ("f(x) = 2x+1", "2x+1"),
        ("y = 2x + 3", "f(x) = 3 + 2x"),
        ("|z| \\le 3/2", "z \\in [-\\frac32, \\frac32]"),
        ("1 \\le |z| \\le 3", "[-3,-1] \\cup [1,3]"),
        ("x \\approx 600", "600"),
        ("\\frac{\\sqrt{3}}{3} \\approx 0.577", "\\frac{\\sqrt{3}}{3}"),
        ("4.5 \\times 10^{33} \\, \\text{erg s}^{-1}", "4.5e33"),
        ("\\frac{600}{7} \\mathrm{~km} / \\mathrm{h}", "\\frac{600}{7}"),
        ("12^{\\mathrm{th}} \\text{ grade}", "12"),
        ("{1,2} \\cup {2,3}", "\\{1,2,3\\}"),
        ("\\begin{pmatrix}1&2\\end{pmatrix} + \\begin{pmatrix}3&4\\end{pmatrix}", "\\begin{pmatrix}4&6\\end{pmatrix}"),
        ("\\frac{dM}{dt} = kx - a", "\\frac{d M}{d t}=k x-a"),
        ("100,200", "100, 200"),
        ("\\text{The area is } 5", "5"),
        ("\\boxed{The\\ area\\ is\\ \\frac{54\\sqrt{6}}{25}}", "\\frac{54\\sqrt{6}}{25}"),
        ("A = \\frac{1}{4 - w^2}, \\quad \\text{for } w^2 \\neq 4", "\\frac{1}{4-w^2}"),
        ("W(x)=1orW(x)=-1", "\\pm 1"),
        ("\\\\dfrac{1}{2}", "1/2"),
        ("\\{x \\mid x > 5\\}", "(5,\\infty)"),
        ("\\mathbb{R} \\setminus \\{1, -1\\}", "(-\\infty,-1)\\cup(-1,1)\\cup(1,\\infty)"),
        ("x \\in \\mathbb{R}", "\\text{all real numbers}"),
        ("x \\ne 5", "(-\\infty,5)\\cup(5,\\infty)"),
        ("x<-1 \\text{ or } x>2", "(-\\infty,-1)\\cup(2,\\infty)"),
        ("\\frac{\\pi}{4}+2k\\pi, k\\in\\mathbb{Z}", "\\frac{\\pi}{4}+2\\pi k"),
        ("10:30 \\text{ a.m.}", "10:30\\text{ AM}"),
        ("{10 \\choose 3}", "120"),
        ("1 000 000", "1000000"),
        ("7\\frac{1}{2}\\%", "7.5\\%"),
        ("\\textbf{(B)}\\ 3x", "\\text{(B)}"),
        ("\\frac{x^2}{4}+\\frac{y^2}{9}=1", "9x^2+4y^2=36"),
        ("x+y=2+3=5", "5"),
        ("\\text{no solution}", "\\emptyset"),
    ],
)  # fmt: skip
def test_conventions_of_notation(answer: str, gold: str) -> None:
    assert math.same(answer, gold).same
    assert math.same(gold, answer).same


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("\\frac{200}{3}", "66.7"),
        ("\\frac{200}{3}", "66.67"),
        ("10\\pi", "31.42"),
        ("17.248", "17.25"),
        ("17.245", "17.25"),
        ("3.149 \\times 10^{-7} \\text{ m}", "3.1e-7"),
        ("2.664\\times 10^{5}", "2.66 \\times 10^5"),
        ("x = \\sqrt{7}", "2.646"),
        ("-\\frac{200}{3}", "-66.7"),
    ],
)
def test_a_rounded_gold_is_met_by_what_rounds_to_it_and_never_the_other_way_round(
    answer: str, gold: str
) -> None:
    assert math.same(answer, gold).same
    assert math.same(answer, gold).rule == "rounded"
    assert not math.same(gold, answer).same


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("\\frac{1}{3}", "0.3"),  # too short to be sure that it is rounded
        ("\\frac{1}{3}", "0.34"),
        ("0.46", "0.5"),
        ("66.6", "66.7"),
        ("66", "66.5"),
        ("66.76", "66.7"),
        ("10\\pi", "31.43"),
        ("3.2e-7", "3.1e-7"),
        ("31", "31.4"),
        ("x", "31.4"),
        ("\\text{many}", "31.4"),
        ("1, 2", "31.4"),
    ],
)
def test_a_decimal_is_exact_where_it_is_short_or_the_answer_does_not_round_to_it(
    answer: str, gold: str
) -> None:
    assert not math.same(answer, gold).same
    assert not math.same(gold, answer).same

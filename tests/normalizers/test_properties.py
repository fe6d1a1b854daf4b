"""Any generated value in any generated dress equals itself and differs from a perturbed one."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from harness_plugins.normalizers.integer import IntegerNormalizer
from harness_plugins.normalizers.math import MathNormalizer

from .rewritings import DRESSES

math = MathNormalizer()
integer = IntegerNormalizer()

dresses = st.sampled_from(sorted(DRESSES))
integers = st.integers(-(10**30), 10**30)
fractions = st.fractions(max_denominator=10**6)


def write_fraction(value: Fraction, how: int) -> str:
    n, d = value.numerator, value.denominator
    return [
        f"\\frac{{{n}}}{{{d}}}",
        f"{n}/{d}",
        f"\\dfrac{{{3 * n}}}{{{3 * d}}}",
        f"({n})/({d})",
        f"{-n}/{-d}",
    ][how]


@given(integers, dresses)
def test_an_integer_is_itself_in_every_dress(value: int, dress: str) -> None:
    text = DRESSES[dress](str(value))
    assert math.quick_same(text, str(value)).same  # type: ignore[union-attr]
    assert math.quick_key(text) == str(value)
    assert integer.same(text, f"{value}.0").same
    assert not math.quick_same(text, str(value + 1)).same  # type: ignore[union-attr]
    assert not integer.same(text, str(value + 1)).same


@given(fractions, st.integers(0, 4), st.integers(0, 4), dresses)
def test_a_fraction_is_itself_however_it_is_written(
    value: Fraction, how: int, other: int, dress: str
) -> None:
    a, b = DRESSES[dress](write_fraction(value, how)), write_fraction(value, other)
    assert math.quick_same(a, b).same  # type: ignore[union-attr]
    assert math.quick_key(a) == math.quick_key(b)
    assert not math.quick_same(a, write_fraction(value + Fraction(1, 7), other)).same  # type: ignore[union-attr]


@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(1, 200), st.integers(1, 50), dresses)
def test_a_quadratic_surd_is_itself_however_it_is_written(a: int, b: int, n: int, c: int, dress: str) -> None:
    one = f"\\frac{{{a} + {b}\\sqrt{{{n}}}}}{{{c}}}"
    two = DRESSES[dress](f"\\frac{{{a}}}{{{c}}} - \\frac{{{-b}}}{{{c}}} \\cdot {n}^{{1/2}}")
    assert math.quick_same(one, two).same  # type: ignore[union-attr]
    assert math.quick_key(one) == math.quick_key(two)
    assert not math.quick_same(one, f"({a + 1} + {b}\\sqrt{{{n}}})/{c}").same  # type: ignore[union-attr]


@given(st.lists(st.integers(-99, 99), min_size=2, max_size=8, unique=True), st.randoms(use_true_random=False))
def test_a_list_is_itself_in_any_order_and_a_tuple_is_not(values: list[int], random) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)
    a, b = ", ".join(map(str, values)), ", ".join(map(str, shuffled))
    assert math.quick_same(a, b).same  # type: ignore[union-attr]
    assert math.quick_same(a, f"\\{{{b}\\}}").same  # type: ignore[union-attr]
    assert math.quick_key(a) == math.quick_key(b)
    assert math.quick_same(f"({a})", f"({b})").same == (values == shuffled)  # type: ignore[union-attr]


leaves = st.one_of(st.integers(0, 30).map(str), st.sampled_from(["x", "y", "\\pi", "\\sqrt{2}", "i"]))
expressions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda p: f"({p[0]} + {p[1]})"),
        st.tuples(inner, inner).map(lambda p: f"({p[0]} - {p[1]})"),
        st.tuples(inner, inner).map(lambda p: f"{p[0]} \\cdot {p[1]}"),
        st.tuples(inner, inner).map(lambda p: f"\\frac{{{p[0]}}}{{{p[1]}}}"),
        st.tuples(inner, st.integers(0, 3)).map(lambda p: f"({p[0]})^{{{p[1]}}}"),
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(expressions)
def test_an_expression_plus_zero_is_itself_and_plus_one_is_not(text: str) -> None:
    assert math.same(text, f"0 + ({text})").same or math.quick_key(text) is None
    # one more is another value, unless this one has none (a division by zero)
    assert not math.same(text, f"1 + ({text})").same


alphabet = st.sampled_from(
    [*"0123456789+-*/^_=<>()[]{}|!,.;: xyeiab%'", "\\frac", "\\sqrt", "\\pi", "\\pm", "\\text{", "\\boxed{", "\\left(",
     "\\right)", "\\{", "\\}", "\\cup", "\\infty", "\\sin", "\\ln", "\\begin{pmatrix}", "\\end{pmatrix}", "\\\\", "&",
     "\\circ", "\\cdot", "$", "and", " is ", "\x00", "\ud800", "½", "²", "≤", "\u200f", "\\sum_{k=1}^", "\\binom"]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(alphabet, max_size=24).map("".join), st.lists(alphabet, max_size=8).map("".join))
def test_any_text_equals_itself_and_comparison_is_symmetric(a: str, b: str) -> None:
    assert math.quick_same(a, a + " ").same  # type: ignore[union-attr]
    one, other = math.quick_same(a, b), math.quick_same(b, a)
    assert (one and one.same) == (other and other.same)
    key_a, key_b = math.quick_key(a), math.quick_key(b)
    if key_a is not None and key_a == key_b and one is not None:
        assert one.same, "one key, one class"
    math.extract(a)
    integer.same(a, b)

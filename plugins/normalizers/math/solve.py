"""Linear inequalities in one variable: 2x - 1 > 5 as x in (3, inf), |x - 1| < 2 as x in (-1, 3)."""

from __future__ import annotations

from fractions import Fraction

from .evaluate import evaluate
from .nodes import Node
from .sets import INFINITY
from .values import ONE, SYMBOL, Unvalued, Value, subtract

_LINE = (Node("mul", (Node("num", (), Fraction(-1)), INFINITY)), INFINITY)


def linear(parts: list[Node], signs: list[str]) -> Node | None:
    """The interval that a chain of "<" and "<=" over two or three parts says, or None.

    Only coefficients that are fractions are solved for.
    """
    try:
        if len(parts) == 3:
            if any(_line(evaluate(end)) != (None, Fraction(0)) for end in (parts[0], parts[2])):
                return None
            found = [_half(parts[:2], signs[0]), _half(parts[1:], signs[1])]
        else:
            found = _absolute(parts, signs[0]) or [_half(parts, signs[0])]
    except (Unvalued, RecursionError, ZeroDivisionError, OverflowError):
        return None
    low, high, opening, closing = *_LINE, "(", ")"
    names = set()
    for half in found:
        if half is None:
            return None
        name, bound, below, closed = half
        names.add(name)
        end = Node("num", (), bound)
        if below:
            if high is not INFINITY:
                return None
            high, closing = end, "]" if closed else ")"
        else:
            if low is not _LINE[0]:
                return None
            low, opening = end, "[" if closed else "("
    if len(names) != 1:
        return None
    return Node("eq", (Node("sym", (), names.pop()), Node("seq", (low, high), (opening, closing))))


def _line(value: Value) -> tuple[str | None, Fraction] | None:
    """(variable, slope) of a value that is linear in at most one symbol with rational coefficients."""
    name: str | None = None
    slope = Fraction(0)
    for product, factor in value.terms.items():
        if not product:
            continue
        if len(product) != 1 or name is not None:
            return None
        (base, exponent) = product[0]
        if base[0] != SYMBOL or exponent != ONE or base[1] == "inf":
            return None
        name, slope = str(base[1]), factor
    return name, slope


def _half(parts: list[Node], sign: str) -> tuple[str, Fraction, bool, bool] | None:
    """(variable, bound, whether it is an upper bound, closed) of left < right."""
    difference = subtract(evaluate(parts[0]), evaluate(parts[1]))
    found = _line(difference)
    if found is None:
        return None
    name, slope = found
    return (
        None
        if name is None
        else (name, -difference.terms.get((), Fraction(0)) / slope, slope > 0, sign == "<=")
    )


def _absolute(parts: list[Node], sign: str) -> list[tuple[str, Fraction, bool, bool] | None] | None:
    left, right = parts
    if left.op != "fn" or left.value != "abs":
        return None
    minus = Node("mul", (Node("num", (), Fraction(-1)), right))
    if (evaluate(right).rational or 0) <= 0:
        return None
    return [_half([minus, left.args[0]], sign), _half([left.args[0], right], sign)]

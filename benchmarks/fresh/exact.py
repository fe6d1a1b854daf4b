"""Exact answers and how they are written: no float ever becomes a gold."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Surd:
    """coefficient * sqrt(radicand), with a positive coefficient and a square-free radicand above 1."""

    coefficient: int
    radicand: int


Exact: TypeAlias = "int | Fraction | Surd | tuple[Exact, ...]"


def square_root(n: int) -> int | Surd:
    """The square root of a positive integer, with every square factor taken out.

    >>> square_root(48)
    Surd(coefficient=4, radicand=3)
    """
    outside = next(k for k in range(isqrt(n), 0, -1) if n % (k * k) == 0)
    inside = n // (outside * outside)
    return outside if inside == 1 else Surd(outside, inside)


def latex(value: Exact) -> str:
    """The canonical text of an exact value: 42, \\frac{3}{7}, 4\\sqrt{3}, (2, -3)."""
    match value:
        case tuple():
            return f"({', '.join(latex(part) for part in value)})"
        case Surd(1, radicand):
            return rf"\sqrt{{{radicand}}}"
        case Surd(coefficient, radicand):
            return rf"{coefficient}\sqrt{{{radicand}}}"
        case Fraction(denominator=1):
            return str(value.numerator)
        case Fraction():
            sign = "-" if value < 0 else ""
            return rf"{sign}\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"
        case _:
            return str(value)

"""Words for the statements: people, things, and mathematics written in LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .engine import Draw


class Person(NamedTuple):
    name: str
    they: str
    them: str
    their: str


def _people(names: str, they: str, them: str, their: str) -> list[Person]:
    return [Person(name, they, them, their) for name in names.split()]


PEOPLE = [
    *_people(
        "Amara Beatriz Chloe Dina Elif Freya Greta Hana Ines Jun Kavya Leila Maya Nora", "she", "her", "her"
    ),
    *_people(
        "Anton Bruno Cyrus Diego Emeka Felix Goran Hugo Ivan Jonas Kofi Luca Mateo Nikhil", "he", "him", "his"
    ),
]

THINGS = (
    *(
        "apples",
        "marbles",
        "stickers",
        "pencils",
        "postcards",
        "stamps",
        "seashells",
        "buttons",
        "candles",
        "walnuts",
    ),
    *("plums", "lemons", "coins", "badges", "ribbons", "keys", "cards", "beads", "crayons", "magnets"),
)

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")


def person(draw: Draw) -> Person:
    return draw.pick(PEOPLE)


def two_people(draw: Draw) -> list[Person]:
    return draw.several(PEOPLE, 2)


def capital(text: str) -> str:
    """The text with its first letter in upper case, the rest untouched."""
    return text[:1].upper() + text[1:]


def listing(parts: Sequence[object], last: str = "and") -> str:
    """Parts as English lists them: "a, b, and c"."""
    words = [str(part) for part in parts]
    if len(words) < 3:
        return f" {last} ".join(words)
    return f"{', '.join(words[:-1])}, {last} {words[-1]}"


def frac(numerator: object, denominator: object) -> str:
    return rf"\frac{{{numerator}}}{{{denominator}}}"


def power(base: object, exponent: object) -> str:
    """base^exponent, braced where the exponent has more than one character; x^1 is x."""
    if exponent == 1:
        return str(base)
    return f"{base}^{exponent}" if len(str(exponent)) == 1 else f"{base}^{{{exponent}}}"


def factored(exponents: Sequence[tuple[int, int]]) -> str:
    r"""A product of prime powers: 2^3 \cdot 5."""
    return r" \cdot ".join(power(prime, exponent) for prime, exponent in exponents)


def signed(number: int) -> str:
    """A term to append: "+ 3" or "- 3"."""
    return f"- {-number}" if number < 0 else f"+ {number}"


def polynomial(coefficients: Sequence[int], variable: str = "x") -> str:
    """A polynomial from its coefficients, highest power first; zero terms are left out.

    >>> polynomial([1, -5, 0, 6])
    'x^3 - 5x^2 + 6'
    """
    text = ""
    for place, coefficient in enumerate(coefficients):
        exponent = len(coefficients) - 1 - place
        if not coefficient:
            continue
        size = "" if abs(coefficient) == 1 and exponent else str(abs(coefficient))
        term = size + (power(variable, exponent) if exponent else "")
        if text:
            text += f" {'-' if coefficient < 0 else '+'} {term}"
        else:
            text = f"-{term}" if coefficient < 0 else term
    return text or "0"


def form(coefficients: Sequence[int], variables: Sequence[str]) -> str:
    """A linear form: 3x - 2y."""
    text = ""
    for coefficient, variable in zip(coefficients, variables, strict=True):
        term = polynomial([abs(coefficient), 0], variable)
        sign = "-" if coefficient < 0 else "+"
        text += f" {sign} {term}" if text else (f"-{term}" if coefficient < 0 else term)
    return text


def recurrence(p: int, q: int) -> str:
    """The rule a_n = p a_{n-1} + q a_{n-2} in LaTeX, p positive."""
    return f"a_n = {form((p, q), ('a_{n-1}', 'a_{n-2}'))}"

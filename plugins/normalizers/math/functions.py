"""Functions of exact values: exact for rationals and for the known angles, else opaque."""

from __future__ import annotations

import math
from fractions import Fraction

from .nodes import MAX_BITS
from .powers import cos_pi, prime_powers
from .values import (
    E_BASE,
    HALF,
    I_BASE,
    LOG,
    ONE,
    OPAQUE,
    PI_BASE,
    PRIME,
    SYMBOL,
    ZERO,
    Unvalued,
    Value,
    add,
    base,
    integer_text,
    inverse,
    multiply,
    opaque,
    rational,
    scale,
)  # fmt: skip


def _trigonometric(name: str, argument: Value) -> Value | None:
    turns: Fraction | None = ZERO if not argument.terms else argument.terms.get(((PI_BASE, ONE),))
    if turns is None or len(argument.terms) > 1:
        return None
    cosine, sine = cos_pi(turns), cos_pi(HALF - turns)
    if cosine is None or sine is None:
        return None
    if name == "cos":
        return cosine
    if name == "sin":
        return sine
    if name == "tan":
        return multiply(sine, inverse(cosine))
    if name == "cot":
        return multiply(cosine, inverse(sine))
    return inverse(cosine if name == "sec" else sine)


_ODD = frozenset({"sin", "tan", "asin", "atan", "sinh", "tanh", "asinh", "atanh", "cot", "csc"})
_EVEN = frozenset({"cos", "sec", "cosh"})


def function(name: str, arguments: list[Value]) -> Value:
    """The value of a function, exact for rationals and for the known angles, else opaque."""
    numbers = [argument.rational for argument in arguments]
    known = [number for number in numbers if number is not None]
    if len(known) == len(numbers) and known:
        exact = _of_rationals(name, known)
        if exact is not None:
            return exact
    if len(arguments) == 1:
        (argument,) = arguments
        if name in ("sin", "cos", "tan", "cot", "sec", "csc"):
            exact = _trigonometric(name, argument)
            if exact is not None:
                return exact
        if name == "ln":
            return _logarithm(argument)
        if name in _ODD or name in _EVEN:
            first = min(argument.terms, key=repr, default=())
            if argument.terms and argument.terms[first] < 0:
                flipped = opaque(f"{name}({scale(argument, Fraction(-1)).key()})")
                return scale(flipped, Fraction(-1)) if name in _ODD else flipped
    keys = [argument.key() for argument in arguments]
    if name in ("max", "min", "gcd", "lcm"):
        keys.sort()
    return opaque(f"{name}({','.join(keys)})")


def _of_rationals(name: str, numbers: list[Fraction]) -> Value | None:
    first = numbers[0]
    if name == "abs":
        return rational(abs(first))
    if name == "floor":
        return rational(Fraction(math.floor(first)))
    if name == "ceil":
        return rational(Fraction(math.ceil(first)))
    if name == "max":
        return rational(max(numbers))
    if name == "min":
        return rational(min(numbers))
    if name == "sgn":
        return rational(Fraction((first > 0) - (first < 0)))
    if name == "mod" and numbers[1]:
        return rational(first % numbers[1])
    if any(number.denominator != 1 for number in numbers):
        return None
    whole = [int(number) for number in numbers]
    if name == "gcd":
        return rational(Fraction(math.gcd(*whole)))
    if name == "lcm":
        if sum(number.bit_length() for number in whole) > MAX_BITS:
            raise Unvalued("number too large")
        return rational(Fraction(math.lcm(*whole)))
    if name == "factorial" and whole[0] >= 0:
        # log2(n!) < n log2(n)
        if whole[0] * max(1, whole[0].bit_length() - 1) <= MAX_BITS:
            return rational(Fraction(math.factorial(whole[0])))
        return opaque(f"{integer_text(whole[0])}!")
    if name == "factorial2" and 0 <= whole[0] <= 1000:
        return rational(Fraction(math.prod(range(whole[0], 0, -2))))
    if name == "binom" and 0 <= whole[1] <= whole[0]:
        if min(whole[1], whole[0] - whole[1]) * whole[0].bit_length() <= 2 * MAX_BITS:
            return rational(Fraction(math.comb(whole[0], whole[1])))
        return opaque(f"C({integer_text(whole[0])},{integer_text(min(whole[1], whole[0] - whole[1]))})")
    return None


def _logarithm(argument: Value) -> Value:
    if len(argument.terms) != 1:
        if not argument.terms:
            raise Unvalued("logarithm of zero")
        return opaque(f"ln({argument.key()})")
    ((product, factor),) = argument.terms.items()
    if factor <= 0 or factor.numerator.bit_length() > 256 or factor.denominator.bit_length() > 256 or any(
        b == I_BASE or (b[0] in (SYMBOL, OPAQUE) and x.numerator % 2 == 0) for b, x in product
    ):  # fmt: skip
        return opaque(f"ln({argument.key()})")
    bases, sure = prime_powers(factor)
    for b, x in product:
        bases[b] = bases.get(b, ZERO) + x
    total = Value({}, argument.sure and sure)
    for b, x in bases.items():
        part = (
            rational(ONE)
            if b == E_BASE
            else Value(base(LOG, f"{b[0]}.{b[1]}").terms, b[0] in (PRIME, SYMBOL))
        )
        total = add(total, scale(part, x))
    return total

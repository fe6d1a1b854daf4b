"""Powers and roots of exact values, prime factors, and the angles whose cosine is made of square roots."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

from .nodes import MAX_BITS
from .values import (
    BUDGET,
    CONST,
    E_BASE,
    EXPONENTIAL,
    HALF,
    I_BASE,
    LOG,
    ONE,
    OPAQUE,
    PI_BASE,
    PRIME,
    SYMBOL,
    ZERO,
    Base,
    Product,
    Unvalued,
    Value,
    add,
    base,
    inverse,
    multiply,
    opaque,
    primitive,
    rational,
    scale,
    single,
    term_key,
)  # fmt: skip

_WORK = 10  # of the budget, for one factorisation
_TRIAL = 1000  # trial division up to here: complete below a million


@lru_cache(maxsize=2048)
def factorize(number: int) -> tuple[tuple[tuple[int, int], ...], bool]:
    """Prime factors with exponents, and whether they are surely prime.

    Trial division up to 1000; what remains is taken as one "prime" unless it is a perfect power.
    """
    BUDGET.spend(_WORK)
    factors: dict[int, int] = {}
    divisor = 2
    while divisor <= _TRIAL and divisor * divisor <= number:
        while number % divisor == 0:
            number //= divisor
            factors[divisor] = factors.get(divisor, 0) + 1
        divisor += 1 if divisor == 2 else 2
    sure = True
    if number > 1:
        exponent = 1
        for degree in (2, 3, 5):
            root = _integer_root(number, degree)
            while root is not None:
                number, exponent = root, exponent * degree
                root = _integer_root(number, degree)
        sure = number <= _TRIAL * _TRIAL
        factors[number] = factors.get(number, 0) + exponent
    return tuple(sorted(factors.items())), sure


def _integer_root(number: int, degree: int) -> int | None:
    root = math.isqrt(number)
    if degree > 2:
        root = round(number ** (1 / degree)) if number.bit_length() < 150 else 0
    return root if root > 1 and root**degree == number else None


def power(value: Value, exponent: Value) -> Value:
    number = exponent.rational
    if number is not None:
        return rational_power(value, number)
    if not value.terms:
        raise Unvalued("zero to a symbolic power")
    if len(value.terms) != 1:
        return opaque(f"({value.key()})^({exponent.key()})")
    ((product, factor),) = value.terms.items()
    if factor <= 0 or any(b[0] == OPAQUE or b == I_BASE for b, _ in product):
        return opaque(f"({value.key()})^({exponent.key()})")
    bases, sure = prime_powers(factor)
    if not sure and factor != 1:
        return opaque(f"({value.key()})^({exponent.key()})")
    for b, x in product:
        bases[b] = bases.get(b, ZERO) + x
    powers: dict[Base, Fraction] = {}
    turn: Value | None = None
    for term, coefficient in exponent.terms.items():
        for b, x in bases.items():
            if not term:
                powers[b] = powers.get(b, ZERO) + x * coefficient
            elif b == E_BASE and term == ((I_BASE, ONE), (PI_BASE, ONE)):
                turn = _turn(x * coefficient)
                if turn is None:
                    return opaque(f"({value.key()})^({exponent.key()})")
            else:
                name = _exponential(b, term)
                sure = sure and (name[0] != EXPONENTIAL or all(t[0] == SYMBOL for t, _ in term))
                powers[name] = powers.get(name, ZERO) + x * coefficient
    result = single(powers, ONE, value.sure and exponent.sure and sure)
    return result if turn is None else multiply(result, turn)


def _exponential(b: Base, term: Product) -> Base:
    """The base that stands for b^term: b^(t / ln b ln c) is c^t, so that e^(ln 5) and 3^(log_3 5) are 5."""
    exponents = dict(term)
    if b != E_BASE:
        own: Base = (LOG, f"{b[0]}.{b[1]}")
        exponents[own] = exponents.get(own, ZERO) + 1
    logs = sorted(((t, x) for t, x in exponents.items() if t[0] == LOG and x == 1), key=repr)
    if logs:
        inner, _, rest = str(logs[0][0][1]).partition(".")
        b = (int(inner), int(rest) if int(inner) == PRIME else rest)
        exponents[logs[0][0]] = ZERO
    else:
        b = E_BASE
    left = tuple(sorted((t, x) for t, x in exponents.items() if x))
    return (EXPONENTIAL, f"{b[0]}.{b[1]}^({term_key(left, ONE)})") if left else b


def _turn(half_turns: Fraction) -> Value | None:
    """e^(i pi x) for x a multiple of 1/12."""
    cosine, sine = cos_pi(half_turns), cos_pi(HALF - half_turns)
    if cosine is None or sine is None:
        return None
    return add(cosine, multiply(sine, base(CONST, "i")))


def prime_powers(factor: Fraction) -> tuple[dict[Base, Fraction], bool]:
    above, sure_above = factorize(factor.numerator)
    below, sure_below = factorize(factor.denominator)
    powers: dict[Base, Fraction] = {(PRIME, p): Fraction(x) for p, x in above}
    powers.update({(PRIME, p): Fraction(-x) for p, x in below})
    return powers, sure_above and sure_below


def _opaque_power(value: Value, exponent: Fraction) -> Value:
    # In hexadecimal: Python refuses to write out the decimals of a very large integer.
    return opaque(f"({value.key()})^{exponent.numerator:#x}/{exponent.denominator:#x}")


def rational_power(value: Value, exponent: Fraction) -> Value:
    if exponent == 0:
        return rational(ONE)
    if exponent == 1:
        return value
    if not value.terms:
        if exponent < 0 or not value.sure:
            raise Unvalued("zero to a negative power")
        return value
    if exponent.numerator.bit_length() > 64 or exponent.denominator > 1000:
        return _opaque_power(value, exponent)
    if len(value.terms) == 1:
        ((product, factor),) = value.terms.items()
        return _power_of_term(value, product, factor, exponent)
    if exponent.denominator == 1:
        steps = abs(exponent.numerator)
        if steps <= 24:
            try:
                result = value
                for _ in range(steps - 1):
                    result = multiply(result, value)
                return inverse(result) if exponent < 0 else result
            except Unvalued:
                pass
        return _opaque_power(value, exponent)
    content, rest = primitive(value)
    if content.terms and next(iter(content.terms.values())) < 0:
        content, rest = scale(content, Fraction(-1)), scale(rest, Fraction(-1))
    root = Value({(((OPAQUE, f"({rest.key()})"), exponent),): ONE}, False)
    return multiply(rational_power(content, exponent), root)


def _power_of_term(value: Value, product: Product, factor: Fraction, exponent: Fraction) -> Value:
    powers = {b: x * exponent for b, x in product}
    if exponent.denominator == 1:
        bits = max(factor.numerator.bit_length(), factor.denominator.bit_length())
        if bits * abs(exponent.numerator) <= MAX_BITS or factor in (1, -1):
            return single(powers, factor**exponent.numerator, value.sure)
        sign = -1 if factor < 0 and exponent.numerator % 2 else 1
        bases, sure = prime_powers(abs(factor))
        for b, x in bases.items():
            powers[b] = powers.get(b, ZERO) + x * exponent
        return single(powers, Fraction(sign), value.sure and sure)
    for b, x in product:
        # the square root of x^2 is |x|, of i no real thing: leave those to the numeric comparison
        if b == I_BASE or (b[0] in (SYMBOL, OPAQUE) and x.numerator % 2 == 0):
            return _opaque_power(value, exponent)
    if max(factor.numerator.bit_length(), factor.denominator.bit_length()) > 256:
        return _opaque_power(value, exponent)
    if factor < 0:
        if exponent.denominator != 2:
            return _opaque_power(value, exponent)
        powers[I_BASE] = powers.get(I_BASE, ZERO) + exponent.numerator
    bases, sure = prime_powers(abs(factor))
    for b, x in bases.items():
        powers[b] = powers.get(b, ZERO) + x * exponent
    return single(powers, ONE, value.sure and sure)


# -- angles


def _surd(*terms: tuple[int, int, int]) -> Value:
    """Sum of (numerator, denominator, radicand) square roots."""
    total = Value({})
    for numerator, denominator, radicand in terms:
        total = add(
            total,
            scale(rational_power(rational(Fraction(radicand)), HALF), Fraction(numerator, denominator)),
        )
    return total


_COSINES = {
    0: ((1, 1, 1),), 1: ((1, 4, 6), (1, 4, 2)), 2: ((1, 2, 3),), 3: ((1, 2, 2),), 4: ((1, 2, 1),),
    5: ((1, 4, 6), (-1, 4, 2)), 6: (),
}  # fmt: skip
"""cos(k pi/12), k = 0..6."""


def cos_pi(x: Fraction) -> Value | None:
    """cos(pi x), exact where x is a multiple of 1/12; else None."""
    if 12 % x.denominator:
        return None
    step = int(x * 12) % 24
    step = min(step, 24 - step)
    return _surd(*_COSINES[step]) if step <= 6 else scale(_surd(*_COSINES[12 - step]), Fraction(-1))

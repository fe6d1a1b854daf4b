"""Exact values in canonical form, in pure Python: sums of rational multiples of products of powers.

A value is a map from a product of powers to its rational coefficient. The bases of the powers are primes (a
square root is a prime to the power 1/2), pi, e, i, free symbols, and "opaque" things that are not taken apart
(sin 1, 1/(x+1), a factorial too large to expand). Equal maps are equal values. Without opaque bases the reverse
holds too, because distinct such products are linearly independent over the rationals (roots of primes:
Besicovitch 1940; free symbols: as functions); with them two maps may differ and the values still be equal, and
the value says so by `sure = False`.

All work is bounded: number of terms, bits of integers, depth of the tree.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple

from .nodes import MAX_BITS

MAX_TERMS = 120
MAX_BASES = 40
"""Most different bases in one product."""

# Kinds of base, in the order in which they are written.
PRIME, CONST, SYMBOL, EXPONENTIAL, OPAQUE, LOG = range(6)

Base = tuple[int, int | str]
Product = tuple[tuple[Base, Fraction], ...]


class Unvalued(Exception):
    """No exact value: over a limit, undefined, or not a single value."""


class Budget:
    """How much work one comparison may still do, in products of two terms (some microseconds each).

    A single object: whoever starts a comparison refills it, so that an answer of a hundred expensive parts
    costs no more than one. Answers of real models spend less than 100.
    """

    QUICK = 1_000
    """For the main process: a few milliseconds."""
    WORKER = 20_000

    def __init__(self) -> None:
        self.left = self.QUICK

    def refill(self, work: int) -> None:
        self.left = work

    def spend(self, work: int) -> None:
        self.left -= work
        if self.left < 0:
            raise Unvalued("too much work")


BUDGET = Budget()


class Value(NamedTuple):
    terms: dict[Product, Fraction]
    sure: bool = True
    """Whether a different map proves a different value."""

    @property
    def rational(self) -> Fraction | None:
        """The value as a fraction, where it is one."""
        if not self.terms:
            return ZERO
        if len(self.terms) == 1 and () in self.terms:
            return self.terms[()]
        return None

    @property
    def constant(self) -> bool:
        """No free symbol and nothing opaque in it."""
        return all(base[0] in (PRIME, CONST) for product in self.terms for base, _ in product)

    def key(self) -> str:
        """Canonical text: the same for the same map."""
        if not self.terms:
            return "0"
        return "+".join(sorted(term_key(product, factor) for product, factor in self.terms.items()))


ZERO = Fraction(0)
ONE = Fraction(1)
HALF = Fraction(1, 2)
I_BASE: Base = (CONST, "i")
PI_BASE: Base = (CONST, "pi")
E_BASE: Base = (CONST, "e")


def integer_text(number: int) -> str:
    """Decimal digits, or hexadecimal for integers beyond the interpreter's limit on decimal text."""
    return str(number) if number.bit_length() < 12_000 else hex(number)


def rational_text(value: Fraction) -> str:
    if value.denominator == 1:
        return integer_text(value.numerator)
    return f"{integer_text(value.numerator)}/{integer_text(value.denominator)}"


def term_key(product: Product, factor: Fraction) -> str:
    parts = [rational_text(factor)]
    for (kind, name), exponent in product:
        parts.append(f"{kind}.{name}^{exponent}")
    return "*".join(parts)


def rational(value: Fraction) -> Value:
    return Value({(): value}) if value else Value({})


def base(kind: int, name: int | str, exponent: Fraction = ONE) -> Value:
    return Value({(((kind, name), exponent),): ONE}, kind != OPAQUE)


def opaque(name: str) -> Value:
    return base(OPAQUE, name)


# -- arithmetic


def add(left: Value, right: Value) -> Value:
    if not left.terms:
        return Value(right.terms, left.sure and right.sure)
    terms = dict(left.terms)
    for product, factor in right.terms.items():
        total = terms.get(product, ZERO) + factor
        if not total:
            del terms[product]
            continue
        if product and _has_huge(product):
            terms.pop(product, None)
            product, total = settle(dict(product), total)
            total += terms.pop(product, ZERO)
            if not total:
                continue
        terms[product] = small(total)
    if len(terms) > MAX_TERMS:
        raise Unvalued("too many terms")
    return Value(terms, left.sure and right.sure)


def scale(value: Value, factor: Fraction) -> Value:
    if not factor:
        return Value({}, value.sure)
    terms: dict[Product, Fraction] = {}
    for product, old in value.terms.items():
        new_product, new = (
            settle(dict(product), old * factor) if _has_huge(product) else (product, small(old * factor))
        )
        terms[new_product] = new
    return Value(terms, value.sure)


def subtract(left: Value, right: Value) -> Value:
    return add(left, scale(right, Fraction(-1)))


def multiply(left: Value, right: Value) -> Value:
    if (factor := left.rational) is not None and left.sure:
        return Value(scale(right, factor).terms, right.sure)
    if (factor := right.rational) is not None and right.sure:
        return Value(scale(left, factor).terms, left.sure)
    if len(left.terms) * len(right.terms) > MAX_TERMS * 4:
        raise Unvalued("too many terms")
    BUDGET.spend(len(left.terms) * len(right.terms))
    terms: dict[Product, Fraction] = {}
    for product_l, factor_l in left.terms.items():
        for product_r, factor_r in right.terms.items():
            powers = dict(product_l)
            for b, exponent in product_r:
                powers[b] = powers.get(b, ZERO) + exponent
            product, factor = settle(powers, factor_l * factor_r)
            total = terms.get(product, ZERO) + factor
            if total:
                terms[product] = total
            else:
                terms.pop(product, None)
    if len(terms) > MAX_TERMS:
        raise Unvalued("too many terms")
    return Value(terms, left.sure and right.sure)


def small(number: Fraction) -> Fraction:
    """The number, unless it is too large; large ones cost more of the budget."""
    BUDGET.spend(1 + number.numerator.bit_length() // 500)
    if number.numerator.bit_length() > 3 * MAX_BITS or number.denominator.bit_length() > 3 * MAX_BITS:
        raise Unvalued("number too large")
    return number


def _has_huge(product: Product) -> bool:
    return any(b[0] == PRIME and not 0 <= exponent < 1 for b, exponent in product)


def settle(powers: dict[Base, Fraction], factor: Fraction) -> tuple[Product, Fraction]:
    """Bring a product into canonical form: exponents of primes into [0, 1), of i into {0, 1}.

    A prime whose whole power would be too large to expand keeps its exponent, and takes what the coefficient
    holds of it.
    """
    for b, exponent in list(powers.items()):
        kind, name = b
        if kind == PRIME and isinstance(name, int):
            whole = math.floor(exponent)
            if not whole:
                continue
            if abs(whole) * name.bit_length() <= MAX_BITS:
                factor *= Fraction(name) ** whole
                powers[b] = exponent - whole
            else:
                count, numerator, denominator = 0, factor.numerator, factor.denominator
                while numerator % name == 0:
                    numerator, count = numerator // name, count + 1
                while denominator % name == 0:
                    denominator, count = denominator // name, count - 1
                if count:
                    factor, powers[b] = Fraction(numerator, denominator), exponent + count
        elif b == I_BASE:
            if exponent.denominator != 1:
                continue
            turns = exponent.numerator % 4
            if turns >= 2:
                factor = -factor
            powers[b] = Fraction(turns % 2)
    if len(powers) > MAX_BASES:
        raise Unvalued("too many bases")
    return tuple(sorted((b, x) for b, x in powers.items() if x)), small(factor)


def inverse(value: Value) -> Value:
    """1 / value. Sums of at most four different square roots (and i) are rationalised; other sums stay opaque."""
    if not value.terms:
        if value.sure:
            raise Unvalued("division by zero")
        return opaque("1/0")
    if len(value.terms) == 1:
        ((product, factor),) = value.terms.items()
        powers = {b: -x for b, x in product}
        return single(powers, 1 / factor, value.sure)
    roots = {b for product in value.terms for b, x in product if b == I_BASE or (b[0] == PRIME and x == HALF)}
    if value.constant and len(roots) <= 4 and all(b in roots for product in value.terms for b, _ in product):
        above = rational(ONE)
        below = value
        for b in sorted(roots):
            if len(below.terms) == 1:
                break
            conjugate = Value(
                {p: -f if any(x[0] == b for x in p) else f for p, f in below.terms.items()}, value.sure
            )
            if conjugate.terms != below.terms:
                above, below = multiply(above, conjugate), multiply(below, conjugate)
        if len(below.terms) == 1:
            return multiply(above, inverse(below))
    content, rest = primitive(value)
    return multiply(inverse(content), Value({(((OPAQUE, f"({rest.key()})"), Fraction(-1)),): ONE}, False))


def single(powers: dict[Base, Fraction], factor: Fraction, sure: bool) -> Value:
    product, factor = settle(powers, factor)
    return Value({product: factor}, sure)


def primitive(value: Value) -> tuple[Value, Value]:
    """Split a sum into what all its terms share and a rest that starts with coefficient 1."""
    products = list(value.terms)
    shared: dict[Base, Fraction] = {}
    for b, x in products[0]:
        if b[0] in (SYMBOL, EXPONENTIAL, LOG):
            least = min((dict(p).get(b, ZERO) for p in products), default=ZERO)
            del x
            if least:
                shared[b] = least
    for p in products[1:]:
        for b, x in p:
            if b[0] in (SYMBOL, EXPONENTIAL, LOG) and x < 0 and b not in shared:
                shared[b] = min(dict(q).get(b, ZERO) for q in products)
    leading = value.terms[min(products, key=repr)]
    content = single(dict(shared), leading, True)
    return content, multiply(value, inverse(content))

"""Keys of values that are no fractions: their leading digits at fixed points.

Two ways lead to the same key: `of_value` from an exact value with the decimal module, in microseconds, and
`slow.leaf_key` from the tree with mpmath. Free symbols take fixed positive values that depend on their names
only, so that equal expressions have equal digits however they are written.
"""

from __future__ import annotations

import zlib
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, DecimalException
from fractions import Fraction

from .values import BUDGET, CONST, E_BASE, I_BASE, LOG, PI_BASE, PRIME, SYMBOL, Base, Unvalued, Value

DIGITS = 24
POINTS = (0, 1, 2, 3)
"""0 and 1 positive, 2 and 3 of mixed sign: each symbol is negative at one of them."""
MIN_SIZE, MAX_SIZE = -400, 400
"""Powers of ten between which sizes are given."""
_PI = (
    "3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803482534211706798"
)
_CONTEXT = Context(prec=70, Emax=MAX_EMAX, Emin=MIN_EMIN)
_CONTEXT.clear_traps()
_CONTEXT.clear_flags()
NOWHERE = "-"
"""In a key: a root or logarithm of a negative number is taken there."""
_SHORT = Context(prec=DIGITS, Emax=MAX_EMAX, Emin=MIN_EMIN)
_SHORT.clear_traps()
_WORK = 10  # of the budget, for one power
_LOST = Decimal("1e-30")  # cancellation beyond this leaves too few digits


class _LeftReals(Exception):
    pass


def point(name: str, index: int) -> Fraction:
    """The value of a free symbol at a point: of size 1/4 to 9/4, a fraction that no identity favours."""
    size = _size_at(name, index)
    return -size if index >= 2 and (_size_at(name, 0).numerator + index) % 2 else size


def _size_at(name: str, index: int) -> Fraction:
    seed = zlib.crc32(f"{index}:{name}".encode("utf-8", "replace"))
    return Fraction(seed % 100_003 + 12_503, 50_021)


def of_value(value: Value) -> str | None:
    """The key of a value without opaque parts; None for others."""
    try:
        parts = [_at(value, index) for index in (POINTS if _has_symbols(value) else POINTS[:1])]
    except (DecimalException, ValueError, OverflowError, Unvalued):
        return None
    if any(part is None for part in parts):
        return None
    return "~" + "|".join(part for part in parts if part is not None)


def sign(value: Value) -> int | None:
    """-1, 0 or 1: the sign of a real constant; None where it cannot be told here."""
    if _has_symbols(value):
        return None
    try:
        parts = _sums(value, 0)
    except (DecimalException, ValueError, OverflowError, Unvalued):
        return None
    if parts is None:
        return None
    real, imaginary, largest = parts
    if imaginary or _negligible(real, largest):
        return None if imaginary or value.terms else 0
    return 1 if real > 0 else -1


def size(value: Value) -> Fraction | None:
    """The absolute value of a real constant, to some 30 digits; None where it is none, or not known here."""
    number = value.rational
    if number is not None:
        return abs(number)
    if _has_symbols(value):
        return None
    try:
        sums = _sums(value, 0)
    except (DecimalException, ValueError, OverflowError, Unvalued):
        return None
    if sums is None or sums[1] or not MIN_SIZE < sums[2].adjusted() < MAX_SIZE:
        return None
    return Fraction(_SHORT.plus(_CONTEXT.abs(sums[0])))


def _has_symbols(value: Value) -> bool:
    return any(
        b[0] == SYMBOL or (b[0] == LOG and str(b[1]).startswith(f"{SYMBOL}."))
        for term in value.terms
        for b, _ in term
    )


def _at(value: Value, index: int) -> str | None:
    try:
        sums = _sums(value, index)
    except _LeftReals:
        return NOWHERE
    if sums is None:
        return None
    real, imaginary, largest = sums
    if all(_negligible(part, largest) for part in (real, imaginary)):
        return None
    return text(real, imaginary)


def _sums(value: Value, index: int) -> tuple[Decimal, Decimal, Decimal] | None:
    """Real part, imaginary part and largest term of a value at a point."""
    sums = [Decimal(0), Decimal(0)]
    largest = Decimal(0)
    for product, factor in value.terms.items():
        term = _CONTEXT.divide(Decimal(factor.numerator), Decimal(factor.denominator))
        imaginary = 0
        for b, exponent in product:
            if b == I_BASE:
                if exponent != 1:
                    return None
                imaginary = 1
                continue
            number = _number(b, index)
            if number is None:
                return None
            BUDGET.spend(_WORK)
            if number < 0 and exponent.denominator != 1:
                raise _LeftReals
            power = _CONTEXT.divide(Decimal(exponent.numerator), Decimal(exponent.denominator))
            term = _CONTEXT.multiply(term, _CONTEXT.power(number, power))
        sums[imaginary] = _CONTEXT.add(sums[imaginary], term)
        largest = max(largest, _CONTEXT.abs(term))
    if not largest.is_finite():
        return None
    return sums[0], sums[1], largest


def _number(b: Base, index: int) -> Decimal | None:
    kind, name = b
    if kind == PRIME:
        return Decimal(name)
    if b == PI_BASE:
        return Decimal(_PI)
    if b == E_BASE:
        return _CONTEXT.exp(Decimal(1))
    if kind == SYMBOL and isinstance(name, str):
        at = point(name, index)
        return _CONTEXT.divide(Decimal(at.numerator), Decimal(at.denominator))
    if kind == LOG and isinstance(name, str):
        inner, _, rest = name.partition(".")
        number = _number((int(inner), int(rest) if int(inner) == PRIME else rest), index)
        if number is None or int(inner) not in (PRIME, CONST, SYMBOL):
            return None
        if number < 0:
            raise _LeftReals
        return _CONTEXT.ln(number)
    return None


def text(real: Decimal, imaginary: Decimal) -> str:
    """Leading digits of a complex number; a part that is negligible beside the other is left out."""
    size = max(_CONTEXT.abs(real), _CONTEXT.abs(imaginary))
    shown = ["0" if _negligible(part, size) else _digits(part) for part in (real, imaginary)]
    return shown[0] if shown[1] == "0" else f"{shown[0]},{shown[1]}"


def _negligible(part: Decimal, size: Decimal) -> bool:
    return _CONTEXT.abs(part) <= _CONTEXT.multiply(size, _LOST)


def _digits(number: Decimal) -> str:
    rounded = _SHORT.plus(number)
    sign, digits, _ = rounded.as_tuple()
    return f"{'-' if sign else ''}{''.join(map(str, digits)).rstrip('0')}e{rounded.adjusted()}"

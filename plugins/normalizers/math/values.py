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
from functools import lru_cache
from typing import NamedTuple

from .nodes import MAX_BITS, Node

MAX_TERMS = 120
MAX_BASES = 40
"""Most different bases in one product."""
_TRIAL = 1000  # trial division up to here: complete below a million

# Kinds of base, in the order in which they are written.
PRIME, CONST, SYMBOL, EXPONENTIAL, OPAQUE, LOG = range(6)

Base = tuple[int, int | str]
Product = tuple[tuple[Base, Fraction], ...]


class Unvalued(Exception):
    """No exact value: over a limit, undefined, or not a single value."""


class Budget:
    """How much work one comparison may still do, in products of two terms (some microseconds each).

    A single object: whoever starts a comparison refills it, so that an answer of a hundred expensive parts
    costs no more than one.
    """

    LIMIT = 12_000

    def __init__(self) -> None:
        self.left = self.LIMIT

    def refill(self) -> None:
        self.left = self.LIMIT

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
        return "+".join(sorted(_term_key(product, factor) for product, factor in self.terms.items()))


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


def _term_key(product: Product, factor: Fraction) -> str:
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
            product, total = _settle(dict(product), total)
            total += terms.pop(product, ZERO)
            if not total:
                continue
        terms[product] = _small(total)
    if len(terms) > MAX_TERMS:
        raise Unvalued("too many terms")
    return Value(terms, left.sure and right.sure)


def scale(value: Value, factor: Fraction) -> Value:
    if not factor:
        return Value({}, value.sure)
    terms: dict[Product, Fraction] = {}
    for product, old in value.terms.items():
        new_product, new = (
            _settle(dict(product), old * factor) if _has_huge(product) else (product, _small(old * factor))
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
            product, factor = _settle(powers, factor_l * factor_r)
            total = terms.get(product, ZERO) + factor
            if total:
                terms[product] = total
            else:
                terms.pop(product, None)
    if len(terms) > MAX_TERMS:
        raise Unvalued("too many terms")
    return Value(terms, left.sure and right.sure)


def _small(number: Fraction) -> Fraction:
    """The number, unless it is too large; large ones cost more of the budget."""
    BUDGET.spend(1 + number.numerator.bit_length() // 500)
    if number.numerator.bit_length() > 3 * MAX_BITS or number.denominator.bit_length() > 3 * MAX_BITS:
        raise Unvalued("number too large")
    return number


def _has_huge(product: Product) -> bool:
    return any(b[0] == PRIME and not 0 <= exponent < 1 for b, exponent in product)


def _settle(powers: dict[Base, Fraction], factor: Fraction) -> tuple[Product, Fraction]:
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
    return tuple(sorted((b, x) for b, x in powers.items() if x)), _small(factor)


def inverse(value: Value) -> Value:
    """1 / value. Sums of at most four different square roots (and i) are rationalised; other sums stay opaque."""
    if not value.terms:
        if value.sure:
            raise Unvalued("division by zero")
        return opaque("1/0")
    if len(value.terms) == 1:
        ((product, factor),) = value.terms.items()
        powers = {b: -x for b, x in product}
        return _single(powers, 1 / factor, value.sure)
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


def _single(powers: dict[Base, Fraction], factor: Fraction, sure: bool) -> Value:
    product, factor = _settle(powers, factor)
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
    content = _single(dict(shared), leading, True)
    return content, multiply(value, inverse(content))


# -- powers


@lru_cache(maxsize=2048)
def factorize(number: int) -> tuple[tuple[tuple[int, int], ...], bool]:
    """Prime factors with exponents, and whether they are surely prime.

    Trial division up to 1000; what remains is taken as one "prime" unless it is a perfect power.
    """
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
        return _rational_power(value, number)
    if not value.terms:
        raise Unvalued("zero to a symbolic power")
    if len(value.terms) != 1:
        return opaque(f"({value.key()})^({exponent.key()})")
    ((product, factor),) = value.terms.items()
    if factor <= 0 or any(b[0] == OPAQUE or b == I_BASE for b, _ in product):
        return opaque(f"({value.key()})^({exponent.key()})")
    bases, sure = _prime_powers(factor)
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
                name: Base = (EXPONENTIAL, f"{b[0]}.{b[1]}^({_term_key(term, ONE)})")
                powers[name] = powers.get(name, ZERO) + x * coefficient
    result = _single(powers, ONE, value.sure and exponent.sure)
    return result if turn is None else multiply(result, turn)


def _turn(half_turns: Fraction) -> Value | None:
    """e^(i pi x) for x a multiple of 1/12."""
    cosine, sine = cos_pi(half_turns), cos_pi(HALF - half_turns)
    if cosine is None or sine is None:
        return None
    return add(cosine, multiply(sine, base(CONST, "i")))


def _prime_powers(factor: Fraction) -> tuple[dict[Base, Fraction], bool]:
    above, sure_above = factorize(factor.numerator)
    below, sure_below = factorize(factor.denominator)
    powers: dict[Base, Fraction] = {(PRIME, p): Fraction(x) for p, x in above}
    powers.update({(PRIME, p): Fraction(-x) for p, x in below})
    return powers, sure_above and sure_below


def _rational_power(value: Value, exponent: Fraction) -> Value:
    if exponent == 0:
        return rational(ONE)
    if exponent == 1:
        return value
    if not value.terms:
        if exponent < 0 or not value.sure:
            raise Unvalued("zero to a negative power")
        return value
    if exponent.numerator.bit_length() > 64 or exponent.denominator > 1000:
        return opaque(f"({value.key()})^{exponent}")
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
        return opaque(f"({value.key()})^{exponent}")
    content, rest = primitive(value)
    if content.terms and next(iter(content.terms.values())) < 0:
        content, rest = scale(content, Fraction(-1)), scale(rest, Fraction(-1))
    root = Value({(((OPAQUE, f"({rest.key()})"), exponent),): ONE}, False)
    return multiply(_rational_power(content, exponent), root)


def _power_of_term(value: Value, product: Product, factor: Fraction, exponent: Fraction) -> Value:
    powers = {b: x * exponent for b, x in product}
    if exponent.denominator == 1:
        bits = max(factor.numerator.bit_length(), factor.denominator.bit_length())
        if bits * abs(exponent.numerator) <= MAX_BITS or factor in (1, -1):
            return _single(powers, factor**exponent.numerator, value.sure)
        sign = -1 if factor < 0 and exponent.numerator % 2 else 1
        bases, sure = _prime_powers(abs(factor))
        for b, x in bases.items():
            powers[b] = powers.get(b, ZERO) + x * exponent
        return _single(powers, Fraction(sign), value.sure and sure)
    for b, x in product:
        # the square root of x^2 is |x|, of i no real thing: leave those to the numeric comparison
        if b == I_BASE or (b[0] in (SYMBOL, OPAQUE) and x.numerator % 2 == 0):
            return opaque(f"({value.key()})^{exponent}")
    if max(factor.numerator.bit_length(), factor.denominator.bit_length()) > 256:
        return opaque(f"({value.key()})^{exponent}")
    if factor < 0:
        if exponent.denominator != 2:
            return opaque(f"({value.key()})^{exponent}")
        powers[I_BASE] = powers.get(I_BASE, ZERO) + exponent.numerator
    bases, sure = _prime_powers(abs(factor))
    for b, x in bases.items():
        powers[b] = powers.get(b, ZERO) + x * exponent
    return _single(powers, ONE, value.sure and sure)


# -- functions


def _surd(*terms: tuple[int, int, int]) -> Value:
    """Sum of (numerator, denominator, radicand) square roots."""
    total = Value({})
    for numerator, denominator, radicand in terms:
        total = add(
            total,
            scale(_rational_power(rational(Fraction(radicand)), HALF), Fraction(numerator, denominator)),
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
    bases, sure = _prime_powers(factor)
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


# -- evaluation of a tree


def evaluate(node: Node) -> Value:
    """The exact value of a tree.

    Raises:
        Unvalued: it has none (a tuple, a relation, a division by zero), or it is over a limit.
    """
    op = node.op
    if op == "num":
        return rational(node.value)
    if op == "dec":
        return rational(node.value[0])
    if op == "sym":
        return base(SYMBOL, node.value)
    if op == "const":
        if node.value == "inf":
            return base(SYMBOL, "inf")
        return base(CONST, node.value)
    if op == "add":
        total = evaluate(node.args[0])
        for arg in node.args[1:]:
            total = add(total, evaluate(arg))
        return total
    if op in ("mul", "apply"):
        factors = []
        while node.op in ("mul", "apply"):  # long products lean to the left
            factors.append(node.args[1])
            node = node.args[0]
        result = evaluate(node)
        for factor in reversed(factors):
            result = multiply(result, evaluate(factor))
        return result
    if op == "div":
        return multiply(evaluate(node.args[0]), inverse(evaluate(node.args[1])))
    if op == "pow":
        return power(evaluate(node.args[0]), evaluate(node.args[1]))
    if op == "root":
        return _root(evaluate(node.args[0]), evaluate(node.args[1]))
    if op == "fn":
        return function(node.value, [evaluate(arg) for arg in node.args])
    if op == "unit":
        return evaluate(node.args[0])
    if op == "percent":
        return scale(evaluate(node.args[0]), Fraction(1, 100))
    if op == "degree":
        return multiply(scale(evaluate(node.args[0]), Fraction(1, 180)), base(CONST, "pi"))
    if op == "set" and len(node.args) == 1:
        return evaluate(node.args[0])
    if op == "based":
        return _based(*node.value)
    if op == "ratio" and len(node.args) == 2:
        return multiply(evaluate(node.args[0]), inverse(evaluate(node.args[1])))
    if op == "big":
        return opaque(f"{node.value}{[_structure(arg) for arg in node.args]}")
    raise Unvalued(op)


def _structure(node: Node) -> str:
    return f"{node.op}{node.value}[{','.join(_structure(arg) for arg in node.args)}]"


def _root(radicand: Value, degree: Value) -> Value:
    n = degree.rational
    if n is None or n.denominator != 1 or n == 0:
        return power(radicand, inverse(degree))
    number = radicand.rational
    if number is not None and number < 0 and n.numerator % 2:
        return scale(_rational_power(rational(-number), 1 / n), Fraction(-1))  # the real root
    return _rational_power(radicand, 1 / n)


def _based(digits: str, number_base: int) -> Value:
    if not 2 <= number_base <= 36 or len(digits) > 300:
        return opaque(f"{digits}_{integer_text(number_base)}")
    try:
        return rational(Fraction(int(digits, number_base)))
    except ValueError:
        return opaque(f"{digits}_{number_base}")

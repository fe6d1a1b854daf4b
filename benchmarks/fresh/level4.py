"""Level 4: problems as they stand first in AMC and AIME papers."""

from __future__ import annotations

from fractions import Fraction
from math import comb, gcd, prod

from .arithmetic import PRIMES, coprime, factor, recurrence_term
from .engine import Draw, Level, Posed
from .wording import ORDINALS, factored, frac, listing, polynomial, power, recurrence, signed

LEVEL = Level(4, "entry problems of AMC and AIME papers")


@LEVEL.family
def power_remainder(draw: Draw) -> Posed:
    base, exponent, modulus = draw.integer(3, 99), draw.integer(20, 2500), draw.integer(7, 120)
    remainder = pow(base, exponent, modulus)
    if base % modulus < 2 or remainder == 0:
        return None
    term = power(base, exponent)
    return draw.phrase(
        f"What is the remainder when ${term}$ is divided by ${modulus}$?",
        f"Find the remainder of ${term}$ upon division by ${modulus}$.",
        rf"Find the integer $r$ with $0 \le r < m$ and ${term} \equiv r \pmod m$, where $m = {modulus}$.",
    ), remainder


@LEVEL.family
def digit_sum(draw: Draw) -> Posed:
    n, k = draw.integer(8, 99), draw.integer(2, 2500)
    number = rf"{power(10, n)} - {k}"
    return draw.phrase(
        f"What is the sum of the decimal digits of the integer ${number}$?",
        f"The number ${number}$ is written out in base ten. Find the sum of its digits.",
        f"Let $N = {number}$. Compute the sum of the digits of $N$.",
    ), sum(map(int, str(10**n - k)))


@LEVEL.family
def paths_and_a_point(draw: Draw) -> Posed:
    m, n = draw.integer(3, 9), draw.integer(3, 9)
    x, y = draw.integer(1, m - 1), draw.integer(1, n - 1)
    through = comb(x + y, x) * comb(m + n - x - y, m - x)
    rule, paths = draw.pick(
        (("pass through", through), ("do not pass through", comb(m + n, m) - through)),
    )
    walker = draw.pick(("A robot", "An ant", "A token", "A spider"))
    return draw.phrase(
        f"{walker} moves from $(0, 0)$ to $({m}, {n})$ in the coordinate plane. Each step goes one unit to "
        f"the right or one unit up. How many such paths {rule} the point $({x}, {y})$?",
        f"Consider all paths from $(0, 0)$ to $({m}, {n})$ that consist of unit steps to the right and unit "
        f"steps upwards. How many of these paths {rule} $({x}, {y})$?",
    ), paths


@LEVEL.family
def special_divisors(draw: Draw) -> Posed:
    primes = sorted(draw.several(PRIMES, 3))
    exponents = [draw.integer(2, 9) for _ in primes]
    number = factored(list(zip(primes, exponents, strict=True)))
    needed = [draw.integer(0, e) for e in exponents]
    step = prod(p**e for p, e in zip(primes, needed, strict=True))
    if step == 1 or step > 2000:
        return None
    kind, count = draw.pick(
        (
            ("are perfect squares", prod(e // 2 + 1 for e in exponents)),
            ("are perfect cubes", prod(e // 3 + 1 for e in exponents)),
            (f"are multiples of ${step}$", prod(e - k + 1 for e, k in zip(exponents, needed, strict=True))),
            (
                f"are not multiples of ${step}$",
                prod(e + 1 for e in exponents)
                - prod(e - k + 1 for e, k in zip(exponents, needed, strict=True)),
            ),
        )
    )
    return draw.phrase(
        f"How many positive divisors of ${number}$ {kind}?",
        f"Let $N = {number}$. How many of the positive divisors of $N$ {kind}?",
    ), count


@LEVEL.family
def cubic_roots(draw: Draw) -> Posed:
    a, b, c, k = draw.nonzero(9), draw.nonzero(12), draw.nonzero(15), draw.nonzero(4)
    e1, e2, e3 = -a, b, -c
    shifted = rf"(r {signed(k)})(s {signed(k)})(t {signed(k)})"
    wanted, value = draw.pick(
        (
            ("r^2 + s^2 + t^2", Fraction(e1 * e1 - 2 * e2)),
            ("r^3 + s^3 + t^3", Fraction(e1**3 - 3 * e1 * e2 + 3 * e3)),
            (rf"{frac(1, 'r')} + {frac(1, 's')} + {frac(1, 't')}", Fraction(e2, e3)),
            (shifted, Fraction(k**3 + k * k * e1 + k * e2 + e3)),
            ("r^2s^2 + s^2t^2 + t^2r^2", Fraction(e2 * e2 - 2 * e1 * e3)),
        )
    )
    cubic = polynomial([1, a, b, c])
    return draw.phrase(
        f"Let $r$, $s$, $t$ be the roots of ${cubic}$, counted with multiplicity, over the complex numbers. "
        f"Find ${wanted}$.",
        f"The polynomial ${cubic}$ has the complex roots $r$, $s$ and $t$, listed with multiplicity. Compute "
        f"${wanted}$.",
        f"If $r$, $s$, $t$ are the three complex solutions of ${cubic} = 0$, counted with multiplicity, "
        f"what is the value of ${wanted}$?",
    ), value


@LEVEL.family
def recurrence_remainder(draw: Draw) -> Posed:
    first, second, p, q = draw.integer(1, 9), draw.integer(1, 9), draw.integer(1, 6), draw.nonzero(6)
    n, modulus = draw.integer(40, 400), draw.integer(5, 30)
    remainder = recurrence_term(first, second, p, q, n, modulus)
    if not remainder:
        return None
    rule = recurrence(p, q)
    return draw.phrase(
        rf"A sequence is defined by $a_1 = {first}$, $a_2 = {second}$ and ${rule}$ for $n \ge 3$. Find the "
        f"remainder when $a_{{{n}}}$ is divided by ${modulus}$.",
        rf"Let $a_1 = {first}$ and $a_2 = {second}$, and for $n \ge 3$ let ${rule}$. What is the remainder "
        f"of $a_{{{n}}}$ upon division by ${modulus}$?",
    ), remainder


@LEVEL.family
def same_colour(draw: Draw) -> Posed:
    counts = [draw.integer(2, 12) for _ in range(3)]
    drawn = draw.integer(2, 3)
    ways = sum(comb(count, drawn) for count in counts)
    vessel = draw.pick(("bag", "box", "jar", "drawer", "basket"))
    things = draw.pick(("balls", "marbles", "socks", "chips", "cubes", "buttons"))
    red, blue, green = counts
    return draw.phrase(
        f"A {vessel} contains {red} red, {blue} blue and {green} green {things}. If {drawn} of them are "
        "drawn at random without replacement, what is the probability that they all have the same colour?",
        f"There are {red} red, {blue} blue and {green} green {things} in a {vessel}. Exactly {drawn} of the "
        f"{things} are taken out at once at random. Find the probability that all of the {things} taken out "
        "have the same colour, as a fraction in lowest terms.",
    ), Fraction(ways, comb(sum(counts), drawn))


@LEVEL.family
def dice_totals(draw: Draw) -> Posed:
    dice, faces = draw.integer(2, 4), draw.pick((4, 6, 8, 10, 12))
    if faces**dice > 2500:
        return None
    total, modulus = draw.integer(dice + 1, dice * faces - 1), draw.integer(3, 7)
    ways = [1]
    for _ in range(dice):
        ways = [sum(ways[max(0, s - faces + 1) : s + 1]) for s in range(len(ways) + faces - 1)]
    event, good = draw.pick(
        (
            (f"the sum of the results is {total}", ways[total - dice]),
            (f"the sum of the results is greater than {total}", sum(ways[total - dice + 1 :])),
            (f"the sum of the results is less than {total}", sum(ways[: total - dice])),
            (
                f"the sum of the results is a multiple of {modulus}",
                sum(w for s, w in enumerate(ways, dice) if s % modulus == 0),
            ),
        )
    )
    return draw.phrase(
        f"A fair die has {faces} faces, numbered from 1 to {faces}. It is rolled {dice} times. What is the "
        f"probability that {event}?",
        f"Each of several fair dice has {faces} faces, numbered from 1 to {faces}. If {dice} such dice are "
        f"rolled, find the probability that {event}, as a fraction in lowest terms.",
    ), Fraction(good, faces**dice)


@LEVEL.family
def smallest_with_remainders(draw: Draw) -> Posed:
    moduli = [draw.integer(4, 17) for _ in range(3)]
    if not coprime(*moduli):
        return None
    remainders = [draw.integer(1, modulus - 1) for modulus in moduli]
    value, step = 0, 1
    for modulus, remainder in zip(moduli, remainders, strict=True):
        value += step * ((remainder - value) * pow(step, -1, modulus) % modulus)
        step *= modulus
    if value < 20:
        return None
    clauses = [f"${r}$ when divided by ${m}$" for m, r in zip(moduli, remainders, strict=True)]
    congruences = [rf"$n \equiv {r} \pmod{{{m}}}$" for m, r in zip(moduli, remainders, strict=True)]
    return draw.phrase(
        f"Find the smallest positive integer that leaves a remainder of {listing(clauses)}.",
        f"What is the least positive integer $n$ with {listing(congruences)}?",
    ), value


@LEVEL.family
def multiples_of_either(draw: Draw) -> Posed:
    limit, a, b, c = draw.integer(200, 2500), draw.integer(3, 15), draw.integer(3, 15), draw.integer(2, 9)
    if len({a, b, c}) < 3 or a % b == 0 or b % a == 0 or a % c == 0 or b % c == 0:
        return None

    def multiples(*of: int) -> int:
        step = 1
        for n in of:
            step = step * n // gcd(step, n)
        return limit // step

    either = multiples(a) + multiples(b) - multiples(a, b)
    among, count = draw.pick(
        (
            (f"are divisible by ${a}$ or by ${b}$, but not by both", either - multiples(a, b)),
            (
                f"are divisible by ${a}$ or by ${b}$ (or by both), but not by ${c}$",
                either - multiples(a, c) - multiples(b, c) + multiples(a, b, c),
            ),
            (f"are divisible neither by ${a}$ nor by ${b}$", limit - either),
        )
    )
    return draw.phrase(
        f"How many of the integers from $1$ to ${limit}$ {among}?",
        f"Find the number of positive integers not exceeding ${limit}$ that {among}.",
    ), count


@LEVEL.family
def power_in_factorial(draw: Draw) -> Posed:
    base, n = draw.integer(6, 72), draw.integer(40, 500)
    if max(prime for prime, _ in factor(base)) > 13:
        return None

    def exponent_in_factorial(prime: int) -> int:
        total, rest = 0, n
        while rest:
            rest //= prime
            total += rest
        return total

    largest = min(exponent_in_factorial(prime) // exponent for prime, exponent in factor(base))
    return draw.phrase(
        f"What is the largest integer $k$ such that ${base}^k$ divides ${n}!$?",
        f"Let $k$ be the greatest integer for which ${base}^k$ is a divisor of ${n}!$. Find $k$.",
        f"With how many zeros does the numeral in base ${base}$ of the integer ${n}!$ end?",
    ), largest


@LEVEL.family
def bounded_below_solutions(draw: Draw) -> Posed:
    variables = ("x", "y", "z", "w")[: draw.integer(3, 4)]
    bounds = [draw.integer(0, 4) for _ in variables]
    spare = draw.integer(4, 16)
    total, sum_of = sum(bounds) + spare, " + ".join(variables)
    conditions = listing([rf"${v} \ge {bound}$" for v, bound in zip(variables, bounds, strict=True)])
    unknowns = f"({', '.join(variables)})"
    return draw.phrase(
        f"How many ordered {'triples' if len(variables) == 3 else 'quadruples'} of integers ${unknowns}$ "
        f"satisfy ${sum_of} = {total}$ with {conditions}?",
        f"Find the number of integer solutions ${unknowns}$ of ${sum_of} = {total}$ such that {conditions}.",
    ), comb(spare + len(variables) - 1, len(variables) - 1)


@LEVEL.family
def telescoping_sum(draw: Draw) -> Posed:
    gap, first, terms = draw.integer(1, 3), draw.integer(1, 6), draw.integer(6, 60)
    last = first + terms - 1
    total = (
        sum(
            (Fraction(1, first + i) - Fraction(1, last + 1 + i) for i in range(gap)),
            start=Fraction(0),
        )
        / gap
    )
    return draw.phrase(
        rf"Compute $\sum_{{k={first}}}^{{{last}}} {frac(1, f'k(k+{gap})')}$ as a fraction in lowest terms.",
        rf"Find the exact value of $\sum_{{k={first}}}^{{{last}}} {frac(1, f'k(k+{gap})')}$.",
        rf"Which fraction $\frac{{m}}{{n}}$ in lowest terms equals $\sum_{{k={first}}}^{{{last}}} "
        f"{frac(1, f'k(k+{gap})')}$?",
    ), total


@LEVEL.family
def digits_in_another_base(draw: Draw) -> Posed:
    base, number = draw.integer(3, 9), draw.integer(200, 9999)
    digits = []
    rest = number
    while rest:
        digits.append(rest % base)
        rest //= base
    written = "".join(map(str, reversed(digits)))
    place = draw.integer(2, 4)
    if len(digits) < 6:
        return None
    return draw.pick(
        (
            (f"Find the sum of the digits of ${number}$ when it is written in base ${base}$.", sum(digits)),
            (
                f"The base-${base}$ numeral ${written}_{{{base}}}$ stands for which integer in base ten?",
                number,
            ),
            (
                f"The decimal integer ${number}$ is written in base ${base}$. What is the "
                f"{ORDINALS[place - 1]} digit, counted from the right?",
                digits[place - 1],
            ),
            (
                f"How many of the digits of the decimal integer ${number}$ are equal to $0$ when it is "
                f"written in base ${base}$?",
                digits.count(0),
            ),
        )
    )


@LEVEL.family
def polynomial_from_values(draw: Draw) -> Posed:
    a, b, c = draw.nonzero(6), draw.integer(-9, 9), draw.integer(-12, 12)
    places = sorted(draw.several(range(-3, 6), 3))
    wanted = draw.integer(6, 12)

    def value(x: int) -> int:
        return a * x * x + b * x + c

    knowns = listing([f"$P({x}) = {value(x)}$" for x in places])
    return draw.phrase(
        f"Let $P(x)$ be a quadratic polynomial with {knowns}. Find $P({wanted})$.",
        f"A quadratic polynomial $P$ satisfies {knowns}. What is $P({wanted})$?",
    ), value(wanted)

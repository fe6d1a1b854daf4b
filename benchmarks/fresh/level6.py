"""Level 6: compositions in the manner of hard AIME and HMMT problems; golds are computed exactly."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from functools import lru_cache
from itertools import combinations
from math import factorial, gcd, prod

from .arithmetic import PRIMES, factor, totient
from .engine import Draw, Level, Posed
from .wording import capital, frac, listing, polynomial, power, recurrence

LEVEL = Level(6, "compositions in the manner of hard AIME and HMMT problems")


@LEVEL.family
def triples_with_gcd_and_lcm(draw: Draw) -> Posed:
    size, shared, ratio = draw.integer(3, 4), draw.integer(1, 12), draw.integer(6, 200)
    exponents = [exponent for _, exponent in factor(ratio)]
    if len(exponents) < 2:
        return None
    # A prime with exponent e in lcm/gcd: exponents 0..e in each place, both 0 and e attained.
    count = prod((e + 1) ** size - 2 * e**size + (e - 1) ** size for e in exponents)
    kind, group = ("triples", "(a, b, c)") if size == 3 else ("quadruples", "(a, b, c, d)")
    return draw.phrase(
        f"How many ordered {kind} ${group}$ of positive integers have greatest common divisor ${shared}$ "
        f"and least common multiple ${shared * ratio}$?",
        rf"Find the number of ordered {kind} ${group}$ of positive integers with $\gcd{group} = {shared}$ "
        rf"and $\text{{lcm}}{group} = {shared * ratio}$.",
    ), count


@LEVEL.family
def necklaces(draw: Draw) -> Posed:
    counts = [draw.integer(1, 6) for _ in range(draw.integer(2, 4))]
    n = sum(counts)
    if not 5 <= n <= 16 - 2 * len(counts):
        return None
    flips = draw.below(2) == 1
    colours = draw.several(("red", "blue", "green", "white", "black", "golden"), len(counts))
    stock = listing([f"{count} {colour}" for count, colour in zip(counts, colours, strict=True)])
    rings = arrangements_in_a_ring(tuple(counts), flips=flips)
    if rings < 8:
        return None
    if flips:
        return draw.phrase(
            f"A closed necklace is made of {stock} beads, evenly spaced on a ring. Beads of one colour look "
            "alike, and two necklaces count as the same if one can be turned or flipped over into the "
            "other. How many different necklaces are possible?",
            f"How many bracelets with exactly {stock} beads in a circle are there, if bracelets that differ "
            "by a rotation or a reflection are regarded as equal?",
        ), rings
    return draw.phrase(
        f"The corners of a regular polygon with ${n}$ sides are painted so that {stock} corners result, in "
        "this or any other order. Paintings that agree after a rotation of the polygon (but not a "
        "reflection) count as the same. How many different paintings are there?",
        f"{n} people, who wear {stock} hats, sit at a round table; people with hats of one colour are not "
        "told apart. Seatings that agree after a rotation count as one; mirror images count as different "
        "unless a rotation takes one to the other. How many seatings are there?",
    ), rings


@lru_cache(maxsize=1024)
def arrangements_in_a_ring(counts: tuple[int, ...], *, flips: bool) -> int:
    """Rings with `counts` beads of each colour, up to rotations (and reflections), by Burnside's lemma."""

    def rows(parts: list[int]) -> int:
        ways = factorial(sum(parts))
        for part in parts:
            ways //= factorial(part)
        return ways

    n, common = sum(counts), gcd(*counts)
    fixed = sum(totient(d) * rows([c // d for c in counts]) for d in range(1, common + 1) if common % d == 0)
    if not flips:
        return fixed // n
    odd = [place for place, c in enumerate(counts) if c % 2]
    halves = [c // 2 for c in counts]
    mirrored = 0
    if n % 2:  # every axis runs through one bead, which has the only odd colour
        mirrored = n * rows(halves) if len(odd) == 1 else 0
    else:
        if not odd:  # n/2 axes between beads
            mirrored += n // 2 * rows(halves)
        for first in range(len(counts)):  # n/2 axes through two beads
            for second in range(len(counts)):
                rest = list(counts)
                rest[first] -= 1
                rest[second] -= 1
                if min(rest) >= 0 and all(c % 2 == 0 for c in rest):
                    mirrored += n // 2 * rows([c // 2 for c in rest])
    return (fixed + mirrored) // (2 * n)


@LEVEL.family
def power_tower(draw: Draw) -> Posed:
    a, b, c, d = draw.integer(2, 30), draw.integer(2, 12), draw.integer(2, 7), draw.integer(2, 4)
    modulus = draw.pick((100, 1000, draw.integer(11, 999), draw.integer(11, 999)))
    height = draw.integer(3, 4)
    inner, top = (power(c, d), c**d) if height == 4 else (str(c), c)
    term = f"{a}^{{{b}^{{{inner}}}}}"
    value = pow(a, b**top, modulus)
    if value < 2:
        return None
    return draw.phrase(
        f"Find the remainder when ${term}$ is divided by ${modulus}$. (Powers are evaluated from the top "
        "down.)",
        f"What is the remainder of ${term}$ upon division by ${modulus}$? As usual, a tower of powers is "
        "evaluated from the top down.",
    ), value


@LEVEL.family
def divisible_terms(draw: Draw) -> Posed:
    first, second, p, q = draw.integer(0, 9), draw.integer(1, 9), draw.integer(1, 6), draw.nonzero(6)
    modulus, limit = draw.integer(3, 13), draw.integer(100, 2100)
    count, a, b = 0, first, second
    for _ in range(limit):
        count += a % modulus == 0
        a, b = b, (p * b + q * a) % modulus
    if count < 3:
        return None
    rule = recurrence(p, q)
    return draw.phrase(
        rf"A sequence of integers is given by $a_1 = {first}$, $a_2 = {second}$ and ${rule}$ for all $n \ge "
        rf"3$. For how many of the indices $n = 1, 2, \ldots, {limit}$ is $a_n$ divisible by ${modulus}$?",
        rf"Let $a_1 = {first}$, $a_2 = {second}$, and ${rule}$ for $n \ge 3$. How many of the terms "
        rf"$a_1, a_2, \ldots, a_{{{limit}}}$ are multiples of ${modulus}$?",
    ), count


@LEVEL.family
def product_over_roots(draw: Draw) -> Posed:
    degree = draw.integer(3, 4)
    coefficients = [1, *(draw.integer(-7, 7) for _ in range(degree - 1)), draw.nonzero(9)]
    u, v = draw.integer(-4, 4), draw.nonzero(6)
    # Modulo x^2 + ux + v the polynomial is slope * x + rest; the product of its values at the two roots of
    # the quadratic is the product of the quadratic's values at the roots of the polynomial.
    slope, rest = 0, 0
    for coefficient in coefficients:
        slope, rest = rest - u * slope, coefficient - v * slope
    value = v * slope * slope - u * slope * rest + rest * rest
    if abs(value) >= 10**6:
        return None
    names = "rstu"[:degree]
    product = "".join(rf"({polynomial([1, u, v], name)})" for name in names)
    listed = listing([f"${name}$" for name in names])
    whole = polynomial(coefficients)
    return draw.phrase(
        f"Let {listed} be the complex roots of ${whole}$, listed with multiplicity. Compute ${product}$.",
        f"The polynomial ${whole}$ has the complex roots {listed}, counted with multiplicity. What is the "
        f"value of ${product}$?",
    ), value


@LEVEL.family
def monotone_digits(draw: Draw) -> Posed:
    length, modulus = draw.integer(3, 7), draw.integer(2, 13)
    residue = draw.integer(0, modulus - 1)
    order, digits = draw.pick((("increase", range(1, 10)), ("decrease", range(10))))
    count = sum(sum(chosen) % modulus == residue for chosen in combinations(digits, length))
    if count < 4:
        return None
    return draw.phrase(
        f"How many ${length}$-digit positive integers have digits that strictly {order} from left to right "
        f"and a digit sum that leaves remainder ${residue}$ when divided by ${modulus}$?",
        f"Consider the positive integers with exactly ${length}$ decimal digits, each digit being "
        f"{'greater' if order == 'increase' else 'less'} than the one on its left. For how many of them is "
        f"the digit sum congruent to ${residue}$ modulo ${modulus}$?",
    ), count


@LEVEL.family
def cevian(draw: Draw) -> Posed:
    a, b, c = draw.integer(4, 30), draw.integer(4, 30), draw.integer(4, 30)
    p, q = draw.integer(1, 7), draw.integer(1, 7)
    if not (a < b + c and b < a + c and c < a + b) or gcd(p, q) > 1:
        return None
    # Stewart's theorem
    square = Fraction(q * c * c + p * b * b, p + q) - Fraction(a * a * p * q, (p + q) ** 2)
    return draw.phrase(
        f"In triangle $ABC$ we have $BC = {a}$, $CA = {b}$ and $AB = {c}$. The point $D$ lies on segment "
        rf"$BC$ with $BD : DC = {p} : {q}$. Then $AD^2 = \frac{{m}}{{n}}$ for relatively prime positive "
        "integers $m$ and $n$. Find $m + n$.",
        f"Triangle $ABC$ has side lengths $BC = {a}$, $CA = {b}$ and $AB = {c}$. A point $D$ divides side "
        rf"$BC$ so that $BD : DC = {p} : {q}$. If $AD^2$ is written as $\frac{{m}}{{n}}$ with relatively "
        "prime positive integers $m$ and $n$, what is $m + n$?",
    ), square.numerator + square.denominator


@LEVEL.family
def walk_on_a_polygon(draw: Draw) -> Posed:
    corners, steps, bottom = draw.integer(3, 9), draw.integer(4, 12), draw.integer(2, 5)
    clockwise = Fraction(draw.integer(1, bottom - 1), bottom)
    forth, back = clockwise.numerator, clockwise.denominator - clockwise.numerator
    weights = [1] + [0] * (corners - 1)
    for _ in range(steps):
        weights = [forth * weights[i - 1] + back * weights[(i + 1) % corners] for i in range(corners)]
    chance = Fraction(weights[0], clockwise.denominator**steps)
    if not 0 < chance < 1:
        return None
    bug = draw.pick(("A bug", "An ant", "A beetle", "A snail"))
    p, q = (frac(r.numerator, r.denominator) for r in (clockwise, 1 - clockwise))
    return draw.phrase(
        f"{bug} starts at a vertex of a regular polygon with ${corners}$ vertices. Every minute it walks "
        f"along one side: to the next vertex clockwise with probability ${p}$, to the next vertex "
        f"counterclockwise with probability ${q}$. The probability that it is at its starting vertex after "
        rf"exactly ${steps}$ minutes is $\frac{{m}}{{n}}$ in lowest terms. Find the remainder when $m + n$ "
        "is divided by $1000$.",
        rf"The vertices of a regular polygon are numbered from $1$ to ${corners}$ in clockwise order. "
        f"{bug} sits at vertex $1$. In each move it goes to the next vertex clockwise with probability "
        f"${p}$ and otherwise, with probability ${q}$, to the next vertex counterclockwise. Let "
        rf"$\frac{{m}}{{n}}$, in lowest terms, be the probability that it is at vertex $1$ after ${steps}$ "
        "moves. What is the remainder of $m + n$ upon division by $1000$?",
    ), (chance.numerator + chance.denominator) % 1000


@LEVEL.family
def sequences_with_bounded_steps(draw: Draw) -> Posed:
    length, top, step = draw.integer(4, 9), draw.integer(4, 9), draw.integer(1, 3)
    start = draw.integer(1, top)
    close = draw.below(2) == 1
    relation, meaning = (r"\le", "at most") if close else (r"\ge", "at least")
    moves = [
        [b for b in range(top) if (abs(a - b) <= step if close else abs(a - b) >= step)] for a in range(top)
    ]
    ways = [1 if value == start - 1 else 0 for value in range(top)]
    for _ in range(length - 1):
        ways = [sum(ways[b] for b in moves[a]) for a in range(top)]
    count = sum(ways)
    if not 5 <= count < 10**6:
        return None
    return draw.phrase(
        rf"How many sequences $(a_1, a_2, \ldots, a_{{{length}}})$ with terms in "
        rf"$\{{1, 2, \ldots, {top}\}}$ satisfy $a_1 = {start}$ and $|a_{{i+1}} - a_i| {relation} {step}$ "
        rf"for all $i$ with $1 \le i \le {length - 1}$?",
        f"A code of ${length}$ numbers, each from $1$ to ${top}$, begins with ${start}$, and any two "
        f"consecutive numbers in it differ by {meaning} ${step}$. How many such codes are there?",
    ), count


@LEVEL.family
def pascal_row(draw: Draw) -> Posed:
    n, prime = draw.integer(50, 999), draw.pick(PRIMES)
    prime_to, rest = 1, n
    while rest:  # Lucas' theorem
        prime_to *= rest % prime + 1
        rest //= prime
    entries = rf"$\binom{{{n}}}{{0}}, \binom{{{n}}}{{1}}, \ldots, \binom{{{n}}}{{{n}}}$"
    which, count = draw.pick((("are divisible", n + 1 - prime_to), ("are not divisible", prime_to)))
    return draw.phrase(
        f"How many of the ${n + 1}$ binomial coefficients {entries} {which} by ${prime}$?",
        rf"Let $(1 + x)^{{{n}}} = c_0 + c_1x + \cdots + c_{{{n}}}x^{{{n}}}$. How many of the ${n + 1}$ "
        rf"integers $c_0, c_1, \ldots, c_{{{n}}}$ {which} by ${prime}$?",
    ), count


@LEVEL.family
def subtraction_game(draw: Draw) -> Posed:
    moves, limit = sorted({1, *(draw.integer(2, 12) for _ in range(2))}), draw.integer(50, 300)
    if len(moves) < 3:
        return None
    wins = [False]
    for stones in range(1, limit + 1):
        wins.append(any(move <= stones and not wins[stones - move] for move in moves))
    pieces = draw.pick(("stones", "matches", "coins", "counters", "pebbles", "chips"))
    allowed = listing(moves, "or")
    return draw.phrase(
        f"Two players take turns removing {pieces} from a pile of $n$ {pieces}. In each turn a player "
        f"removes exactly {allowed} of them, and whoever takes the last one wins. For how many $n$ with $1 "
        rf"\le n \le {limit}$ can the second player force a win?",
        f"From a heap of $n$ {pieces}, Alma and Bela alternately take exactly {allowed} {pieces}, Alma "
        f"first. The player who takes the last of the {pieces} wins. Find the number of integers $n$ with "
        rf"$1 \le n \le {limit}$ for which Bela has a winning strategy.",
    ), limit - sum(wins)


@LEVEL.family
def square_pairs(draw: Draw) -> Posed:
    modulus, limit, k = draw.integer(5, 30), draw.integer(30, 100), draw.integer(1, 6)
    residue = draw.integer(0, modulus - 1)
    ones = Counter(x * x % modulus for x in range(1, limit + 1))
    twos = Counter(k * y * y % modulus for y in range(1, limit + 1))
    count = sum(ways * twos[(residue - square) % modulus] for square, ways in ones.items())
    if not count:
        return None
    form = f"x^2 + {'' if k == 1 else k}y^2"
    return draw.phrase(
        rf"How many ordered pairs $(x, y)$ of integers with $1 \le x, y \le {limit}$ satisfy "
        rf"${form} \equiv {residue} \pmod{{{modulus}}}$?",
        rf"The integers $x$ and $y$ run independently through $1, 2, \ldots, {limit}$. For how many ordered "
        f"pairs $(x, y)$ does ${form}$ leave the remainder ${residue}$ when divided by ${modulus}$?",
    ), count


@LEVEL.family
def expected_draws(draw: Draw) -> Posed:
    red, others = draw.integer(3, 10), draw.integer(3, 20)
    wanted = draw.integer(2, red)
    vessel = draw.pick(("an urn", "a bag", "a box", "a hat"))
    things = draw.pick(("balls", "chips", "marbles", "tokens"))
    expected = Fraction(wanted * (red + others + 1), red + 1)
    colour, other = draw.pick((("red", "white"), ("blue", "yellow"), ("green", "black")))
    return draw.phrase(
        f"{capital(vessel)} contains {red} {colour} and {others} {other} {things}. They are drawn one at a time, "
        f"at random and without replacement, until {wanted} {colour} {things} have been drawn. Find the "
        f"expected number of {things} drawn, as a fraction in lowest terms or an integer.",
        f"From {vessel} with {red} {colour} and {others} {other} "
        f"{things}, {things} are taken out in random order without being put back. The process stops as "
        f"soon as {wanted} of the {things} taken out are {colour}. What is the expected number of {things} "
        "taken out?",
    ), expected

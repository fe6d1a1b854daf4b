"""A solver for every family of `fresh`: reads nothing but the statement and finds the answer, by brute force where
that is possible. A gold is right if the text that a model sees leads to it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from itertools import combinations, count, product
from math import comb, dist, gcd, isqrt, lcm, sqrt

import pytest

Solver = Callable[[str], object]
SOLVERS: dict[str, Solver] = {}


def solves(solver: Solver) -> Solver:
    SOLVERS[solver.__name__.replace("_", "-")] = solver
    return solver


# --------------------------------------------------------------------------------------------------
# Readers of statements
# --------------------------------------------------------------------------------------------------


def ints(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"-?\d+", text)]


def fracs(text: str) -> list[Fraction]:
    return [Fraction(int(s + a), int(b)) for s, a, b in re.findall(r"(-?)\\frac\{(\d+)\}\{(\d+)\}", text)]


def points(text: str) -> list[tuple[int, int]]:
    return [(int(x), int(y)) for x, y in re.findall(r"\((-?\d+), (-?\d+)\)", text)]


def one(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found, f"{pattern} not in {text}"
    return found[1]


def number(pattern: str, text: str) -> int:
    return int(one(pattern, text))


def read_polynomial(text: str, variable: str = "x") -> list[int]:
    """Coefficients, highest power first, of the first polynomial of degree above 1 in the text."""
    term = r"\d*" + variable + r"(?:\^\d+)?|\d+"
    written = one(rf"((?<![\w)])-?\d*{variable}\^\d(?: [+-] (?:{term}))*)", text)
    return coefficients(written, variable)


def coefficients(written: str, variable: str = "x") -> list[int]:
    parts: dict[int, int] = {}
    for sign, size, letter, exponent in re.findall(rf"([+-]?) ?(\d*)({variable}?)(?:\^(\d+))?", written):
        if size or letter:
            degree = int(exponent or 1) if letter else 0
            assert degree not in parts
            parts[degree] = int(f"{sign}{size or 1}")
    return [parts.get(degree, 0) for degree in range(max(parts), -1, -1)]


def at(polynomial: list[int], x: Fraction | int) -> Fraction:
    return sum((Fraction(c) * Fraction(x) ** k for k, c in enumerate(reversed(polynomial))), Fraction(0))


def read_recurrence(text: str) -> tuple[int, int, int, int]:
    """a_1, a_2, p, q of a_n = p a_{n-1} + q a_{n-2}."""
    rule = re.search(r"a_n = (\d*)a_\{n-1\} ([+-]) (\d*)a_\{n-2\}", text)
    assert rule
    first, second = number(r"a_1 = (\d+)", text), number(r"a_2 = (\d+)", text)
    return first, second, int(rule[1] or 1), int(f"{rule[2]}{rule[3] or 1}")


def terms(first: int, second: int, p: int, q: int, length: int) -> list[int]:
    found = [first, second]
    while len(found) < length:
        found.append(p * found[-1] + q * found[-2])
    return found[:length]


Matrix = list[list[Fraction]]


def companion(monic: list[int]) -> Matrix:
    """A matrix whose eigenvalues are the roots of the polynomial."""
    n = len(monic) - 1
    rows = [[Fraction(int(i == j + 1)) for j in range(n)] for i in range(n)]
    for i in range(n):
        rows[i][n - 1] = Fraction(-monic[n - i])
    return rows


def times(a: Matrix, b: Matrix) -> Matrix:
    return [
        [sum((x * y for x, y in zip(row, col, strict=True)), Fraction(0)) for col in zip(*b, strict=True)]
        for row in a
    ]


def combined(*weighted: tuple[int, Matrix]) -> Matrix:
    n = len(weighted[0][1])
    return [[sum((w * m[i][j] for w, m in weighted), Fraction(0)) for j in range(n)] for i in range(n)]


def identity(n: int) -> Matrix:
    return [[Fraction(int(i == j)) for j in range(n)] for i in range(n)]


def trace(a: Matrix) -> Fraction:
    return sum((a[i][i] for i in range(len(a))), Fraction(0))


def solve(a: Matrix, b: Matrix) -> tuple[Matrix, Fraction]:
    """The solution of a x = b with the determinant of a, by elimination; no solution if that is 0."""
    rows, n, determinant = [[*x, *y] for x, y in zip(a, b, strict=True)], len(a), Fraction(1)
    for i in range(n):
        pivot = next((r for r in range(i, n) if rows[r][i]), None)
        if pivot is None:
            return [], Fraction(0)
        if pivot != i:
            rows[i], rows[pivot], determinant = rows[pivot], rows[i], -determinant
        determinant *= rows[i][i]
        rows[i] = [x / rows[i][i] for x in rows[i]]
        for r in range(n):
            if r != i and rows[r][i]:
                rows[r] = [x - rows[r][i] * y for x, y in zip(rows[r], rows[i], strict=True)]
    return [row[n:] for row in rows], determinant


def through_points(values: dict[int, int], x: int) -> Fraction:
    """Lagrange's interpolation polynomial at x."""
    total = Fraction(0)
    for place, value in values.items():
        part = Fraction(value)
        for other in values:
            if other != place:
                part *= Fraction(x - other, place - other)
        total += part
    return total


def divisors_of(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]


# --------------------------------------------------------------------------------------------------
# Level 1
# --------------------------------------------------------------------------------------------------


@solves
def addition(text: str) -> int:
    return sum(ints(text))


@solves
def subtraction(text: str) -> int:
    a, b = map(int, re.findall(r"\d+", text))
    reversed_order = "less than" in text or "taken away from" in text
    return b - a if reversed_order else a - b


@solves
def multiplication(text: str) -> int:
    a, b = ints(text)
    return sum(a for _ in range(b))


@solves
def division(text: str) -> int:
    whole, parts = ints(text)
    return next(size for size in count() if size * parts == whole)


def evaluate(expression: str) -> Fraction:
    plain = re.sub(r"\\frac\{(\d+)\}\{(\d+)\}", r"Fraction(\1, \2)", expression)
    plain = plain.replace(r"\times", "*").replace(r"\div", "/")
    assert re.fullmatch(r"(Fraction|[\d ()+*/,-])+", plain)
    return Fraction(eval(plain, {"Fraction": Fraction}))


@solves
def order_of_operations(text: str) -> Fraction:
    return evaluate(one(r"\$(.*)\$", text))


@solves
def gain_and_loss(text: str) -> int:
    start, gain, loss = ints(text)
    return start + gain - loss


@solves
def groups_and_extras(text: str) -> int:
    groups, each, extra = ints(text)
    return len([*product(range(groups), range(each)), *range(extra)])


@solves
def missing_number(text: str) -> int:
    known, total = ints(text)
    return next(n for n in count() if n + known == total)


@solves
def more_than_a_friend(text: str) -> int:
    first, more = ints(text)
    return first + (first + more)


@solves
def change_from_a_note(text: str) -> int:
    things, price, left = ints(text)
    for _ in range(things):
        left -= price
    return left


# --------------------------------------------------------------------------------------------------
# Level 2
# --------------------------------------------------------------------------------------------------


@solves
def part_of_the_rest(text: str) -> Fraction:
    left = Fraction(ints(text)[0])
    for part in fracs(text):
        left -= left * part
    return left


@solves
def two_percent_changes(text: str) -> Fraction:
    price, first, second = ints(text)
    rises = bool(re.search(r"\b(raises|rose)\b", text))
    price += Fraction(price * first, 100) * (1 if rises else -1)
    return price - price * Fraction(second, 100)


@solves
def missing_score(text: str) -> int:
    tests, mean, *known = ints(text)
    assert len(known) == tests - 1
    return next(last for last in range(101) if Fraction(sum(known) + last, tests) == mean)


@solves
def steady_rate(text: str) -> Fraction:
    made, minutes, hours = ints(text)
    return Fraction(made, minutes) * 60 * hours


@solves
def ratio_shares(text: str) -> int:
    total, p, q = ints(text)
    unit = next(u for u in count(1) if p * u + q * u == total)
    if "How many more" in text:
        return q * unit - p * unit
    return p * unit if "are red?" in text else q * unit


@solves
def fraction_arithmetic(text: str) -> Fraction:
    return evaluate(one(r"\$(.*)\$", text))


@solves
def average_speed(text: str) -> Fraction:
    h1, v1, h2, v2 = ints(text)
    return Fraction(sum([v1] * h1 + [v2] * h2), h1 + h2)


@solves
def rectangle_from_perimeter(text: str) -> int:
    more, perimeter = ints(text)
    often = {"twice": 2, "three times": 3, "four times": 4}[
        one("(twice|three times|four times) its width", text)
    ]
    width = next(w for w in count(1) if 2 * (w + often * w + more) == perimeter)
    return width * (often * width + more)


@solves
def overtime_pay(text: str) -> Fraction:
    wage, normal, hours = ints(text)
    return sum(
        (wage * (Fraction(3, 2) if hour >= normal else Fraction(1)) for hour in range(hours)), Fraction(0)
    )


@solves
def two_kinds(text: str) -> int:
    heads, legs = ints(text)
    pairs = [(two, four) for two in range(heads + 1) for four in [heads - two] if 2 * two + 4 * four == legs]
    assert len(pairs) == 1
    wanted = one(r"How many (\w+) are there", text)
    return pairs[0][0 if wanted in ("hens", "ducks", "geese", "turkeys") else 1]


@solves
def pieces_and_remainder(text: str) -> int:
    whole, piece = (lambda n: (n[0], n[-1]))(ints(text))
    left = whole * (60 if "hours" in text else 100)
    while left >= piece:
        left -= piece
    return left


# --------------------------------------------------------------------------------------------------
# Level 3
# --------------------------------------------------------------------------------------------------


@solves
def quadratic_solution(text: str) -> Fraction:
    quadratic = read_polynomial(text)
    candidates = {Fraction(p, q) for q in range(1, 21) if quadratic[0] % q == 0 for p in range(-150, 151)}
    roots = [x for x in candidates if at(quadratic, x) == 0]
    assert len(roots) == 2
    return max(roots) if "greater" in text else min(roots)


@solves
def distance_between_roots(text: str) -> float:
    _, b, c = read_polynomial(text)
    roots = [-b / 2 + sign * sqrt(b * b / 4 - c) for sign in (1, -1)]
    assert all(x * x + b * x + c == pytest.approx(0, abs=1e-8) for x in roots)
    return roots[0] - roots[1]


@solves
def linear_system(text: str) -> tuple[int, int]:
    lines = re.findall(r"(-?\d*)x ([+-]) (\d*)y = (-?\d+)", text)
    assert len(lines) == 2
    rows = [
        (int(a + "1" if a in ("", "-") else a), int(f"{sign}{b or 1}"), int(c)) for a, sign, b, c in lines
    ]
    solutions = [
        (x, y) for x in range(-12, 13) for y in range(-12, 13) if all(a * x + b * y == c for a, b, c in rows)
    ]
    assert len(solutions) == 1
    return solutions[0]


@solves
def arithmetic_sequence(text: str) -> int:
    (m, am), (n, an) = [(int(i), int(v)) for i, v in re.findall(r"a_\{(\d+)\} = (-?\d+)", text)]
    step = next(d for d in range(-12, 13) if am + (n - m) * d == an)
    k = int(re.findall(r"\d+", text)[-1])
    terms = [am + (i - m) * step for i in range(1, k + 1)]
    return sum(terms) if "sum" in text else terms[-1]


@solves
def geometric_series(text: str) -> Fraction:
    ratio = fracs(text)[0]
    first = ints(re.sub(r"\\sum_\{k=0\}", "", text))[0]
    total, term = 0.0, float(first)
    for _ in range(400):
        total += term
        term *= float(ratio)
    return Fraction(total).limit_denominator(100)


@solves
def distance_between_points(text: str) -> float:
    return dist(*points(text))


@solves
def triangle_area(text: str) -> Fraction:
    a, b, c = points(text)
    x, y, z = dist(a, b), dist(b, c), dist(c, a)
    s = (x + y + z) / 2
    return Fraction(round(2 * sqrt(s * (s - x) * (s - y) * (s - z))), 2)


@solves
def committee(text: str) -> int:
    m, n, a, b = ints(text)
    return sum(1 for _ in combinations(range(m), a)) * sum(1 for _ in combinations(range(n), b))


@cache
def rows_of(counts: tuple[int, ...]) -> int:
    if not sum(counts):
        return 1
    return sum(rows_of((*counts[:i], c - 1, *counts[i + 1 :])) for i, c in enumerate(counts) if c)


@solves
def coloured_row(text: str) -> int:
    return rows_of(tuple(ints(text)))


@solves
def quadratic_extreme(text: str) -> Fraction:
    quadratic = read_polynomial(text)
    a, b, _ = quadratic
    vertex, near = Fraction(-b, 2 * a), Fraction(1, 1000)
    extreme = at(quadratic, vertex)
    others = (at(quadratic, vertex - near), at(quadratic, vertex + near))
    if "minimum" in text:
        assert extreme < min(others)
    if "maximum" in text:
        assert extreme > max(others)
    return extreme


@solves
def exponential_equation(text: str) -> Fraction:
    sides = re.search(r"(\d+)\^\{(.+?)\} = (\d+)\^\{(.+?)\}", text)
    assert sides
    base, other = int(sides[1]), int(sides[3])
    k = next(k for k in count(1) if base**k == other)
    left, right = coefficients(sides[2]), coefficients(sides[4])
    gap = [at(left, x) - k * at(right, x) for x in (0, 1)]
    return gap[0] / (gap[0] - gap[1])


@solves
def circle_radius(text: str) -> float:
    found = re.search(r"x\^2 \+ y\^2 ([+-]) (\d+)x ([+-]) (\d+)y ([+-]) (\d+) = 0", text)
    assert found
    d, e, f = (int(found[i] + found[i + 1]) for i in (1, 3, 5))
    radius = sqrt(d * d / 4 + e * e / 4 - f)
    for x, y in ((radius, 0), (0, radius), (-radius, 0)):
        x, y = x - d / 2, y - e / 2
        assert x * x + y * y + d * x + e * y + f == pytest.approx(0, abs=1e-8)
    return radius


@solves
def binomial_coefficient(text: str) -> int:
    k, n = number(r"coefficient of \$x\^(\d)", text), number(r"\)\^(\d)", text)
    b, a = reversed(coefficients(one(r"\$\((.*?)\)\^", text)))
    expanded = [1]
    for _ in range(n):
        expanded = [b * u + a * v for u, v in zip([*expanded, 0], [0, *expanded], strict=True)]
    return expanded[k]


@solves
def point_on_segment(text: str) -> tuple[Fraction, Fraction]:
    a, b = points(text)
    ratio = fracs(text)
    p, q = ratio[0].as_integer_ratio() if ratio else map(int, re.findall(r"(\d) : (\d)", text)[0])
    x, y = (Fraction(q * u + p * v, p + q) for u, v in zip(a, b, strict=True))
    assert dist((x, y), a) * q == pytest.approx(dist((x, y), b) * p)
    return x, y


# --------------------------------------------------------------------------------------------------
# Level 4
# --------------------------------------------------------------------------------------------------


@solves
def power_remainder(text: str) -> int:
    base, exponent, modulus = number(r"(\d+)\^", text), number(r"\^\{?(\d+)", text), ints(text)[-1]
    value = 1
    for _ in range(exponent):
        value = value * base % modulus
    return value


@solves
def digit_sum(text: str) -> int:
    value, total = 10 ** number(r"10\^\{?(\d+)", text) - number(r"- (\d+)\$", text), 0
    while value:
        value, digit = divmod(value, 10)
        total += digit
    return total


@solves
def paths_and_a_point(text: str) -> int:
    (x0, y0), (m, n), (x, y) = points(text)
    assert (x0, y0) == (0, 0)

    @cache
    def paths(u: int, v: int, met: bool) -> Counter[bool]:
        met = met or (u, v) == (x, y)
        if (u, v) == (m, n):
            return Counter({met: 1})
        onward = Counter[bool]()
        if u < m:
            onward += paths(u + 1, v, met)
        if v < n:
            onward += paths(u, v + 1, met)
        return onward

    return paths(0, 0, False)["do not pass" not in text]


@solves
def special_divisors(text: str) -> int:
    written, kind = one(r"\$(?:N = )?([^$]*\\cdot[^$]*)\$", text), text.split("positive divisors of")[-1]
    found = [1]
    for prime, exponent in re.findall(r"(\d+)(?:\^(\d+))?", written):
        found = [d * int(prime) ** k for d in found for k in range(int(exponent or 1) + 1)]
    if "squares" in kind:
        return sum(isqrt(d) ** 2 == d for d in found)
    if "cubes" in kind:
        return sum(
            any(round(d ** (1 / 3)) + e > 0 and (round(d ** (1 / 3)) + e) ** 3 == d for e in (-1, 0, 1))
            for d in found
        )
    step = number(r"multiples of \$(\d+)\$", kind)
    return sum((d % step == 0) != ("are not" in kind) for d in found)


@solves
def cubic_roots(text: str) -> Fraction:
    cubic = read_polynomial(text)
    c = companion(cubic)
    c2 = times(c, c)
    if "r^3" in text:
        return trace(times(c2, c))
    if "r^2s^2" in text:
        return (trace(c2) ** 2 - trace(times(c2, c2))) / 2
    if "r^2" in text:
        return trace(c2)
    if r"\frac{1}{r}" in text:
        return trace(solve(c, identity(3))[0])
    shift = re.search(r"\(r ([+-]) (\d+)\)", text)
    assert shift
    return solve(combined((1, c), (int(shift[1] + shift[2]), identity(3))), identity(3))[1]


@solves
def recurrence_remainder(text: str) -> int:
    n = number(r"a_\{(\d+)\}", text)
    return terms(*read_recurrence(text), n)[-1] % ints(text)[-1]


@solves
def same_colour(text: str) -> Fraction:
    red, blue, green = (number(rf"(\d+) {colour}", text) for colour in ("red", "blue", "green"))
    drawn = number(r"(?:If|Exactly) (\d+)", text)
    groups = list(combinations("r" * red + "b" * blue + "g" * green, drawn))
    return Fraction(sum(len(set(group)) == 1 for group in groups), len(groups))


@solves
def dice_totals(text: str) -> Fraction:
    faces = number(r"from 1 to (\d+)", text)
    dice = number(r"(?:rolled|If) (\d+)", text)
    target = number(r"the sum of the results is \D*(\d+)", text)
    results = [sum(result) for result in product(range(1, faces + 1), repeat=dice)]
    if "greater than" in text:
        good = sum(total > target for total in results)
    elif "less than" in text:
        good = sum(total < target for total in results)
    elif "multiple of" in text:
        good = sum(total % target == 0 for total in results)
    else:
        good = results.count(target)
    return Fraction(good, len(results))


@solves
def smallest_with_remainders(text: str) -> int:
    numbers = ints(text)
    conditions = list(zip(numbers[::2], numbers[1::2], strict=True))
    assert len(conditions) == 3
    return next(n for n in count(1) if all(n % modulus == remainder for remainder, modulus in conditions))


@solves
def multiples_of_either(text: str) -> int:
    limit, a, b, *excluded = ints(text.replace("from $1$ to", ""))
    if "neither" in text:
        return sum(bool(n % a and n % b) for n in range(1, limit + 1))
    if "not by both" in text:
        return sum((n % a == 0) != (n % b == 0) for n in range(1, limit + 1))
    (c,) = excluded
    return sum((n % a == 0 or n % b == 0) and n % c != 0 for n in range(1, limit + 1))


@solves
def power_in_factorial(text: str) -> int:
    n = number(r"(\d+)!", text)
    base = number(r"base \$(\d+)\$" if "numeral" in text else r"(\d+)\^k", text)
    value, k = 1, 0
    for factor in range(2, n + 1):
        value *= factor
    while value % base == 0:
        value //= base
        k += 1
    return k


@solves
def bounded_below_solutions(text: str) -> int:
    total = number(r"= (\d+)\$", text)
    bounds = [int(bound) for bound in re.findall(r"\\ge (\d+)", text)]
    assert len(bounds) == one(r"\$(x \+ .*?) =", text).count("+") + 1
    *free, last = bounds
    return sum(total - sum(values) >= last for values in product(*(range(b, total + 1) for b in free)))


@solves
def telescoping_sum(text: str) -> Fraction:
    first, last, gap = number(r"k=(\d+)", text), number(r"\}\^\{(\d+)\}", text), number(r"k\(k\+(\d)\)", text)
    return sum((Fraction(1, k * (k + gap)) for k in range(first, last + 1)), Fraction(0))


@solves
def digits_in_another_base(text: str) -> int:
    if "numeral" in text:
        return int(one(r"\$(\d+)_", text), number(r"_\{(\d)\}", text))
    value = number(r"\$(\d{3,})\$", text)
    base = number(r"base \$(\d)\$", text)
    written = ""
    for exponent in range(20, -1, -1):
        written += str(value // base**exponent)
        value %= base**exponent
    written = written.lstrip("0")
    if "sum of the digits" in text:
        return sum(map(int, written))
    if "equal to $0$" in text:
        return written.count("0")
    return int(written[-{"second": 2, "third": 3, "fourth": 4}[one(r"the (\w+) digit", text)]])


@solves
def polynomial_from_values(text: str) -> Fraction:
    known = {int(x): int(y) for x, y in re.findall(r"P\((-?\d+)\) = (-?\d+)", text)}
    assert len(known) == 3
    return through_points(known, number(r"P\((\d+)\)\$[.?]", text))


# --------------------------------------------------------------------------------------------------
# Level 5
# --------------------------------------------------------------------------------------------------


@solves
def tilings(text: str) -> int:
    length, short, p, long, q = ints(text.replace(r"1 \times", ""))
    ways = 0
    for many in range(length // long + 1):
        few, rest = divmod(length - many * long, short)
        if not rest:
            ways += comb(few + many, many) * p**few * q**many
    return ways


@solves
def subsets_by_sum(text: str) -> int:
    n = number(r"\\ldots, (\d+)\\\}", text)
    if "pmod" in text:
        residue, modulus = number(r"\\equiv (\d+)", text), number(r"\\pmod\{(\d+)\}", text)
    else:
        residue, modulus = number(r"remainder \$(\d+)\$", text), number(r"divided by \$(\d+)\$", text)
    sums = [0]
    for element in range(1, n + 1):
        sums += [total + element for total in sums]
    return sum(total % modulus == residue for total in sums)


@solves
def digit_sum_without_a_digit(text: str) -> int:
    length, total, excluded = ints(text.replace("10^", ""))
    digits = [digit for digit in range(10) if digit != excluded]
    return sum(sum(word) == total for word in product(digits, repeat=length))


@solves
def divisible_quadratic(text: str) -> int:
    limit, quadratic = number(r"n \\le (\d+)", text), read_polynomial(text, "n")
    modulus = number(r"(?:pmod\{|divisible by \$)(\d+)", text)
    _, b, c = quadratic
    return sum((n * n + b * n + c) % modulus == 0 for n in range(1, limit + 1))


@solves
def paths_around_obstacles(text: str) -> int:
    start, (m, n), *blocked = points(text)
    assert start == (0, 0)
    assert len(blocked) == 3
    routes = 0
    for rights in combinations(range(m + n), m):
        x, y, free = 0, 0, True
        for step in range(m + n):
            x, y = (x + 1, y) if step in rights else (x, y + 1)
            free = free and (x, y) not in blocked
        routes += free
    return routes


@solves
def floor_sum(text: str) -> int:
    n = number(r"\}\^\{(\d+)\}", text)
    slope = Fraction(number(r"\\frac\{(\d+)k\}", text), number(r"k\}\{(\d+)\}", text))
    total, floor = 0, 0
    for k in range(1, n + 1):
        while floor + 1 <= slope * k:
            floor += 1
        total += floor
    return total


@solves
def making_change(text: str) -> int:
    a, b, c, total = ints(text)
    return sum(
        (total - a * x - b * y) % c == 0
        for x in range(total // a + 1)
        for y in range((total - a * x) // b + 1)
    )


@solves
def sum_of_divisor_solutions(text: str) -> int:
    a, b = number(r"n \+ (\d+)", text), number(r"n\^2 \+ (\d+)", text)
    found = [n for n in range(1, a * a + b + 1) if (n * n + b) % (n + a) == 0]
    return sum(found) if "sum of" in text else len(found)


@solves
def power_sum_of_two(text: str) -> Fraction:
    total, product_of_both = re.findall(r"(?:= |roots \$)(-?\d+)\$", text)
    c = companion([1, -int(total), int(product_of_both)])
    power = identity(2)
    for _ in range(number(r"x\^(\d)", text)):
        power = times(power, c)
    return trace(power)


@solves
def random_walk_exit(text: str) -> Fraction:
    size, start = number(r"from \$0\$ to \$(\d+)\$", text), number(r"number \$(\d+)\$", text)
    up, down = fracs(text)
    assert up + down == 1
    rows, right = identity(size + 1), [[Fraction(int(i == size))] for i in range(size + 1)]
    for i in range(1, size):
        rows[i][i + 1], rows[i][i - 1] = -up, -down
    return solve(rows, right)[0][start][0]


@solves
def factored_equation(text: str) -> int:
    a, b, c = ints(one(r"xy (\+ .*?)\$", text))
    found = [(x, (c - a * x) // (x + b)) for x in range(1, c) if c > a * x and (c - a * x) % (x + b) == 0]
    if "How many" in text:
        return len(found)
    return max(map(sum, found)) if "largest" in text else sum(x for x, _ in found)


@solves
def pairs_with_lcm(text: str) -> int:
    if r"\frac{1}{x}" in text:
        n = number(r"= \\frac\{1\}\{(\d+)\}", text)
        return sum(n * x % (x - n) == 0 for x in range(n + 1, 2 * n + 1))
    n = number(r"(\d+)\$(?:\?|\.)$", text)
    parts = divisors_of(n)
    pairs = [(a, b) for a in parts for b in parts if lcm(a, b) == n]
    return len(pairs) if "ordered" in text else sum(a <= b for a, b in pairs)


@solves
def own_things(text: str) -> int:
    n = number(r"of \$(\d)\$", text)
    rule = one(r"((?:none|exactly) .*?) receive", text)
    special = number(r"of the \$(\d)\$", rule)
    lucky = 0 if "none" in rule else 1 if "one" in rule else number(r"exactly \$(\d)\$", rule)

    @cache
    def ways(person: int, taken: int, hits: int) -> int:
        if person == n:
            return int(hits == lucky)
        return sum(
            ways(person + 1, taken | 1 << thing, hits + (thing == person < special))
            for thing in range(n)
            if not taken >> thing & 1
        )

    return ways(0, 0, 0)


@solves
def words_without_runs(text: str) -> int:
    length = number(r"\$(\d+)\$ letters", text)
    letters = re.findall(r"\$([A-Z])\$", re.split(r"if the|In how", text)[0])
    rules = re.split(r"if the|In how", text)[1]
    bad = [a * int(n) for a, n in re.findall(r"letter \$([A-Z])\$ must not occur \$(\d)\$", rules)]
    bad += [a * int(n) for n, a in re.findall(r"\$(\d)\$ consecutive letters \$([A-Z])\$", rules)]
    assert len(bad) == 2

    @cache
    def words(left: int, ending: str) -> int:
        if any(ending.endswith(run) for run in bad):
            return 0
        return sum(words(left - 1, (ending + letter)[-5:]) for letter in letters) if left else 1

    return words(length, "")


@solves
def shifted_interpolation(text: str) -> Fraction:
    degree = number(r"at most \$(\d)\$", text)
    rule = re.search(r"= (?:(\d) \\cdot )?(\d)\^k", text)
    assert rule
    scale, base = int(rule[1] or 1), int(rule[2])
    first = number(r"(?:k = |\$)(\d)(?:, \d, \\ldots| \\le k)", text)
    last = number(r"(?:\\ldots, |k \\le )(\d)", text)
    assert last - first == degree
    return through_points({k: scale * base**k for k in range(first, last + 1)}, number(r"P\((\d+)\)", text))


@solves
def reciprocal_powers(text: str) -> int:
    given = re.search(r"x ([+-]) \\frac\{1\}\{x\} = (\d+)", text)
    wanted = re.search(r"\$(\d*)\\left\(x\^(\d) ([+-]) \\frac\{1\}\{x\^(\d)\}\\right\)(?: \+ (\d+))?\$", text)
    assert given
    assert wanted
    assert wanted[2] == wanted[4]
    total, sign = int(given[2]), int(f"{given[1]}1")
    x = (total + sqrt(total * total - 4 * sign)) / 2
    assert x + sign / x == pytest.approx(total)
    k = int(wanted[2])
    return round(int(wanted[1] or 1) * (x**k + int(f"{wanted[3]}1") / x**k) + int(wanted[5] or 0))


# --------------------------------------------------------------------------------------------------
# Level 6
# --------------------------------------------------------------------------------------------------


@solves
def triples_with_gcd_and_lcm(text: str) -> int:
    shared, multiple = ints(text)
    parts = [d for d in divisors_of(multiple) if d % shared == 0]
    states = Counter({(d, d): 1 for d in parts})
    for _ in range(3 if "quadruples" in text else 2):
        longer: Counter[tuple[int, int]] = Counter()
        for (g, m), ways in states.items():
            for d in parts:
                longer[gcd(g, d), lcm(m, d)] += ways
        states = longer
    return states[shared, multiple]


def arrangements(counts: tuple[int, ...]) -> list[tuple[int, ...]]:
    if not sum(counts):
        return [()]
    return [
        (colour, *rest)
        for colour, left in enumerate(counts)
        if left
        for rest in arrangements((*counts[:colour], left - 1, *counts[colour + 1 :]))
    ]


@solves
def necklaces(text: str) -> int:
    counts = tuple(int(n) for n in re.findall(r"(\d+) (?:red|blue|green|white|black|golden)", text))
    stated = re.search(r"with \$(\d+)\$ sides|^(\d+) people", text)
    if stated:
        assert int(stated[1] or stated[2]) == sum(counts)
    flips = "flipped" in text or "bracelets" in text
    different, seen = 0, set()
    for ring in arrangements(counts):
        if ring not in seen:
            different += 1
            for image in (ring, ring[::-1]) if flips else (ring,):
                seen.update(image[i:] + image[:i] for i in range(len(image)))
    return different


@solves
def power_tower(text: str) -> int:
    parts = [int(n) for n in re.findall(r"\d+", one(r"\$(\d+\^.*?)\$", text))]
    exponent = 1
    for part in reversed(parts[1:]):
        exponent = part**exponent
    modulus = number(r"by \$(\d+)\$", text)
    powers = [1]  # the residues of base^0, base^1, ... up to the first that occurs again
    while (following := powers[-1] * parts[0] % modulus) not in powers:
        powers.append(following)
    start = powers.index(following)
    return powers[exponent if exponent < start else start + (exponent - start) % (len(powers) - start)]


@solves
def divisible_terms(text: str) -> int:
    limit = number(r"\\ldots, (?:a_\{)?(\d+)", text)
    modulus = number(r"(?:divisible by|multiples of) \$(\d+)\$", text)
    return sum(term % modulus == 0 for term in terms(*read_recurrence(text), limit))


@solves
def product_over_roots(text: str) -> Fraction:
    c = companion(read_polynomial(text))
    quadratic = re.search(r"\(r\^2(?: ([+-]) (\d*)r)?(?: ([+-]) (\d+))\)\(s\^2", text)
    assert quadratic
    u = int(f"{quadratic[1]}{quadratic[2] or 1}") if quadratic[1] else 0
    v = int(f"{quadratic[3]}{quadratic[4]}")
    n = len(c)
    return solve(combined((1, times(c, c)), (u, c), (v, identity(n))), identity(n))[1]


@solves
def monotone_digits(text: str) -> int:
    length, residue, modulus = ints(text)
    up = "increase" in text or "greater" in text

    def numbers(prefix: tuple[int, ...]) -> int:
        if len(prefix) == length:
            return int(sum(prefix) % modulus == residue)
        later = range(prefix[-1] + 1, 10) if up else range(prefix[-1])
        return sum(numbers((*prefix, digit)) for digit in later)

    return sum(numbers((digit,)) for digit in range(1, 10))


@solves
def cevian(text: str) -> int:
    a, b, c, p, q = ints(text.replace("AD^2", ""))
    d = Fraction(a * p, p + q)
    x = Fraction(a * a + c * c - b * b, 2 * a)  # B = (0, 0), C = (a, 0), A = (x, y)
    y_squared = c * c - x * x
    assert y_squared > 0
    square = (x - d) ** 2 + y_squared
    return square.numerator + square.denominator


@solves
def walk_on_a_polygon(text: str) -> int:
    corners = number(r"(?:polygon with|from \$1\$ to) \$(\d)\$", text)
    steps = number(r"after (?:exactly )?\$(\d+)\$", text)
    p, q = fracs(text)
    assert p + q == 1
    chance = sum(
        (
            comb(steps, k) * p**k * q ** (steps - k)
            for k in range(steps + 1)
            if (2 * k - steps) % corners == 0
        ),
        Fraction(0),
    )
    return (chance.numerator + chance.denominator) % 1000


@solves
def sequences_with_bounded_steps(text: str) -> int:
    if "code" in text:
        length, _, top, start, step = ints(text)
    else:
        length, top = number(r"a_\{(\d)\}\)", text), number(r"\\ldots, (\d)\\\}", text)
        start, step = number(r"a_1 = (\d)", text), number(r"\| \\[lg]e (\d)", text)
        assert number(r"i \\le (\d)", text) == length - 1
    close = "at most" in text or r"| \le" in text

    @cache
    def ways(last: int, left: int) -> int:
        if not left:
            return 1
        nexts = (n for n in range(1, top + 1) if (abs(n - last) <= step if close else abs(n - last) >= step))
        return sum(ways(n, left - 1) for n in nexts)

    return ways(start, length - 1)


@solves
def pascal_row(text: str) -> int:
    n, prime = number(r"(?:binom\{|x\)\^\{)(\d+)", text), number(r"by \$(\d+)\$", text)
    entry, dividing = 1, 0
    for k in range(n + 1):
        dividing += entry % prime == 0
        entry = entry * (n - k) // (k + 1)
    return n + 1 - dividing if "are not" in text else dividing


@solves
def subtraction_game(text: str) -> int:
    moves, limit = ints(one(r"exactly ([\d, or]+)", text)), number(r"n \\le (\d+)", text)
    assert len(moves) == 3

    @cache
    def mover_wins(stones: int) -> bool:
        return any(not mover_wins(stones - move) for move in moves if move <= stones)

    return sum(not mover_wins(stones) for stones in range(1, limit + 1))


@solves
def square_pairs(text: str) -> int:
    k = int(one(r"x\^2 \+ (\d*)y\^2", text) or 1)
    limit = number(r"(?:y \\le |\\ldots, )(\d+)", text)
    residue = number(r"(?:\\equiv |remainder \$)(\d+)", text)
    modulus = number(r"(?:pmod\{|divided by \$)(\d+)", text)
    return sum(
        (x * x + k * y * y) % modulus == residue for x in range(1, limit + 1) for y in range(1, limit + 1)
    )


@solves
def expected_draws(text: str) -> Fraction:
    (wanted_colour,) = {c for c in ("red", "blue", "green") if c in text}
    red = number(rf"(\d+) {wanted_colour} and", text)
    others = number(r"and (\d+)", text)
    wanted = number(r"(?:until|as soon as) (\d+)", text)

    @cache
    def draws(red: int, others: int, wanted: int) -> Fraction:
        if not wanted:
            return Fraction(0)
        total = 1 + Fraction(red, red + others) * draws(red - 1, others, wanted - 1)
        return total + (Fraction(others, red + others) * draws(red, others - 1, wanted) if others else 0)

    return draws(red, others, wanted)

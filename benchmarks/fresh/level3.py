"""Level 3: high-school algebra, coordinate geometry and counting."""

from __future__ import annotations

from fractions import Fraction
from math import comb, factorial, gcd

from .engine import Draw, Level, Posed
from .exact import latex, square_root
from .wording import capital, form, frac, listing, polynomial, power, signed

LEVEL = Level(3, "high-school algebra, coordinate geometry and counting")

COLOURS = ("red", "blue", "green", "yellow", "white", "black", "orange", "purple")


def point(draw: Draw, bound: int) -> tuple[int, int]:
    return draw.integer(-bound, bound), draw.integer(-bound, bound)


@LEVEL.family
def quadratic_solution(draw: Draw) -> Posed:
    p, r, q, s = draw.integer(1, 5), draw.integer(1, 4), draw.nonzero(11), draw.nonzero(11)
    if gcd(p, q) > 1 or gcd(r, s) > 1 or p * s == q * r:
        return None
    low, high = sorted((Fraction(q, p), Fraction(s, r)))
    quadratic = polynomial([p * r, -p * s - q * r, q * s])
    which, value = draw.pick((("greater", high), ("smaller", low)))
    return draw.phrase(
        f"What is the {which} of the two solutions of ${quadratic} = 0$?",
        f"The equation ${quadratic} = 0$ has two real solutions. Find the {which} one.",
        f"Let $f(x) = {quadratic}$. Find the {which} of the two zeros of $f$.",
    ), value


@LEVEL.family
def distance_between_roots(draw: Draw) -> Posed:
    b, c = draw.nonzero(20), draw.nonzero(40)
    discriminant = b * b - 4 * c
    if discriminant <= 0:
        return None
    quadratic = polynomial([1, b, c])
    return draw.phrase(
        f"What is the positive difference between the two solutions of ${quadratic} = 0$?",
        f"The parabola $y = {quadratic}$ meets the $x$-axis at the points $A$ and $B$. Find the length of "
        "$AB$.",
        f"Let $r > s$ be the two real roots of ${quadratic}$. Find $r - s$ in simplest form.",
    ), square_root(discriminant)


@LEVEL.family
def linear_system(draw: Draw) -> Posed:
    x, y = point(draw, 12)
    (a, b), (c, d) = (draw.nonzero(9), draw.nonzero(9)), (draw.nonzero(9), draw.nonzero(9))
    if a * d == b * c:
        return None
    one = f"{form((a, b), 'xy')} = {a * x + b * y}"
    two = f"{form((c, d), 'xy')} = {c * x + d * y}"
    return draw.phrase(
        f"Solve the system of equations ${one}$ and ${two}$. Give the solution as an ordered pair $(x, y)$.",
        rf"If \[{one} \quad \text{{and}} \quad {two},\] what is the ordered pair $(x, y)$?",
        f"The lines ${one}$ and ${two}$ meet in one point. Find its coordinates $(x, y)$.",
    ), (x, y)


@LEVEL.family
def arithmetic_sequence(draw: Draw) -> Posed:
    start, step = draw.integer(-30, 60), draw.nonzero(12)
    m = draw.integer(2, 9)
    n = m + draw.integer(2, 12)
    k = n + draw.integer(5, 60)

    def term(i: int) -> int:
        return start + (i - 1) * step

    return draw.pick(
        (
            (
                f"In an arithmetic sequence $a_1, a_2, a_3, \\ldots$ we have $a_{{{m}}} = {term(m)}$ and "
                f"$a_{{{n}}} = {term(n)}$. Find $a_{{{k}}}$.",
                term(k),
            ),
            (
                f"Let $a_1, a_2, a_3, \\ldots$ be an arithmetic sequence with $a_{{{m}}} = {term(m)}$ and "
                f"$a_{{{n}}} = {term(n)}$. Find the sum of the first ${k}$ terms of the sequence.",
                k * (term(1) + term(k)) // 2,
            ),
        )
    )


@LEVEL.family
def geometric_series(draw: Draw) -> Posed:
    first, bottom = draw.nonzero(20), draw.integer(2, 9)
    ratio = Fraction(draw.nonzero(bottom - 1), bottom)
    total = first / (1 - ratio)
    return draw.phrase(
        f"An infinite geometric series has first term ${first}$ and common ratio ${latex(ratio)}$. Find its "
        "sum.",
        f"The first term of a geometric sequence is ${first}$, and each further term is ${latex(ratio)}$ "
        "times the term before it. What is the sum of all its infinitely many terms?",
        rf"Evaluate $\sum_{{k=0}}^{{\infty}} {first} \cdot \left({latex(ratio)}\right)^k$.",
    ), total


@LEVEL.family
def distance_between_points(draw: Draw) -> Posed:
    a, b = point(draw, 15), point(draw, 15)
    if a == b:
        return None
    square = (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2
    return draw.phrase(
        f"What is the distance between the points ${latex(a)}$ and ${latex(b)}$ in the coordinate plane? "
        "Give the exact value in simplest form.",
        f"A segment has the endpoints ${latex(a)}$ and ${latex(b)}$. Find its exact length in simplest form.",
        f"A circle with centre ${latex(a)}$ passes through the point ${latex(b)}$. Find its exact radius.",
    ), square_root(square)


@LEVEL.family
def triangle_area(draw: Draw) -> Posed:
    a, b, c = point(draw, 12), point(draw, 12), point(draw, 12)
    doubled = abs((b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1]))
    if not doubled:
        return None
    return draw.phrase(
        f"Find the area of the triangle with vertices ${latex(a)}$, ${latex(b)}$ and ${latex(c)}$.",
        f"The points $A = {latex(a)}$, $B = {latex(b)}$ and $C = {latex(c)}$ lie in the coordinate plane. "
        "What is the area of triangle $ABC$?",
    ), Fraction(doubled, 2)


@LEVEL.family
def committee(draw: Draw) -> Posed:
    m, n = draw.integer(4, 12), draw.integer(4, 12)
    a, b = draw.integer(2, min(4, m - 1)), draw.integer(2, min(4, n - 1))
    one, two, body = draw.pick(
        (
            ("seniors", "juniors", "committee"),
            ("violinists", "cellists", "ensemble"),
            ("teachers", "students", "delegation"),
            ("chemists", "physicists", "research team"),
            ("defenders", "strikers", "squad"),
            ("nurses", "doctors", "panel"),
        )
    )
    return draw.phrase(
        f"A club has {m} {one} and {n} {two}. In how many ways can one choose "
        f"{'an' if body[0] in 'ae' else 'a'} {body} that consists of exactly {a} {one} and {b} {two}?",
        f"From {m} {one} and {n} {two}, a group of exactly {a} {one} and {b} {two} is to be chosen. How many "
        f"different groups are possible?",
    ), comb(m, a) * comb(n, b)


@LEVEL.family
def coloured_row(draw: Draw) -> Posed:
    counts = [draw.integer(1, 6) for _ in range(draw.integer(3, 4))]
    if not 6 <= sum(counts) <= 12:
        return None
    colours = draw.several(COLOURS, len(counts))
    things = draw.pick(("balls", "flags", "tiles", "beads", "cubes", "lanterns", "chairs", "buttons"))
    stock = [f"{count} {colour}" for count, colour in zip(counts, colours, strict=True)]
    ways = factorial(sum(counts))
    for count in counts:
        ways //= factorial(count)
    return draw.phrase(
        f"In how many different ways can {listing(stock)} {things} be placed in a row, if {things} of the "
        "same colour cannot be told apart?",
        f"{capital(listing(stock))} {things} are to be lined up from left to right. Two {things} of the "
        "same colour look exactly alike. How many different line-ups are there?",
    ), ways


@LEVEL.family
def quadratic_extreme(draw: Draw) -> Posed:
    a, b, c = draw.nonzero(6), draw.nonzero(15), draw.nonzero(20)
    kind = "minimum" if a > 0 else "maximum"
    quadratic = polynomial([a, b, c])
    return draw.phrase(
        f"What is the {kind} value of ${quadratic}$ over all real numbers $x$?",
        f"Let $f(x) = {quadratic}$ for real $x$. Find the {kind} value of $f(x)$.",
        f"Find the $y$-coordinate of the vertex of the parabola $y = {quadratic}$.",
    ), c - Fraction(b * b, 4 * a)


@LEVEL.family
def exponential_equation(draw: Draw) -> Posed:
    base, k = draw.pick(((2, 2), (2, 3), (2, 4), (3, 2), (3, 3), (5, 2), (5, 3), (7, 2)))
    p, q, r, s = draw.nonzero(7), draw.nonzero(9), draw.nonzero(7), draw.nonzero(9)
    if p == k * r:
        return None
    left = f"{base}^{{{polynomial([p, q])}}}"
    right = f"{base**k}^{{{polynomial([r, s])}}}"
    return draw.phrase(
        f"Solve ${left} = {right}$ for the real number $x$.",
        f"Find the real number $x$ for which ${left} = {right}$.",
        f"If ${left} = {right}$, what is the value of $x$?",
    ), Fraction(k * s - q, p - k * r)


@LEVEL.family
def circle_radius(draw: Draw) -> Posed:
    d, e, f = 2 * draw.nonzero(9), 2 * draw.nonzero(9), draw.nonzero(60)
    square = (d * d + e * e) // 4 - f
    if square <= 0:
        return None
    equation = f"x^2 + y^2 {signed(d)}x {signed(e)}y {signed(f)} = 0"
    return draw.phrase(
        f"Find the radius of the circle with equation ${equation}$ in simplest form.",
        f"The points $(x, y)$ with ${equation}$ form a circle. What is its radius, in simplest form?",
    ), square_root(square)


@LEVEL.family
def binomial_coefficient(draw: Draw) -> Posed:
    a, b, n = draw.integer(1, 4), draw.nonzero(5), draw.integer(4, 9)
    k = draw.integer(2, n - 1)
    return draw.phrase(
        f"What is the coefficient of ${power('x', k)}$ in the expansion of $({polynomial([a, b])})^{n}$?",
        f"Find the coefficient of ${power('x', k)}$ when $({polynomial([a, b])})^{n}$ is expanded and like "
        "terms are collected.",
    ), comb(n, k) * a**k * b ** (n - k)


@LEVEL.family
def point_on_segment(draw: Draw) -> Posed:
    a, b = point(draw, 12), point(draw, 12)
    p, q = draw.integer(1, 5), draw.integer(1, 5)
    if a == b or gcd(p, q) > 1 or p == q:
        return None
    share = Fraction(p, p + q)
    x, y = (u + share * (v - u) for u, v in zip(a, b, strict=True))
    ratio = frac(p, q)
    return draw.phrase(
        f"Let $A = {latex(a)}$ and $B = {latex(b)}$. The point $P$ lies on segment $AB$ with $AP : PB = {p} "
        f": {q}$. Find the coordinates $(x, y)$ of $P$.",
        rf"The point $P$ on the segment from $A = {latex(a)}$ to $B = {latex(b)}$ satisfies "
        rf"$\frac{{AP}}{{PB}} = {ratio}$. Find $P$ as an ordered pair $(x, y)$.",
    ), (x, y)

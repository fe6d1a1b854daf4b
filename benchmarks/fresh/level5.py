"""Level 5: competition number theory, counting with constraints and algebra; golds are computed exactly."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import comb, factorial, gcd, prod

from .arithmetic import divisors, factor, residue_count
from .engine import Draw, Level, Posed
from .exact import latex
from .wording import form, frac, listing, polynomial, power, signed

LEVEL = Level(5, "competition number theory, counting and algebra")


@LEVEL.family
def tilings(draw: Draw) -> Posed:
    short, long = draw.pick(((1, 2), (1, 3), (2, 3), (1, 4), (2, 5), (3, 4), (3, 5), (2, 7)))
    p, q, n = draw.integer(1, 4), draw.integer(1, 4), draw.integer(7, 20)
    ways = [1] + [0] * n
    for length in range(1, n + 1):
        ways[length] = sum(
            colours * ways[length - tile] for tile, colours in ((short, p), (long, q)) if tile <= length
        )
    if not 5 <= ways[n] < 10**6:
        return None

    def colours(count: int) -> str:
        return f"{count} {'colour' if count == 1 else 'colours'}"

    return draw.phrase(
        rf"A $1 \times {n}$ board is to be covered exactly, without overlaps, by tiles of size $1 \times "
        rf"{short}$, which come in {colours(p)}, and tiles of size $1 \times {long}$, which come in "
        f"{colours(q)}. There are enough tiles of every kind, and the board is not turned round. How many "
        "different coverings are there?",
        f"A strip of length {n} is filled from left to right, without gaps, with rods of length {short}, "
        f"available in {colours(p)}, and rods of length {long}, available in {colours(q)}, as many of each "
        "as needed. In how many different ways can this be done?",
    ), ways[n]


@LEVEL.family
def subsets_by_sum(draw: Draw) -> Posed:
    n, modulus = draw.integer(8, 14), draw.integer(3, 13)
    residue = draw.integer(0, modulus - 1)
    counts = [1] + [0] * (modulus - 1)
    for element in range(1, n + 1):
        counts = [counts[r] + counts[(r - element) % modulus] for r in range(modulus)]
    full = rf"\{{1, 2, \ldots, {n}\}}"
    return draw.phrase(
        f"How many subsets of ${full}$, the empty set included, have a sum of elements that leaves "
        f"remainder ${residue}$ when divided by ${modulus}$? (The sum of the empty set is $0$.)",
        rf"For a subset $A$ of ${full}$ let $s(A)$ be the sum of its elements, with $s(\emptyset) = 0$. "
        rf"Find the number of subsets $A$ with $s(A) \equiv {residue} \pmod{{{modulus}}}$.",
    ), counts[residue]


@lru_cache(maxsize=64)
def digit_sum_counts(length: int, excluded: int) -> tuple[int, ...]:
    """Entry s: the strings of `length` digits with digit sum s that avoid the digit `excluded`."""
    counts = [1]
    for _ in range(length):
        longer = [0] * (len(counts) + 9)
        for total, ways in enumerate(counts):
            for digit in range(10):
                if digit != excluded:
                    longer[total + digit] += ways
        counts = longer
    return tuple(counts)


@LEVEL.family
def digit_sum_without_a_digit(draw: Draw) -> Posed:
    length, excluded = draw.integer(3, 5), draw.integer(1, 9)
    total = draw.integer(6, 9 * length - 8)
    count = digit_sum_counts(length, excluded)[total]
    if count < 5:
        return None
    return draw.phrase(
        f"How many positive integers less than ${power(10, length)}$ have digit sum ${total}$ and no digit "
        f"equal to ${excluded}$ in base ten?",
        f"Find the number of positive integers with at most ${length}$ decimal digits whose digits add up "
        f"to ${total}$ and do not include ${excluded}$.",
    ), count


@LEVEL.family
def divisible_quadratic(draw: Draw) -> Posed:
    limit, modulus = draw.integer(100, 2500), draw.integer(6, 60)
    b, c = draw.nonzero(12), draw.nonzero(30)
    roots = [r for r in range(modulus) if (r * r + b * r + c) % modulus == 0]
    if not roots:
        return None
    quadratic = polynomial([1, b, c], "n")
    return draw.phrase(
        rf"For how many integers $n$ with $1 \le n \le {limit}$ is ${quadratic}$ divisible by ${modulus}$?",
        rf"How many positive integers $n \le {limit}$ satisfy ${quadratic} \equiv 0 \pmod{{{modulus}}}$?",
    ), sum(residue_count(limit, modulus, r) for r in roots)


@LEVEL.family
def paths_around_obstacles(draw: Draw) -> Posed:
    m, n = draw.integer(4, 7), draw.integer(4, 7)
    blocked = {(draw.integer(1, m - 1), draw.integer(1, n - 1)) for _ in range(3)}
    if len(blocked) < 3:
        return None
    column = [1] * (n + 1)
    for x in range(1, m + 1):
        for y in range(1, n + 1):
            column[y] = 0 if (x, y) in blocked else column[y] + column[y - 1]
    holes = listing([f"${latex(hole)}$" for hole in sorted(blocked)])
    return draw.phrase(
        f"A path goes from $(0, 0)$ to $({m}, {n})$ in unit steps to the right or up. It must not visit any "
        f"of the points {holes}. How many such paths are there?",
        f"In a city with streets along the lattice lines, a courier drives from $(0, 0)$ to $({m}, {n})$ "
        f"and always moves one block east or one block north. The crossings {holes} are closed. How many "
        "routes are possible?",
    ), column[n]


@LEVEL.family
def floor_sum(draw: Draw) -> Posed:
    n, a, b = draw.integer(20, 120), draw.integer(2, 40), draw.integer(3, 41)
    if b == 1 or gcd(a, b) > 1:
        return None
    term = rf"\left\lfloor {frac('k' if a == 1 else f'{a}k', b)} \right\rfloor"
    return draw.phrase(
        rf"Compute $\sum_{{k=1}}^{{{n}}} {term}$, where $\lfloor x \rfloor$ is the greatest integer that "
        "does not exceed $x$.",
        rf"Let $\lfloor x \rfloor$ be the greatest integer less than or equal to $x$. Find the value of "
        rf"$\sum_{{k=1}}^{{{n}}} {term}$.",
    ), sum(a * k // b for k in range(1, n + 1))


@LEVEL.family
def making_change(draw: Draw) -> Posed:
    values = sorted({draw.integer(2, 12) for _ in range(3)})
    total = draw.integer(30, 120)
    if len(values) < 3:
        return None
    ways = [1] + [0] * total
    for value in values:
        for amount in range(value, total + 1):
            ways[amount] += ways[amount - value]
    if ways[total] < 4:
        return None
    sum_of = form(values, "xyz")
    return draw.phrase(
        f"A country has coins worth {listing(values)} cents only. In how many ways can an amount of {total} "
        "cents be made up of these coins, if their order does not matter and not every kind has to be used?",
        f"How many ordered triples $(x, y, z)$ of non-negative integers satisfy ${sum_of} = {total}$?",
    ), ways[total]


@LEVEL.family
def sum_of_divisor_solutions(draw: Draw) -> Posed:
    a, b = draw.integer(2, 30), draw.integer(1, 120)
    solutions = [d - a for d in divisors(a * a + b) if d > a]
    wanted, value = draw.pick((("sum", sum(solutions)), ("number", len(solutions))))
    if len(solutions) < 2:
        return None
    return draw.phrase(
        f"Find the {wanted} of all positive integers $n$ for which $n + {a}$ divides $n^2 + {b}$.",
        f"What is the {wanted} of all positive integers $n$ such that ${frac(f'n^2 + {b}', f'n + {a}')}$ is "
        "an integer?",
    ), value


@LEVEL.family
def power_sum_of_two(draw: Draw) -> Posed:
    total, product, exponent = draw.nonzero(9), draw.nonzero(9), draw.integer(4, 8)
    sums = [2, total]
    for _ in range(exponent - 1):
        sums.append(total * sums[-1] - product * sums[-2])
    if abs(sums[exponent]) >= 10**6:
        return None
    wanted = f"x^{exponent} + y^{exponent}"
    return draw.phrase(
        f"Complex numbers $x$ and $y$ satisfy $x + y = {total}$ and $xy = {product}$. Find ${wanted}$.",
        "Let $x$ and $y$ be the two roots, with multiplicity, of a monic quadratic polynomial with sum of "
        f"roots ${total}$ and product of roots ${product}$. What is ${wanted}$?",
        f"If $x + y = {total}$ and $xy = {product}$, where $x$ and $y$ may be complex, compute ${wanted}$.",
    ), sums[exponent]


@LEVEL.family
def random_walk_exit(draw: Draw) -> Posed:
    size = draw.integer(4, 10)
    start = draw.integer(1, size - 1)
    bottom = draw.integer(2, 7)
    right = Fraction(draw.integer(1, bottom - 1), bottom)
    ratio = (1 - right) / right
    chance = Fraction(start, size) if ratio == 1 else (1 - ratio**start) / (1 - ratio**size)
    walker, place = draw.pick(
        (("A frog", "lily pads"), ("A token", "squares"), ("A squirrel", "branches"), ("A robot", "stations"))
    )
    p, q = latex(right), latex(1 - right)
    return draw.phrase(
        f"{walker} moves along {place} numbered from $0$ to ${size}$ in a row. It starts at number "
        f"${start}$. In each move it goes to the next higher number with probability ${p}$ and to the next "
        f"lower number with probability ${q}$, and it stops as soon as it reaches $0$ or ${size}$. What is "
        f"the probability that it stops at ${size}$?",
        f"{walker} stands on one of some {place} that are numbered from $0$ to ${size}$ along a line, at "
        f"first on number ${start}$. Every second it moves up by one number with probability ${p}$ or down "
        f"by one number with probability ${q}$, independently of the past, until it arrives at $0$ or "
        f"${size}$. Find the probability that it arrives at ${size}$ first.",
    ), chance


@LEVEL.family
def factored_equation(draw: Draw) -> Posed:
    a, b, c = draw.integer(2, 15), draw.integer(2, 15), draw.integer(40, 900)
    product = c + a * b
    pairs = [(d - b, product // d - a) for d in divisors(product) if d > b and product // d > a]
    if len(pairs) < 2:
        return None
    equation = f"xy + {a}x + {b}y = {c}"
    return draw.pick(
        (
            (f"How many ordered pairs $(x, y)$ of positive integers satisfy ${equation}$?", len(pairs)),
            (
                "Find the largest possible value of $x + y$, where $x$ and $y$ are positive integers with "
                f"${equation}$.",
                max(x + y for x, y in pairs),
            ),
            (
                f"Find the sum of $x$ over all pairs $(x, y)$ of positive integers with ${equation}$.",
                sum(x for x, _ in pairs),
            ),
        )
    )


@LEVEL.family
def pairs_with_lcm(draw: Draw) -> Posed:
    number = draw.integer(60, 5000)
    exponents = [exponent for _, exponent in factor(number)]
    ordered = prod(2 * e + 1 for e in exponents)
    if ordered < 15:
        return None
    return draw.pick(
        (
            (
                "How many ordered pairs $(a, b)$ of positive integers have least common multiple "
                f"${number}$?",
                ordered,
            ),
            (
                r"Find the number of pairs $(a, b)$ of positive integers with $a \le b$ and "
                rf"$\text{{lcm}}(a, b) = {number}$.",
                (ordered + 1) // 2,
            ),
            (
                rf"In how many ways can positive integers $x$ and $y$ with $x \le y$ be chosen so that "
                rf"$\frac{{1}}{{x}} + \frac{{1}}{{y}} = \frac{{1}}{{{number}}}$?",
                (ordered + 1) // 2,
            ),
        )
    )


@LEVEL.family
def own_things(draw: Draw) -> Posed:
    n, special = draw.integer(5, 9), draw.integer(2, 9)
    if special > n:
        return None
    lucky = draw.integer(0, special - 1)
    people = draw.pick(("guests", "students", "players", "pilots", "dancers", "clerks"))
    things = draw.pick(
        ("coats", "bags", "umbrellas", "hats", "phones", "bicycles", "keys", "badges", "books")
    )
    among = f"of the ${n}$ {people}" if special == n else f"of the ${special}$ oldest {people}"
    many = {0: "none", 1: "exactly one"}.get(lucky, f"exactly ${lucky}$")
    rule = f"{many} {among} {'receive' if lucky > 1 else 'receives'} what they own"
    return draw.phrase(
        f"Each of ${n}$ {people}, who all differ in age, hands in one of their {things}. The ${n}$ {things} "
        f"are handed back at random, one to each person. In how many ways can this happen so that {rule}?",
        f"The {things} of ${n}$ {people} of different ages, one from each, are mixed up and then handed out "
        f"again, one to each person. How many assignments are there in which {rule}?",
    ), comb(special, lucky) * displaced(n - lucky, special - lucky)


def displaced(n: int, special: int) -> int:
    """Permutations of n things in which none of the first `special` stays, by inclusion and exclusion."""
    return sum((-1) ** k * comb(special, k) * factorial(n - k) for k in range(special + 1))


@LEVEL.family
def words_without_runs(draw: Draw) -> Posed:
    letters = sorted(draw.several("BCDFGHKLMNPRST", draw.integer(3, 5)))
    length, runs = draw.integer(5, 12), (draw.integer(2, 5), draw.integer(2, 5))
    one, two = draw.several(letters, 2)
    total = words_with_short_runs(length, len(letters) - 2, runs)
    if total >= 10**6:
        return None
    alphabet = listing([f"${letter}$" for letter in letters])
    return draw.phrase(
        f"How many words of ${length}$ letters can be formed from the letters {alphabet}, repetition "
        f"allowed, if the letter ${one}$ must not occur ${runs[0]}$ or more times in a row, and the letter "
        f"${two}$ must not occur ${runs[1]}$ or more times in a row?",
        f"A code consists of ${length}$ letters, each of them one of {alphabet}. In how many codes are "
        f"there neither ${runs[0]}$ consecutive letters ${one}$ nor ${runs[1]}$ consecutive letters ${two}$?",
    ), total


def words_with_short_runs(length: int, free: int, runs: tuple[int, int]) -> int:
    """Words over `free` letters without restriction and two letters with runs shorter than `runs`."""
    others, one, two = 1, [0] * (runs[0] - 1), [0] * (runs[1] - 1)  # one[k]: words that end in a run of k + 1
    for _ in range(length):
        every, ones, twos = others + sum(one) + sum(two), sum(one), sum(two)
        others = free * every
        one, two = [every - ones, *one[:-1]], [every - twos, *two[:-1]]
    return others + sum(one) + sum(two)


@LEVEL.family
def shifted_interpolation(draw: Draw) -> Posed:
    degree, base, beyond = draw.integer(3, 7), draw.integer(2, 4), draw.integer(1, 3)
    first = draw.integer(0, 1)
    last, scale = first + degree, draw.integer(1, 6)
    wanted = last + beyond
    # Newton's forward differences: the k-th difference of base^x is (base - 1)^k base^x.
    value = sum(scale * base**first * (base - 1) ** k * comb(wanted - first, k) for k in range(degree + 1))
    rule = power(base, "k") if scale == 1 else rf"{scale} \cdot {power(base, 'k')}"
    if value >= 10**6:
        return None
    return draw.phrase(
        f"Let $P$ be the polynomial of degree at most ${degree}$ with $P(k) = {rule}$ for $k = {first}, "
        rf"{first + 1}, \ldots, {last}$. Find $P({wanted})$.",
        f"A polynomial $P$ of degree at most ${degree}$ satisfies $P(k) = {rule}$ for every integer $k$ "
        rf"with ${first} \le k \le {last}$. What is $P({wanted})$?",
    ), value


@LEVEL.family
def reciprocal_powers(draw: Draw) -> Posed:
    total, exponent, sign = draw.integer(3, 12), draw.integer(3, 7), draw.pick((1, -1))
    shift, scale = draw.integer(0, 20), draw.integer(1, 9)
    sums = [2, total]
    for _ in range(exponent - 1):
        sums.append(total * sums[-1] - sign * sums[-2])
    joint = "+" if sign == 1 else "-"
    joined = joint if exponent % 2 else "+"
    lead = "" if scale == 1 else str(scale)
    wanted = rf"{lead}\left(x^{exponent} {joined} {frac(1, f'x^{exponent}')}\right)"
    if shift:
        wanted += f" {signed(shift)}"
    value = scale * sums[exponent] + shift
    if value >= 10**6:
        return None
    return draw.phrase(
        f"A nonzero complex number $x$ satisfies $x {joint} {frac(1, 'x')} = {total}$. Find ${wanted}$.",
        f"If $x {joint} {frac(1, 'x')} = {total}$, what is the value of ${wanted}$?",
        f"Suppose that $x {joint} {frac(1, 'x')} = {total}$. Compute ${wanted}$.",
    ), value

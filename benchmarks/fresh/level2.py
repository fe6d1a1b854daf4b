"""Level 2: grade-school problems of several steps: fractions, percent, units, averages, ratios."""

from __future__ import annotations

from fractions import Fraction
from math import gcd

from .engine import Draw, Level, Posed
from .exact import latex
from .wording import THINGS, listing, person, two_people
from .worked import Steps

LEVEL = Level(2, "grade-school problems of several steps")


def proper_fraction(draw: Draw, largest: int) -> Fraction:
    """A reduced fraction between 0 and 1 with a denominator of at most `largest`."""
    denominator = draw.integer(2, largest)
    return Fraction(draw.integer(1, denominator - 1), denominator)


@LEVEL.family
def part_of_the_rest(draw: Draw) -> Posed:
    who, first, second = person(draw), proper_fraction(draw, 6), proper_fraction(draw, 6)
    total = first.denominator * second.denominator * draw.integer(2, 15)
    one, two = f"${latex(first)}$", f"${latex(second)}$"
    steps = Steps()
    left = total
    for fraction in (first, second):
        steps.say(f"1 - {fraction} = {1 - fraction}")
        left = steps.part(left, 1 - fraction)
    return (
        draw.phrase(
            f"{who.name} is reading a book of {total} pages. {who.they.capitalize()} read {one} of the pages in "
            f"the first week and {two} of the remaining pages in the second week. How many pages are still "
            "unread?",
            f"{who.name} saved {total} dollars. {who.they.capitalize()} spent {one} of {who.their} savings on a "
            f"bicycle and then {two} of what was left on a helmet and lights. How many dollars did {who.they} "
            "have after that?",
            f"A tank holds {total} litres of water. On Saturday {one} of the water is used, and on Sunday {two} "
            "of the water that remains is used. How many litres are left in the tank?",
        ),
        int(total * (1 - first) * (1 - second)),
        steps,
    )


@LEVEL.family
def two_percent_changes(draw: Draw) -> Posed:
    price = 10 * draw.integer(2, 120)
    first, second = draw.pick((5, 10, 15, 20, 25, 30, 40, 50)), draw.pick((5, 10, 15, 20, 25, 30, 40, 50))
    item = draw.pick(("jacket", "bicycle", "camera", "tent", "guitar", "desk", "lamp", "telescope", "carpet"))
    rises = draw.below(2) == 1
    final = Fraction(price * (100 + (first if rises else -first)) * (100 - second), 10_000)
    if final.denominator != 1:
        return None
    steps = Steps()
    changed = steps.times(price // 10, 100 + (first if rises else -first))
    steps.over(steps.times(changed, 100 - second), 1000)
    if rises:
        return (
            draw.phrase(
                rf"A shop raises the price of a {item} from {price} dollars by ${first}\%$. Nobody buys it, so "
                rf"the new price is cut by ${second}\%$. What is the price in dollars now?",
                rf"A {item} cost {price} dollars last year. In spring its price rose by ${first}\%$, and in "
                rf"autumn the spring price fell by ${second}\%$. How many dollars does the {item} cost after "
                "both changes?",
            ),
            final,
            steps,
        )
    return (
        draw.phrase(
            rf"A {item} costs {price} dollars. It is marked down by ${first}\%$, and a coupon then takes a "
            rf"further ${second}\%$ off the reduced price. How many dollars does a customer with the coupon pay?",
            rf"The regular price of a {item} is {price} dollars. In a sale the price drops by ${first}\%$, and "
            rf"on the last day the sale price drops by another ${second}\%$. What is the price in dollars on "
            "the last day?",
        ),
        final,
        steps,
    )


@LEVEL.family
def missing_score(draw: Draw) -> Posed:
    who, known = person(draw), [draw.integer(55, 99) for _ in range(draw.integer(2, 5))]
    count, mean = len(known) + 1, draw.integer(60, 95)
    last = count * mean - sum(known)
    if not 40 <= last <= 100:
        return None
    steps = Steps()
    steps.minus(steps.times(count, mean), steps.plus(*known))
    return (
        draw.phrase(
            f"The average of {who.name}'s scores in {count} tests is {mean}. All but one of the scores are "
            f"{listing(known)}. What is the remaining score?",
            f"{who.name} takes {count} tests and wants an average score of exactly {mean}. So far {who.their} "
            f"scores are {listing(known)}. What must {who.they} score in the last test?",
        ),
        last,
        steps,
    )


@LEVEL.family
def steady_rate(draw: Draw) -> Posed:
    made, minutes, hours = (
        draw.integer(2, 48),
        draw.pick((4, 5, 6, 8, 9, 10, 12, 15, 20, 24, 25)),
        draw.integer(2, 9),
    )
    total = Fraction(made * 60 * hours, minutes)
    if total.denominator != 1:
        return None
    steps = Steps()
    steps.over(steps.times(made, steps.times(60, hours)), minutes)
    return (
        draw.phrase(
            f"A machine makes {made} screws in {minutes} minutes. At the same rate, how many screws does it "
            f"make in {hours} hours?",
            f"A pump moves {made} litres of water every {minutes} minutes. How many litres does it move in "
            f"{hours} hours?",
            f"A printer prints {made} posters in {minutes} minutes. If it never stops or slows down, how many "
            f"posters does it print in {hours} hours?",
            f"A bakery sells {made} rolls every {minutes} minutes. At this rate, how many rolls does it sell in "
            f"{hours} hours?",
        ),
        total,
        steps,
    )


@LEVEL.family
def ratio_shares(draw: Draw) -> Posed:
    (one, other), things = two_people(draw), draw.pick(THINGS)
    p, q, unit = draw.integer(1, 9), draw.integer(2, 11), draw.integer(3, 20)
    if p >= q or gcd(p, q) > 1:
        return None
    total = (p + q) * unit
    statement, parts = draw.pick(
        (
            (
                f"{one.name} and {other.name} share {total} {things} in the ratio ${p} : {q}$, in this "
                f"order. How many {things} does {other.name} get?",
                q,
            ),
            (
                f"{one.name} and {other.name} divide {total} {things} between them in the ratio ${p} : "
                f"{q}$, in this order. How many more {things} does {other.name} get than {one.name}?",
                q - p,
            ),
            (
                f"A bag holds {total} {things}, some red and the others blue. The ratio of red to blue is "
                f"${p} : {q}$. How many of the {things} are red?",
                p,
            ),
        )
    )
    steps = Steps()
    one_part = steps.over(total, steps.plus(p, q))
    steps.times(one_part, parts if parts != q - p else steps.minus(q, p))
    return statement, parts * unit, steps


@LEVEL.family
def fraction_arithmetic(draw: Draw) -> Posed:
    a, b, c = (proper_fraction(draw, 12) for _ in range(3))
    expression, value, terms = draw.pick(
        (
            (rf"{latex(a)} + {latex(b)}", a + b, (a, b)),
            (rf"{latex(a)} - {latex(b)}", a - b, (a, -b)),
            (rf"{latex(a)} \times {latex(b)} + {latex(c)}", a * b + c, (a * b, c)),
            (rf"{latex(a)} \div {latex(b)}", a / b, (a / b,)),
            (rf"{latex(a)} + {latex(b)} - {latex(c)}", a + b - c, (a, b, -c)),
        )
    )
    if value <= 0:
        return None
    steps = Steps()
    if "times" in expression:
        steps.product(a, b)
    elif "div" in expression:
        steps.product(a, 1 / b)
    steps.total(*terms)
    return (
        draw.phrase(
            f"Compute ${expression}$. Give the answer as an integer or as a fraction in lowest terms.",
            f"What is ${expression}$? Write the answer as an integer or as a reduced fraction.",
            f"Evaluate ${expression}$ and simplify the result fully.",
        ),
        value,
        steps,
    )


@LEVEL.family
def average_speed(draw: Draw) -> Posed:
    who, vehicle = person(draw), draw.pick(("drives", "cycles", "rides a train", "rides a bus"))
    fast = vehicle != "cycles"
    h1, h2 = draw.integer(1, 5), draw.integer(2, 5)
    v1, v2 = (draw.integer(40, 110) if fast else draw.integer(9, 28) for _ in range(2))
    total = Fraction(h1 * v1 + h2 * v2, h1 + h2)
    if total.denominator != 1 or v1 == v2:
        return None
    first = f"{h1} {'hour' if h1 == 1 else 'hours'}"
    steps = Steps()
    way = steps.plus(steps.times(h1, v1), steps.times(h2, v2))
    steps.over(way, steps.plus(h1, h2))
    return (
        draw.phrase(
            f"{who.name} {vehicle} for {first} at {v1} kilometres per hour and then for {h2} hours at {v2} "
            f"kilometres per hour. What is {who.their} average speed for the whole trip, in kilometres per hour?",
            f"On a journey {who.name} {vehicle} for {first} at a steady {v1} km/h. For the next {h2} hours the "
            f"speed is {v2} km/h. Find the average speed of the whole journey in km/h.",
        ),
        total,
        steps,
    )


@LEVEL.family
def rectangle_from_perimeter(draw: Draw) -> Posed:
    times, more, width = draw.integer(2, 4), draw.integer(1, 15), draw.integer(3, 25)
    length = times * width + more
    perimeter, often = 2 * (length + width), {2: "twice", 3: "three times", 4: "four times"}[times]
    shape = draw.pick(("garden", "field", "room", "playground", "swimming pool", "parking lot", "courtyard"))
    excess = f"{more} {'metre' if more == 1 else 'metres'}"
    steps = Steps()
    widths = steps.minus(steps.over(perimeter, 2), more)
    steps.over(widths, times + 1)
    steps.times(steps.plus(steps.times(times, width), more), width)
    return (
        draw.phrase(
            f"The length of a rectangular {shape} is {excess} more than {often} its width. Its perimeter is "
            f"{perimeter} metres. What is its area in square metres?",
            f"A rectangular {shape} is {excess} longer than {often} its width, and its perimeter is {perimeter} "
            "metres. Find its area in square metres.",
        ),
        length * width,
        steps,
    )


@LEVEL.family
def overtime_pay(draw: Draw) -> Posed:
    who, wage = person(draw), 2 * draw.integer(5, 20)
    normal, extra = draw.integer(30, 40), draw.integer(2, 12)
    hours = normal + extra
    pay = wage * normal + wage * extra * 3 // 2
    steps = Steps()
    more = steps.plus(wage, steps.over(wage, 2))
    steps.plus(steps.times(wage, normal), steps.times(more, steps.minus(hours, normal)))
    return (
        draw.phrase(
            f"{who.name} earns {wage} dollars per hour for the first {normal} hours of a week and one and a "
            f"half times as much for every hour beyond that. How many dollars does {who.they} earn in a week of "
            f"{hours} hours?",
            f"A worker's wage is {wage} dollars an hour. Hours after the first {normal} hours of a week are "
            f"paid at one and a half times this wage. How many dollars does {who.name} get for {hours} hours of "
            "work in one week?",
        ),
        pay,
        steps,
    )


@LEVEL.family
def two_kinds(draw: Draw) -> Posed:
    few, many = draw.integer(3, 45), draw.integer(3, 45)
    small, large, place = draw.pick(
        (
            ("hens", "rabbits", "farm"),
            ("ducks", "sheep", "farm"),
            ("geese", "goats", "meadow"),
            ("turkeys", "cows", "farm"),
        )
    )
    heads, legs = few + many, 2 * few + 4 * many
    wanted, count = draw.pick(((small, few), (large, many)))
    steps = Steps()
    steps.over(steps.minus(legs, steps.times(2, heads)), 2)
    if wanted == small:
        steps.minus(heads, many)
    return (
        draw.phrase(
            f"On a {place} there are only {small}, with two legs each, and {large}, with four legs each. "
            f"Together they have {heads} heads and {legs} legs. How many {wanted} are there?",
            f"A {place} is home to {small} and {large}. A child counts {heads} heads and {legs} legs. Each of "
            f"the {small} has two legs and each of the {large} has four. How many {wanted} are there?",
        ),
        count,
        steps,
    )


@LEVEL.family
def pieces_and_remainder(draw: Draw) -> Posed:
    who = person(draw)
    metres, piece = draw.integer(3, 40), draw.integer(23, 95)
    hours, episode = draw.integer(3, 30), draw.integer(17, 58)
    left_cm, left_min = 100 * metres % piece, 60 * hours % episode
    if not left_cm or not left_min:
        return None
    statement, left = draw.pick(
        (
            (
                f"{who.name} has a rope {metres} metres long and cuts it into as many pieces of {piece} "
                "centimetres as possible. How many centimetres of rope are left over?",
                left_cm,
            ),
            (
                f"A jug holds {metres} decilitres of juice, and each decilitre is 100 millilitres. "
                f"{who.name} fills as many glasses of {piece} millilitres as possible. How many millilitres "
                "of juice remain in the jug?",
                left_cm,
            ),
            (
                f"During a flight of {hours} hours, {who.name} watches as many whole episodes of {episode} "
                "minutes as possible without a break. How many minutes of the flight remain after the last "
                "whole episode?",
                left_min,
            ),
            (
                f"A station broadcasts for {hours} hours without a break and fits in as many programmes of "
                f"{episode} minutes each as possible. For how many minutes is no programme shown?",
                left_min,
            ),
        )
    )
    steps = Steps()
    if left == left_cm:
        steps.rest(steps.times(100, metres), piece)
    else:
        steps.rest(steps.times(60, hours), episode)
    return statement, left, steps

"""Level 1: one- and two-digit arithmetic and two-step word problems."""

from __future__ import annotations

from collections.abc import Callable

from .engine import Draw, Level, Posed
from .wording import THINGS, person, two_people
from .worked import Steps

LEVEL = Level(1, "one- and two-digit arithmetic, two-step word problems")

CONTAINERS = ("boxes", "bags", "baskets", "jars", "trays", "drawers", "crates", "tins")
GOODS = (
    "notebooks",
    "muffins",
    "tickets",
    "posters",
    "sandwiches",
    "mugs",
    "toy cars",
    "scarves",
    "books",
    "pies",
)


@LEVEL.family
def addition(draw: Draw) -> Posed:
    a, b = draw.integer(11, 99), draw.integer(11, 99)
    steps = Steps()
    steps.plus(a, b)
    return (
        draw.phrase(
            f"What is ${a} + {b}$?",
            f"Compute ${a} + {b}$.",
            f"Find the sum of ${a}$ and ${b}$.",
            f"What number is ${a}$ more than ${b}$?",
        ),
        a + b,
        steps,
    )


@LEVEL.family
def subtraction(draw: Draw) -> Posed:
    b = draw.integer(3, 89)
    a = draw.integer(b + 2, 99)
    steps = Steps()
    steps.minus(a, b)
    return (
        draw.phrase(
            f"What is ${a} - {b}$?",
            f"Compute ${a} - {b}$.",
            f"Find the difference when ${b}$ is taken away from ${a}$.",
            f"What number is ${b}$ less than ${a}$?",
        ),
        a - b,
        steps,
    )


@LEVEL.family
def multiplication(draw: Draw) -> Posed:
    a, b = draw.several((draw.integer(3, 9), draw.integer(11, 59)), 2)
    steps = Steps()
    steps.times(a, b)
    return (
        draw.phrase(
            rf"What is ${a} \times {b}$?",
            rf"Compute ${a} \times {b}$.",
            f"Find the product of ${a}$ and ${b}$.",
            f"Multiply ${a}$ by ${b}$. What is the result?",
        ),
        a * b,
        steps,
    )


@LEVEL.family
def division(draw: Draw) -> Posed:
    divisor, quotient = draw.integer(2, 12), draw.integer(3, 30)
    whole, friend, things = divisor * quotient, person(draw), draw.pick(THINGS)
    steps = Steps()
    steps.over(whole, divisor)
    return (
        draw.phrase(
            rf"What is ${whole} \div {divisor}$?",
            rf"Compute ${whole} \div {divisor}$.",
            f"Divide ${whole}$ by ${divisor}$. What is the quotient?",
            f"{friend.name} shares {whole} {things} equally among {divisor} friends. "
            f"How many {things} does each friend get?",
            f"{friend.name} packs {whole} {things} into {divisor} boxes, the same number in each. "
            f"How many {things} are in one box?",
        ),
        quotient,
        steps,
    )


@LEVEL.family
def order_of_operations(draw: Draw) -> Posed:
    a, b, c = draw.integer(2, 30), draw.integer(2, 9), draw.integer(2, 12)
    forms: tuple[tuple[str, int, Callable[[Steps], int]], ...] = (
        (rf"{a} + {b} \times {c}", a + b * c, lambda steps: steps.plus(a, steps.times(b, c))),
        (rf"{a} \times {b} - {c}", a * b - c, lambda steps: steps.minus(steps.times(a, b), c)),
        (rf"({a} + {b}) \times {c}", (a + b) * c, lambda steps: steps.times(steps.plus(a, b), c)),
        (rf"{b} \times ({a} - {c})", b * (a - c), lambda steps: steps.times(b, steps.minus(a, c))),
        (rf"{a} \times {b} + {c}", a * b + c, lambda steps: steps.plus(steps.times(a, b), c)),
    )
    expression, value, work = draw.pick(forms)
    if value < 2:
        return None
    work(steps := Steps())
    return (
        draw.phrase(
            f"What is ${expression}$?",
            f"Evaluate ${expression}$.",
            f"Compute the value of ${expression}$.",
        ),
        value,
        steps,
    )


@LEVEL.family
def gain_and_loss(draw: Draw) -> Posed:
    who, things = person(draw), draw.pick(THINGS)
    start, gain = draw.integer(8, 60), draw.integer(3, 40)
    loss = draw.integer(2, start + gain - 2)
    steps = Steps()
    steps.minus(steps.plus(start, gain), loss)
    return (
        draw.phrase(
            f"{who.name} has {start} {things}. {who.they.capitalize()} buys {gain} more and then gives {loss} "
            f"of them to a friend. How many {things} does {who.name} have now?",
            f"There are {start} {things} on a table. {who.name} puts {gain} more on the table, and later "
            f"{loss} of them are taken away. How many {things} are left on the table?",
            f"In the morning {who.name} counted {start} {things}. During the day {who.they} found {gain} more "
            f"but lost {loss}. How many {things} did {who.they} have in the evening?",
        ),
        start + gain - loss,
        steps,
    )


@LEVEL.family
def groups_and_extras(draw: Draw) -> Posed:
    who, things, boxes = person(draw), draw.pick(THINGS), draw.pick(CONTAINERS)
    groups, each, extra = draw.integer(2, 9), draw.integer(3, 15), draw.integer(2, 20)
    steps = Steps()
    steps.plus(steps.times(groups, each), extra)
    return (
        draw.phrase(
            f"{who.name} has {groups} {boxes} with {each} {things} in each, and {extra} more {things} that are "
            f"not in any of them. How many {things} does {who.name} have in total?",
            f"There are {groups} {boxes} of {things} on a shelf, and each holds {each} {things}. {who.name} "
            f"brings {extra} more {things}. How many {things} are there altogether?",
            f"{who.name} fills {groups} {boxes} with {each} {things} each and has {extra} {things} left over. "
            f"With how many {things} did {who.they} start?",
        ),
        groups * each + extra,
        steps,
    )


@LEVEL.family
def missing_number(draw: Draw) -> Posed:
    known, unknown = draw.integer(3, 60), draw.integer(3, 60)
    total, letter = known + unknown, draw.pick("xnyk")
    steps = Steps()
    steps.minus(total, known)
    return (
        draw.phrase(
            f"What number must be added to ${known}$ to get ${total}$?",
            f"If ${letter} + {known} = {total}$, what is ${letter}$?",
            f"If ${known} + {letter} = {total}$, find ${letter}$.",
            f"I think of a number and add ${known}$ to it. The result is ${total}$. What is my number?",
        ),
        unknown,
        steps,
    )


@LEVEL.family
def more_than_a_friend(draw: Draw) -> Posed:
    (one, other), things = two_people(draw), draw.pick(THINGS)
    first, more = draw.integer(4, 45), draw.integer(2, 30)
    steps = Steps()
    steps.plus(first, steps.plus(first, more))
    return (
        draw.phrase(
            f"{one.name} has {first} {things}. {other.name} has {more} more {things} than {one.name}. "
            f"How many {things} do they have together?",
            f"{one.name} collected {first} {things}, and {other.name} collected {more} more than {one.name} did. "
            f"How many {things} did the two of them collect in all?",
        ),
        2 * first + more,
        steps,
    )


@LEVEL.family
def change_from_a_note(draw: Draw) -> Posed:
    who, goods = person(draw), draw.pick(GOODS)
    count, price, paid = draw.integer(2, 9), draw.integer(2, 12), draw.pick((20, 30, 40, 50, 60, 80, 100))
    if not 2 <= paid - count * price <= 60:
        return None
    steps = Steps()
    steps.minus(paid, steps.times(count, price))
    return (
        draw.phrase(
            f"{who.name} buys {count} {goods} that cost {price} dollars each and pays with {paid} dollars. "
            f"How many dollars does {who.they} get back?",
            f"{who.name} chose {count} {goods} at {price} dollars each. {who.they.capitalize()} had {paid} "
            f"dollars before paying. How many dollars did {who.they} have left afterwards?",
        ),
        paid - count * price,
        steps,
    )

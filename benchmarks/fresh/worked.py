"""Worked solutions: each step small enough that somebody who cannot calculate in the head can follow it."""

from __future__ import annotations

from fractions import Fraction
from math import gcd, lcm


class Steps:
    """Writes down a calculation while it is made: each method returns its result and adds a line.

    >>> steps = Steps()
    >>> steps.plus(51, steps.times(7, 43))
    352
    >>> print(steps)
    7 * 43 = 7 * 40 + 7 * 3 = 280 + 21 = 301
    51 + 301 = 352
    """

    def __init__(self) -> None:
        self._lines: list[str] = []

    def say(self, text: str) -> None:
        self._lines.append(text)

    def plus(self, a: int, *others: int) -> int:
        """The sum; a two-digit number is added in tens and ones."""
        parts, total = [_sum(a, *others)], a
        for index, b in enumerate(others):
            left = others[index + 1 :]
            tens = b - b % 10
            if b % 10 and tens and total % 10 and b < 100:
                parts.append(_sum(total + tens, b % 10, *left))
            total += b
            parts.append(_sum(total, *left))
        self.say(" = ".join(parts))
        return total

    def minus(self, a: int, b: int) -> int:
        """The difference; a two-digit number is taken away in tens and ones."""
        tens, parts = b - b % 10, [f"{a} - {b}"]
        if b % 10 and tens and b < 100:
            parts.append(f"{a - tens} - {b % 10}")
        self.say(" = ".join([*parts, str(a - b)]))
        return a - b

    def times(self, a: int, b: int) -> int:
        """The product; digit by digit of the number with fewer of them, place by place of the other one."""
        few, many = sorted((a, b), key=lambda n: (len(str(n).rstrip("0")), n))
        if len(digits := _places(few)) > 1:
            found = [self.times(part, many) for part in digits]
            total, *others = found
            self.say(f"{a} * {b} = {_sum(*found)}")
            if others:
                self.plus(total, *others)
            return a * b
        places = _places(many)
        parts = [f"{a} * {b}"]
        if len(places) > 1 and not _is_power_of_ten(few):
            parts.append(" + ".join(f"{few} * {part}" for part in places))
            found = [few * part for part in places]
            while len(found) > 1:
                parts.append(_sum(*found))
                found = [found[0] + found[1], *found[2:]]
        self.say(" = ".join([*parts, str(a * b)]))
        return a * b

    def over(self, a: int, b: int) -> int:
        """The quotient of a division without a remainder, from the highest place down."""
        if _is_power_of_ten(b):
            self.say(f"{a} / {b} = {a // b}")
            return a // b
        left, parts = a, []
        for part in _places(a // b):
            parts.append(f"{b} * {part} = {b * part}")
            if left - b * part:
                parts.append(f"{left} - {b * part} = {left - b * part}")
            left -= b * part
        self.say(f"{a} / {b}: {', '.join(parts)}, so {a} / {b} = {a // b}")
        return a // b

    def rest(self, a: int, b: int) -> int:
        """The remainder of a division."""
        quotient, left = divmod(a, b)
        if not quotient:
            self.say(f"{a} < {b}")
            return left
        total, parts = 0, []
        for part in _places(quotient):
            parts.append(f"{a - total} - {b} * {part} = {a - total} - {b * part} = {a - total - b * part}")
            total += b * part
        self.say(f"{', '.join(parts)}, and {left} < {b}")
        return left

    def part(self, of: int, fraction: Fraction) -> int:
        """A fraction of a whole number that it divides."""
        self.say(f"{fraction} of {of}")
        one = self.over(of, fraction.denominator)
        return one if fraction.numerator == 1 else self.times(one, fraction.numerator)

    def reduce(self, numerator: int, denominator: int) -> Fraction:
        """A fraction in lowest terms."""
        common = gcd(numerator, denominator)
        if common == 1:
            return Fraction(numerator, denominator)
        top, bottom = numerator // common, denominator // common
        shown = f"{top}/{bottom}" if bottom > 1 else str(top)
        self.say(f"{numerator}/{denominator}, by {common}: {shown}")
        return Fraction(numerator, denominator)

    def product(self, a: Fraction, b: Fraction) -> Fraction:
        """The product of two fractions, in lowest terms."""
        top, bottom = a.numerator * b.numerator, a.denominator * b.denominator
        self.say(f"{a} * {b} = {top}/{bottom}")
        return self.reduce(top, bottom)

    def total(self, first: Fraction, *others: Fraction) -> Fraction:
        """A sum of fractions, each brought to the denominator of the sum until then."""
        found = first
        for other in others:
            bottom = lcm(found.denominator, other.denominator)
            one, two = (part.numerator * (bottom // part.denominator) for part in (found, other))
            sign = "-" if other < 0 else "+"
            self.say(
                f"{found} {sign} {abs(other)} = {one}/{bottom} {sign} {abs(two)}/{bottom} = {one + two}/{bottom}"
            )
            found = self.reduce(one + two, bottom)
        return found

    def __str__(self) -> str:
        return "\n".join(self._lines)


def _sum(*numbers: int) -> str:
    return " + ".join(map(str, numbers))


def _is_power_of_ten(n: int) -> bool:
    return str(n).rstrip("0") == "1"


def _places(n: int) -> list[int]:
    """What the digits of a number stand for, without zeros: 305 is 300 and 5."""
    text = str(n)
    return [int(digit) * 10 ** (len(text) - at) for at, digit in enumerate(text, 1) if digit != "0"]

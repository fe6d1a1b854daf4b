"""Exact comparison of single values, in pure Python and bounded time."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

from . import values
from .evaluate import evaluate
from .nodes import Node
from .values import Unvalued, Value

MANY_DIGITS = 10
"""A decimal with this many significant digits is taken for a computed value, one with fewer for exact."""
DOUBLE = 2.0**-51
"""Last digits that floating-point arithmetic leaves uncertain, relative to the value."""

cached_value = lru_cache(maxsize=2048)(evaluate)
FAILURES = (Unvalued, RecursionError, ZeroDivisionError, OverflowError)
"""What evaluation raises where a tree has no value."""


class ExactLeaves:
    """Compares single values exactly."""

    work = values.Budget.QUICK
    """What one comparison may spend."""

    def value(self, node: Node) -> Value | None:
        try:
            return cached_value(node)
        except FAILURES:
            return None

    def same(self, a: Node, b: Node) -> bool | None:
        left, right = self.value(a), self.value(b)
        if left is None or right is None:
            return True if a == b else None
        if left.terms == right.terms:
            return True
        computed = self.computed(a, b, left, right)
        if computed is not None:
            return computed
        if left.sure and right.sure and not self.many_digits(a) and not self.many_digits(b):
            return False
        return None

    def proportional(self, a: tuple[Node, Node], b: tuple[Node, Node], positive: bool) -> bool | None:
        """Whether a[0] - a[1] and b[0] - b[1] vanish together (`positive`: have the same sign)."""
        try:
            left, right = (values.subtract(cached_value(x), cached_value(y)) for x, y in (a, b))
            if not left.terms or not right.terms:
                return left.terms == right.terms
            content_l, rest_l = values.primitive(left)
            content_r, rest_r = values.primitive(right)
        except FAILURES:
            return None
        if rest_l.terms == rest_r.terms:
            if positive:
                ratio = values.multiply(content_l, values.inverse(content_r)).rational
                return ratio is not None and ratio > 0
            return True
        return False if left.sure and right.sure else None

    def distance(self, a: Node, b: Node) -> Fraction | None:
        """|a - b| where both are real constants, to some 30 digits; None where it cannot be told here."""
        from . import fingerprint

        left, right = self.value(a), self.value(b)
        if left is None or right is None:
            return None
        try:
            return fingerprint.size(values.subtract(left, right))
        except FAILURES:
            return None

    def many_digits(self, node: Node) -> bool:
        return node.op == "dec" and node.value[1] >= MANY_DIGITS

    def computed(self, a: Node, b: Node, left: Value, right: Value) -> bool | None:
        """Two rationals of which one is written as a long decimal; None if the rule does not apply."""
        places = [node.value[2] for node in (a, b) if self.many_digits(node)]
        x, y = left.rational, right.rational
        if not places or x is None or y is None:
            return None
        return bool(abs(x - y) <= max(*places, Fraction(DOUBLE) * max(abs(x), abs(y))))


EXACT_LEAVES = ExactLeaves()

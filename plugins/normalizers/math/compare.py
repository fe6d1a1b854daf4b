"""Are two answers the same? One cascade over shapes; how two single values are compared is handed in.

Three-valued throughout: True, False, or None where this comparison cannot tell. In the main process values are
compared exactly (`ExactLeaves`); a worker process adds numeric comparison (`slow.NumericLeaves`).

Conventions, the same for every benchmark:

* order: `(1, 2)` is ordered, `1, 2` and `{1, 2}` are not; `(1, 2)` equals `1, 2` in that order only;
* brackets of pairs matter (an interval or a point), brackets of longer tuples do not;
* `x = 5` is 5, `f(x) = 2x` is 2x, `x + y = 5` is not 5; equations are equal up to a factor;
* a unit behind a value is dropped, but two different known units differ; currency signs are dropped;
* `45^\\circ` is 45 and is pi/4; `50%` is 50 and is 0.5; nothing else is ever multiplied by 100;
* a number in a written base equals no plain number; bases are compared by value;
* decimals are exact, unless one side is written with ten digits or more: then to its last place.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from . import fingerprint, values
from .evaluate import evaluate
from .letters import letter
from .nodes import MAX_TEXT, Node, Unparsed
from .parse import parse
from .shape import INFINITY, REALS, STRUCTURES, labels, shape, unlabelled
from .tidy import squash, tidy, words
from .values import Unvalued, Value
from .words import ALL_REALS, CONSTANTS, NO_SOLUTION, RESULT_WORDS, unit_key

MANY_DIGITS = 10
"""A decimal with this many significant digits is taken for a rounded value, one with fewer for exact."""
DOUBLE = 2.0**-51
"""Last digits that floating-point arithmetic leaves uncertain, relative to the value."""
_MAX_PAIRWISE = 80
_SENTENCE = 120  # characters beyond which a text with a full stop is taken for a solution
_MAX_TIDIED = 4 * MAX_TEXT
_MAX_CACHED = 600
_CHOICE = re.compile(r"\([A-J]\)|[A-J]\)")
_WORD = re.compile(r"[^\W\d_]{3}")  # "p-q" is no word
_COMMA_IN_NUMBER = re.compile(r"\d,\d{3}")


class Reading(NamedTuple):
    text: str
    """Tidied."""
    squashed: str
    words: str | None
    """Casefolded, if the answer is nothing but words."""
    node: Node | None
    """None if it is no mathematics that the parser knows."""


def read(text: str, thousands: bool = True) -> Reading:
    """Parse an answer. Time is bounded: answers over `nodes.MAX_TEXT` characters are only tidied."""
    return _read_cached(text, thousands) if len(text) <= _MAX_CACHED else _read(text, thousands)


def _read(text: str, thousands: bool) -> Reading:
    if len(text) > _MAX_TIDIED:
        plain = text.strip()
        return Reading(plain, plain, None, None)
    tidied = tidy(text)
    squashed = squash(tidied)
    found = words(squashed) if len(squashed) <= _MAX_CACHED else None
    if found in ALL_REALS or found in NO_SOLUTION:
        return Reading(tidied, squashed, None, REALS if found in ALL_REALS else Node("set"))
    if found in CONSTANTS:
        found = None
    return Reading(tidied, squashed, found, _node(text, tidied, thousands))


_read_cached = lru_cache(maxsize=4096)(_read)


def _node(text: str, tidied: str, thousands: bool) -> Node | None:
    solution = len(tidied) > _SENTENCE and (". " in tidied or "\n" in text)
    if not solution and (node := _shaped(tidied, thousands)) is not None:
        return node
    # A gold that is a whole sentence or solution
    from .extract import extract

    found = extract(text)
    if found is not None and len(found.answer) < len(text.strip()):
        return _shaped(tidy(found.answer), thousands)
    return _shaped(tidied, thousands) if solution else None


def _shaped(tidied: str, thousands: bool) -> Node | None:
    try:
        return shape(parse(tidied, thousands))
    except (Unparsed, RecursionError):
        return None


_evaluate = lru_cache(maxsize=2048)(evaluate)


class ExactLeaves:
    """Compares single values exactly, in pure Python."""

    def value(self, node: Node) -> Value | None:
        try:
            return _evaluate(node)
        except (Unvalued, RecursionError, ZeroDivisionError, OverflowError):
            return None

    def same(self, a: Node, b: Node) -> bool | None:
        left, right = self.value(a), self.value(b)
        if left is None or right is None:
            return True if a == b else None
        if left.terms == right.terms:
            return True
        rounded = self.rounded(a, b, left, right)
        if rounded is not None:
            return rounded
        if left.sure and right.sure and not self.many_digits(a) and not self.many_digits(b):
            return False
        return None

    def proportional(self, a: tuple[Node, Node], b: tuple[Node, Node], positive: bool) -> bool | None:
        """Whether a[0] - a[1] and b[0] - b[1] vanish together (`positive`: have the same sign)."""
        try:
            left, right = (values.subtract(_evaluate(x), _evaluate(y)) for x, y in (a, b))
            if not left.terms or not right.terms:
                return left.terms == right.terms
            content_l, rest_l = values.primitive(left)
            content_r, rest_r = values.primitive(right)
        except (Unvalued, RecursionError, ZeroDivisionError, OverflowError):
            return None
        if rest_l.terms == rest_r.terms:
            if positive:
                ratio = values.multiply(content_l, values.inverse(content_r)).rational
                return ratio is not None and ratio > 0
            return True
        return False if left.sure and right.sure else None

    def many_digits(self, node: Node) -> bool:
        return node.op == "dec" and node.value[1] >= MANY_DIGITS

    def rounded(self, a: Node, b: Node, left: Value, right: Value) -> bool | None:
        """Two rationals of which one is written as a long decimal; None if the rule does not apply."""
        places = [node.value[2] for node in (a, b) if self.many_digits(node)]
        x, y = left.rational, right.rational
        if not places or x is None or y is None:
            return None
        return bool(abs(x - y) <= max(*places, Fraction(DOUBLE) * max(abs(x), abs(y))))


class Comparer:
    """The cascade. Symmetric: `same(a, b)` is `same(b, a)`."""

    def __init__(self, leaves: ExactLeaves) -> None:
        self.leaves = leaves

    def same(self, a: Node, b: Node) -> bool | None:
        a, b = _single(a), _single(b)
        if a.op == "eq" or b.op == "eq":
            return self.equations(a, b)
        if a.op == "rel" or b.op == "rel":
            return self.relations(a, b)
        if a.op == "text" or b.op == "text":
            if a.op != b.op:
                return False
            return bool(squash(a.value).casefold() == squash(b.value).casefold())
        if a.op in STRUCTURES or b.op in STRUCTURES:
            return self.structures(a, b)
        return self.single_values(a, b)

    def structures(self, a: Node, b: Node) -> bool | None:
        if b.op in ("bag", "set") and a.op not in ("bag", "set"):
            a, b = b, a
        if a.op in ("bag", "set"):
            if b.op in ("bag", "set"):
                return self.bags(a, b)
            if a.op == "bag" and b.op == "union":  # x < 1 or x > 2
                parts = [unlabelled(item) or item for item in a.args]
                return self.in_any_order(parts, list(b.args))
            if a.op == "bag":
                ordered = _vector(b)
                if ordered is not None and not _half_open(b):
                    return self.in_order([unlabelled(item) or item for item in a.args], list(ordered))
            return None if b.op in ("inter", "setminus") else False
        left, right = _vector(a), _vector(b)
        if left is not None and right is not None:
            if a.op == b.op == "seq" and len(left) == 2 and a.value != b.value and _bracket(a) != _bracket(b):
                return False
            return self.in_order(list(left), list(right))
        if a.op == "matrix" and b.op == "matrix":
            return a.value == b.value and self.in_order(list(a.args), list(b.args))
        if a.op == b.op == "union":
            return self.in_any_order(list(a.args), list(b.args))
        if a.op == b.op and a.op in ("inter", "setminus"):
            return self.in_order(list(a.args), list(b.args)) or None
        return None if "inter" in (a.op, b.op) or "setminus" in (a.op, b.op) else False

    def bags(self, a: Node, b: Node) -> bool | None:
        left, right = list(a.args), list(b.args)
        names_l, names_r = _names(left), _names(right)
        if names_l and names_r and len(set(names_l)) == len(names_l) and sorted(names_l) == sorted(names_r):
            by_name = dict(zip(names_r, right, strict=True))
            return self.in_order(
                [unlabelled(item) or item for item in left],
                [unlabelled(by_name[name]) or by_name[name] for name in names_l],
            )
        if any(item.op == "eq" for item in (*left, *right)):
            distinct = [n for n in (names_l, names_r) if n and len({name[:1] for name in n}) == len(n) > 1]
            equal = self.in_any_order(left, right)
            if equal:
                return True
            left, right = [unlabelled(i) or i for i in left], [unlabelled(i) or i for i in right]
            if distinct:
                return self.in_order(left, right)
        if len(left) != len(right) and "set" in (a.op, b.op):
            left, right = self.distinct(left), self.distinct(right)
        return self.in_any_order(left, right)

    def distinct(self, items: list[Node]) -> list[Node]:
        kept: list[Node] = []
        for item in items[:_MAX_PAIRWISE]:
            if not any(self.same(item, other) for other in kept):
                kept.append(item)
        return kept

    def in_order(self, left: list[Node], right: list[Node]) -> bool | None:
        if len(left) != len(right):
            return False
        known: bool | None = True
        for x, y in zip(left, right, strict=True):
            same = self.same(x, y)
            if same is False:
                return False
            if same is None:
                known = None
        return known

    def in_any_order(self, left: list[Node], right: list[Node]) -> bool | None:
        if len(left) != len(right):
            return False
        if len(left) > _MAX_PAIRWISE:
            return self.in_order(left, right) or (sorted(map(repr, left)) == sorted(map(repr, right)) or None)
        remaining = list(right)
        known: bool | None = True
        for x in left:
            maybe = False
            for index, y in enumerate(remaining):
                same = self.same(x, y)
                if same:
                    del remaining[index]
                    break
                maybe = maybe or same is None
            else:
                if not maybe:
                    return False
                known = None
        return known

    # -- equations and inequalities

    def equations(self, a: Node, b: Node) -> bool | None:
        if a.op != "eq":
            a, b = b, a
        if b.op != "eq":
            value = unlabelled(a)
            if value is None:
                return False
            if b.op == "bag" and labels(a.args[0]) and value.op not in STRUCTURES:
                return False
            return self.same(value, b)
        if len(a.args) == len(b.args) == 2:
            straight = self.in_order(list(a.args), list(b.args))
            if straight or self.in_order(list(a.args), list(reversed(b.args))):
                return True
        value_a, value_b = unlabelled(a), unlabelled(b)
        unknown = False
        if value_a is not None and value_b is not None and _same_role(a, b):
            same = self.same(value_a, value_b)
            if same:
                return True
            unknown = same is None
        if len(a.args) == len(b.args) == 2 and not any(part.op in STRUCTURES for part in (*a.args, *b.args)):
            proportional = self.leaves.proportional((a.args[0], a.args[1]), (b.args[0], b.args[1]), False)
            return None if proportional is False and unknown else proportional
        return None if unknown else False

    def relations(self, a: Node, b: Node) -> bool | None:
        if a.op != b.op or len(a.args) != len(b.args):
            return False
        if a.value == b.value:
            straight = self.in_order(list(a.args), list(b.args))
            if straight:
                return True
        if len(a.args) == 2 and a.value == b.value and a.value[0] in ("<", "<=", "!="):
            return self.leaves.proportional(
                (a.args[0], a.args[1]), (b.args[0], b.args[1]), a.value[0] != "!="
            )
        return None if a.value == b.value and straight is None else False

    # -- single values

    def single_values(self, a: Node, b: Node) -> bool | None:
        if a.op == "unit" or b.op == "unit":
            if a.op == b.op:
                unit_a, unit_b = unit_key(a.value), unit_key(b.value)
                if unit_a is not None and unit_b is not None and unit_a != unit_b:
                    return False
            return self.same(a.args[0] if a.op == "unit" else a, b.args[0] if b.op == "unit" else b)
        if a.op in ("percent", "degree") and b.op in ("percent", "degree"):
            return self.same(a.args[0], b.args[0]) if a.op == b.op else self.leaves.same(a, b)
        if b.op in ("percent", "degree"):
            a, b = b, a
        if a.op in ("percent", "degree"):
            plain = self.same(a.args[0], b)
            return plain if plain else _either(plain, self.leaves.same(a, b))
        if (a.op == "based") != (b.op == "based"):
            return False  # asked for in base 8, "42" is no answer
        # times of day and 1:2:3 are no quotients
        if a.op == b.op == "ratio" and ((a.value and b.value) or len(a.args) != 2 or len(b.args) != 2):
            return self.in_order(list(a.args), list(b.args))
        return self.leaves.same(a, b)


def _either(a: bool | None, b: bool | None) -> bool | None:
    return True if a or b else None if a is None or b is None else False


def _single(node: Node) -> Node:
    """A set or list of one is its element; a union with one part is that part."""
    while node.op in ("bag", "set") and len(node.args) == 1:
        node = node.args[0]
    return node


def _bracket(node: Node) -> tuple[str, str]:
    opening, closing = node.value
    # an infinite end is open however it is written
    first, last = node.args[0], node.args[-1]
    if first.op == "mul" and first.args[-1] == INFINITY:
        opening = "("
    if last == INFINITY:
        closing = ")"
    return opening, closing


def _half_open(node: Node) -> bool:
    return node.op == "seq" and len(node.args) == 2 and node.value != ("(", ")")


def _vector(node: Node) -> tuple[Node, ...] | None:
    if node.op == "seq":
        return node.args
    if node.op == "matrix" and len(node.args) > 1 and node.value in (1, len(node.args)):
        return node.args
    return None


def _names(items: list[Node]) -> list[str] | None:
    """The names of equations that each give one name a value."""
    names = []
    for item in items:
        if item.op != "eq" or len(item.args) != 2 or item.args[0].op != "sym":
            return None
        names.append(item.args[0].value)
    return names


def _same_role(a: Node, b: Node) -> bool:
    """Whether the names of two equations may stand for the same thing: not x = 5 and y = 5."""
    left, right = a.args[0], b.args[0]
    if left.op == right.op == "sym":
        return bool(left.value == right.value)
    return True


EXACT = Comparer(ExactLeaves())


def same_text(a: Reading, b: Reading) -> bool | None:
    """What the texts alone decide."""
    if a.squashed == b.squashed and a.squashed:
        return True
    if a.words is not None and b.words is not None:
        if a.words == b.words:
            return True
        if (
            min(len(a.words), len(b.words)) >= 4
            and _WORD.search(a.words)
            and _WORD.search(b.words)
            and not _says_result(a.words)
            and not _says_result(b.words)
        ):
            return False
    return None


def _says_result(text: str) -> bool:
    return not RESULT_WORDS.isdisjoint(text.split())


def same(a_text: str, b_text: str, comparer: Comparer = EXACT) -> tuple[bool | None, str]:
    """Whether two answers are the same, and the rule that decided. None: this comparer cannot tell."""
    values.BUDGET.refill()
    a, b = read(a_text), read(b_text)
    decided = same_text(a, b)
    if decided is not None:
        return decided, "text"
    result = _same_nodes(a, b, comparer)
    commas = _COMMA_IN_NUMBER.search(a.text) or _COMMA_IN_NUMBER.search(b.text)
    # "100,200" may be a list; then both are read as lists
    if result is not True and commas and _same_nodes(read(a_text, False), read(b_text, False), comparer):
        return True, "list"
    if result is not True and _same_letter(a, b):
        return True, "letter"
    return result, "value"


def _same_letter(a: Reading, b: Reading) -> bool:
    """Whether one answer is a choice letter and the other that choice with its content: B and "(B) 42"."""
    for bare, full in ((a, b), (b, a)):
        if bare.node is not None and bare.node.op == "sym" and len(full.text) <= _MAX_CACHED:
            named = letter(full.text) if _CHOICE.match(full.squashed) else None
            if named == bare.node.value:
                return True
    return False


def _same_nodes(a: Reading, b: Reading, comparer: Comparer) -> bool | None:
    if a.node is None or b.node is None:
        other = b if a.node is None else a
        if a.node is None and b.node is None:
            return None
        # a sentence is no number
        text = a if a.node is None else b
        if text.words is not None and other.node is not None and other.node.op in ("num", "dec"):
            return False
        return None
    return comparer.same(a.node, b.node)


# -- keys


def key(text: str) -> str | None:
    """Canonical key of an answer from exact values and texts alone; None where that takes numeric work."""
    values.BUDGET.refill()
    reading = read(text)
    if reading.words is not None and _WORD.search(reading.words) and not _says_result(reading.words):
        return f"text:{reading.words}"
    if reading.node is None:
        return None
    return node_key(reading.node, _exact_key)


def _exact_key(node: Node) -> str | None:
    value = EXACT.leaves.value(node)
    if value is None:
        return None
    number = value.rational
    return fingerprint.of_value(value) if number is None else values.rational_text(number)


def _equation_key(node: Node) -> str | None:
    """Key of an equation such as x + y = 5: its difference, up to a factor."""
    if len(node.args) != 2 or any(part.op in STRUCTURES for part in node.args):
        return None
    try:
        difference = values.subtract(_evaluate(node.args[0]), _evaluate(node.args[1]))
        return f"equation {values.primitive(difference)[1].key()}" if difference.terms else "equation 0"
    except (Unvalued, RecursionError, ZeroDivisionError, OverflowError):
        return None


def node_key(node: Node, leaf_key: Callable[[Node], str | None]) -> str | None:
    """Key of a shape, from the keys of its single values."""
    node = _single(node)
    op = node.op
    if op == "eq":
        value = unlabelled(node)
        return _equation_key(node) if value is None else node_key(value, leaf_key)
    if op == "ratio" and (node.value or len(node.args) != 2):  # a time of day, or 1:2:3
        return "time " + ":".join(str(leaf_key(arg)) for arg in node.args)
    if op in ("unit", "percent", "degree"):
        inner = node_key(node.args[0], leaf_key)
        return f"{inner} {unit_key(node.value)}" if inner is not None and inner.startswith("time ") else inner
    if op == "based":
        number = leaf_key(node)
        return None if number is None else f"based {number}"
    if op == "text":
        return f"text:{squash(node.value).casefold()}"
    if op not in STRUCTURES:
        return leaf_key(node)
    keys = [node_key(arg, leaf_key) for arg in node.args]
    known = [k for k in keys if k is not None]
    if len(known) < len(keys):
        return None
    if op in ("bag", "set"):
        return "{" + ";".join(sorted(known)) + "}"
    if _vector(node) is not None:
        opening, closing = _bracket(node) if op == "seq" and len(keys) == 2 else ("(", ")")
        return opening + ";".join(known) + closing
    if op == "union":
        return "union{" + ";".join(sorted(known)) + "}"
    return f"{op}{node.value}({';'.join(known)})"

"""The verdict on two answers, and the key of one: texts first, then shapes, then what a reader would also accept.

Everything here is symmetric but one rule, `rounded`: a gold that is evidently rounded, a decimal of three
significant digits or more (two in scientific notation), is met by every value that rounds to it: 33.3 by 100/3,
20.39 by 20.385. Never the other way round: for the gold 1/3 the answer 0.333 is wrong, because the answer is what
was asked to be exact.
"""

from __future__ import annotations

import hashlib
import re
from fractions import Fraction

from . import values
from .compare import EXACT, Comparer
from .forms import single
from .keys import LeafKey, exact_key, node_key
from .letters import letter
from .nodes import Node
from .read import MAX_CACHED, Reading, meaningful, read, spelling, with_units
from .relative import beside
from .shape import STRUCTURES, symbols, unlabelled
from .tidy import squash

ROUNDED_DIGITS = 3
"""A gold with this many significant digits is taken for rounded; one less in scientific notation."""

_SHOWN = 100  # characters of a long text that its key shows
_SMALL = Fraction(1, 1000)
_CHOICE = re.compile(r"(?i:option|choice)[ :]?\(?[A-J]\)?$|\([A-J]\)|[A-J][):]|[A-J]\.(?=\D)")
_COMMA_IN_NUMBER = re.compile(r"\d,\d{3}")
_OR = re.compile(r"\bor\b|\\lor|\\vee|=|\\approx")
_CONSTANT = re.compile(r"[cC](?:_\w+)?")
_INTEGERS = re.compile(r"\\(?:mathbb|mathbf|Bbb)\s*\{?\s*[ZN]|\binteger")
_PARAMETER = re.compile(r"[kmnl]")


def same(answer: str, gold: str, comparer: Comparer = EXACT) -> tuple[bool | None, str]:
    """Whether an answer equals the gold, and the rule that decided. None: this comparer cannot tell."""
    values.BUDGET.refill(comparer.leaves.work)
    a, b = read(answer), read(gold)
    decided = _same_text(a, b)
    if decided is not None:
        return decided, "text"
    result = _same_nodes(a, b, comparer)
    if result:
        return True, "value"
    if a.node is None or b.node is None:
        spelled = spelling(a.text)
        if spelled is not None and spelled == spelling(b.text):
            return True, "text"
    commas = _COMMA_IN_NUMBER.search(a.text) or _COMMA_IN_NUMBER.search(b.text)
    # "100,200" may be a list; then both are read as lists
    if commas and _same_nodes(read(answer, False), read(gold, False), comparer):
        return True, "list"
    if _same_letter(a, b):
        return True, "letter"
    if a.node is not None and b.node is not None:
        if _said_twice(a, b.node, comparer) or _said_twice(b, a.node, comparer):
            return True, "said twice"
        if _with_units(a, b, comparer):
            return True, "unit"
        if _renamed(a, b, comparer):
            return True, "constants"
        rounded = _rounded(a.node, b.node, comparer)
        if rounded:
            return True, "rounded"
        if rounded is None:
            result = None
    return result, "value"


def key(answer: str, gold: str | None = None, leaf_key: LeafKey = exact_key) -> str | None:
    """Canonical key of an answer, read as the gold is written if one is given; None where the leaves have none."""
    values.BUDGET.refill(values.Budget.QUICK if leaf_key is exact_key else values.Budget.WORKER)
    reading = read(answer)
    if reading.words is not None and meaningful(reading.words):
        return text_key(answer)
    if reading.node is None:
        return None
    gold_node = None if gold is None else read(gold).node
    return node_key(reading.node if gold_node is None else beside(reading.node, gold_node), leaf_key)


def text_key(answer: str) -> str:
    """The key of an answer that is no mathematics: its text, shortened where it is long."""
    reading = read(answer)
    text = reading.words if meaningful(reading.words) else spelling(reading.text)
    text = text or reading.squashed or answer.strip()
    if len(text) > MAX_CACHED:
        digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
        text = f"{text[:_SHOWN]}... {digest}"
    return f"text:{text}"


def _same_text(a: Reading, b: Reading) -> bool | None:
    """What the texts alone decide."""
    if a.squashed == b.squashed and a.squashed:
        return True
    for one, other in ((a, b), (b, a)):
        if one.words is not None and other.node is not None:
            inner = single(other.node)
            if inner.op == "text" and squash(inner.value).casefold() == one.words:
                return True
    if a.words is not None and b.words is not None:
        if a.words == b.words:
            return True
        long = min(len(a.words), len(b.words)) >= 4
        if long and meaningful(a.words) and meaningful(b.words):
            return False
    return None


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


def _same_letter(a: Reading, b: Reading) -> bool:
    """Whether one answer is a choice letter and the other that choice with its content: B and "(B) 42"."""
    for bare, full in ((a, b), (b, a)):
        if bare.node is not None and bare.node.op == "sym" and len(full.text) <= MAX_CACHED:
            named = letter(full.text) if _CHOICE.match(full.squashed) else None
            if named == bare.node.value:
                return True
    return False


def _said_twice(reading: Reading, other: Node, comparer: Comparer) -> bool:
    """Whether "1/4 or 0.25" says twice what the other says once."""
    node = reading.node
    if node is None or node.op != "bag" or len(node.args) != 2 or other.op in ("bag", "set"):
        return False
    first, second = node.args
    if first == second or not _OR.search(reading.text):
        return False
    if not (comparer.same(first, other) or comparer.same(second, other)):
        return False
    return bool(
        comparer.same(first, second) or _rounded(first, second, comparer) or _rounded(second, first, comparer)
    )


def _with_units(a: Reading, b: Reading, comparer: Comparer) -> bool:
    """Whether the letters behind one number are units, as the other is but a number: "5 m" and 5."""
    for bare, full in ((a, b), (b, a)):
        if bare.node is None or full.node is None or not symbols(full.node):
            continue
        number = unlabelled(bare.node) or bare.node
        if symbols(number):
            continue
        node = with_units(full.text) if len(full.text) <= MAX_CACHED else None
        inner = unlabelled(node) or node if node is not None else None
        if inner is not None and inner.op == "unit" and not symbols(inner):
            return node is not None and bool(comparer.same(node, bare.node))
    return False


def _renamed(a: Reading, b: Reading, comparer: Comparer) -> bool:
    """Whether two answers differ in the names of constants only: c for C, and n for k where k is any integer."""
    if a.node is None or b.node is None:
        return False
    x, y = (unlabelled(node) or node for node in (a.node, b.node))
    left, right = symbols(x), symbols(y)
    names: dict[str, str] = {}
    only_l, only_r = sorted(left - right), sorted(right - left)
    if not only_l or len(only_l) != len(only_r):
        return False
    if all(_CONSTANT.fullmatch(name) for name in (*only_l, *only_r)):
        names = {one: other for one in only_l for other in only_r if one.upper() == other.upper()}
    elif (
        len(only_l) == 1
        and all(_PARAMETER.fullmatch(name) for name in (only_l[0], only_r[0]))
        and (_INTEGERS.search(a.text) or _INTEGERS.search(b.text))
    ):
        names = {only_l[0]: only_r[0]}
    if len(names) != len(only_l):
        return False
    return bool(comparer.same(_with_names(x, names), y))


def _with_names(node: Node, names: dict[str, str]) -> Node:
    if node.op == "sym":
        return Node("sym", (), names.get(node.value, node.value))
    if not node.args:
        return node
    return Node(node.op, tuple(_with_names(arg, names) for arg in node.args), node.value)


# -- rounded golds


def _rounded(answer: Node, gold: Node, comparer: Comparer) -> bool | None:
    """Whether the gold is rounded and the answer rounds to it; None where that takes numeric work.

    Half a unit of the gold's last place is allowed, inclusive: which way a tie was rounded is not known.
    """
    x, g = _bare(answer), _bare(gold)
    decimal = _decimal(g)
    if decimal is None or x.op in STRUCTURES or symbols(x) or (g.op == "percent" and x.op != "percent"):
        return False
    value, place = decimal
    if x.op == "percent" and (g.op == "percent" or abs(value) >= 1):
        x = x.args[0]
    own = _decimal(x)
    if x.op == "num" or (own is not None and own[1] >= place):
        return False  # no longer than the gold
    distance = comparer.leaves.distance(x, Node("num", (), value))
    return None if distance is None else distance <= place / 2


def _bare(node: Node) -> Node:
    """The value without its name, its unit and the sign of degrees."""
    for _ in range(3):
        if node.op == "eq":
            node = unlabelled(node) or node
        if node.op in ("unit", "degree"):
            node = node.args[0]
    return node


def _decimal(node: Node) -> tuple[Fraction, Fraction] | None:
    """(value, one unit in the last place) of a decimal that is evidently rounded."""
    if node.op == "percent":
        node = node.args[0]
    minus = node.op == "mul" and node.args[0] == Node("num", (), Fraction(-1))
    if minus:
        node = node.args[1]
    shift, needed = Fraction(1), ROUNDED_DIGITS
    if node.op == "mul" and node.args[1].op == "pow":
        power = node.args[1]
        base, exponent = power.args
        if base != Node("num", (), Fraction(10)) or exponent.op != "num" or abs(exponent.value) > 400:
            return None
        if exponent.value.denominator != 1:
            return None
        shift, node, needed = Fraction(10) ** int(exponent.value), node.args[0], ROUNDED_DIGITS - 1
    if node.op != "dec":
        return None
    value, digits, place = node.value
    if place > 1 or abs(value) < _SMALL:
        needed = ROUNDED_DIGITS - 1  # 1.9e6, 4.6e-24
    if digits < needed:
        return None
    return (-value if minus else value) * shift, place * shift

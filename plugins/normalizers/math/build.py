"""Building blocks of the parser: nodes out of parts, numbers out of their digits."""

from __future__ import annotations

from fractions import Fraction

from .nodes import MAX_DIGITS, Node, Unparsed
from .tokens import DOMAINS

ONE = Node("num", (), Fraction(1))
MINUS_ONE = Node("num", (), Fraction(-1))
INFINITY = Node("const", (), "inf")
REALS = Node("seq", (Node("mul", (MINUS_ONE, INFINITY)), INFINITY), ("(", ")"))


POSITIVE = Node("seq", (Node("num", (), Fraction(0)), INFINITY), ("(", ")"))


def is_domain(node: Node) -> bool:
    """k in Z: a condition, no answer, where it stands behind one."""
    if node.op != "rel" or node.value != ("in",):
        return False
    domain = node.args[1]
    return domain == REALS or (domain.op == "sym" and domain.value[1:] in DOMAINS.values())


def bag_of(items: list[Node]) -> Node:
    return items[0] if len(items) == 1 else Node("bag", tuple(items))


def sum_of(terms: list[Node]) -> Node:
    return terms[0] if len(terms) == 1 else Node("add", tuple(terms))


def negated(node: Node) -> Node:
    if node.op == "num":
        return Node("num", (), -node.value)
    if node.op == "dec":
        return Node("dec", (), (-node.value[0], *node.value[1:]))
    if node.op in ("unit", "percent", "degree"):
        return Node(node.op, (negated(node.args[0]),), node.value)
    return Node("mul", (MINUS_ONE, node))


def letter(text: str) -> Node:
    return Node("const", (), text) if text in "ie" else Node("sym", (), text)


def letters(word: str) -> Node:
    node = letter(word[0])
    for character in word[1:]:
        node = Node("mul", (node, letter(character)))
    return node


def subscripted(node: Node, script: str) -> Node:
    return Node("sym", (), f"{node.value}_{script}") if node.op == "sym" else node


def bracketed(opening: str, groups: list[list[Node]], closing: str) -> Node:
    items = [item for group in groups for item in group]
    if opening == "\\{" or (opening == "{" and len(items) != 1):
        if len(groups) > 1 and any(len(group) > 1 for group in groups):
            items = [Node("seq", tuple(group), ("(", ")")) for group in groups]
        return Node("set", tuple(items))
    if len(items) == 1:
        return items[0]
    if not items:
        raise Unparsed("empty brackets")
    return Node("seq", tuple(items), (opening, closing))


def numeric(node: Node) -> bool:
    """Whether a node is made of numbers only, so that a word behind it must be a unit."""
    stack, steps = [node], 0
    while stack:
        node, steps = stack.pop(), steps + 1
        if steps > 100 or node.op in ("sym", "text", "rel") or (node.op == "const" and node.value == "i"):
            return False
        stack.extend(node.args)
    return True


def fraction(text: str) -> Fraction:
    mantissa, _, exponent = text.lower().partition("e")
    shift = int(exponent) if exponent and len(exponent) < 8 else 0
    if exponent and (len(exponent) >= 8 or abs(shift) > MAX_DIGITS):
        raise Unparsed("exponent out of bounds")
    whole, _, places = mantissa.partition(".")
    value = Fraction(int(whole + places or "0"), 10 ** len(places)) if places else Fraction(int(whole or "0"))
    return value * Fraction(10) ** shift if shift else value


def last_place(text: str) -> Fraction:
    """One unit in the last place that was written: 0.01 for "3.14"."""
    mantissa, _, exponent = text.lower().partition("e")
    return Fraction(10) ** ((int(exponent) if exponent else 0) - len(mantissa.partition(".")[2]))


def flat(node: Node) -> str:
    """A subscript as text: equal subscripts give equal texts."""
    if node.op == "num":
        return str(node.value)
    if node.op in ("sym", "const", "text"):
        return str(node.value).replace(" ", "")
    if node.op == "mul":
        return "".join(flat(arg) for arg in node.args)
    if node.op == "dec":
        return str(node.value[0])
    return f"{node.op}[{','.join(flat(arg) for arg in node.args)}]"

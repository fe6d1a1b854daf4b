"""An answer as it is to be read beside a gold: what only one of the two writes is dropped or filled in.

So 5, 5 cm and x = 5 get one key beside the gold 7 and beside the gold 7 cm, and 50% and 0.5 get one beside the gold
0.4, but 50% and 50 beside the gold 40. The gold decides: without one, every sign counts.
"""

from __future__ import annotations

from fractions import Fraction

from .exact import EXACT_LEAVES
from .forms import half_open, names, single, vector
from .nodes import Node
from .shape import STRUCTURES, unlabelled
from .words import unit_key

_HUNDRED = Node("num", (), Fraction(100))
_MARKS = frozenset({"unit", "percent", "degree"})


def beside(node: Node, gold: Node) -> Node:
    """The answer's shape, read as the gold is written."""
    node, gold = single(node), single(gold)
    if node == gold:
        return node
    label = gold.args[0] if gold.op == "eq" and len(gold.args) == 2 and gold.args[0].op == "sym" else None
    own = unlabelled(node)
    if gold.op == "eq" and unlabelled(gold) is None:
        return node  # x + y = 5: no side is a name
    if own is not None and (label is None or node.args[0].op != "sym"):
        node = own
    inner_gold = gold if unlabelled(gold) is None else unlabelled(gold)
    assert inner_gold is not None
    if node.op == "eq":
        value = unlabelled(node)
        if value is None or len(node.args) != 2 or value.op in STRUCTURES:
            return node
        return Node("eq", (node.args[0], _value_beside(value, inner_gold)))
    node = _value_beside(node, inner_gold)
    if label is not None and node.op not in STRUCTURES and node.op != "eq":
        return Node("eq", (label, node))
    return node


def _value_beside(node: Node, gold: Node) -> Node:
    if node.op in ("bag", "set", "seq"):
        items = gold.args if gold.op in ("bag", "set", "seq", "matrix") and gold.args else (gold,)
        ordered = vector(gold) is not None and not half_open(gold)
        called = names(list(node.args))
        if called and not ordered and len({name[:1] for name in called}) > 1:
            return node  # a = 1, b = 2: the names say which is which
        aligned = len(items) == len(node.args)
        parts = tuple(beside(arg, items[i] if aligned else items[0]) for i, arg in enumerate(node.args))
        if node.op == "bag" and ordered:
            same_shape = gold.op == "seq" or aligned
            return Node(gold.op, parts, gold.value) if same_shape else Node("seq", parts, ("(", ")"))
        return Node(node.op, parts, node.value)
    if node.op in STRUCTURES or node.op == "eq":
        return node
    if gold.op not in _MARKS:
        return _unmarked(node, gold)
    if node.op in _MARKS:
        return node
    if gold.op == "percent":
        return Node("percent", (Node("mul", (_HUNDRED, node)) if _below_one(node) else node,))
    if gold.op == "degree" and _holds_pi(node):
        return node
    if gold.op == "unit" and unit_key(gold.value) is None:
        return node
    return Node(gold.op, (node,), gold.value)


def _unmarked(node: Node, gold: Node) -> Node:
    """A value beside a bare gold: a percent sign counts beside a share, a degree sign beside multiples of pi."""
    if node.op == "unit":
        return _unmarked(node.args[0], gold)
    if node.op == "percent":
        return Node("div", (node.args[0], _HUNDRED)) if _below_one(gold) else node.args[0]
    if node.op == "degree" and not _holds_pi(gold):
        return node.args[0]
    if node.op == "degree":
        pi = Node("const", (), "pi")
        return Node("div", (Node("mul", (node.args[0], pi)), Node("num", (), Fraction(180))))
    return node


def _below_one(node: Node) -> bool:
    value = EXACT_LEAVES.value(node)
    number = None if value is None else value.rational
    return number is not None and abs(number) < 1


def _holds_pi(node: Node) -> bool:
    stack = [node]
    while stack:
        node = stack.pop()
        if node.op == "const" and node.value == "pi":
            return True
        stack.extend(node.args)
    return False

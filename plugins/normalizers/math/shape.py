"""Tree -> shape: what an answer says, whatever the notation.

Plus-minus becomes two values, inequalities in one variable become intervals, approximations behind an exact
value go, finite sets and matrices are computed.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from itertools import product as combinations

from . import matrices, sets, solve
from .nodes import MAX_CHOICES, Node, Unparsed
from .sets import INFINITY

REALS = Node("seq", (Node("mul", (Node("num", (), Fraction(-1)), INFINITY)), INFINITY), ("(", ")"))
MINUS = Node("num", (), Fraction(-1))
_LESS = frozenset({"<", "<="})
_MORE = frozenset({">", ">="})
STRUCTURES = frozenset({"bag", "set", "seq", "union", "inter", "setminus", "matrix", "rel", "eq", "text"})
"""Nodes that hold values but are none."""


def shape(node: Node) -> Node:
    """The shape of a parsed answer; applying it twice changes nothing.

    Raises:
        Unparsed: too many independent signs.
    """
    variants = expand(node) if node.op not in ("bag", "set") else [node]
    if len(variants) > 1:
        return Node("bag", tuple(shape(variant) for variant in variants))
    op = node.op
    if op in ("bag", "set"):
        items: list[Node] = []
        for item in node.args:
            shaped = shape(item)
            items.extend(shaped.args if shaped.op == "bag" else (shaped,))
        if op == "bag" and len(items) == 1:
            return items[0]
        conditions = _conditions(items) if op == "bag" else None
        return conditions or Node(op, tuple(items))
    if op == "seq":
        return Node("seq", tuple(shape(arg) for arg in node.args), node.value)
    if op == "rel":
        return _relation(node)
    if op in ("unit", "percent", "degree"):
        inner = shape(node.args[0])
        # behind a list or a tuple a unit says nothing
        return inner if inner.op in STRUCTURES or inner.op == "eq" else Node(op, (inner,), node.value)
    if op in ("union", "inter", "setminus"):
        return _set_operation(Node(op, tuple(shape(arg) for arg in node.args)))
    if op == "add" and len(node.args) == 2 and _is_set(node.args[0]):
        # R - {2}
        right = node.args[1]
        if right.op == "mul" and right.args[0] == MINUS and right.args[1].op in STRUCTURES:
            return shape(Node("setminus", (node.args[0], right.args[1])))
    return matrices.computed(node)


def expand(node: Node) -> list[Node]:
    """All values of a node with plus-minus signs. A minus-plus is tied to the plus-minus signs."""
    signs = _count_signs(node)
    if not signs:
        return [node]
    tied = "mp" in signs
    if len(signs) > MAX_CHOICES and not tied:
        raise Unparsed("too many plus-minus signs")
    if tied:
        choices = [[sign == "pm" for sign in signs], [sign != "pm" for sign in signs]]
    else:
        choices = [list(choice) for choice in combinations((True, False), repeat=len(signs))]
    return [_choose(node, iter(choice).__next__) for choice in choices]


def _count_signs(node: Node) -> list[str]:
    found: list[str] = []
    stack = [node]
    while stack:
        current = stack.pop()
        if current.op in ("pm", "mp"):
            found.append(current.op)
        stack.extend(reversed(current.args))
    return found


def _choose(node: Node, pick: Callable[[], bool]) -> Node:
    if node.op in ("pm", "mp"):
        plus = pick()
        left, right = (_choose(arg, pick) for arg in node.args)
        return Node("add", (left, right if plus else Node("mul", (MINUS, right))))
    if not node.args:
        return node
    return Node(node.op, tuple(_choose(arg, pick) for arg in node.args), node.value)


# -- relations


def _relation(node: Node) -> Node:
    parts, signs = list(node.args), list(node.value)
    if "~" in signs:
        cut = signs.index("~")
        if cut == 0 and labels(parts[0]):
            signs[0] = "="  # x \approx 600
        else:
            parts, signs = parts[: cut + 1], signs[:cut]
            if not signs:
                return shape(parts[0])
    if signs == ["="] and parts[1].op == "sym" and not labels(parts[0]):
        parts.reverse()  # 5 = x
    if all(sign == "=" for sign in signs) or signs == ["in"]:
        return Node("eq", tuple(shape(part) for part in parts))
    if all(sign in _MORE for sign in signs):
        parts.reverse()
        signs = [sign.replace(">", "<") for sign in reversed(signs)]
    if all(sign in _LESS for sign in signs) and len(parts) <= 3:
        return (
            _interval(parts, signs) or solve.linear(parts, signs) or Node("rel", tuple(parts), tuple(signs))
        )
    if signs == ["!="]:
        return _all_but_one(parts) or Node("rel", tuple(parts), tuple(signs))
    return Node("rel", tuple(parts), tuple(signs))


def _all_but_one(parts: list[Node]) -> Node | None:
    """x != 5 as x in (-inf, 5) or (5, inf)."""
    if parts[0].op != "sym":
        parts = parts[::-1]
    variable, value = parts
    if variable.op != "sym" or variable.value in symbols(value):
        return None
    return Node("eq", (variable, without(value)))


def without(*points: Node) -> Node:
    """The real line without some points, which are in order."""
    ends = (negative(INFINITY), *points, INFINITY)
    gaps = [Node("seq", pair, ("(", ")")) for pair in pairwise(ends)]
    return Node("union", tuple(gaps)) if len(gaps) > 1 else gaps[0]


def _interval(parts: list[Node], signs: list[str]) -> Node | None:
    """a < x <= b as x in (a, b], x < b as x in (-inf, b) and so on; None where no single variable is bounded."""
    if len(parts) == 3:
        low, variable, high = parts
        low_sign, high_sign = signs
    elif _variable(parts[0]) and not symbols(parts[1]) & symbols(parts[0]):
        low, variable, high = negative(INFINITY), parts[0], parts[1]
        low_sign, high_sign = "<", signs[0]
    elif _variable(parts[1]) and not symbols(parts[0]) & symbols(parts[1]):
        low, variable, high = parts[0], parts[1], INFINITY
        low_sign, high_sign = signs[0], "<"
    else:
        return None
    if not _variable(variable):
        return None
    brackets = ("(" if low_sign == "<" else "[", ")" if high_sign == "<" else "]")
    if variable.op == "mul":  # -x
        variable = variable.args[1]
        low, high = negative(high), negative(low)
        brackets = ("(" if brackets[1] == ")" else "[", ")" if brackets[0] == "(" else "]")
    if variable.op == "fn":  # |x|
        inner = variable.args[0]
        mirrored = ("(" if brackets[1] == ")" else "[", ")" if brackets[0] == "(" else "]")
        if low == negative(INFINITY):
            return Node("eq", (inner, Node("seq", (negative(high), high), (mirrored[0], brackets[1]))))
        below = Node("seq", (negative(high), negative(low)), mirrored)
        return Node("eq", (inner, Node("union", (below, Node("seq", (low, high), brackets)))))
    return Node("eq", (variable, Node("seq", (low, high), brackets)))


def _variable(node: Node) -> bool:
    if node.op == "mul" and node.args[0] == MINUS:
        node = node.args[1]
    if node.op == "fn" and node.value == "abs":
        node = node.args[0]
    return node.op == "sym"


def negative(node: Node) -> Node:
    if node.op == "num":
        return Node("num", (), -node.value)
    if node.op == "mul" and node.args[0] == MINUS:
        return node.args[1]
    return Node("mul", (MINUS, node))


def symbols(node: Node) -> frozenset[str]:
    found = set()
    stack = [node]
    while stack:
        node = stack.pop()
        if node.op == "sym":
            found.add(node.value)
        stack.extend(node.args)
    return frozenset(found)


def labels(node: Node) -> bool:
    """Whether a left side only names what is on the right: x, f(x), |AB|, A:B, dy/dt, (p, q), P(64)."""
    stack = [node]
    while stack:
        node = stack.pop()
        if node.op == "apply":
            stack.append(node.args[0])
            continue
        if node.op == "pow" and node.args[1] == MINUS:  # f^{-1}(x)
            stack.append(node.args[0])
            continue
        if node.op == "fn" and node.value in ("abs", "det", "max", "min", "gcd", "lcm"):
            pass
        elif node.op not in ("sym", "text", "mul", "div", "pow", "ratio", "seq", "bag") and not (
            node.op == "const" and node.value in ("e", "i")
        ):
            return False
        stack.extend(node.args)
    return True


def unlabelled(node: Node) -> Node | None:
    """What an equation says the answer is: 5 for x = 5, for 5 = x and for 2 + 3 = 5. None for x + y = 5."""
    if node.op != "eq":
        return None
    first, last = node.args[0], node.args[-1]
    if labels(first):
        return last
    if last.op == "sym":
        return first
    # a calculation: 2 + 3 = 5, a + b = 2 + 3 = 5
    parts = node.args if len(node.args) == 2 else node.args[-1:]
    return None if any(symbols(part) for part in parts) else last


# -- sets


def _set_operation(node: Node) -> Node:
    # "x < 1 \\cup x > 2" means the sets; a single value among sets is the set of that value: {1, 2} \\setminus {2}
    args = (unlabelled(arg) or arg if arg.op == "eq" else arg for arg in node.args)
    node = Node(node.op, tuple(arg if arg.op in STRUCTURES else Node("set", (arg,)) for arg in args))
    left, *others = node.args
    if all(arg.op == "set" for arg in node.args):
        # also for what is no number
        if node.op == "union":
            return Node("set", tuple(dict.fromkeys(item for part in node.args for item in part.args)))
        right = {item for other in others for item in other.args}
        return Node("set", tuple(item for item in left.args if (item in right) == (node.op == "inter")))
    if node.op == "union":
        node = Node("union", tuple(part for part in node.args if part != Node("set")))
        if len(node.args) == 1:
            return node.args[0]
    return sets.normal(node)


def _is_set(node: Node) -> bool:
    return node == REALS or node.op in ("set", "union", "inter", "setminus")


def _conditions(items: list[Node]) -> Node | None:
    """x > 2, x < 7 as x in (2, 7): conditions on one variable, taken together."""
    if len(items) < 2 or any(item.op != "eq" or len(item.args) != 2 for item in items):
        return None
    variable = items[0].args[0]
    ranges = [item.args[1] for item in items]
    if variable.op != "sym" or any(item.args[0] != variable for item in items):
        return None
    if any(part.op not in ("seq", "union") for part in ranges):
        return None
    together = sets.common(ranges)
    return None if together is None else Node("eq", (variable, together))

"""Tree -> shape: what an answer says, whatever the notation.

Plus-minus becomes two values, inequalities in one variable become intervals, approximations behind an exact
value go, finite sets and matrices are computed.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from itertools import product as combinations

from .nodes import MAX_CHOICES, Node, Unparsed

INFINITY = Node("const", (), "inf")
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
        return Node(op, tuple(items))
    if op == "seq":
        return Node("seq", tuple(shape(arg) for arg in node.args), node.value)
    if op == "rel":
        return _relation(node)
    if op in ("union", "inter", "setminus"):
        return _set_operation(Node(op, tuple(shape(arg) for arg in node.args)))
    if op in ("add", "mul", "apply") and _holds_matrix(node):
        return _matrix_arithmetic(node)
    return node


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
    if all(sign == "=" for sign in signs) or signs == ["in"]:
        return Node("eq", tuple(shape(part) for part in parts))
    if all(sign in _LESS for sign in signs) and len(parts) <= 3:
        return _interval(parts, signs) or Node("rel", tuple(parts), tuple(signs))
    if all(sign in _MORE for sign in signs) and len(parts) <= 3:
        parts.reverse()
        flipped = [sign.replace(">", "<") for sign in reversed(signs)]
        return _interval(parts, flipped) or Node("rel", tuple(parts), tuple(flipped))
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
        if node.op == "fn" and node.value in ("abs", "det", "max", "min"):
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


# -- sets and matrices


def _set_operation(node: Node) -> Node:
    # a single value among sets is the set of that value: {1, 2} \\setminus {2}
    node = Node(node.op, tuple(arg if arg.op in STRUCTURES else Node("set", (arg,)) for arg in node.args))
    left, *others = node.args
    if node.op == "union":
        parts: list[Node] = []
        for arg in node.args:
            parts.extend(arg.args if arg.op == "union" else (arg,))
        if all(part.op == "set" for part in parts):
            return Node("set", tuple(dict.fromkeys(item for part in parts for item in part.args)))
        parts = [part for part in parts if part != Node("set")]
        return Node("union", tuple(parts)) if len(parts) > 1 else parts[0]
    if left.op == "set" and all(other.op == "set" for other in others):
        right = {item for other in others for item in other.args}
        return Node("set", tuple(item for item in left.args if (item in right) == (node.op == "inter")))
    if node.op == "setminus" and left == REALS and len(others) == 1 and others[0].op == "set":
        points = others[0].args
        if len(points) == 1 or all(
            point.op in ("num", "mul", "div") and not symbols(point) for point in points
        ):
            return without(*sorted(points, key=_size)) if len(points) > 1 else without(*points)
    return node


def _size(node: Node) -> float:
    """Where a simple number lies on the line, for sorting."""
    if node.op == "num":
        return float(node.value)
    if node.op == "mul":
        return _size(node.args[0]) * _size(node.args[1])
    if node.op == "div" and _size(node.args[1]):
        return _size(node.args[0]) / _size(node.args[1])
    raise Unparsed("order of points")


def _holds_matrix(node: Node) -> bool:
    stack = [node]
    while stack:
        node = stack.pop()
        if node.op == "matrix":
            return True
        stack.extend(node.args)
    return False


def _matrix_arithmetic(node: Node) -> Node:
    args = [shape(arg) for arg in node.args]
    matrices = [arg for arg in args if arg.op == "matrix"]
    if not matrices:
        return node
    if node.op == "add" and len(matrices) == len(args):
        if len({(len(m.args), m.value) for m in matrices}) == 1:
            cells = zip(*(m.args for m in matrices), strict=True)
            return Node("matrix", tuple(Node("add", tuple(cell)) for cell in cells), matrices[0].value)
    elif node.op != "add" and len(args) == 2:
        left, right = args
        if len(matrices) == 1:
            scalar, matrix = (right, left) if left.op == "matrix" else (left, right)
            return Node("matrix", tuple(Node("mul", (scalar, cell)) for cell in matrix.args), matrix.value)
        inner, columns = left.value, right.value
        if len(right.args) == inner * columns and len(left.args) * columns <= 100 and inner <= 20:
            rows = [left.args[i : i + inner] for i in range(0, len(left.args), inner)]
            cells_of = [
                Node("add", tuple(Node("mul", (row[k], right.args[k * columns + c])) for k in range(inner)))
                for row in rows
                for c in range(columns)
            ]
            return Node("matrix", tuple(cells_of), columns)
    return node

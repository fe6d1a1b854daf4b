"""Small questions about shapes that comparison and keys answer alike."""

from __future__ import annotations

from .nodes import Node
from .sets import INFINITY
from .shape import symbols


def single(node: Node) -> Node:
    """A set or list of one is its element; the set of the empty set is not empty."""
    while node.op in ("bag", "set") and len(node.args) == 1 and node.args[0].op != "set":
        node = node.args[0]
    return node


def bracket(node: Node) -> tuple[str, str]:
    """The brackets of a pair; an infinite end is open however it is written."""
    opening, closing = node.value
    first, last = node.args[0], node.args[-1]
    if first.op == "mul" and first.args[-1] == INFINITY:
        opening = "("
    if last == INFINITY:
        closing = ")"
    return opening, closing


def half_open(node: Node) -> bool:
    return node.op == "seq" and len(node.args) == 2 and node.value != ("(", ")")


def vector(node: Node) -> tuple[Node, ...] | None:
    """The components of a tuple, or of a matrix with one row or column."""
    if node.op == "seq":
        return node.args
    if node.op == "matrix" and len(node.args) > 1 and node.value in (1, len(node.args)):
        return node.args
    return None


def rows(node: Node) -> Node | None:
    """[[1, 2], [3, 4]] as a matrix."""
    if node.op != "seq" or any(row.op != "seq" for row in node.args):
        return None
    lengths = {len(row.args) for row in node.args}
    if len(lengths) != 1 or len(node.args) < 2:
        return None
    return Node("matrix", tuple(cell for row in node.args for cell in row.args), lengths.pop())


def names(items: list[Node]) -> list[str] | None:
    """The names of equations that each give one name a value."""
    found = []
    for item in items:
        if item.op != "eq" or item.args[0].op != "sym":
            return None
        found.append(item.args[0].value)
    return found


def same_role(a: Node, b: Node) -> bool:
    """Whether the names of two equations may stand for the same thing: not x = 5 and y = 5."""
    left, right = a.args[0], b.args[0]
    if left.op == right.op == "sym":
        return bool(left.value == right.value)
    return True


def as_relation(node: Node) -> Node | None:
    """y > 1 - x, which was read as y in (1 - x, inf), as a relation again; None for other shapes and constant ends."""
    if node.op != "eq" or len(node.args) != 2 or node.args[1].op != "seq" or len(node.args[1].args) != 2:
        return None
    variable, interval = node.args
    low, high = interval.args
    if high == INFINITY and symbols(low):
        return Node("rel", (low, variable), ("<=" if interval.value[0] == "[" else "<",))
    if low.op == "mul" and low.args[-1] == INFINITY and symbols(high):
        return Node("rel", (variable, high), ("<=" if interval.value[1] == "]" else "<",))
    return None

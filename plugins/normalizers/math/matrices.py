"""Arithmetic of written matrices: sums, products, powers, transposes, inverses, determinants. Cells stay trees."""

from __future__ import annotations

from fractions import Fraction

from .nodes import Node

_MAX_CELLS = 100
_MAX_INNER = 20
_MAX_POWER = 6
_MAX_DETERMINANT = 4
_MINUS = Node("num", (), Fraction(-1))
_TRANSPOSE = frozenset({"T", "t", "\\top", "\\intercal", "\\mathsf{T}", "'"})


def computed(node: Node) -> Node:
    """The node with its matrix arithmetic carried out; the node itself where there is none or it is too large."""
    if not _holds_matrix(node):
        return node
    return _computed(node)


def _holds_matrix(node: Node) -> bool:
    stack = [node]
    while stack:
        node = stack.pop()
        if node.op == "matrix":
            return True
        stack.extend(node.args)
    return False


def _computed(node: Node) -> Node:
    if node.op == "matrix" or not node.args:
        return node
    args = [_computed(arg) if _holds_matrix(arg) else arg for arg in node.args]
    found: Node | None = None
    if node.op == "add":
        found = _sum(args)
    elif node.op in ("mul", "apply") and len(args) == 2:
        found = _product(args[0], args[1])
    elif node.op == "div" and args[0].op == "matrix":
        found = _product(Node("div", (Node("num", (), Fraction(1)), args[1])), args[0])
    elif node.op == "pow" and args[0].op == "matrix":
        found = _power(args[0], args[1])
    elif node.op == "fn" and node.value in ("det", "abs") and args[0].op == "matrix":
        found = _determinant(args[0])
    return found or Node(node.op, tuple(args), node.value)


def _sum(args: list[Node]) -> Node | None:
    if any(arg.op != "matrix" for arg in args) or len({(len(m.args), m.value) for m in args}) != 1:
        return None
    cells = zip(*(m.args for m in args), strict=True)
    return Node("matrix", tuple(Node("add", tuple(cell)) for cell in cells), args[0].value)


def _product(left: Node, right: Node) -> Node | None:
    if left.op != "matrix" or right.op != "matrix":
        scalar, matrix = (right, left) if left.op == "matrix" else (left, right)
        if matrix.op != "matrix":
            return None
        return Node("matrix", tuple(Node("mul", (scalar, cell)) for cell in matrix.args), matrix.value)
    inner, columns = left.value, right.value
    rows = len(left.args) // inner
    if len(right.args) != inner * columns or rows * columns > _MAX_CELLS or inner > _MAX_INNER:
        return None
    cells = tuple(
        Node(
            "add",
            tuple(
                Node("mul", (left.args[row * inner + k], right.args[k * columns + column]))
                for k in range(inner)
            ),
        )
        for row in range(rows)
        for column in range(columns)
    )
    return cells[0] if len(cells) == 1 else Node("matrix", cells, columns)


def _transposed(matrix: Node) -> Node:
    columns = matrix.value
    rows = len(matrix.args) // columns
    return Node(
        "matrix", tuple(matrix.args[r * columns + c] for c in range(columns) for r in range(rows)), rows
    )


def _power(matrix: Node, exponent: Node) -> Node | None:
    if exponent.op == "sym" and exponent.value in _TRANSPOSE:
        return _transposed(matrix)
    square = matrix.value**2 == len(matrix.args)
    if exponent.op != "num" or exponent.value.denominator != 1 or not square:
        return None
    power = int(exponent.value)
    if power == -1 and matrix.value <= _MAX_DETERMINANT:
        return _inverse(matrix)
    if not 1 <= power <= _MAX_POWER or matrix.value > _MAX_DETERMINANT:
        return None
    result: Node | None = matrix
    for _ in range(power - 1):
        result = result and _product(result, matrix)
    return result


def _minor(matrix: Node, row: int, column: int) -> Node:
    size = matrix.value
    cells = [matrix.args[r * size + c] for r in range(size) for c in range(size) if r != row and c != column]
    return Node("matrix", tuple(cells), size - 1)


def _signed(node: Node, minus: bool) -> Node:
    return Node("mul", (_MINUS, node)) if minus else node


def _determinant(matrix: Node) -> Node | None:
    size = matrix.value
    if size**2 != len(matrix.args) or size > _MAX_DETERMINANT:
        return None
    if size == 1:
        return matrix.args[0]
    terms = []
    for column in range(size):
        minor = _determinant(_minor(matrix, 0, column))
        if minor is None:
            return None
        terms.append(_signed(Node("mul", (matrix.args[column], minor)), column % 2 == 1))
    return Node("add", tuple(terms))


def _inverse(matrix: Node) -> Node | None:
    size = matrix.value
    determinant = _determinant(matrix)
    if determinant is None:
        return None
    if size == 1:
        return Node("matrix", (Node("div", (Node("num", (), Fraction(1)), determinant)),), 1)
    cells = []
    for row in range(size):
        for column in range(size):
            cofactor = _determinant(_minor(matrix, column, row))
            if cofactor is None:
                return None
            cells.append(Node("div", (_signed(cofactor, (row + column) % 2 == 1), determinant)))
    return Node("matrix", tuple(cells), size)

"""Sets of real numbers in one normal form: disjoint pieces from left to right.

Only where all ends can be put in order; other sets stay as they were written.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cmp_to_key
from itertools import pairwise
from typing import NamedTuple

from . import fingerprint
from .evaluate import evaluate
from .nodes import Node, Unparsed
from .values import Unvalued, subtract

_MAX_PIECES = 40
_MAX_CONDITIONS = 10

INFINITY = Node("const", (), "inf")


class Piece(NamedTuple):
    """An interval, or a point where both ends are one closed value."""

    low: Node
    high: Node
    low_closed: bool
    high_closed: bool


def normal(node: Node) -> Node:
    """The normal form of a union, an intersection or a difference of real sets; the node itself where there is none."""
    try:
        pieces = _pieces(node)
    except (Unparsed, Unvalued, RecursionError, ZeroDivisionError, OverflowError):
        return node
    return _node(pieces)


def common(parts: list[Node]) -> Node | None:
    """What conditions on one variable say together: 2 < x, x < 7 is (2, 7) and x < 2, x > 7 is two half-lines.

    None where they are no real sets.
    """
    if len(parts) > _MAX_CONDITIONS:
        return None
    try:
        found = [_pieces(part) for part in parts]
        holes = [part for part in found if _all_but_points(part)]
        found = [part for part in found if not _all_but_points(part)]
        opposite = len(found) == 2 and all(len(part) == 1 and _half_line(part[0]) for part in found)
        if opposite and _half_line(found[0][0]) != _half_line(found[1][0]):
            both = _intersection(*found)
            if both:
                found = [both]
        together = _union([piece for part in found for piece in part]) if found else _complement([])
        for part in holes:
            together = _intersection(together, part)
        return _node(together)
    except (Unparsed, Unvalued, RecursionError, ZeroDivisionError, OverflowError):
        return None


def _all_but_points(pieces: list[Piece]) -> bool:
    """x != 2: the line without some points."""
    return (
        len(pieces) > 1
        and _infinite(pieces[0].low) == -1
        and _infinite(pieces[-1].high) == 1
        and all(order(a.high, b.low) == 0 for a, b in pairwise(pieces))
    )


def _half_line(piece: Piece) -> int:
    ends = _infinite(piece.low), _infinite(piece.high)
    return (ends == (0, 1)) - (ends == (-1, 0))


# -- reading


def _pieces(node: Node) -> list[Piece]:
    op = node.op
    if op == "seq" and len(node.args) == 2:
        low, high = node.args
        low_closed = node.value[0] == "[" and not _infinite(low)
        high_closed = node.value[1] == "]" and not _infinite(high)
        if order(low, high) > 0:
            raise Unparsed("ends of an interval")
        return [Piece(low, high, low_closed, high_closed)]
    if op == "set":
        return _union([Piece(point, point, True, True) for point in node.args])
    if op == "union":
        return _union([piece for arg in node.args for piece in _pieces(arg)])
    if op == "inter":
        pieces = _pieces(node.args[0])
        for arg in node.args[1:]:
            pieces = _intersection(pieces, _pieces(arg))
        return pieces
    if op == "setminus":
        pieces = _pieces(node.args[0])
        for arg in node.args[1:]:
            pieces = _intersection(pieces, _complement(_pieces(arg)))
        return pieces
    raise Unparsed(op)


def _infinite(node: Node) -> int:
    if node == INFINITY:
        return 1
    return -1 if node.op == "mul" and node.args[-1] == INFINITY else 0


def order(a: Node, b: Node) -> int:
    """-1, 0 or 1 as a is below, at or above b.

    Raises:
        Unparsed: they are no real constants.
    """
    sides = _infinite(a), _infinite(b)
    if any(sides):
        return (sides[0] > sides[1]) - (sides[0] < sides[1])
    difference = subtract(evaluate(a), evaluate(b))
    number = difference.rational
    if number is not None:
        return (number > 0) - (number < 0)
    sign = fingerprint.sign(difference)
    if sign is None:
        raise Unparsed("order of points")
    return sign


# -- operations


def _union(pieces: list[Piece]) -> list[Piece]:
    if len(pieces) > _MAX_PIECES:
        raise Unparsed("too many pieces")
    merged: list[Piece] = []
    for piece in sorted(pieces, key=cmp_to_key(_starts_before)):
        if merged:
            last = merged[-1]
            gap = order(last.high, piece.low)
            if gap > 0 or (gap == 0 and (last.high_closed or piece.low_closed)):
                end = order(last.high, piece.high)
                high, closed = (last.high, last.high_closed) if end > 0 else (piece.high, piece.high_closed)
                if end == 0:
                    closed = last.high_closed or piece.high_closed
                merged[-1] = Piece(last.low, high, last.low_closed, closed)
                continue
        merged.append(piece)
    return merged


def _starts_before(a: Piece, b: Piece) -> int:
    return order(a.low, b.low) or b.low_closed - a.low_closed


def _intersection(left: list[Piece], right: list[Piece]) -> list[Piece]:
    if len(left) * len(right) > _MAX_PIECES**2:
        raise Unparsed("too many pieces")
    found = []
    for a in left:
        for b in right:
            start, end = order(a.low, b.low), order(a.high, b.high)
            low, low_closed = (a.low, a.low_closed) if start > 0 else (b.low, b.low_closed)
            high, high_closed = (a.high, a.high_closed) if end < 0 else (b.high, b.high_closed)
            low_closed = (a.low_closed and b.low_closed) if start == 0 else low_closed
            high_closed = (a.high_closed and b.high_closed) if end == 0 else high_closed
            width = order(low, high)
            if width < 0 or (width == 0 and low_closed and high_closed):
                found.append(Piece(low, high, low_closed, high_closed))
    return _union(found)


def _complement(pieces: list[Piece]) -> list[Piece]:
    minus = Node("mul", (Node("num", (), Fraction(-1)), INFINITY))
    if not pieces:
        return [Piece(minus, INFINITY, False, False)]
    gaps = [Piece(a.high, b.low, not a.high_closed, not b.low_closed) for a, b in pairwise(pieces)]
    if not _infinite(pieces[0].low):
        gaps.insert(0, Piece(minus, pieces[0].low, False, not pieces[0].low_closed))
    if not _infinite(pieces[-1].high):
        gaps.append(Piece(pieces[-1].high, INFINITY, not pieces[-1].high_closed, False))
    return gaps


def _node(pieces: list[Piece]) -> Node:
    parts: list[Node] = []
    points: list[Node] = []
    for piece in pieces:
        if piece.low_closed and piece.high_closed and order(piece.low, piece.high) == 0:
            points.append(piece.low)
        else:
            brackets = ("[" if piece.low_closed else "(", "]" if piece.high_closed else ")")
            parts.append(Node("seq", (piece.low, piece.high), brackets))
    if points or not parts:
        parts.append(Node("set", tuple(points)))
    return parts[0] if len(parts) == 1 else Node("union", tuple(parts))

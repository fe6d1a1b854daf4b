"""Canonical keys of shapes: the same text for all spellings of one answer.

A key holds all that can make the difference between right and wrong for some gold: value, unit, percent sign,
name, brackets. So a wrong answer never has the gold's key, and two answers with one key are both right or both
wrong; but for lists, whose order counts only beside a gold that is a tuple (`relative`).
"""

from __future__ import annotations

from collections.abc import Callable

from . import fingerprint, values
from .exact import EXACT_LEAVES, FAILURES, cached_value
from .forms import bracket, rows, single, vector
from .nodes import Node
from .shape import STRUCTURES, labels, unlabelled
from .tidy import squash
from .words import unit_key

LeafKey = Callable[[Node], str | None]


def exact_key(node: Node) -> str | None:
    """The key of a single value from exact arithmetic; None where that takes numeric work."""
    value = EXACT_LEAVES.value(node)
    if value is None:
        return None
    number = value.rational
    return fingerprint.of_value(value) if number is None else values.rational_text(number)


def node_key(node: Node, leaf_key: LeafKey) -> str | None:
    """Key of a shape, from the keys of its single values; None where one of them has none."""
    node = single(node)
    op = node.op
    if op == "eq":
        return _of_equation(node, leaf_key)
    if op == "ratio" and (node.value or len(node.args) != 2):  # a time of day, or 1:2:3
        parts = [leaf_key(arg) for arg in node.args]
        return None if None in parts else "time " + ":".join(part for part in parts if part is not None)
    if op in ("unit", "percent", "degree"):
        inner = node_key(node.args[0], leaf_key)
        mark = unit_key(node.value) if op == "unit" else op
        return inner if inner is None or mark is None else f"{inner} {mark}"
    if op == "based":
        number = leaf_key(node)
        return None if number is None else f"based {number}"
    if op == "text":
        return f"text:{squash(node.value).casefold()}"
    if op not in STRUCTURES:
        return leaf_key(node)
    return _of_structure(rows(node) or node, leaf_key)


def _of_structure(node: Node, leaf_key: LeafKey) -> str | None:
    op = node.op
    keys: list[str] = []
    for arg in node.args:
        found = node_key(arg, leaf_key)
        if found is None:
            return None
        keys.append(found)
    if op == "set":
        keys = list(dict.fromkeys(keys))
    if op in ("bag", "set"):
        return "{" + ";".join(sorted(keys)) + "}"
    if vector(node) is not None:
        if len(keys) == 2 and op == "matrix":
            return f"vector({';'.join(keys)})"
        opening, closing = bracket(node) if len(keys) == 2 else ("(", ")")
        return opening + ";".join(keys) + closing
    if op == "union":
        return "union{" + ";".join(sorted(keys)) + "}"
    return f"{op}{node.value}({';'.join(keys)})"


def _of_equation(node: Node, leaf_key: LeafKey) -> str | None:
    value = unlabelled(node)
    label = node.args[0]
    if value is not None and (label.op != "sym" or value.op in STRUCTURES or not labels(label)):
        return node_key(value, leaf_key)
    if value is not None:
        inner = node_key(value, leaf_key)
        return None if inner is None else f"{label.value}={inner}"
    if len(node.args) != 2 or any(part.op in STRUCTURES for part in node.args):
        return None
    try:
        difference = values.subtract(cached_value(node.args[0]), cached_value(node.args[1]))
        if not difference.terms:
            return "equation 0"
        return f"equation {values.primitive(difference)[1].key()}"
    except FAILURES:
        return None

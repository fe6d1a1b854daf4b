"""Tree -> exact value."""

from __future__ import annotations

from fractions import Fraction

from .functions import function
from .nodes import Node
from .powers import power, rational_power
from .values import (
    CONST,
    SYMBOL,
    Unvalued,
    Value,
    add,
    base,
    integer_text,
    inverse,
    multiply,
    opaque,
    rational,
    scale,
)  # fmt: skip


def evaluate(node: Node) -> Value:
    """The exact value of a tree.

    Raises:
        Unvalued: it has none (a tuple, a relation, a division by zero), or it is over a limit.
    """
    op = node.op
    if op == "num":
        return rational(node.value)
    if op == "dec":
        return rational(node.value[0])
    if op == "sym":
        return base(SYMBOL, node.value)
    if op == "const":
        if node.value == "inf":
            return base(SYMBOL, "inf")
        return base(CONST, node.value)
    if op == "add":
        total = evaluate(node.args[0])
        for arg in node.args[1:]:
            total = add(total, evaluate(arg))
        return total
    if op in ("mul", "apply"):
        factors = []
        while node.op in ("mul", "apply"):  # long products lean to the left
            factors.append(node.args[1])
            node = node.args[0]
        result = evaluate(node)
        for factor in reversed(factors):
            result = multiply(result, evaluate(factor))
        return result
    if op == "div":
        return multiply(evaluate(node.args[0]), inverse(evaluate(node.args[1])))
    if op == "pow":
        return power(evaluate(node.args[0]), evaluate(node.args[1]))
    if op == "root":
        return _root(evaluate(node.args[0]), evaluate(node.args[1]))
    if op == "fn":
        return function(node.value, [evaluate(arg) for arg in node.args])
    if op == "unit":
        return evaluate(node.args[0])
    if op == "percent":
        return scale(evaluate(node.args[0]), Fraction(1, 100))
    if op == "degree":
        return multiply(scale(evaluate(node.args[0]), Fraction(1, 180)), base(CONST, "pi"))
    if op == "set" and len(node.args) == 1:
        return evaluate(node.args[0])
    if op == "based":
        return _based(*node.value)
    if op == "ratio" and len(node.args) == 2:
        return multiply(evaluate(node.args[0]), inverse(evaluate(node.args[1])))
    if op == "big":
        return opaque(f"{node.value}{[_structure(arg) for arg in node.args]}")
    raise Unvalued(op)


def _structure(node: Node) -> str:
    return f"{node.op}{node.value}[{','.join(_structure(arg) for arg in node.args)}]"


def _root(radicand: Value, degree: Value) -> Value:
    n = degree.rational
    if n is None or n.denominator != 1 or n == 0:
        return power(radicand, inverse(degree))
    number = radicand.rational
    if number is not None and number < 0 and n.numerator % 2:
        return scale(rational_power(rational(-number), 1 / n), Fraction(-1))  # the real root
    return rational_power(radicand, 1 / n)


def _based(digits: str, number_base: int) -> Value:
    if not 2 <= number_base <= 36 or len(digits) > 300:
        return opaque(f"{digits}_{integer_text(number_base)}")
    try:
        return rational(Fraction(int(digits, number_base)))
    except ValueError:
        return opaque(f"{digits}_{number_base}")

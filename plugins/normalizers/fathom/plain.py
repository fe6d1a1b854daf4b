"""Plain text such as `sqrt(3)/2`, `x - (y + 1)` or `even` as sympy objects.

LIMO's evaluation gives such text to sympy's `parse_expr`, which runs it as Python. This is a small parser of its
own instead, for what answers can hold: numbers, names, arithmetic, calls of known functions, comparisons, and
comma lists in brackets. Whatever else Python would make of a text is simply not read.
"""

from __future__ import annotations

import keyword
import re
from typing import Any

MAX_TOKENS = 300
MAX_DEPTH = 40
MAX_DIGITS = 100
MAX_POWER_BITS = 10_000
"""Size of an integer power that may be worked out."""
MAX_FACTORIAL = 1_000

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+\.?\d*(?:[eE][+-]?\d{1,3})?(?![\w.])|\.\d+(?:[eE][+-]?\d{1,3})?(?![\w.]))"
    r"|(?P<name>[^\W\d]\w*)|(?P<sign>\*\*|[<>]=?|[!=]=|[-+*/()\[\]{},!]))"
)
_CONSTANTS = {"E": "E", "I": "I", "pi": "pi", "oo": "oo"}
_FUNCTIONS = """
    sqrt cbrt exp log ln sin cos tan cot sec csc asin acos atan acot asec acsc sinh cosh tanh asinh acosh atanh
    Abs floor ceiling binomial gamma
"""
_BRACKETS = {"(": ")", "[": "]", "{": "}"}


class NotPlain(Exception):
    """The text is nothing that this parser reads."""


def is_name(text: str) -> bool:
    """Whether the text is one word, which is then read as a symbol or a constant."""
    return text.isidentifier() and not keyword.iskeyword(text)


def is_constant(name: str) -> bool:
    """Whether a word stands for a number."""
    return name in _CONSTANTS


def parse(text: str) -> Any:
    """A sympy object; for lists in brackets a Python tuple, list or frozenset of them.

    Raises:
        NotPlain: the text is not of this grammar, or it would make something huge.
    """
    reader = _Reader(_tokens(text))
    items, commas = reader.items("")
    if reader.next is not None or not items:
        raise NotPlain(text[:20])
    return tuple(items) if commas else items[0]


def _tokens(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    at, text = 0, text.strip()
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None or token.lastgroup is None or len(found) > MAX_TOKENS:
            raise NotPlain(text[:20])
        found.append((token.lastgroup, token[token.lastgroup]))
        at = token.end()
    return found


class _Reader:
    """Recursive descent over the tokens, with Python's precedences."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        import sympy

        self.sympy = sympy
        self.tokens = tokens
        self.at = 0
        self.depth = 0

    @property
    def next(self) -> str | None:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else None

    def take(self, *wanted: str) -> str | None:
        if self.next is not None and self.next in wanted:
            self.at += 1
            return self.tokens[self.at - 1][1]
        return None

    def items(self, end: str) -> tuple[list[Any], bool]:
        """Expressions up to the closing bracket, and whether commas stood between them."""
        found: list[Any] = []
        commas = False
        while self.next is not None and self.next != end:
            found.append(self.comparison())
            if not self.take(","):
                break
            commas = True
        return found, commas

    def comparison(self) -> Any:
        left = self.sum()
        sign = self.take("<", ">", "<=", ">=", "==", "!=")
        if sign is None:
            return left
        right = self.sum()
        if sign in ("==", "!="):  # Python compares the objects, not their values
            return self.sympy.sympify((left == right) is (sign == "=="))
        kind = {"<": "StrictLessThan", ">": "StrictGreaterThan", "<=": "LessThan", ">=": "GreaterThan"}[sign]
        return getattr(self.sympy, kind)(_value(left), _value(right))

    def sum(self) -> Any:
        total = self.product()
        while sign := self.take("+", "-"):
            other = _value(self.product())
            total = _value(total) + other if sign == "+" else _value(total) - other
        return total

    def product(self) -> Any:
        total = self.signed()
        while sign := self.take("*", "/"):
            other = _value(self.signed())
            total = _value(total) * other if sign == "*" else _value(total) / other
        return total

    def signed(self) -> Any:
        sign = self.take("+", "-")
        if sign is None:
            return self.power()
        self.deeper()
        value = _value(self.signed())
        self.depth -= 1
        return -value if sign == "-" else value

    def power(self) -> Any:
        base = self.postfix()
        if not self.take("**"):
            return base
        self.deeper()
        exponent = _value(self.signed())
        self.depth -= 1
        base = _value(base)
        if base.is_number and exponent.is_number:
            size, times = abs(self.sympy.N(base, 5)), abs(self.sympy.N(exponent, 5))
            if not (
                size < 10**MAX_DIGITS and times * (1 + self.sympy.log(size + 1, 2).evalf(5)) < MAX_POWER_BITS
            ):
                raise NotPlain("huge power")
        return base**exponent

    def postfix(self) -> Any:
        value = self.atom()
        while self.take("!"):
            value = self.factorial(value)
        return value

    def factorial(self, value: Any) -> Any:
        value = _value(value)
        if value.is_number and not abs(self.sympy.N(value, 5)) <= MAX_FACTORIAL:
            raise NotPlain("huge factorial")
        return self.sympy.factorial(value)

    def atom(self) -> Any:
        if self.next is None:
            raise NotPlain("ends too early")
        kind, text = self.tokens[self.at]
        self.at += 1
        if kind == "number":
            if len(text) > MAX_DIGITS:
                raise NotPlain("long number")
            return self.sympy.Integer(text) if text.isdecimal() else self.sympy.Float(text)
        if kind == "name":
            return self.name(text)
        if text not in _BRACKETS:
            raise NotPlain(text)
        items, commas = self.bracketed(_BRACKETS[text])
        if text == "[":
            return items
        if text == "{":
            return frozenset(map(_hashable, items))
        if not items:
            raise NotPlain("()")
        return tuple(items) if commas else items[0]

    def bracketed(self, end: str) -> tuple[list[Any], bool]:
        self.deeper()
        found = self.items(end)
        if not self.take(end):
            raise NotPlain(f"no {end}")
        self.depth -= 1
        return found

    def name(self, name: str) -> Any:
        if keyword.iskeyword(name):
            raise NotPlain(name)
        if self.next != "(":
            return getattr(self.sympy, _CONSTANTS[name]) if name in _CONSTANTS else self.sympy.Symbol(name)
        self.take("(")
        arguments = [_value(argument) for argument in self.bracketed(")")[0]]
        if name == "factorial" and len(arguments) == 1:
            return self.factorial(arguments[0])
        if name in ("binomial", "gamma") and any(
            argument.is_number and not abs(self.sympy.N(argument, 5)) <= MAX_FACTORIAL
            for argument in arguments
        ):
            raise NotPlain(f"huge {name}")
        if name in _FUNCTIONS.split():
            return getattr(self.sympy, name)(*arguments)
        return self.sympy.Function(name)(*arguments)

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise NotPlain("too deep")


def _value(item: Any) -> Any:
    """An operand of arithmetic: an expression, no list."""
    if isinstance(item, (tuple, list, frozenset)) or not getattr(item, "is_commutative", False):
        raise NotPlain("no number")
    return item


def _hashable(item: Any) -> Any:
    return tuple(item) if isinstance(item, list) else item

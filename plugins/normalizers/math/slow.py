"""Comparison for the worker process: numeric evaluation of the trees, then sympy. Never on the main process.

Values are evaluated with mpmath to 60 digits at fixed points of the free symbols: two where all are positive and
two where signs are mixed (skipped where a root or logarithm leaves the reals, so that identities of positive
quantities count). What this parser cannot read, latex2sympy2 may (integrals, limits, derivatives). No model text is
ever evaluated as code: latex2sympy2 builds its objects from its own grammar.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import cache
from typing import Any

from . import fingerprint, values
from .compare import Comparer
from .evaluate import evaluate
from .exact import DOUBLE, ExactLeaves
from .functions import function
from .judge import key, same, text_key
from .nodes import Node
from .read import Reading, read
from .shape import symbols
from .values import Unvalued
from .words import word_set

PRECISION = 60
_AGREE = "1e-36"
_CANCELLED = "1e-50"
_POINTS = len(fingerprint.POINTS)
_MAX_SUMMANDS = 400
_MAX_EXPONENT_BITS = 1_000_000
_WHOLE = frozenset({"floor", "ceil", "mod", "factorial", "factorial2", "binom", "gcd", "lcm"})
_WHOLE_POINTS = 12
_MAX_STEPS = 5000


class Numbers:
    """Evaluates trees at one assignment of the free symbols."""

    def __init__(self, mp: Any, assignment: dict[str, Any]) -> None:
        self.mp = mp
        self.assignment = assignment
        self.scale = mp.mpf(0)  # largest summand met: what cancels below its last digits is zero
        self.left_reals = False  # a root or logarithm of a negative number was taken
        self.steps = 0

    def evaluate(self, node: Node) -> Any:
        """The number; raises Unvalued, or ArithmeticError and ValueError of mpmath."""
        self.steps += 1
        if self.steps > _MAX_STEPS:
            raise Unvalued("too many steps")
        mp, op, args = self.mp, node.op, node.args
        if op in ("num", "dec"):
            fraction = node.value if op == "num" else node.value[0]
            return mp.mpf(fraction.numerator) / fraction.denominator
        if op == "sym":
            if node.value not in self.assignment:
                raise Unvalued("symbol")
            return self.assignment[node.value]
        if op == "const":
            if node.value in self.assignment:  # the index of a sum may be called i
                return self.assignment[node.value]
            if node.value == "inf":
                raise Unvalued("infinity")
            return {"pi": mp.pi, "e": mp.e, "i": mp.mpc(0, 1)}[node.value] * 1
        if op == "add":
            total = mp.mpf(0)
            for arg in args:
                part = self.evaluate(arg)
                total += part
                self.scale = max(self.scale, abs(part))
            return total
        if op in ("mul", "apply"):
            factors = []
            while node.op in ("mul", "apply"):
                factors.append(node.args[1])
                node = node.args[0]
            product = self.evaluate(node)
            for factor in reversed(factors):
                product *= self.evaluate(factor)
            return product
        if op in ("div", "ratio") and len(args) == 2:
            above, below = self.evaluate(args[0]), self.evaluate(args[1])
            if abs(below) <= self.scale * mp.mpf(_CANCELLED):
                raise Unvalued("division by zero")
            return above / below
        if op == "pow":
            return self.power(self.evaluate(args[0]), self.evaluate(args[1]))
        if op == "root":
            return self.root(self.evaluate(args[0]), self.evaluate(args[1]))
        if op == "fn":
            return self.function(node.value, [self.evaluate(arg) for arg in args])
        if op == "unit":
            return self.evaluate(args[0])
        if op == "percent":
            return self.evaluate(args[0]) / 100
        if op == "degree":
            return self.evaluate(args[0]) * mp.pi / 180
        if op == "set" and len(args) == 1:
            return self.evaluate(args[0])
        if op == "based":
            number = evaluate(node).rational
            if number is not None:
                return mp.mpf(number.numerator)
        if op == "big":
            return self.big(node)
        raise Unvalued(op)

    def power(self, base: Any, exponent: Any) -> Any:
        mp = self.mp
        if not base:
            if mp.re(exponent) <= 0:
                raise Unvalued("zero to a power")
            return mp.mpf(0)
        if abs(exponent) * (1 + abs(mp.log(abs(base), 2))) > _MAX_EXPONENT_BITS:
            raise Unvalued("power too large")
        whole = not mp.im(exponent) and mp.isint(mp.re(exponent))
        if not whole and not mp.im(base) and mp.re(base) < 0:
            self.left_reals = True
        return mp.power(base, exponent)

    def root(self, radicand: Any, degree: Any) -> Any:
        mp = self.mp
        if not mp.im(radicand) and mp.re(radicand) < 0:
            if mp.isint(degree) and int(mp.re(degree)) % 2:
                return -self.power(-radicand, 1 / degree)  # the real root
            self.left_reals = True
        return self.power(radicand, 1 / degree)

    def function(self, name: str, args: list[Any]) -> Any:
        mp, x = self.mp, args[0]
        if name in ("floor", "ceil"):
            nearest = mp.nint(mp.re(x))
            if abs(x - nearest) < mp.mpf(_AGREE) * (1 + abs(nearest)):
                return nearest
            return mp.floor(x) if name == "floor" else mp.ceil(x)
        if name == "ln":
            if not x:
                raise Unvalued("logarithm of zero")
            self.left_reals = self.left_reals or (not mp.im(x) and mp.re(x) < 0)
            return mp.log(x)
        if name in ("max", "min"):
            if any(mp.im(arg) for arg in args):
                raise Unvalued("order of complex numbers")
            return max(args) if name == "max" else min(args)
        if name in ("factorial", "factorial2"):
            if abs(x) > 1e9:
                raise Unvalued("factorial too large")
            return mp.factorial(x) if name == "factorial" else mp.fac2(x)
        if name == "binom":
            if abs(x) > 1e9 or abs(args[1]) > 1e9:
                raise Unvalued("binomial too large")
            return mp.binomial(x, args[1])
        if name == "mod" and args[1]:
            return x - args[1] * mp.floor(x / args[1])
        if name in ("gcd", "lcm") and all(mp.isint(arg) for arg in args):
            whole = [Fraction(int(mp.re(arg))) for arg in args]
            return mp.mpf(int((function(name, [values.rational(w) for w in whole]).rational) or 0))
        if name in ("exp", "sinh", "cosh", "sin", "cos", "tan", "sec", "csc", "cot") and abs(x) > 1e6:
            raise Unvalued("argument too large")
        simple = {"abs": mp.fabs, "sgn": mp.sign, "re": mp.re, "im": mp.im}
        if name in simple:
            return simple[name](x)
        if name in _MPMATH:
            result = getattr(mp, _MPMATH[name])(x)
            if not mp.im(x) and mp.im(result):
                self.left_reals = True
            return result
        raise Unvalued(name)

    def big(self, node: Node) -> Any:
        kind, variable = node.value
        body, low_node, high_node = node.args
        low, high = self.evaluate(low_node), self.evaluate(high_node)
        if not self.mp.isint(low) or not self.mp.isint(high) or high - low > _MAX_SUMMANDS:
            raise Unvalued("bounds")
        outer = self.assignment
        total = self.mp.mpf(0 if kind == "sum" else 1)
        for index in range(int(low), int(high) + 1):
            self.assignment = {**outer, variable: self.mp.mpf(index)}
            part = self.evaluate(body)
            total = total + part if kind == "sum" else total * part
        self.assignment = outer
        return total


_MPMATH = {name: name for name in word_set("sin cos tan cot sec csc sinh cosh tanh coth sech csch exp")}
_MPMATH.update({name: name for name in word_set("asin acos atan acot asec acsc asinh acosh atanh")})


@cache
def _mp() -> Any:
    import mpmath  # type: ignore[import-untyped]

    context = mpmath.mp.clone()
    context.dps = PRECISION
    return context


def _numbers(
    node: Node, names: frozenset[str], index: int, whole: bool = False
) -> tuple[Any, Numbers] | None:
    """The number at one point; None where there is none."""
    mp = _mp()
    assignment = {}
    for name in names:
        if whole:
            assignment[name] = mp.mpf(index + 2 + sum(map(ord, name)) % 3)
            continue
        at = fingerprint.point(name, index)
        assignment[name] = mp.mpf(at.numerator) / at.denominator
    numbers = Numbers(mp, assignment)
    try:
        number = numbers.evaluate(node)
        if not mp.isfinite(number):
            return None
    except (
        Unvalued,
        ArithmeticError,
        ValueError,
        RecursionError,
        TypeError,
        MemoryError,
        NotImplementedError,
    ):
        return None
    return number, numbers


class NumericLeaves(ExactLeaves):
    """Exact comparison first, then numeric."""

    work = values.Budget.WORKER

    def same(self, a: Node, b: Node) -> bool | None:
        exact = super().same(a, b)
        return exact if exact is not None else self.numeric(a, b)

    def numeric(self, a: Node, b: Node) -> bool | None:
        names = symbols(a) | symbols(b)
        if not _holds_whole(a) and not _holds_whole(b):
            return self.at_points(a, b, names, range(_POINTS if names else 1), False)
        generic = self.at_points(a, b, names, range(_POINTS if names else 1), False)
        if generic is True or not names:
            return generic
        # floor(n/2), (-1)^n, sums to n: what counts is whole numbers
        return self.at_points(a, b, names, range(_WHOLE_POINTS), True)

    def at_points(self, a: Node, b: Node, names: frozenset[str], points: range, whole: bool) -> bool | None:
        mp = _mp()
        agreed = missing = 0
        places = [node.value[2] for node in (a, b) if self.many_digits(node)]
        for index in points:
            left, right = _numbers(a, names, index, whole), _numbers(b, names, index, whole)
            if left is None or right is None:
                missing += 1
                if not names or missing > 2:
                    return None
                continue
            (x, at_x), (y, at_y) = left, right
            if names and (index >= 2 or whole) and (at_x.left_reals or at_y.left_reals):
                continue
            scale = max(at_x.scale, at_y.scale)
            if places:
                tolerance = mp.mpf(max(places).numerator) / max(places).denominator
                tolerance = max(tolerance, DOUBLE * max(abs(x), abs(y)))
            else:
                tolerance = max(abs(x), abs(y)) * mp.mpf(_AGREE) + scale * mp.mpf(_CANCELLED)
            if abs(x - y) > tolerance:
                return False
            agreed += 1
        return True if agreed >= (2 if names else 1) else None

    def distance(self, a: Node, b: Node) -> Fraction | None:
        exact = super().distance(a, b)
        if exact is not None:
            return exact
        minus = Node("num", (), Fraction(-1))
        found = _numbers(Node("add", (a, Node("mul", (minus, b)))), frozenset(), 0)
        if found is None or abs(_mp().im(found[0])) > _mp().mpf(_AGREE) * (1 + found[1].scale):
            return None
        return Fraction(_mp().nstr(abs(_mp().re(found[0])), 40))

    def proportional(self, a: tuple[Node, Node], b: tuple[Node, Node], positive: bool) -> bool | None:
        exact = super().proportional(a, b, positive)
        if exact is not None:
            return exact
        mp = _mp()
        minus = Node("num", (), Fraction(-1))
        left, right = (Node("add", (x, Node("mul", (minus, y)))) for x, y in (a, b))
        names = symbols(left) | symbols(right)
        ratios = []
        for index in range(_POINTS if names else 1):
            found_l, found_r = _numbers(left, names, index), _numbers(right, names, index)
            if found_l is None or found_r is None:
                continue
            (x, at_x), (y, at_y) = found_l, found_r
            zero_x = abs(x) <= at_x.scale * mp.mpf(_AGREE)
            zero_y = abs(y) <= at_y.scale * mp.mpf(_AGREE)
            if zero_x or zero_y:
                if zero_x != zero_y:
                    return False
                continue
            ratios.append(x / y)
        if not ratios:
            return None
        if any(abs(r - ratios[0]) > abs(ratios[0]) * mp.mpf("1e-30") for r in ratios):
            return False
        if positive and not (
            mp.re(ratios[0]) > 0 and abs(mp.im(ratios[0])) < abs(ratios[0]) * mp.mpf("1e-30")
        ):
            return False
        return True if len(ratios) > 1 else (None if names else False)


def _holds_whole(node: Node) -> bool:
    stack = [node]
    while stack:
        node = stack.pop()
        if node.op == "big" or (node.op == "fn" and node.value in _WHOLE):
            return True
        if node.op == "pow" and node.args[0] == Node("num", (), Fraction(-1)):
            return True
        stack.extend(node.args)
    return False


NUMERIC = Comparer(NumericLeaves())


def same_slow(answer: str, gold: str) -> tuple[bool, str]:
    """Whether two answers are the same, and the rule that decided. May take seconds: run it where it can be killed."""
    result, rule = same(answer, gold, NUMERIC)
    if result is None:
        symbolic = _same_by_sympy(read(answer), read(gold))
        if symbolic is not None:
            return symbolic, "sympy"
        return False, "unread"
    return result, "numeric" if rule == "value" else rule


def key_slow(answer: str, gold: str | None = None) -> str:
    """The key of any answer: `judge.key` where that decides, else digits, else the text."""
    return key(answer, gold) or key(answer, gold, _leaf_key) or text_key(answer)


def warm() -> None:
    """Import mpmath, sympy and latex2sympy2."""
    _mp()
    _sympy("x")


def _leaf_key(node: Node) -> str | None:
    from decimal import Decimal

    value = NUMERIC.leaves.value(node)
    if value is not None:
        number = value.rational
        found = fingerprint.of_value(value) if number is None else values.rational_text(number)
        if found is not None:
            return found
    mp = _mp()
    names = symbols(node)
    parts = []
    for index in fingerprint.POINTS if names else fingerprint.POINTS[:1]:
        at = _numbers(node, names, index)
        if index >= 2 and (at is None or at[1].left_reals):
            parts.append(fingerprint.NOWHERE)
            continue
        if at is None:
            return f"value:{value.key()}" if value is not None else None
        number_at, numbers = at
        zero = numbers.scale * mp.mpf(_CANCELLED)
        real, imaginary = mp.re(number_at), mp.im(number_at)
        real, imaginary = (mp.mpf(0) if abs(part) <= zero else part for part in (real, imaginary))
        if not real and not imaginary:
            parts.append("0")
            continue
        if not names and not imaginary:
            simple = _simple_fraction(real)
            if simple is not None:
                return values.rational_text(simple)
        parts.append(fingerprint.text(Decimal(mp.nstr(real, 45)), Decimal(mp.nstr(imaginary, 45))))
    return "0" if set(parts) <= {"0", fingerprint.NOWHERE} else "~" + "|".join(parts)


def _simple_fraction(number: Any) -> Fraction | None:
    """The fraction that a number is to 40 digits, if it has a small denominator."""
    if not 1e-9 < abs(number) < 1e15:
        return None
    mp = _mp()
    exact = Fraction(mp.nstr(number, 50))
    simple = exact.limit_denominator(10**6)
    return simple if abs(exact - simple) < Fraction(1, 10**38) * (1 + abs(exact)) else None


# -- sympy, through latex2sympy2

_MAX_SYMPY_TEXT = 120
_MAX_SYMPY_LETTERS = 30  # its grammar takes seconds for long products of letters
_LETTERS = re.compile(r"[A-Za-z]")
_COMMANDS = re.compile(r"\\[A-Za-z]+")
_RISKY = re.compile(
    r"\d{16}|\^\s*(?:\{[^{}]*\^|[\w.]+\s*\^)|!\s*\)?\s*!|\d{4,}\s*!|\d{5}\s*\}?\s*\{|\^\s*\{?\s*\(?\d{4}"
)
_SYMPY_READS = re.compile(
    r"\\(?:int|iint|lim|sum|prod|partial|det)(?![A-Za-z])|\\frac\{\s*(?:d|\\mathrm\{d\})\s*\}"
)


_BLANKS = re.compile(r"\\[,;:! ]|\\(?:q?quad|displaystyle|limits|nolimits)(?![A-Za-z])|~")
_SHORT_FRACTION = re.compile(r"\\frac\s*([A-Za-z0-9])\s*([A-Za-z0-9])")
_SHORT_ARGUMENT = re.compile(r"([_^]|\\sqrt(?![A-Za-z]))\s*([A-Za-z0-9])")
_SPELLINGS = {"\\dfrac": "\\frac", "\\tfrac": "\\frac", "\\mathrm{d}": "d", "{\\rm d}": "d"}


def _same_by_sympy(a: Reading, b: Reading) -> bool | None:
    texts = (a.text, b.text)
    if any(len(text) > _MAX_SYMPY_TEXT or _RISKY.search(text) for text in texts):
        return None
    if not any(_SYMPY_READS.search(text) for text in texts):
        return None
    if any(len(_LETTERS.findall(_COMMANDS.sub("", text))) > _MAX_SYMPY_LETTERS for text in texts):
        return None
    left, right = (_sympy(text) for text in texts)
    if left is None or right is None:
        return None
    import sympy

    try:
        left, right = left.doit(), right.doit()
        return bool(left == right or sympy.simplify(left - right) == 0)
    except Exception:  # noqa: BLE001 - sympy raises anything on unusual expressions; the answer stays unread
        return None


def _sympy(text: str) -> Any:
    """A tidied text as a sympy expression through latex2sympy2's grammar, or None.

    Its parser is driven directly, so that text it did not read to the end counts as unread, and its table of
    assigned variables ("x=5" would change later parses) is emptied first.
    """
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # antlr4 4.7 imports typing.io
        import latex2sympy2 as l2s
        import sympy
        from antlr4 import CommonTokenStream, InputStream, Token

    text = _BLANKS.sub(" ", text)
    for spelling, known in _SPELLINGS.items():
        text = text.replace(spelling, known)
    text = _SHORT_FRACTION.sub(r"\\frac{\1}{\2}", text)
    text = _SHORT_ARGUMENT.sub(r"\1{\2}", text)
    l2s.set_variances({})
    l2s.VARIABLE_VALUES = {}
    try:
        listener = l2s.MathErrorListener(text)
        lexer = l2s.PSLexer(InputStream(text))
        lexer.removeErrorListeners()
        lexer.addErrorListener(listener)
        tokens = CommonTokenStream(lexer)
        parser = l2s.PSParser(tokens)
        parser.removeErrorListeners()
        parser.addErrorListener(listener)
        tree = parser.math()
        if tokens.LA(1) != Token.EOF or tree.relation_list() is not None or tree.relation() is None:
            return None
        expression = l2s.convert_relation(tree.relation())
    except Exception:  # noqa: BLE001 - the grammar's listener raises bare Exception, sympy anything
        return None
    finally:
        l2s.set_variances({})
    if not isinstance(expression, sympy.Expr):
        return None
    # its grammar takes e and i for variables
    return expression.subs({sympy.Symbol("e"): sympy.E, sympy.Symbol("i"): sympy.I})

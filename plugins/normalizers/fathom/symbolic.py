"""The last rung: both texts parsed and compared by sympy. May take seconds or for ever: only where it can be killed.

No text is run as code. Plain text goes to a bounded parser (see `plain`), LaTeX to latex2sympy2, whose grammar
builds the objects itself, and there only within an alphabet, a list of commands and sizes given here.
"""

from __future__ import annotations

import re
import warnings
from typing import Any

from . import plain
from .ladder import near

MAX_LATEX = 400
"""Characters. Longer texts are not read as LaTeX."""

_ALPHABET = re.compile(r"[A-Za-z0-9\s\\+\-*/^_=<>()\[\]{}|!,.:;&'~]*")
_COMMAND = re.compile(r"\\([A-Za-z]+)")
_COMMANDS = """
    frac sqrt cdot times div pm mp pi infty circ
    alpha beta gamma delta epsilon varepsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau phi varphi
    chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega
    sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln lg exp
    le ge ne lt gt binom choose begin end pmatrix matrix lfloor rfloor lceil rceil
    sum prod int lim to limits mathrm quad qquad displaystyle ldots emptyset
"""
_HUGE = re.compile(
    r"\d{60}"  # long integers
    r"|\d[eE][+-]?\d{4}"  # 1e99999
    r"|\^\{?\(?-?\d{4}"  # powers
    r"|\^\{?\(?-?[\d.]+\}?\^|\^[^^]*\^[^^]*\^[^^]*\^"  # towers
    r"|(?:[-+]\s*){9}"  # signs, each of which nests
    r"|\d{5}!|!\)?!|[)}]!"  # factorials
    r"|\\(?:binom|choose)\{?\d{5}|\{\d{5,}\}\{\d{5,}\}"
)


def equal(answer: str, gold: str) -> bool:
    """Whether two texts are equal as sympy objects: the same, equal in value to 1e-4, or of zero difference."""
    left, right = parse(answer), parse(gold)
    if left is None or right is None:
        return answer == gold
    try:
        if type(left) is type(right) and left == right:
            return True
    except Exception:  # noqa: BLE001 - sympy raises anything on unusual expressions; then this test says no
        pass
    if _is(left, "Expr") and _is(right, "Expr"):
        return _equal_values(left, right)
    if _is(left, "Rel") and _is(right, "Rel"):
        # The kind of relation is not looked at: x < 3 and 3 > x are the same, and so is x > 3.
        return _zero(abs(left.lhs - left.rhs), abs(right.lhs - right.rhs))
    if _is(left, "MatrixBase") and _is(right, "MatrixBase"):
        return _equal_matrices(left, right)
    return False


def parse(text: str) -> Any:
    """A sympy object, or a list of them, as the first of the two parsers reads it; None if neither does."""
    for parser in (plain.parse, _latex):
        for spelling in dict.fromkeys((text.replace("\\\\", "\\"), text)):
            try:
                return parser(spelling)
            except Exception:  # noqa: BLE001 - antlr's listener raises bare Exception, sympy anything
                continue
    return None


def warm() -> None:
    """Import sympy and latex2sympy2."""
    _latex2sympy2()


def _latex(text: str) -> Any:
    if len(text) > MAX_LATEX or not _ALPHABET.fullmatch(text) or _HUGE.search(text):
        raise ValueError("not within bounds")
    if not set(_COMMAND.findall(text)).issubset(_COMMANDS.split()):
        raise ValueError("unknown command")
    module = _latex2sympy2()
    module.set_variances({})  # an earlier "x=5" must not be put into this text
    return module.latex2sympy(text)


def _latex2sympy2() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # its antlr4 runtime imports typing.io
        import latex2sympy2
    return latex2sympy2


def _is(value: Any, kind: str) -> bool:
    import sympy

    return isinstance(value, getattr(sympy, kind))


def _equal_values(left: Any, right: Any) -> bool:
    import sympy

    try:
        # First because it is quick; two numbers that differ here have no zero difference either.
        return near(float(sympy.N(left)), float(sympy.N(right)))
    except Exception:  # noqa: BLE001 - as above
        return _zero(left, right)


def _zero(left: Any, right: Any) -> bool:
    import sympy

    try:
        return bool(left.equals(right)) or sympy.simplify(left - right) == 0
    except Exception:  # noqa: BLE001 - as above
        return False


def _equal_matrices(left: Any, right: Any) -> bool:
    """Equal when every entry is rounded to three digits."""
    try:
        return left.shape == right.shape and bool(
            left.applyfunc(lambda x: round(x, 3)).equals(right.applyfunc(lambda x: round(x, 3)))
        )
    except Exception:  # noqa: BLE001 - as above
        return False

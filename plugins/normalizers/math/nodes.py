"""The small tree that answers are parsed into, and the limits that hold before anything is evaluated."""

from __future__ import annotations

from typing import Any, NamedTuple

MAX_READ = 16_000
"""Longest answer, in characters, that is tidied; longer ones are equal only if their texts are."""
MAX_TEXT = 4000
"""Longest answer, in characters, that is parsed; longer ones are compared as text."""
MAX_DEPTH = 40
"""Deepest nesting of brackets, fractions, powers and so on."""
MAX_NODES = 3000
"""Most tokens in one answer."""
MAX_DIGITS = 4000
"""Most digits in one written number (below the interpreter's own limit on int <-> str)."""
MAX_BITS = 24_000
"""Largest integer that is ever expanded, in bits; greater powers and factorials stay symbolic."""
MAX_CHOICES = 3
"""Most independent plus-minus signs in one item (2^3 values)."""


class Unparsed(Exception):
    """The text is no mathematics that this parser knows, or it is over a limit."""


class Node(NamedTuple):
    """One node. What `value` holds depends on `op`:

    ======== ==================================================================================
    num      Fraction                                dec    (Fraction, digits, last place)
    apply    f(x): evaluated as a product, but a label
    sym      name                                    const  "pi", "e", "i" or "inf"
    fn       name of the function (args follow)      root   degree in args[1]
    rel      tuple of relation signs between args    seq    (opening bracket, closing bracket)
    text     words                                   unit   words of the unit of args[0]
    based    (digits, base)                          matrix number of columns (args row by row)
    big      index variable of "sum" or "prod" in args: body, from, to; value (kind, variable)
    ======== ==================================================================================
    """

    op: str
    args: tuple[Node, ...] = ()
    value: Any = None

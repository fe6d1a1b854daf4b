"""Answer text -> reading: the tidied text, and the shape where it is mathematics. Cached, bounded."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from .nodes import MAX_READ, Node, Unparsed
from .parse import parse
from .shape import REALS, shape
from .tidy import squash, tidy, words
from .tokens import tokenize
from .values import BUDGET, Unvalued
from .words import ALL_REALS, CONSTANTS, NO_SOLUTION, NUMBERS, RESULT_WORDS

MAX_CACHED = 600
"""Answers up to this length are remembered; longer ones are rare and cost memory."""
_ROWS = re.compile(r"\\begin\{([pbBv]?matrix)\}(.*)\\end\{\1\}", re.S)
_MAX_NAME = 40
_SENTENCE = 120  # characters beyond which a text with a full stop is taken for a solution
_WORD = re.compile(r"[^\W\d_]{3}")  # "p-q" is no word


class Reading(NamedTuple):
    text: str
    """Tidied."""
    squashed: str
    words: str | None
    """Casefolded, if the answer is nothing but words."""
    node: Node | None
    """None if it is no mathematics that the parser knows."""


def read(text: str, thousands: bool = True) -> Reading:
    """Parse an answer. Time is bounded: answers over `nodes.MAX_TEXT` characters are only tidied."""
    return _read_cached(text, thousands) if len(text) <= MAX_CACHED else _read(text, thousands)


def _read(text: str, thousands: bool) -> Reading:
    if len(text) > MAX_READ:
        plain = text.strip()
        return Reading(plain, plain, None, None)
    tidied = tidy(text)
    squashed = squash(tidied)
    found = words(squashed) if len(squashed) <= MAX_CACHED else None
    if found in ALL_REALS or found in NO_SOLUTION:
        return Reading(tidied, squashed, None, REALS if found in ALL_REALS else Node("set"))
    if found in CONSTANTS:
        found = None
    if found in NUMBERS:
        return Reading(tidied, squashed, None, Node("num", (), Fraction(NUMBERS[found])))
    return Reading(tidied, squashed, found, _node(text, tidied, thousands))


_read_cached = lru_cache(maxsize=4096)(_read)


def _node(text: str, tidied: str, thousands: bool) -> Node | None:
    solution = len(tidied) > _SENTENCE and (". " in tidied or "\n" in text)
    if not solution and (node := _shaped(tidied, thousands)) is not None:
        return node
    # A gold that is a whole sentence or solution
    from .extract import extract

    found = extract(text)
    if found is not None and len(found.answer) < len(text.strip()):
        return _shaped(tidy(found.answer), thousands)
    if solution:
        return _shaped(tidied, thousands)
    return _named(tidied, thousands) or _row_by_row(tidied, thousands)


def _row_by_row(tidied: str, thousands: bool) -> Node | None:
    """One formula that was broken into the rows of a matrix, piece by piece: \\frac{ \\\\ 1 \\\\ }{ \\\\ 2 }."""
    match = _ROWS.fullmatch(tidied)
    if match is None or "&" in match[2]:
        return None
    return _shaped(" ".join(match[2].replace("\\\\", " ").split()), thousands)


def _named(tidied: str, thousands: bool) -> Node | None:
    """P(A|B) = 0.2: a name that is no mathematics to the parser, and what it stands for."""
    name, sign, value = tidied.rpartition("=")
    if not sign or not name or len(name) > _MAX_NAME or name.endswith(("<", ">", "!", ":")) or "=" in name:
        return None
    if name.count("{") != name.count("}") or ("," in name and "(" not in name):
        return None
    node = _shaped(value, thousands)
    if node is None or node.op in ("rel", "eq", "text", "sym"):
        return None
    return Node("eq", (Node("text", (), squash(name)), node))


def _shaped(tidied: str, thousands: bool, upright: bool = False) -> Node | None:
    left = BUDGET.left
    BUDGET.refill(
        BUDGET.QUICK
    )  # so that a reading, which is remembered, depends on nothing that came before it
    try:
        return shape(parse(tidied, thousands, upright=upright))
    except (Unparsed, Unvalued, RecursionError):
        return None
    finally:
        BUDGET.left = left


@lru_cache(maxsize=256)
def with_units(tidied: str) -> Node | None:
    """The shape of a tidied answer in which "5 m" is five metres rather than five times m."""
    return _shaped(tidied, True, upright=True)


@lru_cache(maxsize=1024)
def spelling(tidied: str) -> str | None:
    """What an answer that is no mathematics to the parser says, without layout: its tokens; None where it has none."""
    try:
        tokens = tokenize(tidied, True)
    except Unparsed:
        return None
    marks = {"cmd": "\\{} ", "sep": " {} ", "text": "{} "}
    texts = [
        marks.get(token.kind, "{}").format(token.text.casefold() if token.kind == "text" else token.text)
        for token in tokens
    ]
    kept = []
    at = 0
    while at < len(texts):
        if texts[at] == "{" and texts[at + 2 : at + 3] == ["}"]:  # {x} is x
            kept.append(texts[at + 1])
            at += 3
        else:
            kept.append(texts[at])
            at += 1
    return "".join(kept) or None


def meaningful(found: str | None) -> bool:
    """Whether words are an answer by themselves: not "p-q", no sentence that leads to a value."""
    return found is not None and bool(_WORD.search(found)) and not says_result(found)


def says_result(text: str) -> bool:
    return not RESULT_WORDS.isdisjoint(text.split())

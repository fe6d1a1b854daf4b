"""Whether two answers are the same, as LIMO's evaluation decides it: rungs tried in turn, any of which may say yes.

Its false positives are part of what it is and are kept: 7000 is 70 and so is 0.7 (a hundredfold counts as a
percentage), `2,1` is `1,2`, `(2,\\infty)` is `[2,\\infty)`, 11111111100 is 11111111110.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from math import isclose

MAX_DEPTH = 5
MAX_TEXT = 2_000
"""Characters of a tidied answer; longer ones are compared as texts only."""

Symbolic = Callable[[str, str], bool | None]
"""Symbolic equality of two texts, the last rung; None where that is left to a worker."""

Verdict = bool | None
"""None: a rung that was left open could still say yes."""

_Rungs = Iterator[tuple[str, Verdict]]
_Part = Callable[[str, str], Verdict]

_LETTER = re.compile(r"\b[A-E]\b")
_LABEL = re.compile(r"\([A-E]\)|[A-E][.):]|\*\*[A-E]\*\*")
_BRACKETED = re.compile(r"[(\[].+[)\]]")
_GROUPING = str.maketrans("", "", "{}()")
_MATRIX = re.compile(r"\\begin\{pmatrix\}(.*)\\end\{pmatrix\}", re.DOTALL)


def same(answer: str, gold: str, symbolic: Symbolic, depth: int = 0) -> tuple[Verdict, str]:
    """Whether two tidied answers are the same, and the rung that decided.

    Args:
        symbolic: decides what no earlier rung does.
        depth: how many lists, labels or equations this comparison is inside of.
    """
    if depth > MAX_DEPTH:
        return False, "depth"
    if answer.strip().lower() == gold.strip().lower():
        return True, "text"
    if max(len(answer), len(gold)) > MAX_TEXT:
        return False, "length"
    undecided = False
    for rung, verdict in _rungs(answer, gold, symbolic, depth):
        if verdict:
            return True, rung
        undecided = undecided or verdict is None
        if rung == "number":  # two numbers that differ are never looked at as anything else
            return (None if undecided else False), rung
    return (None if undecided else False), "unequal"


def _rungs(answer: str, gold: str, symbolic: Symbolic, depth: int) -> _Rungs:
    """The rungs in their order, each worked out only when it is asked for."""

    def part(one: str, other: str) -> Verdict:
        return same(one, other, symbolic, depth + 1)[0]

    if gold in ("A", "B", "C", "D", "E"):
        letters = _LETTER.findall(answer.upper())
        yield "letter", bool(letters) and letters[-1] == gold
    if label := _LABEL.match(answer):
        yield "label", part(answer[label.end() :].strip(), gold)
    if "," in answer and "," in gold:
        yield "list", _each(sorted(_pieces(answer)), sorted(_pieces(gold)), part)
    left, right = number(answer), number(gold)
    if left is not None and right is not None:
        yield "number", _near_or_percent(left, right)
    answer, gold = answer.strip(), gold.strip()
    if not answer or ("pmatrix" in answer and "pmatrix" not in gold):
        return
    yield "brackets", _same_but_for_brackets(answer, gold)
    if _BRACKETED.match(answer) and _BRACKETED.match(gold):
        yield "tuple", _each(answer[1:-1].split(","), gold[1:-1].split(","), part)
    if (left_rows := _rows(answer)) is not None and (right_rows := _rows(gold)) is not None:
        yield "matrix", _each_row(left_rows, right_rows, part)
    yield from _equations(answer, gold, part, symbolic)
    yield "symbolic", symbolic(answer, gold)


def number(text: str) -> float | None:
    """The number that a text is, commas left out and a percentage divided by 100; None if it is none."""
    text = text.replace(",", "")
    for written, unit in ((text, 1), (text.removesuffix("%").removesuffix("\\"), 100)):
        try:
            return float(written) / unit
        except ValueError:
            if not text.endswith("%"):
                return None
    return None


def near(one: float, other: float) -> bool:
    """Within 1e-4, or within 1e-9 of the larger: which is how 11111111100 comes to be 11111111110."""
    return isclose(one, other, rel_tol=1e-9, abs_tol=1e-4)


def _near_or_percent(answer: float, gold: float) -> bool:
    return any(near(answer, value) for value in (gold / 100, gold, gold * 100))


def _pieces(text: str) -> list[str]:
    return [piece.strip() for piece in text.split(",")]


def _each(answers: Sequence[str], golds: Sequence[str], part: _Part) -> Verdict:
    """Whether all pairs are the same; False as soon as one is not."""
    if len(answers) != len(golds):
        return False
    undecided = False
    for answer, gold in zip(answers, golds, strict=True):
        verdict = part(answer, gold)
        if verdict is False:
            return False
        undecided = undecided or verdict is None
    return None if undecided else True


def _same_but_for_brackets(answer: str, gold: str) -> bool:
    ends = answer[0] + answer[-1]
    if (ends == "[]" and not gold.startswith("(")) or (ends == "()" and not gold.startswith("[")):
        answer, gold = answer.strip("[]()"), gold.strip("[]()")
    return answer.translate(_GROUPING).lower() == gold.translate(_GROUPING).lower()


def _rows(text: str) -> list[list[str]] | None:
    found = _MATRIX.fullmatch(text)
    return found and [row.strip().split("&") for row in found[1].split("\\\\") if row.strip()]


def _each_row(answers: Sequence[Sequence[str]], golds: Sequence[Sequence[str]], part: _Part) -> Verdict:
    if [len(row) for row in answers] != [len(row) for row in golds]:
        return False
    return _each([x for row in answers for x in row], [x for row in golds for x in row], part)


def _equations(answer: str, gold: str, part: _Part, symbolic: Symbolic) -> _Rungs:
    """Two equations: the differences of their sides, either way round. One: its name is left out."""
    counts = answer.count("="), gold.count("=")
    if counts == (1, 1):
        left, right = _difference(answer), _difference(gold)
        yield "equation", symbolic(left, right)
        yield "equation", symbolic(f"-({left})", right)
    elif counts == (1, 0) and _short_name(answer):
        yield "assignment", part(answer.partition("=")[2], gold)
    elif counts == (0, 1) and _short_name(gold):
        yield "assignment", part(answer, gold.partition("=")[2])


def _difference(equation: str) -> str:
    left, _, right = equation.partition("=")
    return f"{left.strip()} - ({right.strip()})"


def _short_name(equation: str) -> bool:
    return len(equation.partition("=")[0].strip()) <= 2

"""Choice letters in their dresses: B, (B), \\text{(B)}, **B**, "B) 42", "option B". Never a letter out of prose."""

from __future__ import annotations

import re

_SHORT = 400  # a text that opens with its letter is no longer than this

_FONT = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt)?|math(?:rm|bf|it|sf|tt)|mbox|boldsymbol|bm|operatorname)\s*\{([^{}]*)\}"
)
_LAYOUT = re.compile(r"\\(?:left|right|quad|qquad|[,;:! ])|[$*`~{}_\[\]]|\\[()]")
_NAMED = re.compile(
    r"^(?:(?:the\s+)?(?:correct\s+)?(?:final\s+)?(?:answer|option|choice|alternative)\s*(?:is|:)?\s*)+", re.I
)
_LETTER = re.compile(r"\(?\s*([A-Ja-j])\s*(?:\)|$|[.:,](?=\s|$)|\s*-\s|\s+(?=[\\\d$(]))")
_BEGINS = re.compile(r"\W{0,4}([A-J])(?:\)|\.(?=\s|$)|:(?=\s))")
_POINTS_AT = re.compile(
    r"\b(?:it'?s|it is|choose|pick|select|option|choice|answer)\s+(?:is\s+)?(?:\*\*|\$)?"
    r"(?:\(([A-J])\)|([A-J])\b)(?=[*$]*(?:[.,;:!]|\s*$))"
)


def letter(answer: str) -> str | None:
    """The letter that a short answer names, upper case; None if it names none.

    >>> letter(r"\\textbf{(B)}~12"), letter("option c"), letter("A big one")
    ('B', 'C', None)
    """
    text = answer[:400].strip()
    for _ in range(3):
        text = _FONT.sub(r" \1 ", text)
    text = _LAYOUT.sub(" ", text).strip()
    text = _NAMED.sub("", text).strip()
    match = _LETTER.match(text)
    if match is None:
        return None
    alone = match.end() >= len(text.rstrip(" ."))
    if match[1].islower() and not alone and "(" not in match[0] and ")" not in match[0]:
        return None  # "a 5" is an article
    return match[1].upper()


def letter_in_prose(tail: str) -> str | None:
    """The letter that a text opens with ("D. It cannot be A") or whose last sentence points at one ("it's B")."""
    match = _BEGINS.match(tail) if len(tail) <= _SHORT else None
    if match is not None:
        return match[1]
    found = list(_POINTS_AT.finditer(tail[-300:]))
    return found[-1][1] or found[-1][2] if found else None

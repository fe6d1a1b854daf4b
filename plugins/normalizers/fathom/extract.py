"""The answer of a chain as LIMO's evaluation, and Fathom-R1's after it, takes it from the text."""

from __future__ import annotations

import re

MAX_ANSWER = 10_000
"""Characters. A box that is never closed gives the rest of the text, which may be the rest of a long chain."""

_BRACE = re.compile(r"[{}]")
_BREAK = re.compile(r"\n\s*")


def last_box(text: str) -> str | None:
    """What stands in the last `boxed` of the text, wherever that is: in an unfinished `<think>` too.

    Braces are matched; a box that is not closed runs to the end of the text (or to `MAX_ANSWER`). Where no
    brace follows, everything up to the next dollar sign counts. No other wording is an answer.

    Returns:
        None where the text has no `boxed`; "" where nothing stands in the last one.
    """
    start = text.rfind("boxed")
    if start < 0:
        return None
    # One more than is kept, so that a box is never closed by a brace that is cut off.
    rest = text[start + len("boxed") : start + len("boxed") + MAX_ANSWER + 2]
    inside = _braced(rest) if rest.startswith("{") else rest.partition("$")[0].strip()
    inside = _BREAK.sub("", inside[:MAX_ANSWER])
    return inside.removeprefix(":").removesuffix(".").removesuffix("/")


def _braced(text: str) -> str:
    depth = 0
    for brace in _BRACE.finditer(text):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return text[1 : brace.start()]
    return text[1:]

"""Mathematics in texts, made visible: LaTeX between its usual delimiters becomes MathML.

The LaTeX comes from models and data files. latex2mathml lets links, styles and raw markup through, so that nothing of
its output is taken as it is: elements and attributes are those of a list, values match a pattern, and every text is
escaped. Macros are refused, and length, nesting and time are bounded; a formula that fails is shown as it was written.
"""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterator
from typing import Any, Final
from xml.etree.ElementTree import Element

from markupsafe import Markup, escape

from .cache import Cache
from .texts import visible

_LONGEST: Final = 2_000
"""Characters of a formula."""
_DEEPEST: Final = 24
"""Levels of braces."""
_MOST: Final = 400
"""Formulas of one text."""
_SECONDS: Final = 0.12
"""For all formulas of one text."""
_MOST_NODES: Final = 4_000

_OPENING: Final = re.compile(r"\$\$?|\\[\[(]|\\boxed\{|\\begin\{(align|equation|gather|cases)(\*?)\}")
_CLOSING: Final = {"$$": "$$", "$": "$", "\\[": "\\]", "\\(": "\\)"}
_LONGEST_INLINE: Final = 500
_LONGEST_BOX: Final = 300

_MACROS: Final = re.compile(
    r"\\(?:(?:re|provide)?newcommand|(?:re)?newenvironment|[gex]?def|let|global|DeclareMathOperator|require|href|unicode|verb)"
    r"(?![A-Za-z])"
)
_AS_KNOWN: Final = re.compile(
    r"\\(begin|end)\{(?:aligned|gathered|eqnarray|equation|multline|alignat|gather)\*?\}"
)

_ELEMENTS: Final = frozenset(
    (
        *(
            "math",
            "mi",
            "mn",
            "mo",
            "mtext",
            "mspace",
            "ms",
            "mrow",
            "mstyle",
            "mpadded",
            "mphantom",
            "menclose",
        ),
        *("mfrac", "msqrt", "mroot", "msub", "msup", "msubsup", "munder", "mover", "munderover"),
        *("mmultiscripts", "mprescripts", "mtable", "mtr", "mtd", "merror"),
    )
)
_WORD: Final = re.compile(r"[A-Za-z0-9.%+-]{1,24}(?: [A-Za-z0-9.%+-]{1,24}){0,20}")
_ATTRIBUTES: Final = frozenset(
    (
        *("display", "displaystyle", "scriptlevel", "mathvariant", "form", "notation"),
        *("stretchy", "fence", "separator", "symmetric", "largeop", "movablelimits", "accent", "accentunder"),
        *("lspace", "rspace", "minsize", "maxsize", "width", "height", "depth", "voffset", "linethickness"),
        *("linebreak", "columnalign", "columnlines", "rowlines", "columnspacing", "rowspacing"),
    )
)

_made: Cache[Markup | None] = Cache(8 << 20)


def formula(source: str, *, display: bool = False) -> Markup | None:
    """A formula as MathML; None where it cannot be shown as one."""
    return _made.get((source, display), None, lambda: _formula(source, display), _cost)


def _cost(made: Markup | None) -> int:
    return 200 if made is None else 200 + 2 * len(made)


def _formula(source: str, display: bool) -> Markup | None:
    if len(source) > _LONGEST or _depth(source) > _DEEPEST or _MACROS.search(source):
        return None
    from latex2mathml.converter import convert_to_element

    known = _AS_KNOWN.sub(r"\\\1{align*}", source)
    try:
        element = convert_to_element(known, display="block" if display else "inline")
        return Markup("".join(_clean(element, [_MOST_NODES])))
    except Exception:  # noqa: BLE001 - it fails in many ways: the text is shown instead
        return None


def _depth(source: str) -> int:
    deepest = depth = 0
    for sign in re.findall(r"[{}]|\\left(?![a-z])|\\begin|\\right(?![a-z])|\\end", source):
        depth += 1 if sign in ("{", "\\left", "\\begin") else -1
        deepest = max(deepest, depth)
    return deepest


def _clean(element: Element, left: list[int]) -> Iterator[str]:
    """The element as markup, with nothing in it that is not known to be harmless."""
    left[0] -= 1
    if left[0] < 0:
        raise ValueError("too large a formula")
    name = element.tag if element.tag in _ELEMENTS else "mrow"
    box = ' class="boxed"' if name == "menclose" and element.get("notation") == "box" else ""
    name = "mrow" if name == "menclose" else name  # browsers know it no longer
    kept = "".join(
        f' {key}="{value}"'
        for key, value in element.attrib.items()
        if key in _ATTRIBUTES and _WORD.fullmatch(value)
    )
    yield f"<{name}{box}{kept}>"
    yield _escaped(element.text)
    for child in element:
        yield from _clean(child, left)
        yield _escaped(child.tail)
    yield f"</{name}>"


def _escaped(text: str | None) -> str:
    # The library writes some characters as references of its own, and others as they are.
    return str(escape(visible(html.unescape(text)))) if text else ""


def rich(text: str, *, seconds: float = _SECONDS) -> Markup:
    """A text with its mathematics rendered, everything else escaped; within bounds of number and time."""
    parts: list[Any] = []
    position = count = 0
    for start, end, source, display in _delimited(text, time.monotonic() + seconds):
        if (made := formula(source, display=display)) is not None:
            count += 1
            before = text[position:start]
            if display:  # it begins and ends a line by itself
                before = before.removesuffix("\n")
                end += text.startswith("\n", end)
            parts += [escape(visible(before)), made]
            position = end
            if count == _MOST:
                break
    return Markup("").join([*parts, escape(visible(text[position:]))])


def _delimited(text: str, until: float) -> Iterator[tuple[int, int, str, bool]]:
    """Formulas of a text: start, end, LaTeX, and whether it stands on lines of its own. Linear in the text's length."""
    position = 0
    while time.monotonic() < until and (found := _OPENING.search(text, position)) is not None:
        start, inside, opening = found.start(), found.end(), found[0]
        position = inside
        if opening.startswith("\\b"):
            close = (
                _brace(text, inside)
                if opening == "\\boxed{"
                else text.find(ending := f"\\end{{{found[1]}{found[2]}}}", inside, inside + _LONGEST)
            )
            if close > inside:
                position = close + (1 if opening == "\\boxed{" else len(ending))
                yield start, position, text[start:position], opening != "\\boxed{"
            continue
        closing = _CLOSING[opening]
        most = _LONGEST_INLINE if opening == "$" else _LONGEST
        close = text.find(closing, inside, inside + most)
        if close <= inside or (opening == "$" and not _is_inline(text, start, close)):
            continue
        position = close + len(closing)
        yield start, position, text[inside:close].strip(), opening in ("$$", "\\[")


def _is_inline(text: str, start: int, close: int) -> bool:
    """Whether what stands between two single dollars is a formula rather than two prices."""
    before, after = text[start - 1 : start], text[close + 1 : close + 2]
    inside = text[start + 1 : close]
    return not (
        before == "\\"
        or before.isalnum()
        or after.isdigit()
        or inside[0].isspace()
        or inside[-1].isspace()
        or inside[-1] == "\\"
        or "\n" in inside
    )


def _brace(text: str, inside: int) -> int:
    """Where the brace that was opened before `inside` closes; -1 where it does not soon."""
    depth = 1
    for place in range(inside, min(len(text), inside + _LONGEST_BOX)):
        sign = text[place]
        depth += (sign == "{") - (sign == "}")
        if depth == 0:
            return place
        if sign == "\n":
            break
    return -1

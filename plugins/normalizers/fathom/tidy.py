"""One spelling for answers that differ in dress only, as LIMO's evaluation sees it.

Written from a description of its effects. Oddities are kept where they can decide a comparison: `and` goes even
from inside words, `j` becomes `i`, everything from the first `\\text` on may be taken for a unit.
"""

from __future__ import annotations

import re

from .words import numeral, without_units

_DEGREES = re.compile(r"\^\{\\circ\}|\^\\circ")
_SPELLINGS = (
    (re.compile(r"\\begin\{array\}\{[^{}]*\}"), r"\\begin{pmatrix}"),
    (re.compile(r"\\end\{array\}"), r"\\end{pmatrix}"),
    (re.compile(r"bmatrix"), "pmatrix"),
    (re.compile(r"[td]frac"), "frac"),
    (re.compile(r"\\(n|l|g)eq"), r"\\\1e"),
    (re.compile(r"\\left|\\right"), ""),
    (re.compile(r"\\([{}])"), r"\1"),
)
_TEXT = re.compile(r"\\text\{([^{}]*)\}")
_SQUARED_UNIT = re.compile(r"(cm|inches)\}\^2")
_DOLLARS = re.compile(r"\\?\$|\\[()]")
_NAMED = re.compile(r"[xyz](?:=|\\in|\\to)")
_PERCENT = re.compile(r"\\?%")
_MBOX = re.compile(r"\\mbox\{[^{}]*\}")
_ZEROS = re.compile(r"(?<=\d)\.0*(?=\D|$)")
_BARE_ROOT = re.compile(r"\\sqrt(\w+)")
_BARE_FRACTION = re.compile(r"\\frac([^{}\\\s])(?:([^{}\\\s])|(?=\{))")


def tidy(text: str) -> str:
    """The answer in the spelling in which two answers are compared.

    >>> tidy(r"x = \\dfrac12"), tidy(r"50\\%"), tidy(r"30^{\\circ}"), tidy(r"7\\text{ cm}"), tidy("3/4"), tidy(".5")
    ('\\\\frac{1}{2}', '50', '30', '7', '\\\\frac{3}{4}', '0.5')
    """
    if text.isascii() and text.isdigit():
        return text
    text = _dressed_down(text.strip().replace("\n", "").rstrip(".").replace("\\!", ""))
    text = _without_text(text)
    text = _DOLLARS.sub("", _DEGREES.sub("", without_units(text)))
    text = numeral(text) or text
    text = _NAMED.sub("", _TEXT.sub(r"\1", text))
    text = text.replace("\\emptyset", "{}").replace("(-\\infty,\\infty)", "\\mathbb{R}")
    text = _PERCENT.sub("", text).replace(" .", " 0.").replace("{.", "{0.")
    text = _infinite(text).replace("and", "").replace("\\mathbf", "")
    text = _MBOX.sub("", text)
    if "j" in text and "i" not in text:
        text = text.replace("j", "i")
    text = _ZEROS.sub("", text)
    if text.startswith("."):
        text = f"0{text}"
    name, equals, value = text.partition("=")
    if equals and "=" not in value and len(name) <= 2:
        text = value
    return _fractions(_BARE_ROOT.sub(r"\\sqrt{\1}", text).replace(" ", ""))


def _dressed_down(text: str) -> str:
    for spelling, plain in _SPELLINGS:
        text = spelling.sub(plain, text)
    return text


def _without_text(text: str) -> str:
    """Numbers written out inside `\\text` as digits; what follows the first `\\text` of others is a unit."""
    text = _TEXT.sub(lambda found: (found[1].isalpha() and numeral(found[1])) or found[0], text)
    text = _SQUARED_UNIT.sub(r"\1}", text)
    start = text.find("\\text{")
    if start > 0 and text.endswith("}"):
        return text[:start].strip() or text
    return text


def _infinite(text: str) -> str:
    text = text.replace("infinity", "\\infty")
    return text if "\\infty" in text else text.replace("inf", "\\infty")


def _fractions(text: str) -> str:
    text = _BARE_FRACTION.sub(lambda f: f"\\frac{{{f[1]}}}" + (f"{{{f[2]}}}" if f[2] else ""), text)
    above, slash, below = text.partition("/")
    if slash and _over(above) and _over(below):
        return f"\\frac{{{above}}}{{{below}}}"
    return text


def _over(text: str) -> bool:
    """Whether this side of a slash is an integer in its shortest form, or holds a root."""
    return bool(re.fullmatch(r"0|-?[1-9][0-9]*", text)) or ("sqrt" in text and "/" not in text)

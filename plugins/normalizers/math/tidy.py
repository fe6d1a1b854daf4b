"""Tidying of answer texts: one spelling for each sign, no layout. Every step is linear in the text."""

from __future__ import annotations

import re

_SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿⁱ", "0123456789+-()ni", strict=True))
_SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋ₙ", "0123456789+-n", strict=True))
_GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ϵ": "epsilon", "ζ": "zeta",
    "η": "eta", "θ": "theta", "κ": "kappa", "λ": "lambda", "μ": "mu", "µ": "mu", "ν": "nu", "ξ": "xi",
    "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau", "φ": "phi", "ϕ": "phi", "χ": "chi", "ψ": "psi",
    "ω": "omega", "Γ": "Gamma", "Δ": "Delta", "Θ": "Theta", "Λ": "Lambda", "Σ": "Sigma", "Φ": "Phi",
    "Ψ": "Psi", "Ω": "Omega",
}  # fmt: skip
_SIGNS = {
    "−": "-", "–": "-", "—": "-", "﹣": "-", "×": r"\times ", "∙": r"\cdot ", "·": r"\cdot ", "⋅": r"\cdot ",
    "÷": "/", "∕": "/", "⁄": "/", "√": r"\sqrt ", "∛": r"\cbrt ", "∞": r"\infty ", "°": r"^\circ ", "º": r"^\circ ",
    "≤": r"\le ", "⩽": r"\le ", "≥": r"\ge ", "⩾": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "≃": r"\approx ",
    "∈": r"\in ", "∪": r"\cup ", "∩": r"\cap ", "∖": r"\setminus ", "∅": r"\emptyset ", "±": r"\pm ",
    "∓": r"\mp ", "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ", "…": r"\ldots ",
    "½": r"\frac{1}{2}", "⅓": r"\frac{1}{3}", "⅔": r"\frac{2}{3}", "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}",
    "∠": " ", "′": "'", "’": "'", "‘": "'", "“": '"', "”": '"', "，": ", ", "；": "; ", "：": ":",
    "（": "(", "）": ")", "。": ". ", "、": ", ", "％": "%", "ℝ": r"\mathbb{R}", "∧": r"\text{ and }",
    "€": " ", "£": " ", "¥": " ", "₹": " ", "¢": r"\text{ cents}", "Å": r"\text{Å}", "ⅈ": "i",
    "→": r"\to ", "⇒": r"\to ",
}  # fmt: skip

_TABLE: dict[int, str | None] = {ord(k): v for k, v in _SIGNS.items()}
_TABLE.update({ord(k): f"\\{v} " for k, v in _GREEK.items()})
_TABLE.update(dict.fromkeys((160, 8239, 12288, *range(8192, 8203), 8232, 8233, 8287), " "))
_TABLE.update(dict.fromkeys((0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2060, 0xFEFF, *range(0x202A, 0x202F))))
_TABLE.update(dict.fromkeys(range(0x2061, 0x206A)))
_TABLE.update({0xFF10 + d: str(d) for d in range(10)})
_CONTROLS = dict.fromkeys((*range(32), 127), " ")

_SUP_RUN = re.compile("[" + "".join(_SUPERSCRIPTS) + "]+")
_SUB_RUN = re.compile("[" + "".join(_SUBSCRIPTS) + "]+")
_SURROGATE = re.compile("[\ud800-\udfff]")
_DOUBLED = re.compile(
    r"\\\\(?=(?:[dtc]?frac|sqrt|boxed|text|pi|cdot|times|left|right|pm|infty|in|cup)(?![A-Za-z]))"
)
_THOUSANDS = re.compile(r"(?<=\d)(?:\{,\}|,\\[!,;: ]|\\,|\\!,?|,\\!)(?:\\[!,;: ]|\s)*(?=\d{3}(?!\d))")
_WRAPPER = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|math(?:rm|bf|it|sf|tt|normal)|mbox|hbox|boldsymbol|bm|operatorname)\s*(?=\{)"
)
_LAYOUT = re.compile(
    r"\\(?:left|right|[bB]ig+[lrm]?|displaystyle|textstyle|scriptstyle|limits|nolimits|q?quad|[,;:! ])(?![A-Za-z])|~"
)
_SPACED_THOUSANDS = re.compile(r"-?\d{1,3}(?:(?:\\[ ;:,]|[ ~])\d{3})+")
_HALF_DAY = re.compile(r"(\d\s*(?:\\text\s*\{\s*|\\[ ,;:]\s*|~)?)([aApP])\.\s?[mM]\.?")
_EXPONENT = re.compile(r"(?<=\d)\s*\\(?:mathrm|text)\{e\}(?=[+-]?\d)")
_CURRENCY = re.compile(r"(?:Rs\.?|Re\.|US)\s*\$?\s*(?=\d)")
_UNION = re.compile(r"(?<=[)\]])\s*U\s*(?=[(\[])")
_BRACE = re.compile(r"\\.|[{}]", re.S)
_GAP = re.compile(r"\s+")
_GAP_MEANS_NOTHING = re.compile(r"(?<=\W)\s|\s(?=[^\w\\])|(?<=[A-Za-z])\s(?=\d)|(?<=\d)\s(?=[A-Za-z])")
_NAMES_END = re.compile(r",\s*and\b|,|\band\b")
_WORDS = re.compile(r"[^\W\d_][^\W\d_'\-]*(?:[ '.,;:\-]+[^\W\d_][^\W\d_'\-]*)*[.!]?")


def tidy(text: str) -> str:
    """The answer with one spelling for each sign: ASCII and LaTeX commands, no dollars, no layout at the ends.

    >>> tidy("$\\\\dfrac{π}{2}.$")
    '\\\\dfrac{\\\\pi }{2}'
    """
    if "\x0c" in text:  # "\frac" that went through a JSON reader unescaped
        text = text.replace("\\\x0crac", "\\frac").replace("\x0crac", "\\frac")
    if not text.isascii():
        text = _SUP_RUN.sub(lambda m: "^{" + "".join(_SUPERSCRIPTS[c] for c in m[0]) + "}", text)
        text = _SUB_RUN.sub(lambda m: "_{" + "".join(_SUBSCRIPTS[c] for c in m[0]) + "}", text)
        text = _SURROGATE.sub("\ufffd", text).translate(_TABLE)
    if not text.isprintable():
        text = text.translate(_CONTROLS)
    if "\\\\" in text and "\\begin" not in text:
        text = _DOUBLED.sub(r"\\", text)
    if "\\mathrm{e}" in text or "\\text{e}" in text:
        text = _EXPONENT.sub(r"e", text)
    if "m." in text or "M." in text:
        text = _HALF_DAY.sub(r"\1\2m", text)
    if "$" in text:
        text = text.replace("\\$", " ").replace("$", " ")
    if "\\(" in text or "\\[" in text:
        text = text.replace("\\(", " ").replace("\\)", " ")
        if "\\begin" not in text:  # there "\\[2pt]" is a row break
            text = text.replace("\\[", " ").replace("\\]", " ")
    if "\\" in text or "{,}" in text:
        text = _THOUSANDS.sub("", text)
    if text[:2] in ("Rs", "Re", "US"):
        text = _CURRENCY.sub("", text)
    if "U" in text:
        text = _UNION.sub(r"\\cup ", text)
    text = _ends(text)
    if text[:1] == "<" and text[-1:] == ">" and "," in text:
        text = f"({text[1:-1]})"
    if _SPACED_THOUSANDS.fullmatch(text):  # 1 000 000
        text = re.sub(r"[^\d-]", "", text)
    extra = text.count("}") - text.count("{")
    while extra > 0 and text.endswith("}") and not text.endswith("\\}"):  # a brace of the box around it
        text, extra = text[:-1], extra - 1
    while text.startswith(("\\boxed{", "\\fbox{")):
        inside = _unboxed(text)
        if inside is None:
            break
        text = _ends(inside)
    return text


def _unboxed(text: str) -> str | None:
    """The content, if the whole text is one box (which may lack its closing brace)."""
    begin, depth = text.index("{"), 0
    for match in _BRACE.finditer(text, begin):
        if match[0] == "{":
            depth += 1
        elif match[0] == "}":
            depth -= 1
            if depth == 0:
                return text[begin + 1 : -1] if match.end() == len(text) else None
    return text[begin + 1 :]


def _ends(text: str) -> str:
    # Punctuation and markdown around an answer say nothing; brackets and signs do.
    while True:
        before = text
        text = text.strip(' *`"')
        if text.endswith((".", ",", ";", ":")) and not text.endswith("..."):
            text = text[:-1]
        if text.endswith("\\") and not text.endswith("\\\\"):
            text = text[:-1]
        elif text.endswith(("\\,", "\\;", "\\!", "\\ ")) and not text.endswith(
            ("\\\\,", "\\\\;", "\\\\!", "\\\\ ")
        ):
            text = text[:-2]
        if text.startswith((",", ";", ":")):
            text = text[1:]
        if text == before:
            return text


def squash(text: str) -> str:
    """What remains of a tidied text when layout, font wrappers and needless blanks go: equal ones are equal answers.

    >>> squash("\\\\left( 3, \\\\text{ even} \\\\right)") == squash("(3,even)")
    True
    """
    if "\\" in text or "~" in text:
        text = _LAYOUT.sub(" ", text)
        if "\\" in text:
            text = _unwrap(text)
            text = text.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac")
    text = _GAP.sub(" ", text).strip()
    return _GAP_MEANS_NOTHING.sub("", text)


def _unwrap(text: str) -> str:
    """Drop \\text{...} and its kind, keeping their content."""
    parts: list[str] = []
    at = 0
    closers: list[int] = []
    for match in _WRAPPER.finditer(text):
        close = text.find("}", match.end())
        if close < 0 or "{" in text[match.end() + 1 : close]:
            continue  # nested groups keep their wrapper: only whole words matter here
        parts.append(text[at : match.start()])
        parts.append(text[match.end() + 1 : close])
        at = close + 1
        closers.append(close)
    parts.append(text[at:])
    return "".join(parts)


def words(squashed: str) -> str | None:
    """The casefolded words, if a squashed text is nothing but words (two letters or more); else None.

    >>> words("Even")
    'even'
    >>> words("x+1")
    """
    if len(squashed) < 2 or not _WORDS.fullmatch(squashed):
        return None
    plain = squashed.rstrip(".!").casefold()
    if "," in plain or " and " in plain:  # a list of names, in any order
        names = [" ".join(name.split()) for name in _NAMES_END.split(plain)]
        if all(len(name) == 1 for name in names):
            return None  # letters, which may be values
        return ", ".join(sorted(name for name in names if name))
    return " ".join(plain.split())

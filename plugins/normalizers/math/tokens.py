"""Tidied answer text -> tokens. One pass of one regular expression; fonts, layout and text groups are resolved here."""

from __future__ import annotations

import re
from typing import NamedTuple

from .nodes import MAX_DIGITS, MAX_NODES, MAX_TEXT, Unparsed
from .words import FUNCTIONS, PERCENT, SEPARATORS, word_set


class Token(NamedTuple):
    kind: str
    """num, let (one letter), word (several), cmd (LaTeX command without backslash), text, sep, op (all else), end."""
    text: str
    spaced: bool = False
    """White space stands before it."""
    roman: bool = False
    """A letter that was written upright: \\text{m}."""


END = Token("end", "")

_NUMBER = r"(?:\d+(?:\.\d*(?!\.))?|\.\d+)(?:[eE][+-]?\d+(?![\d.A-Za-z]))?"
_THOUSANDS = r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!,?\d)"
_REST = r"""
    (?P<cmd>\\[A-Za-z]+\*?) | (?P<esc>\\.) | (?P<word>[A-Za-z]+) |
    (?P<op><=|>=|!=|==|\*\*|->|=>|\.\.\.|[^\s\\])
"""
_TOKEN = re.compile(rf"(?P<gap>[\s~]+) | (?P<num>{_NUMBER}) | {_REST}", re.X | re.S)
_TOKEN_THOUSANDS = re.compile(rf"(?P<gap>[\s~]+) | (?P<num>{_THOUSANDS}|{_NUMBER}) | {_REST}", re.X | re.S)

_TEXT_COMMANDS = word_set(
    """
    text textbf textit textrm textsf texttt textnormal mathrm mathbf mathit mathsf mathtt mathnormal mathbb
    mathcal mathscr mathfrak mbox hbox boldsymbol bm operatorname operatorname* emph underline
    """
)
_IGNORED = word_set(
    """
    left right big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr bigm displaystyle textstyle
    scriptstyle limits nolimits quad qquad angle measuredangle triangle rm bf it sf tt mathstrut hfill hfil
    null nonumber notag centering middle small large normalsize thinspace enspace medspace negthinspace
    checkmark square blacksquare Box qed
    """
)
_WITH_ARGUMENT_IGNORED = frozenset(
    {"hspace", "vspace", "phantom", "hphantom", "vphantom", "tag", "label", "color", "textcolor"}
)
_ESCAPES = {"{": "\\{", "}": "\\}", "|": "|", "%": "%", "\\": "\\\\", "&": "and", "$": "", "_": "_", "#": "#"}
_RENAMED = {
    "dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "nicefrac": "frac", "sfrac": "frac", "dbinom": "binom",
    "tbinom": "binom", "leq": "le", "leqslant": "le", "geq": "ge", "geqslant": "ge", "neq": "ne", "lt": "<", "gt": ">",
    "simeq": "approx", "sim": "approx", "doteq": "approx", "cong": "approx", "lbrace": "\\{", "rbrace": "\\}",
    "lgroup": "(", "rgroup": ")", "lbrack": "[", "rbrack": "]", "lparen": "(", "rparen": ")", "vert": "|",
    "lvert": "|", "rvert": "|", "Vert": "|", "lVert": "|", "rVert": "|", "mid": "|", "varnothing": "emptyset",
    "times": "*", "cdot": "*", "ast": "*", "bullet": "*", "div": "/", "colon": ":", "ratio": ":",
    "bmod": "mod", "dots": "ldots", "cdots": "ldots", "dotsc": "ldots", "dotsb": "ldots", "vdots": "ldots",
    "varepsilon": "epsilon", "vartheta": "theta", "varphi": "phi", "varrho": "rho", "backslash": "setminus",
    "smallsetminus": "setminus", "rightarrow": "to", "Rightarrow": "to", "implies": "to", "longrightarrow": "to",
    "mathrmi": "i", "degree": "circ", "degrees": "circ", "equiv": "equiv", "land": "and", "lor": "or", "wedge": "and",
    "vee": "or", "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh", "fbox": "boxed", "prime": "'",
}  # fmt: skip
_OPERATORS = frozenset({"<", ">", "*", "/", "|", "(", ")", "[", "]", "\\{", "\\}", ":", "'"})
_PREFIXES = (
    "qquad", "quad", "cdot", "times", "pi", "le", "ge", "pm", "circ", "sinh", "cosh", "tanh", "sin", "cos", "tan",
    "cot", "sec", "csc", "log", "ln",
)  # fmt: skip
_ONLY_MATH = re.compile(r"[\d\s.,()+\-*/=<>:;%$°'|!^]*")
_LETTERS = re.compile(r"\(?\s*[A-Za-z]\s*\)?(?:\s*(?:,|&|\band\b|\bor\b)+\s*\(?[A-Za-z]\)?(?![A-Za-z]))*")
_ABOUT = re.compile(
    r"(?:or\s+|which is\s+|is\s+)?(?:approximately|approx|about|roughly|around)(?: equal to)?"
)
_SUBSTANCE = re.compile(r"[^\s.,;:]")


def tokenize(text: str, thousands: bool) -> list[Token]:
    """Tokens of a tidied answer.

    Args:
        text: at most `MAX_TEXT` characters.
        thousands: read "1,234" outside brackets as one number.

    Raises:
        Unparsed: over a limit, or an unbalanced text group.
    """
    if len(text) > MAX_TEXT:
        raise Unparsed("too long")
    tokens: list[Token] = []
    _scan(text, thousands, tokens, 0)
    if len(tokens) > MAX_NODES:
        raise Unparsed("too many tokens")
    return tokens


def _scan(text: str, thousands: bool, out: list[Token], level: int) -> None:
    at, end, depth, spaced = 0, len(text), 0, False
    while at < end:
        pattern = _TOKEN_THOUSANDS if thousands and depth == 0 else _TOKEN
        match = pattern.match(text, at)
        if match is None:
            raise Unparsed("stray backslash")
        at = match.end()
        kind, token = match.lastgroup, match[0]
        if kind == "gap":
            spaced = True
            continue
        if kind == "num":
            if len(token) > MAX_DIGITS:
                raise Unparsed("too many digits")
            out.append(Token("num", token.replace(",", ""), spaced))
        elif kind == "word":
            _word(token, spaced, out)
        elif kind == "op":
            if token in "([":
                depth += 1
            elif token in ")]":
                depth -= 1
            out.append(Token("op", "^" if token == "**" else token, spaced))
        elif kind == "esc":
            sign = _ESCAPES.get(token[1])
            if sign is None:
                spaced = True
                continue
            if sign in ("\\{", "\\}"):
                depth += 1 if sign == "\\{" else -1
            if sign:
                out.append(Token("sep" if sign == "and" else "op", sign, spaced))
        else:
            at = _command(text, at, token[1:], spaced, thousands, out, level)
        spaced = False


def _word(token: str, spaced: bool, out: list[Token]) -> None:
    if len(token) == 1:
        out.append(Token("let", token, spaced))
    elif token.lower() in SEPARATORS:
        out.append(Token("sep", "and", spaced))
    elif token.lower() in PERCENT:
        out.append(Token("op", "%", spaced))
    elif _ABOUT.fullmatch(token.lower()):
        out.append(Token("cmd", "approx", spaced))
    elif token.startswith("or") and not spaced and out and out[-1].kind == "num" and len(token) < 4:
        out.append(Token("sep", "and", spaced))  # "x=1orx=-1"
        _word(token[2:], False, out)
    else:
        out.append(Token("word", token, spaced))


def _command(
    text: str, at: int, name: str, spaced: bool, thousands: bool, out: list[Token], level: int
) -> int:
    if name in _TEXT_COMMANDS:
        content, at = _group(text, at)
        if name == "mathbb" and content.strip() in DOMAINS:
            out.append(Token("cmd", DOMAINS[content.strip()], spaced))
        else:
            _text(content, spaced, thousands, out, level)
        return at
    if name in _IGNORED:
        # "\left." and "\right." are invisible brackets
        return at + 1 if name in ("left", "right") and text[at : at + 1] == "." else at
    if name in _WITH_ARGUMENT_IGNORED:
        return _group(text, at)[1]
    name = _RENAMED.get(name, name)
    if name in ("imath", "jmath"):
        out.append(Token("let", name[0], spaced))
    elif name in ("and", "or"):
        out.append(Token("sep", "and", spaced))
    elif name in _OPERATORS:
        out.append(Token("op", name, spaced))
    else:
        if name not in KNOWN:
            for prefix in _PREFIXES:  # "\quadx": a blank that was lost
                if name.startswith(prefix):
                    at = _command(text, at, prefix, spaced, thousands, out, level)
                    _word(name[len(prefix) :], False, out)
                    return at
        out.append(Token("cmd", name, spaced))
    return at


def _group(text: str, at: int) -> tuple[str, int]:
    """The content of the {group} at `at`, or the single character there, and where it ends."""
    while at < len(text) and text[at] in " ~":
        at += 1
    if at >= len(text):
        return "", at
    if text[at] != "{":
        return text[at], at + 1
    depth, here = 0, at
    while True:
        opening, closing = text.find("{", here), text.find("}", here)
        if closing < 0:
            raise Unparsed("unbalanced group")
        if 0 <= opening < closing:
            depth, here = depth + 1, opening + 1
        else:
            depth, here = depth - 1, closing + 1
            if depth == 0:
                return text[at + 1 : closing], here


def _text(content: str, spaced: bool, thousands: bool, out: list[Token], level: int) -> None:
    """A \\text{...}: words stay words; what is really mathematics, a separator or a letter is read as such."""
    stripped = content.replace("~", " ").strip().strip("$").strip()
    plain = stripped.strip(" ,;.").lower()
    if not _SUBSTANCE.search(stripped):
        return
    if plain in SEPARATORS:
        out.append(Token("sep", "and", spaced))
    elif plain.startswith("(") and _ABOUT.fullmatch(plain[1:].strip()):
        out.extend((Token("op", "(", spaced), Token("cmd", "approx")))
    elif _ABOUT.fullmatch(plain):
        out.append(Token("cmd", "approx", spaced))
    elif plain in PERCENT:
        out.append(Token("op", "%", spaced))
    elif stripped in FUNCTIONS:
        out.append(Token("word", stripped, spaced))
    elif level < 3 and (
        _ONLY_MATH.fullmatch(stripped)
        or _LETTERS.fullmatch(stripped)
        or "\\" in stripped
        or stripped[:1].isdigit()
    ):
        start = len(out)
        _scan(stripped, thousands, out, level + 1)
        if len(out) > start:
            out[start] = out[start]._replace(spaced=True, roman=len(stripped) == 1)
    else:
        out.append(Token("text", " ".join(stripped.split()), spaced))


DOMAINS = {"R": "reals", "Z": "integers", "N": "naturals", "Q": "rationals", "C": "complexes"}
GREEK = word_set(
    """
    alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau upsilon phi chi
    psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega ell hbar odot oplus star dagger
    partial nabla aleph imath jmath
    """
)
ACCENTS = word_set(
    "dot ddot hat bar vec tilde overline widehat widetilde overrightarrow overleftrightarrow check breve"
)
KNOWN = (
    GREEK
    | ACCENTS
    | frozenset(DOMAINS.values())
    | frozenset(FUNCTIONS)
    | word_set(
        """
    frac sqrt binom boxed le ge ne approx in notin subset subseteq supset supseteq equiv to cup cap setminus
    pm mp pi infty emptyset circ mod pmod ldots begin end lfloor rfloor lceil rceil langle rangle sum prod
    reals int lim not prec succ over choose iint iiint oint forall exists neg limsup liminf sup inf bigcup bigcap
    coprod bigoplus substack overset underset stackrel overbrace underbrace newcommand def let input include
    write openout href cases ' iff Leftrightarrow nmid parallel perp propto ll gg models vdash top bot
    """
    )
)

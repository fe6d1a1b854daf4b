"""Token passes before parsing: what stands beside an answer but is no part of it."""

from __future__ import annotations

from itertools import pairwise

from .tokens import Token
from .words import RESULT_WORDS, word_set

_SAYS_AGAIN = word_set("approx approximately about or roughly units unit note i.e. ie")
_MOD = Token("cmd", "pmod")


def without_remarks(tokens: list[Token]) -> list[Token]:
    """Drop brackets that only say the answer again, such as "(about 3.46)" and "(units)"; "(mod 7)" is kept."""
    tokens = _without_empty_groups(tokens)
    if not any(token.kind in ("text", "word") or token.text in ("approx", "mod") for token in tokens):
        return tokens
    kept: list[Token] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if token.kind == "op" and token.text == "(" and at + 1 < len(tokens):
            close = _closing(tokens, at)
            first = tokens[at + 1]
            if close is not None and first.text == "mod" and close > at + 2:
                kept += [_MOD, Token("op", "{"), *tokens[at + 2 : close], Token("op", "}")]
                at = close + 1
                continue
            inside = tokens[at + 1 : close]
            if close is not None and kept and (_is_remark(inside) or (token.spaced and _is_prose(inside))):
                at = close + 1
                continue
        kept.append(token)
        at += 1
    return kept


def _without_empty_groups(tokens: list[Token]) -> list[Token]:
    """5^{} and {}5 are 5."""
    if not any(a.text == "{" and b.text == "}" for a, b in pairwise(tokens)):
        return tokens
    kept: list[Token] = []
    for token in tokens:
        if token.text == "}" and kept and kept[-1].text == "{" and token.kind == "op":
            before = kept[-2] if len(kept) > 1 else None
            if before is None or (before.kind != "cmd" and before.text not in "}]"):
                kept.pop()
                if kept and kept[-1].kind == "op" and kept[-1].text in "^_":
                    kept.pop()
                continue
        kept.append(token)
    return kept


def _is_remark(tokens: list[Token]) -> bool:
    if not tokens:
        return False
    first = tokens[0]
    if first.text == "approx" or (
        first.kind in ("text", "word") and first.text.lower().split(" ")[0] in _SAYS_AGAIN
    ):
        return True
    return all(token.kind == "text" for token in tokens)


def _is_prose(tokens: list[Token]) -> bool:
    return bool(tokens) and all(token.kind in ("text", "word") and len(token.text) > 2 for token in tokens)


def _closing(tokens: list[Token], at: int) -> int | None:
    """Where the round bracket opened at `at` closes, if that is near."""
    depth = 0
    for index in range(at, min(len(tokens), at + 60)):
        token = tokens[index]
        if token.kind == "op" and token.text in "()":
            depth += 1 if token.text == "(" else -1
            if depth == 0:
                return index
    return None


def numbered(tokens: list[Token]) -> bool:
    """Whether a number stands somewhere with letters behind it."""
    first = next((at for at, token in enumerate(tokens) if token.kind == "num"), len(tokens))
    return any(token.kind in ("let", "cmd") for token in tokens[first:])


def with_unit_signs(tokens: list[Token], upright: bool) -> list[Token]:
    """Mark the letters that are units.

    Args:
        tokens: of an answer that holds a number.
        upright: take letters apart from what stands before them, and those in fractions, for units: "5 m".
    """
    marked: list[Token] = []
    for at, token in enumerate(tokens):
        follows = tokens[at + 1] if at + 1 < len(tokens) else token
        if token.kind == "cmd" and token.text in ("mu", "Omega") and marked:
            prefix = token.text == "mu" and (follows.roman or follows.kind == "text")
            if prefix or upright:
                marked.append(Token("text", token.text, token.spaced))
                continue
        if upright and token.kind == "let" and marked:
            after_mu = marked[-1].kind == "text"
            if token.spaced or after_mu or marked[-1].text in "{":
                token = token._replace(roman=True)
        marked.append(token)
    return marked


def after_result_word(tokens: list[Token]) -> list[Token]:
    """In a sentence ("The area is 5") only what follows the last "is" is the answer."""
    count = 0
    for index in range(len(tokens) - 1, -1, -1):
        token = tokens[index]
        if token.kind == "word" and token.text.lower() in RESULT_WORDS:
            count = index + 1
            break
        if token.kind == "text":
            last = token.text.rstrip(" :").rpartition(" ")[2].lower()
            if last in RESULT_WORDS or token.text.endswith((":", "=")):
                count = index + 1
                break
    if count and any(t.kind in ("word", "text") for t in tokens[: count - 1] or tokens[:count]):
        return tokens[count:]
    return tokens

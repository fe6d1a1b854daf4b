"""Finds the final answer in a chain. Linear in its length: searches from the end, no backtracking.

Rules, strongest first; the name of the one that fired goes into the grade:

=============== ==================================================================================
boxed           the last complete \\boxed{...} or \\fbox{...} of the answer part
boxes           the same, joined with the boxes before it in one enumeration
statement       "the final answer is ..." behind the last box, or "the answer is ..." without any
tag             <answer>...</answer>, or a last line "#### ..."
bold            a last line that ends in **...**
math            the last formula of the last paragraph
line            a last line that is a value by itself, or ends in "is <value>"
conclusion      the only number of a short last line that begins with "therefore" or the like
letter          a choice letter that the text opens with ("D. ...") or ends by pointing at ("it's (D).")
=============== ==================================================================================

Boxes, tags and ended statements are explicit; the rules from `bold` on read what a chain merely ends with, and do not
count for a chain that was cut off.

The answer part is what follows the last closing tag of the reasoning. Reasoning that was never closed holds no
answer, whatever it boxes. A last box that was cut off gives no answer either: the chain was about to say
something else than the box before it.
"""

from __future__ import annotations

import re

from harness import Extraction

from .letters import letter_in_prose
from .nodes import Node
from .parse import parse
from .tidy import squash, tidy, words
from .tokens import tokenize
from .words import ANSWER_SIGNS, ANSWER_WORDS, FUNCTIONS, word_set

TAIL = 4000
"""Characters at the end of the answer part that are searched for anything but a box."""
_MAX_BOX = 1 << 18  # characters; a box that is longer is a brace that was never closed
_JOIN_WINDOW = 400
_MAX_JOINED = 40
_MAX_TRIED = 500  # empty boxes and mentions of the word that are passed over

_TAGS = (("<think>", "</think>", "think>"), ("<|begin_of_thought|>", "<|end_of_thought|>", "_of_thought|>"))
_BRACE = re.compile(r"\\.|[{}]", re.S)
_BARE_BOX = re.compile(r"\s*([-+]?\d+(?:[.,/]\d+)*|\\[A-Za-z]+|[A-Za-z])")
_TEX_IN_GAP = re.compile(r"\\(?:q?quad|text(?:rm|bf|it)?|mathrm|mbox|[()\[\],;:! ]|\\)|[$&*{}~]")
_NAME_BEFORE_BOX = re.compile(r"(?:^|[\s,])[A-Za-z](?:_\{?\w\}?)?(?:\([A-Za-z]\))?\s*=\s*$")
_NO_JOIN = word_set(
    "so thus therefore hence then which is are equals gives get not but because since when where while i.e"
)
_ANSWER = re.compile(
    r"(?:\b(?:answers?|solution|result|" + "|".join(ANSWER_WORDS) + r")\b|" + "|".join(ANSWER_SIGNS) + ")"
    r"(?P<middle>[ \t]+(?:to|for|of)\b[^.:\n=$]{0,60}?)?"
    r"(?P<sign>[\s*_]*(?:[:：=]|是|为|は|は、|는|은|"
    r"\b(?:es|est|ist|è|é|is|are|equals|(?:should|would|must|will) be)\b(?!\s+not\b)|"
    r"(?=\$|\\\(|\\\[)|\*\*\s*\n))"
    r"[\s*_:：]*(?:(?:therefore|thus|simply|just|option|choice|exactly)\b[\s:]*)?",
    re.IGNORECASE,
)
_CHOICE = re.compile(r"\(?([A-J])\)?[,;:]\s+(?=[A-Za-z]{2})")
_NO_ANSWER = re.compile(
    r"(?:correct|right|wrong|not|unknown|incorrect|valid|the same|as follows|given|below|above|clear|unclear|in the|"
    r"that|what|whether|in|to|indeed|therefore|simply)\b",
    re.IGNORECASE,
)  # fmt: skip
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|。|\n|<\||\s+I hope\b")
_MATH = re.compile(
    r"\$\$(.+?)\$\$|(?<!\\)\$((?:[^$\\]|\\.)+?)\$|\\\((.+?)\\\)|\\\[(.+?)\\\]|"
    r"(\\begin\{(?:p|b)matrix\}.+?\\end\{(?:p|b)matrix\})",
    re.S,
)
_MATH_MARK = re.compile(r"\$|\\[()\[\]]")
_CONCLUDES = re.compile(r"\W*(?:therefore|thus|hence|so|in conclusion|consequently)\b", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?(?:/\d+)?(?![\w.]*\d)")
_COPULA = re.compile(r"\s*(?:です|である|となります|입니다|이다)\s*[。.]?$")
_SUBSTANCE = re.compile(r"\w")
_PERCENT_BEHIND = re.compile(r"\s*(?:\\?%|percent\b)")
_BOLD_END = re.compile(r"\*\*([^*\n]{1,200})\*\*[.!]?\s*$")
_IS = re.compile(r"\b(?:is|are|=|equals|be)\s+(?=[^\s])")
_END_MARKS = (
    "<|end_of_solution|>",
    "<|im_end|>",
    "<|eot_id|>",
    "</s>",
    "<|endoftext|>",
    "<｜end▁of▁sentence｜>",
)


def answer_span(text: str) -> tuple[int, int]:
    """Where the answer part begins and ends: behind the reasoning, or nowhere if that was never closed."""
    start, end = 0, len(text)
    for opening, closing, both in _TAGS:
        at = text.rfind(both)
        if at < 0:
            continue
        behind = at + len(both)
        if text.endswith(closing, 0, behind):
            start = max(start, behind)
        elif text.endswith(opening, 0, behind):
            end = min(end, behind - len(opening))
            close = text.rfind(closing, 0, end)
            if close >= 0:
                start = max(start, close + len(closing))
    if start:
        solution = text.find("<|begin_of_solution|>", start, start + 200)
        if solution >= 0:
            start = solution + len("<|begin_of_solution|>")
    return (start, end) if start < end else (end, end)


def extract(text: str) -> Extraction | None:
    """The answer that a chain's text concludes with, or None."""
    start, end = answer_span(text)
    if start >= end:
        return None
    box = last_box(text, start, end)
    if box is not None:
        opening, closing, content = box
        if closing < 0:
            return None  # cut off
        if text.find("inal answer", closing, end) >= 0:
            tail = text[max(closing, end - TAIL) : end]
            stated = _stated(tail)
            if stated is not None:
                return Extraction(stated, "statement", explicit=_ended(tail, stated))
        joined = _joined(text, start, opening, content)
        return Extraction(joined, "boxes") if joined is not None else Extraction(content, "boxed")
    return _without_box(text[max(start, end - TAIL) : end])


# -- boxes


def last_box(text: str, start: int = 0, end: int | None = None) -> tuple[int, int, str] | None:
    """The last box that is not empty: where it begins, where it ends (-1: never), its content."""
    limit = here = len(text) if end is None else end
    floor = start
    for _ in range(_MAX_TRIED):
        at, name = text.rfind("boxed", floor, here), "boxed"
        other = text.rfind("\\fbox", max(floor, at), here)
        if other > at:
            at, name = other, "\\fbox"
        marked = text.rfind("<|begin_of_box|>", max(floor, at), here)
        if marked > at:
            closing = text.find("<|end_of_box|>", marked, limit)
            return marked, closing, text[marked + 16 : closing].strip()
        if at < 0:
            return None
        found = _content(text, at + len(name), limit, name != "boxed" or text[at - 1 : at] == "\\")
        if found is not None:
            closing, content = found
            if closing < 0 or content:
                return at - (name == "boxed"), closing, content
        here = at
    return None


def _content(text: str, at: int, end: int, escaped: bool) -> tuple[int, str] | None:
    """Content and end of the box whose name ends at `at`; None if there is none, end -1 if it never closes."""
    brace = at
    while brace < end and text[brace] in " \t\n":
        brace += 1
    if brace >= end:
        return (-1, "") if escaped else None
    if text[brace] != "{":
        bare = _BARE_BOX.match(text, at, min(end, at + 200)) if escaped else None
        return (bare.end(), bare[1]) if bare else None
    depth = 0
    for match in _BRACE.finditer(text, brace, min(end, brace + _MAX_BOX)):
        sign = match[0]
        if sign == "{":
            depth += 1
        elif sign == "}":
            depth -= 1
            if depth == 0:
                return match.end(), text[brace + 1 : match.start()].strip()
    return _unclosed(text, brace, end)


def _unclosed(text: str, brace: int, end: int) -> tuple[int, str]:
    # A brace was forgotten, not cut off, if the formula is closed on the same line.
    line = text[brace + 1 : min(end, brace + 400)].partition("\n")[0]
    for closer in ("$", "\\)", "\\]"):
        content, found, _ = line.partition(closer)
        if found and content.strip() and not content.rstrip().endswith("\\"):
            return brace + 1 + len(content), content.strip()
    return -1, ""


def _joined(text: str, start: int, opening: int, content: str) -> str | None:
    """The contents of the boxes of one enumeration ("\\boxed{1} and \\boxed{2}"), or None if there is but one."""
    contents = [content]
    while len(contents) < _MAX_JOINED:
        low = max(start, opening - _JOIN_WINDOW)
        before = last_box(text, low, opening)
        if before is None or before[1] < 0 or not _enumerates(text[before[1] : opening]):
            break
        opening = before[0]
        contents.append(before[2])
    distinct = list(dict.fromkeys(reversed(contents)))
    return ", ".join(distinct) if len(distinct) > 1 else None


def _enumerates(gap: str) -> bool:
    if len(gap) > 80 or "\n\n" in gap:
        return False
    joined = "quad" in gap or "&" in gap or "," in gap or ";" in gap
    plain = _TEX_IN_GAP.sub(" ", gap)
    plain = _NAME_BEFORE_BOX.sub(" ", plain)
    if "=" in plain or ". " in plain or ":" in plain:
        return False
    found = plain.replace(",", " ").replace(";", " ").lower().split()
    joined = joined or "and" in found or "or" in found
    return joined and len(found) <= 4 and _NO_JOIN.isdisjoint(found) and not any(c.isdigit() for c in plain)


# -- without a box


def _ended(tail: str, answer: str) -> bool:
    """Whether a stated answer came to its end: something follows it, if only a full stop."""
    rest = tail.rstrip()
    at = rest.rfind(answer)
    return 0 <= at < len(rest) - len(answer) or rest.endswith((".", "!", "。"))


def _without_box(tail: str) -> Extraction | None:
    for mark in _END_MARKS:
        at = tail.find(mark)
        if at >= 0:
            tail = tail[:at]
    tail = tail.strip()
    close = tail.rfind("</answer>")
    if close >= 0:
        opening = tail.rfind("<answer>", 0, close)
        content = tail[opening + 8 : close].strip() if opening >= 0 else ""
        if content:
            return Extraction(content, "tag")
    marked = tail.rfind("#### ")
    if marked >= 0 and "\n" not in tail[marked:] and len(tail) - marked < 200:
        return Extraction(tail[marked + 5 :].strip(), "tag")
    stated = _stated(tail)
    if stated is not None:
        return Extraction(stated, "statement", explicit=_ended(tail, stated))
    line = tail.rpartition("\n")[2].strip()
    bold = _BOLD_END.search(line)
    if bold:
        content = bold[1].strip().rstrip(".")
        inner = _last_formula(content)
        if inner is not None or _is_value(content):
            return Extraction(inner if inner is not None else content, "bold", explicit=False)
    said = _CONCLUDES.sub("", line, count=1).lstrip(" ,:") if len(line) <= 300 else ""
    if said and not _MATH_MARK.search(said) and _is_value(said):
        return Extraction(_clean(said), "line", explicit=False)
    formula = _last_formula(tail.rpartition("\n\n")[2])
    if formula is not None:
        return Extraction(formula, "math", explicit=False)
    name = letter_in_prose(tail)
    if name is not None:
        return Extraction(name, "letter", explicit=False)
    if len(line) <= 300:
        verbs = list(_IS.finditer(line))
        if verbs:
            rest = _clean(line[verbs[-1].end() :])
            if len(rest) <= 60 and _is_value(rest):
                return Extraction(rest, "line", explicit=False)
    numbers = (
        _NUMBER.findall(line) if len(line) <= 160 and _CONCLUDES.match(line) and line.endswith(".") else []
    )
    return Extraction(numbers[0], "conclusion", explicit=False) if len(numbers) == 1 else None


def _stated(tail: str) -> str | None:
    """What the last "the answer is ..." says."""
    matches = list(_ANSWER.finditer(tail))
    for match in reversed(matches[-6:]):
        rest = tail[match.end() : match.end() + 600]
        if not rest.strip() or _NO_ANSWER.match(rest):
            continue
        formula = _MATH.match(rest.lstrip())
        if formula is not None:
            lead = len(rest) - len(rest.lstrip())
            return _enumeration(rest[lead:])
        if rest.startswith("**"):
            rest = rest[2:]
        bold, marks, _ = rest.partition("**")  # the sign before it took the opening marks
        if marks and text_is_bold(tail, match.end()) and "\n" not in bold and _is_value(bold):
            return _clean(bold)
        cut = _SENTENCE_END.search(rest)
        while (
            cut is not None
            and cut[0] == "."
            and rest[cut.start() - 3 : cut.start()].lower() in (" vs", "i.e", "e.g")
        ):
            cut = _SENTENCE_END.search(rest, cut.end())
        content = _clean(rest[: cut.start()] if cut else rest)
        choice = _CHOICE.match(content)
        if choice is not None:  # "D, it cannot be A"
            return choice[1]
        if _SUBSTANCE.search(content) and len(content.split()) <= 12 and not content.startswith("**"):
            inner = _MATH.search(content)
            if inner is not None and not _is_value(content):
                content = _enumeration(content[inner.start() :])
            return content
    return None


def _enumeration(text: str) -> str:
    """The formula at the start of the text, with those that follow it in one enumeration ("$1$, $2$ and $3$")."""
    contents: list[str] = []
    at = 0
    for match in _MATH.finditer(text):
        gap = text[at : match.start()]
        if contents and not _enumerates(gap):
            break
        contents.append(next(group for group in match.groups() if group is not None).strip())
        at = match.end()
    percent = _PERCENT_BEHIND.match(text, at)
    if percent:
        contents[-1] += "\\%"
    return ", ".join(contents)


def _last_formula(paragraph: str) -> str | None:
    matches = [match for match in _MATH.finditer(paragraph) if _SUBSTANCE.search(match[0])]
    if not matches:
        return None
    behind = paragraph[matches[-1].end() :]
    if len(behind) > 80 or any(c.isdigit() for c in behind):
        return None  # a formula in passing
    first = len(matches) - 1
    while first and _enumerates(paragraph[matches[first - 1].end() : matches[first].start()]):
        first -= 1
    content = _enumeration(paragraph[matches[first].start() :])
    return content or None


def text_is_bold(text: str, at: int) -> bool:
    """Whether bold type begins right before or at a place."""
    return text[at : at + 2] == "**" or text[:at].rstrip().endswith("**")


def _clean(text: str) -> str:
    text = _COPULA.sub("", text.strip().strip("*").strip())
    text = text.removesuffix("<|im_end|>").strip()
    if text.endswith(".") and not text.endswith("..."):
        text = text[:-1]
    return text.strip().strip("*`").strip()


def _is_value(text: str) -> bool:
    """Whether a short text is a value by itself: it parses, and is more than letters multiplied together."""
    text = _clean(text)
    if not text or len(text) > 300:
        return False
    tidied = tidy(text)
    found = words(squash(tidied))
    if found is not None:
        return " " not in found and len(found) <= 20
    try:
        if sum(t.kind == "word" and t.text not in FUNCTIONS for t in tokenize(tidied, True)) > 2:
            return False  # prose
        node = parse(tidied, sentence=False)
    except Exception:  # noqa: BLE001 - extraction runs in the main process: what cannot be read is no value
        return False
    return node.op == "sym" or _has_number(node)


def _has_number(node: Node) -> bool:
    words_met, number, stack = 0, False, [node]
    while stack:
        node = stack.pop()
        number = number or node.op in ("num", "dec", "based", "const")
        words_met += node.op == "text" or (node.op == "sym" and len(node.value) > 3 and node.value.isalpha())
        stack.extend(node.args)
    return number and not words_met

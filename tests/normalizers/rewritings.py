"""Ways to write the same answer: a generator of rewritings that must not change what an answer is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

_FRACTION = re.compile(r"(?<!\d)(?<!\d )\\[dt]?frac\{(-?\w+)\}\{(\w+)\}")
_MARKED = re.compile(r"mbox|circ|\$|text")
_OUTER = ("(", "[", "\\left", "\\{", "\\begin")


def _dress(before: str, after: str) -> Callable[[str], str]:
    return lambda answer: f"{before}{answer}{after}"


DRESSES: dict[str, Callable[[str], str]] = {
    "as it is": lambda answer: answer,
    "inline dollars": _dress("$", "$"),
    "display dollars": _dress("$$ ", " $$"),
    "inline brackets": _dress("\\(", "\\)"),
    "display brackets": _dress("\\[\n", "\n\\]"),
    "in a box": _dress("\\boxed{", "}"),
    "blanks around": _dress("  ", " \n"),
    "full stop": _dress("", "."),
    "full stop in a formula": _dress("$", ".$"),
    "bold": _dress("**", "**"),
    "invisible marks": _dress("\u200f", "\u200b"),
    "display style": _dress("\\displaystyle ", ""),
    "blanks after commas": lambda answer: re.sub(r",(?=[^\s\\!\d])", ", ", answer),
    "thin blanks": lambda answer: answer.replace(", ", ",\\, "),
    "no blanks": lambda answer: re.sub(r"(?<![A-Za-z\d]) | (?![A-Za-z\d])", "", answer),
    "display fractions": lambda answer: re.sub(r"\\[dt]?frac", r"\\dfrac", answer),
    "text fractions": lambda answer: re.sub(r"\\[dt]?frac", r"\\tfrac", answer),
    "slashes": lambda answer: _FRACTION.sub(r"(\1)/(\2)", answer),
    "growing brackets": lambda answer: _grow(answer),
    "plain brackets": lambda answer: answer.replace("\\left", "").replace("\\right", ""),
    "sized brackets": lambda answer: answer.replace("\\left", "\\bigl").replace("\\right", "\\bigr"),
    "dot product": lambda answer: answer.replace("\\cdot", "\\times"),
    "unicode minus": lambda answer: answer.replace("-", "\u2212"),
    "unicode pi": lambda answer: re.sub(r"\\pi(?![A-Za-z])", "π", answer),
    "degree sign": lambda answer: answer.replace("^\\circ", "°"),
    "braced degree": lambda answer: answer.replace("^\\circ", "^{\\circ}"),
}


def _grow(answer: str) -> str:
    if "\\left" in answer:
        return answer
    return re.sub(r"(?<!\\)([(\[])", r"\\left\1", re.sub(r"(?<!\\)([)\]])", r"\\right\1", answer))


def rewritings(answer: str) -> Iterator[tuple[str, str]]:
    """(name, rewriting) of an answer, each different from it in spelling only."""
    for name, dress in DRESSES.items():
        yield name, dress(answer)
    yield from _wordings(answer)


def _wordings(answer: str) -> Iterator[tuple[str, str]]:
    words = "\\text" in answer or answer.isalpha()
    single = "," not in answer.replace(",\\!", "") and "=" not in answer and "\\in" not in answer
    if single and not words and not re.search(r"_\{?\d+\}?$", answer):
        yield "named", f"x = {answer}"
        yield (
            "plus zero",
            f"{answer} + 0" if not answer.startswith(_OUTER) and not _MARKED.search(answer) else answer,
        )
        yield "function value", f"f(2) = {answer}"
    if re.fullmatch(r"-?\d+", answer):
        yield "decimal", f"{answer}.0"
        yield "in words", f"\\text{{{answer}}}"
        yield "fraction", f"\\frac{{{answer}}}{{1}}"
        yield "doubled fraction", f"{2 * int(answer)}/2"
        yield "with a unit", f"{answer}\\text{{ units}}"
        if len(answer.lstrip("-")) > 3:
            grouped = f"{int(answer):,}"
            yield "thousands", grouped
            yield "latex thousands", grouped.replace(",", "{,}")
            yield "spaced thousands", grouped.replace(",", ",\\!")
    if re.fullmatch(r"\\text\{[^{}]*\}", answer):
        inner = answer[6:-1]
        yield "without text", inner
        yield "bold text", f"\\textbf{{{inner}}}"
        yield "roman", f"\\mathrm{{{inner}}}"
        if len(inner) > 3:
            yield "capitals", f"\\text{{{inner.upper()}}}"
    if (
        re.fullmatch(r"[^()\[\]{}]*,[^()\[\]{}]*", answer)
        and "\\" not in answer
        and not re.search(r"\d,\d{3}", answer)
    ):
        parts = [part.strip() for part in answer.split(",")]
        yield "other order", ", ".join(reversed(parts))
        yield "as a set", "\\{" + ", ".join(parts) + "\\}"
        yield "with and", ", ".join(parts[:-1]) + " and " + parts[-1]
        yield "with or in text", ", ".join(parts[:-1]) + " \\text{ or } " + parts[-1]

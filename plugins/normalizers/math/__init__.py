"""The `math` normalizer: answers of mathematics, from integers to intervals, matrices and expressions.

A pipeline of modules with one job each:

    chain -> extract -> answer -> tidy -> tokens -> parse -> shape -> compare -> judge -> verdict
                                  `------ read -------------'        |        `- keys -> vote
                                                                     |- exact: values, in this process
                                                                     `- slow: numeric and sympy, in a worker process

Limits are in `nodes`, conventions in `compare` and `judge`, rules of extraction in `extract`.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness import Extraction, Normalizer, Verdict, hookimpl

from .nodes import MAX_READ

QUICK_TEXT = 1000
"""Longest answer, in characters, that is read in the main process."""


class MathNormalizer(Normalizer):
    """Reads and compares mathematical answers. The quick paths are pure Python and bounded by construction."""

    name = "math"
    version = "2"
    bounded_extract = True

    def extract(self, text: str) -> Extraction | None:
        from .extract import extract

        return extract(text)

    def quick_same(self, answer: str, gold: str) -> Verdict | None:
        """`same` where exact arithmetic or the texts alone decide. Reflexive, and symmetric but for rounded golds."""
        answer, gold = answer.strip(), gold.strip()
        if answer == gold:
            return Verdict(True, "text")
        if _is_digits(answer) and _is_digits(gold):
            return Verdict(answer.lstrip("0") == gold.lstrip("0"), "integer")
        longest = max(len(answer), len(gold))
        if longest > QUICK_TEXT:
            return Verdict(False, "text") if longest > MAX_READ else None
        from .judge import same

        try:
            result, rule = same(answer, gold)
        except Exception:  # noqa: BLE001 - hostile text must not end a run: a worker reports what is wrong
            return None
        return None if result is None else Verdict(result, rule)

    def quick_key(self, answer: str, gold: str | None = None) -> str | None:
        """`key` where exact arithmetic or the text alone decides."""
        answer = answer.strip()
        if _is_digits(answer) and (gold is None or _is_digits(gold.strip())):
            return answer.lstrip("0") or "0"
        if QUICK_TEXT < max(len(answer), len(gold or "")) <= MAX_READ:
            return None
        from .judge import key

        try:
            return key(answer, gold)
        except Exception:  # noqa: BLE001 - as in quick_same
            return None

    def vote(self, answer: str, gold: str) -> str:
        return self.key(answer, gold)

    def quick_vote(self, answer: str, gold: str) -> str | None:
        return self.quick_key(answer, gold)

    def warm(self) -> None:
        """Import what hard comparisons need, so that no deadline pays for it."""
        from .slow import warm

        warm()

    def same(self, answer: str, gold: str) -> Verdict:
        """Whether two answers are the same. May take seconds: run it where it can be killed."""
        quick = self.quick_same(answer, gold)
        if quick is not None:
            return quick
        from .slow import same_slow

        return Verdict(*same_slow(answer, gold))

    def key(self, answer: str, gold: str | None = None) -> str:
        """Canonical key: equal for equal exact values, and for values whose leading digits agree everywhere.

        Args:
            answer: the answer.
            gold: if given, what only the answer or only the gold writes (a unit, a name, a percent sign) is dropped
                or filled in, so that wrong answers that differ in nothing else vote together.
        """
        quick = self.quick_key(answer, gold)
        if quick is not None:
            return quick
        from .slow import key_slow

        return key_slow(answer, gold)


def _is_digits(text: str) -> bool:
    return len(text) < 4000 and text.isascii() and text.isdigit()


@hookimpl
def harness_normalizers() -> Sequence[Normalizer]:
    return [MathNormalizer()]

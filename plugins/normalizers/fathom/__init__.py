"""The `fathom` normalizer: reads and compares answers as the published Fathom-R1 numbers did.

For reproducing those numbers, not for measuring: its comparison has known false positives (see `ladder`) and
reads less than `math`. Written from a description of how LIMO's evaluation, which Fathom-R1's is, behaves; it
shares nothing with the other normalizers, so that it stays as it is when they get better.

It departs from the original where that ran model text as code or could hang: plain expressions are read by a
bounded parser, LaTeX within bounds, and a comparison that is given up counts as timeout instead of incorrect
(neither scores). Powers written `2^5` in plain text are powers; the original takes them for Python's exclusive or.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness import Extraction, Normalizer, Verdict, hookimpl


class FathomNormalizer(Normalizer):
    """The last `boxed` of the text; LIMO's comparison; votes by the answer's spelling."""

    name = "fathom"
    version = "1"
    bounded_extract = True

    def extract(self, text: str) -> Extraction | None:
        """What stands in the last `boxed` of the text, finished or not; None where nothing does."""
        from .extract import last_box

        answer = last_box(text)
        return Extraction(answer, "boxed") if answer else None

    def key(self, answer: str) -> str:
        """The answer as it stands: the published vote counts spellings."""
        return answer

    def quick_key(self, answer: str) -> str:
        return answer

    def quick_same(self, answer: str, gold: str) -> Verdict | None:
        """`same` where texts, numbers and names alone decide."""
        verdict, rule = _compare(answer, gold, _by_names)
        return None if verdict is None else Verdict(verdict, rule)

    def same(self, answer: str, gold: str) -> Verdict:
        """Whether LIMO's evaluation takes the answer for the gold. May take seconds: run it where it can be killed."""
        quick = self.quick_same(answer, gold)
        if quick is not None:
            return quick
        from .symbolic import equal

        verdict, rule = _compare(answer, gold, equal)
        return Verdict(bool(verdict), rule)

    def warm(self) -> None:
        """Import what hard comparisons need, so that no deadline pays for it."""
        from .symbolic import warm

        warm()


def _compare(answer: str, gold: str, symbolic: Callable[[str, str], bool | None]) -> tuple[bool | None, str]:
    from .extract import MAX_ANSWER
    from .ladder import same
    from .tidy import tidy

    if max(len(answer), len(gold)) > MAX_ANSWER:
        return answer == gold, "length"
    return same(tidy(answer), tidy(gold), symbolic)


def _by_names(answer: str, gold: str) -> bool | None:
    """Symbolic equality where it needs no algebra: two different words differ. None: ask a worker."""
    from .ladder import number
    from .plain import is_constant, is_name

    names = is_name(answer), is_name(gold)
    if all(names):
        return answer == gold
    name, other = (answer, gold) if names[0] else (gold, answer)
    if any(names) and not is_constant(name) and number(other) is not None:
        return False
    return None


@hookimpl
def harness_normalizers() -> Sequence[Normalizer]:
    return [FathomNormalizer()]

"""The `choice` normalizer: multiple choice, letters A to J in all common dresses."""

from __future__ import annotations

from collections.abc import Sequence

from harness import Extraction, Normalizer, Verdict, hookimpl


class ChoiceNormalizer(Normalizer):
    """Reads the letter of \\boxed{B}, \\boxed{\\text{(B)}}, "Answer: B", "**B**", "(B)", "B) 42", "option B".

    A letter that merely stands somewhere in prose ("A" as an article) is never taken.
    """

    name = "choice"
    version = "2"
    bounded_extract = True

    def extract(self, text: str) -> Extraction | None:
        """The letter, and the rule that found it. A conclusion that names no letter is given as it stands."""
        from .math.extract import TAIL, answer_span, extract
        from .math.letters import letter, letter_in_prose

        found = extract(text)
        if found is not None and found.rule not in ("line", "math", "letter"):
            name = letter(found.answer)
            if name is not None:
                return Extraction(name, found.rule, found.explicit)
            if found.rule in ("boxed", "boxes", "tag"):
                return found
        start, end = answer_span(text)
        tail = text[max(start, end - TAIL) : end].strip()
        name = letter(tail) if len(tail) <= 40 else None
        name = name or letter_in_prose(tail)
        if name is not None:
            return Extraction(name, "letter", explicit=False)
        return None if found is None or found.rule in ("line", "math", "letter") else found

    def key(self, answer: str) -> str:
        """The letter, upper case; for an answer that names none its text behind "text:"."""
        from .math.letters import letter

        return letter(answer) or "text:" + " ".join(answer.strip()[:1000].casefold().split())

    def same(self, answer: str, gold: str) -> Verdict:
        keys = self.key(answer), self.key(gold)
        texts = any(key.startswith("text:") for key in keys)
        return Verdict(keys[0] == keys[1], "text" if texts else "letter")

    def quick_key(self, answer: str) -> str:
        return self.key(answer)

    def quick_same(self, answer: str, gold: str) -> Verdict:
        return self.same(answer, gold)


@hookimpl
def harness_normalizers() -> Sequence[Normalizer]:
    return [ChoiceNormalizer()]

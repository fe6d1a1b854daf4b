"""The `integer` normalizer: answers that are one integer, as in AIME. Anything else is simply not the same."""

from __future__ import annotations

from collections.abc import Sequence

from harness import Extraction, Normalizer, Verdict, hookimpl

_MAX_TEXT = 1000  # longer answers are compared as they stand, unless they are but digits


class IntegerNormalizer(Normalizer):
    """Finds the answer as `math` does and compares integers exactly: "073", "73.0", "73^\\circ" and "x = 73" are 73.

    All of it is pure Python and bounded, so nothing is ever left to a worker process.
    """

    name = "integer"
    version = "2"
    bounded_extract = True

    def extract(self, text: str) -> Extraction | None:
        from .math.extract import extract

        return extract(text)

    def key(self, answer: str) -> str:
        """The integer's digits, or the answer's text behind "text:" where it is none."""
        answer = answer.strip()
        if len(answer) < 4000 and answer.isascii() and answer.isdigit():
            return answer.lstrip("0") or "0"
        number = _integer(answer)
        if number is not None:
            return number
        from .math.tidy import squash, tidy

        return f"text:{squash(tidy(answer)) if len(answer) < _MAX_TEXT else answer}"

    def same(self, answer: str, gold: str) -> Verdict:
        keys = self.key(answer), self.key(gold)
        texts = any(key.startswith("text:") for key in keys)
        return Verdict(keys[0] == keys[1], "text" if texts else "integer")

    def quick_key(self, answer: str) -> str:
        return self.key(answer)

    def quick_same(self, answer: str, gold: str) -> Verdict:
        return self.same(answer, gold)


def _integer(answer: str) -> str | None:
    from .math.exact import EXACT_LEAVES
    from .math.read import read
    from .math.shape import unlabelled
    from .math.values import BUDGET, rational_text

    if len(answer) > _MAX_TEXT:
        return None
    BUDGET.refill(BUDGET.QUICK)
    try:
        node = read(answer).node
    except Exception:  # noqa: BLE001 - hostile text must not end a run: what cannot be read is no integer
        return None
    while node is not None and node.op in ("eq", "unit", "degree", "set", "bag"):
        if node.op in ("set", "bag") and len(node.args) != 1:
            return None
        # "m+n = 73": what is asked for is an integer, so the left side can only be its name
        node = (unlabelled(node) or node.args[-1]) if node.op == "eq" else node.args[0]
    value = None if node is None else EXACT_LEAVES.value(node)
    number = None if value is None else value.rational
    return rational_text(number) if number is not None and number.denominator == 1 else None


@hookimpl
def harness_normalizers() -> Sequence[Normalizer]:
    return [IntegerNormalizer()]

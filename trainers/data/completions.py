"""Which of an item's chains a model is to learn from, or the chain that a worked solution makes."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Final

from harness import HarnessError

from .filters import Filters
from .records import Candidate, Item, LeftOut
from .tokens import TokenCounter

_AGAIN: Final = "Let me check that again."


def rated(item: Item, filters: Filters, counter: TokenCounter | None) -> Item:
    """The item with the pass rate of its chains, where they are graded and it has none of its own.

    Raises:
        HarnessError: nobody knows how long a chain is, and the pass rate depends on it.
    """
    verdicts = [chain.correct for chain in item.chains]
    if item.pass_rate is not None or not verdicts or None in verdicts:
        return item
    limit = filters.pass_rate_at_tokens
    right = sum(
        chain.correct is True and (limit is None or _length(chain, counter) <= limit)
        for chain in item.chains
        if chain.text.strip()
    )
    return dataclasses.replace(item, pass_rate=right / len(verdicts))


def _length(chain: Candidate, counter: TokenCounter | None) -> int:
    if chain.tokens is not None:
        return chain.tokens
    if counter is None:
        raise HarnessError(
            "data.filters.pass_rate_at_tokens: the chains do not say how many tokens they have, and there is no model "
            "whose tokenizer.json could count them"
        )
    return counter.text(chain.text)


def chosen(item: Item, choice: str | None) -> list[Candidate]:
    """The chains to learn from: never one that was cut off, since a model would learn to stop there, nor an empty one.

    Args:
        choice: one of `filters.CHOICES` but "solution"; None: the shortest correct one.

    Raises:
        LeftOut: there is none.
    """
    written = [chain for chain in item.chains if chain.text.strip()]
    whole = [chain for chain in written if not chain.truncated]
    if not written:
        raise LeftOut("with nothing but empty chains")
    if not whole:
        raise LeftOut("with nothing but chains that were cut off")
    if all(chain.correct is None for chain in item.chains):
        if len(written) > 1:
            raise LeftOut("with several chains and no word on which are correct")
        return whole
    right = [chain for chain in whole if chain.correct]
    if not right:
        raise LeftOut("without a correct chain")
    if choice == "all correct":
        return right
    if choice == "first correct":
        return right[:1]
    lengths = _lengths(right)
    best = max(lengths) if choice == "longest correct" else min(lengths)
    return [right[lengths.index(best)]]


def _lengths(chains: Sequence[Candidate]) -> list[int]:
    """In tokens, or in characters where the tokens of one are not known."""
    tokens = [chain.tokens for chain in chains if chain.tokens is not None]
    return tokens if len(tokens) == len(chains) else [len(chain.text) for chain in chains]


def from_solution(item: Item, filters: Filters, seed: int) -> Candidate:
    """A worked solution as a chain: gone through once, and as often again as `checks` says for this item."""
    steps = item.solution.strip()
    again = f"\n\n{_AGAIN}\n{steps}" * _checks(item.id, filters, seed)
    answer = f"The answer is $\\boxed{{{item.gold}}}$."
    return Candidate(f"<think>\n{steps}{again}\n</think>\n\n{answer}", correct=True)


def _checks(id_: str, filters: Filters, seed: int) -> int:
    """Drawn by a hash, so that it depends on neither the order nor the number of items."""
    if not filters.checks:
        return 0
    drawn = int.from_bytes(
        hashlib.sha256(f"{seed}|checks|{id_}".encode("utf-8", "replace")).digest()[:8], "big"
    )
    point = drawn / 2**64 * sum(filters.check_weights)
    for checks, weight in zip(filters.checks, filters.check_weights, strict=True):
        if (point := point - weight) < 0:
            return checks
    return next(
        c for c, w in zip(reversed(filters.checks), reversed(filters.check_weights), strict=True) if w
    )

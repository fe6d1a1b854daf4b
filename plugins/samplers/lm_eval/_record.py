"""Learns what lm-eval's `generate_until` does not return: which texts are finished already, and of how many tokens.

Every model type of lm-eval offers each text to a cache as soon as it has it; the recorder stands in for the cache.
The `hf` types decode the tokens of a text just before that, so that their number is known exactly.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from typing import Any, NamedTuple


class Written(NamedTuple):
    """What a model wrote."""

    text: str
    tokens: int | None = None
    """How many tokens, the one that ended it included; None where that is not known."""
    ended: bool = False
    """It ended by itself: an end token or a stop text."""


class Recorder:
    """Stands in for lm-eval's cache of answers.

    Args:
        lm: `lm_eval.api.model.LM`.
    """

    def __init__(self, lm: Any) -> None:
        self._lm = lm
        self._written: defaultdict[str, list[Written]] = defaultdict(list)
        self._tokens: list[int] | None = None
        self._decode = None
        if hasattr(lm, "set_cache_hook"):
            lm.set_cache_hook(self)
        if hasattr(lm, "_model_generate") and hasattr(lm, "tok_decode"):
            self._decode = lm.tok_decode
            lm.tok_decode = self._decoding

    def close(self) -> None:
        self._lm = self._decode = None

    def begin(self) -> None:
        """A new call of `generate_until` begins."""
        self._written.clear()
        self._tokens = None

    def of(self, context: Any, text: str) -> Written:
        """What is known of a text that was returned for a context."""
        known = self._written.get(str(context), [])
        for number, written in enumerate(known):
            if written.text == text:
                return known.pop(number)
        return Written(text)

    def any_of(self, context: Any) -> Written | None:
        """A finished text for a context, from a call that failed."""
        known = self._written.get(str(context))
        return known.pop(0) if known else None

    def add_partial(self, attr: str, req: Any, res: Any) -> None:
        """Called by lm-eval's models with each finished text. `req` begins with the context."""
        tokens, self._tokens = self._tokens, None
        if attr == "generate_until" and isinstance(res, str):
            self._written[str(req[0])].append(Written(res) if tokens is None else self._measured(res, tokens))

    def _decoding(self, tokens: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(tokens, list):
            self._tokens = tokens
        return self._decode(tokens, *args, **kwargs)  # type: ignore[misc]

    def _measured(self, text: str, tokens: list[int]) -> Written:
        """A batch goes on until its last chain ends: what follows a chain's end is not part of it."""
        ends = self._ends()
        end = next((number for number, token in enumerate(tokens) if token in ends), None)
        own = tokens if end is None else tokens[:end]
        whole = self._decode(own)  # type: ignore[misc]
        if len(whole) > len(text) and whole.startswith(text):
            # Cut at a stop text: the first tokens that spell more than what was kept.
            needed = bisect_left(range(len(own)), True, key=lambda n: len(self._decode(own[:n])) > len(text))  # type: ignore[misc]
            return Written(text, needed, ended=True)
        return Written(text, len(own) + (end is not None), ended=end is not None)

    def _ends(self) -> set[int]:
        """Ids of the tokens that end a text."""
        settings = getattr(getattr(self._lm, "model", None), "generation_config", None)
        found = [getattr(settings, "eos_token_id", None), getattr(self._lm, "eot_token_id", None)]
        return {
            i for ids in found for i in (ids if isinstance(ids, (list, tuple)) else [ids]) if i is not None
        }

"""Text as it grows, token by token: where it is to stop, and how much of it can be told already."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

_INCOMPLETE = "�"  # what a decoder makes of a character whose last bytes are still to come

_LONGEST_CHARACTER = 4  # tokens
_LONGEST_WAIT = 32  # tokens

Decode = Callable[[Sequence[int]], str]


class Watch:
    """Follows one chain.

    Args:
        decode: tokens -> text.
        stops: texts at which the chain ends.
        end_ids: tokens that are not part of its text.
        on_text: is told new text as soon as nothing that follows can change it.
    """

    def __init__(
        self,
        decode: Decode,
        stops: Iterable[str],
        end_ids: frozenset[int],
        on_text: Callable[[str], None] | None = None,
    ) -> None:
        self.ids: list[int] = []
        self.stopped = False
        """A stop text has been written."""
        self._decode = decode
        self._stops = tuple(stop for stop in stops if stop)
        self._end_ids = end_ids
        self._on_text = on_text
        self._text = ""
        self._told = 0
        # Tokens are decoded together with some before them, since decoders treat the first ones of a text in their
        # own way: the text of `_from` to `_upto` is known, that of `_from` to the end less that is new.
        self._from = self._upto = 0

    def add(self, ids: Iterable[int]) -> None:
        """Take up the next tokens. Those after a stop text are left out."""
        for id_ in ids:
            if self.stopped:
                return
            self.ids.append(id_)
            if id_ not in self._end_ids:
                self._grow(final=False)

    def finish(self) -> str:
        """The whole text, the stop text and what follows it left out; all of it is told."""
        if not self.stopped:
            self._grow(final=True)
        self._tell(len(self._text))
        return self._text

    def _grow(self, *, final: bool) -> None:
        ids = [id_ for id_ in self.ids[self._from :] if id_ not in self._end_ids]
        known = self._upto - self._from
        if not final and self._decode(ids).endswith(_INCOMPLETE):
            if len(ids) - known <= _LONGEST_WAIT:
                return
            ids = ids[: self._certain(ids, known)]
        new = self._decode(ids)[len(self._decode(ids[:known])) :]
        if not new:
            return
        before = len(self._text)
        self._text += new
        self._from, self._upto = self._upto, self._from + len(ids)
        self._stop(before)
        if not self.stopped:
            self._tell(len(self._text) - self._held())

    def _certain(self, ids: list[int], known: int) -> int:
        """How many of the tokens say what they say whatever follows: those before one at which no character is torn.

        Only for chains that go on and on with bytes that are no text; characters have four bytes at most.
        """
        whole = self._decode(ids)
        for cut in range(len(ids) - _LONGEST_CHARACTER, known, -1):
            if self._decode(ids[:cut]) + self._decode(ids[cut:]) == whole:
                return cut
        return known

    def _stop(self, before: int) -> None:
        """Cut the text off at the first stop text, if there is one that ends after `before`."""
        starts = (self._text.find(stop, max(0, before - len(stop) + 1)) for stop in self._stops)
        if found := [start for start in starts if start >= 0]:
            self._text = self._text[: min(found)]
            self.stopped = True

    def _held(self) -> int:
        """Length of the longest end of the text that may be the beginning of a stop text."""
        longest = max((len(stop) for stop in self._stops), default=1) - 1
        for length in range(min(longest, len(self._text)), 0, -1):
            end = self._text[-length:]
            if any(stop.startswith(end) for stop in self._stops):
                return length
        return 0

    def _tell(self, upto: int) -> None:
        if self._on_text is not None and upto > self._told:
            self._on_text(self._text[self._told : upto])
            self._told = upto

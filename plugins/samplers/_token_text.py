"""The text of a chain while it is being written: piece by piece, and whether a stop text has come."""

from __future__ import annotations

from collections.abc import Callable, Sequence

_LONGEST_TAIL = 32
"""Tokens that may wait for the end of a character. A character is at most four; more are not going to be one."""


class TokenText:
    """Turns tokens into text as they come, decoding only the last few of them each time.

    Args:
        decode: gives the text of some tokens.
        stop: texts that end the chain.
        on_text: is told the text piece by piece. What it was told is always the beginning of the chain's text: no
            half character, and nothing that may turn out to belong to a stop text.
    """

    def __init__(
        self,
        decode: Callable[[Sequence[int]], str],
        stop: Sequence[str] = (),
        on_text: Callable[[str], None] | None = None,
    ) -> None:
        self._decode = decode
        self._stop = [text for text in stop if text]
        self._overlap = max((len(text) for text in self._stop), default=1) - 1
        self._on_text = on_text
        self._pieces: list[str] = []
        self._length = 0
        self._end = ""  # the last characters, in which a stop text may have begun
        self._told = 0
        self._waiting = ""  # characters not told yet
        # Tokens before a piece can change it (a space that is dropped at the beginning), so pieces are decoded along
        # with the tokens of the piece before.
        self._before: list[int] = []
        self._new: list[int] = []

    def add(self, token: int) -> bool:
        """Take the next token. Returns whether a stop text is complete; the text then ends before it."""
        self._new.append(token)
        if len(self._new) <= _LONGEST_TAIL and self._decode(self._new[-4:]).endswith("\ufffd"):
            return False  # in the middle of a character, or so it seems
        return self._take()

    def finish(self) -> str:
        """The whole text, and the rest of it is told. There are no more tokens."""
        if self._new:
            self._take()
        self._tell(len(self._waiting))
        return "".join(self._pieces)

    def _take(self) -> bool:
        known = self._decode(self._before) if self._before else ""
        piece = self._decode([*self._before, *self._new])[len(known) :]
        self._before, self._new = self._new, []
        window = self._end + piece
        found = [at for text in self._stop if (at := window.find(text)) >= 0]
        if found:
            self._cut(piece, len(window) - min(found))
            return True
        self._pieces.append(piece)
        self._waiting += piece
        self._end = window[-self._overlap :] if self._overlap else ""
        self._tell(len(self._waiting) - self._unsafe(self._waiting))
        return False

    def _cut(self, piece: str, surplus: int) -> None:
        """End the text `surplus` characters before the end of this last piece."""
        text = "".join([*self._pieces, piece])
        self._pieces = [text[: len(text) - surplus]]
        self._waiting = (self._waiting + piece)[: len(self._waiting) + len(piece) - surplus]

    def _unsafe(self, text: str) -> int:
        """How many of the last characters are the beginning of a stop text."""
        for length in range(min(self._overlap, len(text)), 0, -1):
            if any(stop.startswith(text[-length:]) for stop in self._stop):
                return length
        return 0

    def _tell(self, length: int) -> None:
        if self._on_text is None:
            self._waiting = ""
        elif length > 0:
            self._on_text(self._waiting[:length])
            self._waiting = self._waiting[length:]

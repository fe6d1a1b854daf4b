"""Where replies go: into an answer, or into a document."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ._answer import Answer, TooMuch
from ._ask import cut_at_stop
from ._wire import Head

_MOST_REFUSAL = 64 * 2**10


class Document:
    """A reply that is kept as it comes.

    Args:
        most: bytes that are kept; `finished` is then set, and what is there may be cut off.
    """

    begun = False
    resting = False

    def __init__(self, most: int) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.finished = False
        self._parts: list[bytes] = []
        self._size = 0
        self._most = most

    @property
    def body(self) -> bytes:
        return b"".join(self._parts)

    def head(self, head: Head) -> None:
        self.status, self.headers = head.status, dict(head.headers)

    def shortcut(self, data: bytes) -> bytes:
        return data

    def feed(self, data: bytes) -> None:
        self._parts.append(data[: self._most - self._size])
        self._size += len(data)
        self.finished = self._size > self._most


class AnswerSink:
    """A reply that should be an answer of `n` choices: a stream of events, one JSON document, or a refusal.

    Args:
        most_bytes: that the reply may have.
        stops: texts that end the one choice here, since the server was not told of them.
        on_begun: called when the first piece of text comes.
        on_text: called with each new piece of text of the first choice.
    """

    def __init__(
        self,
        answer: Answer,
        n: int,
        most_bytes: int,
        stops: Sequence[str] = (),
        on_begun: Callable[[], None] | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> None:
        self.answer = answer
        self.status = 0
        self.headers: dict[str, str] = {}
        self.finished = False
        self.begun = False
        self.document = b""
        """The reply where it was no stream."""
        self.streamed = False
        self._n = n
        self._left = most_bytes
        self._stops = stops
        self._seen, self._text = 0, ""
        self._parts: list[bytes] = []
        self._sort = ""
        self._on_begun = on_begun
        self._on_text = on_text
        self._told = [0, 0]

    @property
    def resting(self) -> bool:
        choices = self.answer.choices
        return len(choices) >= self._n and all(choice.finish is not None for choice in choices.values())

    def head(self, head: Head) -> None:
        self.status, self.headers = head.status, dict(head.headers)

    def shortcut(self, data: bytes) -> bytes:
        if self._sort != "stream":
            return data
        rest = self.answer.take_chunks(data)
        if len(rest) < len(data):
            self._left -= len(data) - len(rest)
            self._heard_more()
        return rest

    def feed(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            raise TooMuch("a reply that does not end")
        if not self._sort:
            self._sort = self._sort_of(data)
        if self._sort == "stream":
            self._feed_events(data)
            return
        self._parts.append(data)
        if self._sort == "refusal":
            self.finished = sum(map(len, self._parts)) > _MOST_REFUSAL

    def _sort_of(self, data: bytes) -> str:
        # By what is there: the content type is often wrong.
        start = data.lstrip()[:1]
        if self.status != 200 or start == b"<":
            return "refusal"
        return "document" if start in (b"{", b"[") else "stream" if start else ""

    def _feed_events(self, data: bytes) -> None:
        self.answer.feed(data)
        self._heard_more()

    def _heard_more(self) -> None:
        answer = self.answer
        if not self.begun and answer.events:
            self.begun = True
            if self._on_begun is not None:
                self._on_begun()
        if self._on_text is not None:
            self._tell()
        if self._stops:
            self._look_for_stops()
        self.finished = self.finished or answer.done or answer.error is not None

    def _tell(self) -> None:
        if self._on_text is None or (choice := self.answer.choices.get(0)) is None:
            return
        for which, parts in enumerate((choice.reasonings, choice.texts)):
            for piece in parts[self._told[which] :]:
                self._on_text(piece)
            self._told[which] = len(parts)

    def _look_for_stops(self) -> None:
        """End the choice where a stop stands in its text."""
        choice = self.answer.choices.get(0)
        if choice is None or len(choice.texts) == self._seen:
            return
        start = max(0, len(self._text) - max(map(len, self._stops)))
        self._text += "".join(choice.texts[self._seen :])
        self._seen = len(choice.texts)
        if (cut := cut_at_stop(self._text[start:], self._stops)) is not None:
            choice.texts[:] = [self._text[:start] + cut]
            choice.finish = "stop"
            self.finished = True

    def close(self, *, complete: bool) -> None:
        """The reply is over.

        Args:
            complete: it came to its proper end.
        """
        self.streamed = self._sort == "stream"
        if self.streamed:
            if complete:
                self.answer.end()
                self._tell()
            return
        self.document = b"".join(self._parts)
        if self.status == 200 and self._sort == "document" and complete:
            try:
                self.answer.read(self.document)
            except ValueError:
                return
            self.begun = True
            self._tell()
            choice = self.answer.choices.get(0)
            if self._stops and choice is not None:
                cut = cut_at_stop(choice.text, self._stops)
                if cut is not None:
                    choice.texts[:] = [cut]
                    choice.finish = "stop"

"""The choices of an answer, as they come: server-sent events or one JSON document. Bounded; knows no sockets.

Most events of a stream differ in nothing but the piece of text. The first one of a kind is parsed as JSON and serves
as a pattern; those that match it are cut at the same two places and parsed many at once.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, Literal

import orjson

from harness.text import printable

_REASONING = ("reasoning_content", "reasoning")  # one of them: servers that rename it send both for a while
_MOST_LINE = 16 * 2**20
_MOST_CHOICES = 1024
_WORTHWHILE = 2  # events

Kind = Literal["text", "reasoning"]


class TooMuch(Exception):
    """The answer is larger than any answer to this request can be. The text says which bound it passed."""


@dataclass(slots=True)
class Choice:
    """One of the answers to a request."""

    texts: list[str] = field(default_factory=list)
    reasonings: list[str] = field(default_factory=list)
    finish: str | None = None
    """Why it ended, in the server's words; None while it goes on."""
    ends: int = 0
    """How often the server said that it ended."""
    garbled: bool = False
    """More text came after its end: two choices of one index were mixed."""

    @property
    def text(self) -> str:
        return _joined(self.texts)

    @property
    def reasoning(self) -> str:
        return _joined(self.reasonings)

    @property
    def size(self) -> int:
        return sum(map(len, self.texts)) + sum(map(len, self.reasonings))

    def parts(self, kind: Kind) -> list[str]:
        return self.texts if kind == "text" else self.reasonings


@dataclass(frozen=True, slots=True)
class _Pattern:
    """What surrounds the piece of text in the events of one choice and kind."""

    before: bytes
    after: bytes
    index: int
    kind: Kind


class Answer:
    """Collects an answer.

    Args:
        most_text: characters that all its choices may have together.
    """

    def __init__(self, most_text: int) -> None:
        self.choices: dict[int, Choice] = {}
        self.usage: Mapping[str, Any] | None = None
        self.error: Any = None
        """What the server reported instead of an answer, or in the middle of one."""
        self.done = False
        """The server said that this is all."""
        self.events = 0
        """Pieces of text that came, each a token at least."""
        self.model = ""
        self._most_text = most_text
        self._text = 0
        self._buffer = b""
        self._pattern: _Pattern | None = None
        self._run: list[bytes] = []

    # -- one document ----------------------------------------------------------------------------------------

    def read(self, body: bytes) -> None:
        """Take a whole answer that was not streamed.

        Raises:
            ValueError: it is not JSON, or not an answer.
            TooMuch
        """
        document = _parse(body)
        if not isinstance(document, dict):
            raise ValueError("not an object")
        self._take(document, whole=True)
        if not self.choices and self.error is None:
            raise ValueError("no choices")
        self.done = True

    # -- a stream --------------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """Take a piece of a stream of events.

        Raises:
            TooMuch
        """
        if self._buffer:
            data = self._buffer + data
        end = data.rfind(b"\n") + 1
        self._buffer = data[end:]
        if len(self._buffer) > _MOST_LINE:
            raise TooMuch(f"a line of more than {_MOST_LINE:,} bytes")
        self._lines(data[:end].split(b"\n"))

    def take_chunks(self, data: bytes) -> bytes:
        """Take the events at the beginning of `data` that match the pattern, where each is a chunk of its own.

        Args:
            data: of a stream in chunks (RFC 9112, 7.1), beginning with a chunk.

        Returns:
            What is left, beginning with a chunk: all of it, unless there are many such events.
        """
        pattern = self._pattern
        if pattern is None or self._buffer:
            return data
        # No such event holds a carriage return: what stands between two of them is the framing.
        parts = data.split(b"\r\n")
        count = (len(parts) - 1) // 2
        events = parts[1 : 2 * count : 2]
        before, after = pattern.before, pattern.after + b"\n\n"
        fits = [*map(bytes.startswith, events, repeat(before))]
        ends = [*map(bytes.endswith, events, repeat(after))]
        count = min(_first_false(fits), _first_false(ends))
        if count < _WORTHWHILE or min(map(len, events)) < len(before) + len(after):
            return data
        start, stop = len(before), -len(after)
        pieces = self._decode([event[start:stop] for event in events[:count]])
        if pieces is None:
            return data
        self._add(pattern.index, pattern.kind, "".join(pieces), count)
        return b"\r\n".join(parts[2 * count :])

    def end(self) -> None:
        """The stream has ended, with its last line perhaps not."""
        rest, self._buffer = self._buffer, b""
        self._lines([rest])

    def _lines(self, lines: list[bytes]) -> None:
        pattern, run = self._pattern, self._run
        before, after, cut = _ends(pattern)
        for line in lines:
            if line.startswith(before) and line.endswith(after) and len(line) > cut:
                run.append(line)
            elif line and line != b"\r":
                self._cut_run()
                self._line(line.strip())
                if self._pattern is not pattern:
                    pattern = self._pattern
                    before, after, cut = _ends(pattern)
        self._cut_run()

    def _cut_run(self) -> None:
        """Take the events that matched the pattern."""
        lines, pattern = self._run.copy(), self._pattern
        self._run.clear()
        if not lines or pattern is None:
            return
        start, stop = len(pattern.before), -len(pattern.after)
        pieces = self._decode([line[start:stop] for line in lines])
        if pieces is not None:
            self._add(pattern.index, pattern.kind, "".join(pieces), len(pieces))
            return
        for line in lines:
            self._event(line.strip()[5:], learn=False)

    @staticmethod
    def _decode(raw: list[bytes]) -> list[str] | None:
        """The texts of the insides of JSON strings; None where one of them is none by itself."""
        try:
            pieces = orjson.loads(b'["' + b'","'.join(raw) + b'"]')
        except orjson.JSONDecodeError:
            return None
        # A quote of its own, or one that is escaped by the piece before, shows as another number of pieces.
        return pieces if len(pieces) == len(raw) else None

    def _line(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name == b"data":
            self._event(value, line=line)
        elif name == b"error":  # llama.cpp
            self._event(b'{"error":' + value + b"}", learn=False)

    def _event(self, value: bytes, *, line: bytes = b"", learn: bool = True) -> None:
        value = value.strip()
        if value == b"[DONE]":
            self.done = True
            return
        try:
            document = _parse(value)
        except ValueError:
            self.error = self.error or {"message": "an event of its stream is not JSON", "code": "bad_event"}
            return
        if isinstance(document, dict):
            taken = self._take(document, whole=False)
            if learn and taken is not None and taken[2]:
                self._learn(line, document, *taken)

    def _learn(self, line: bytes, document: dict[str, Any], index: int, kind: Kind, piece: str) -> None:
        """Make a pattern of an event that brought a piece of text and nothing else."""
        for match in _TEXT_FIELD.finditer(line):
            with contextlib.suppress(ValueError):
                if _parse(b'"' + match[1] + b'"') != piece:
                    continue
                # Whether this is where the piece stands: another one in its place gives the same event but for it.
                before, after = line[: match.start(1)], line[match.end(1) :]
                trial = _parse(before.partition(b":")[2] + b"~" + after)
                if _only_piece(trial) == (index, kind, "~") and _without_piece(trial) == _without_piece(
                    document
                ):
                    self._pattern = _Pattern(before, after, index, kind)
                    return

    # -- what a document says --------------------------------------------------------------------------------

    def _take(self, document: dict[str, Any], *, whole: bool) -> tuple[int, Kind, str] | None:
        """Take an event or a document; what it brought, if that was one piece of text and nothing else."""
        if document.get("error") is not None or document.get("object") == "error":
            self.error = self.error or document.get("error") or document
            return None
        if isinstance(usage := document.get("usage"), dict):
            self.usage = usage
        if isinstance(model := document.get("model"), str):
            self.model = model
        choices = document.get("choices")
        for position, choice in enumerate(choices if isinstance(choices, list) else ()):
            if isinstance(choice, dict):
                self._take_choice(choice, position, whole=whole)
        return None if whole else _only_piece(document)

    def _take_choice(self, data: dict[str, Any], position: int, *, whole: bool) -> None:
        index = data.get("index", position)
        if not isinstance(index, int) or not 0 <= index < _MOST_CHOICES:
            index = position
        if whole and index in self.choices:
            return  # a second one of this index: which of them is meant cannot be known
        for kind, piece in _pieces(data):
            self._add(index, kind, piece, 1)
        choice = self._choice(index)
        finish = data.get("finish_reason")
        if isinstance(finish, str) and finish:
            choice.garbled = choice.garbled or choice.finish not in (None, finish)
            choice.finish = finish
            choice.ends += 1
        elif whole:
            choice.finish = ""

    def _choice(self, index: int) -> Choice:
        choice = self.choices.get(index)
        if choice is None:
            choice = self.choices[index] = Choice()
        return choice

    def _add(self, index: int, kind: Kind, piece: str, events: int) -> None:
        if not piece:
            self._choice(index)
            return
        choice = self._choice(index)
        choice.garbled = choice.garbled or choice.finish is not None
        choice.parts(kind).append(piece)
        self.events += events
        self._text += len(piece)
        if self._text > self._most_text:
            raise TooMuch(f"more than {self._most_text:,} characters, far beyond the token budget")


_TEXT_FIELD = re.compile(rb'"(?:content|text|reasoning_content|reasoning)" ?: ?"((?:[^"\\]|\\.)*)"')


def _first_false(values: list[bool]) -> int:
    return len(values) if all(values) else values.index(False)


def _ends(pattern: _Pattern | None) -> tuple[bytes, bytes, int]:
    if pattern is None:
        return b"\0", b"\0", 0  # no event begins so
    return pattern.before, pattern.after, len(pattern.before) + len(pattern.after) - 1


def _pieces(choice: dict[str, Any]) -> list[tuple[Kind, str]]:
    """The text and the reasoning that a choice brings: a delta, a message, or a bare text."""
    message = choice.get("delta")
    if not isinstance(message, dict):
        message = choice.get("message")
    if not isinstance(message, dict):
        text = choice.get("text")
        return [("text", text)] if isinstance(text, str) else []
    pieces: list[tuple[Kind, str]] = []
    reasoning = next((r for name in _REASONING if isinstance(r := message.get(name), str) and r), None)
    if reasoning is not None:
        pieces.append(("reasoning", reasoning))
    content = message.get("content")
    if isinstance(content, list):
        pieces += _content_parts(content)
    elif isinstance(content, str):
        pieces.append(("text", content))
    elif isinstance(refusal := message.get("refusal"), str):
        pieces.append(("text", refusal))
    return pieces


def _content_parts(content: list[Any]) -> list[tuple[Kind, str]]:
    """Content in parts: {"type": "text", "text": ...} and {"type": "thinking", "thinking": [parts]}."""
    pieces: list[tuple[Kind, str]] = []
    for part in content:
        if not isinstance(part, dict):
            continue
        inner = part.get("thinking")
        if isinstance(inner, list):
            texts = [p["text"] for p in inner if isinstance(p, dict) and isinstance(p.get("text"), str)]
            pieces.append(("reasoning", "".join(texts)))
        elif isinstance(inner, str):
            pieces.append(("reasoning", inner))
        elif isinstance(text := part.get("text"), str):
            pieces.append(("text", text))
    return pieces


def _only_piece(document: dict[str, Any]) -> tuple[int, Kind, str] | None:
    """Choice, kind and piece of an event that brings one piece of text and nothing else that counts."""
    choices = document.get("choices")
    if document.get("usage") is not None or not isinstance(choices, list) or len(choices) != 1:
        return None
    choice = choices[0]
    if (
        not isinstance(choice, dict)
        or choice.get("finish_reason")
        or not isinstance(choice.get("index"), int)
    ):
        return None
    pieces = _pieces(choice)
    return (choice["index"], *pieces[0]) if len(pieces) == 1 else None


def _without_piece(document: dict[str, Any]) -> dict[str, Any]:
    """The event with empty text."""
    choice = document["choices"][0]
    inner = choice.get("delta", choice)
    empty = {
        key: "" if key in ("content", "text", *_REASONING) and value else value
        for key, value in inner.items()
    }
    shell = {**choice, "delta": empty} if "delta" in choice else empty
    return {**document, "choices": [shell]}


def _parse(data: bytes) -> Any:
    """JSON from anywhere.

    Raises:
        ValueError
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    try:  # half a character, bytes that are no UTF-8, NaN
        return json.loads(data.decode("utf-8", "replace"))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _joined(parts: list[str]) -> str:
    return printable("".join(parts))

"""HTTP/1.1 replies as their bytes come in: a head, then a body in one of three framings. Knows no sockets.

A library would do, but for the cost of a stream that brings each token as a chunk of its own: aiohttp 3.14, the leanest
of them, takes 2.5 microseconds of Python for every chunk, four times what the loop below does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_MAX_HEAD = 64 * 2**10
_MAX_SIZE_LINE = 1024  # of a chunk, extensions included
_SHOWN = 40


class NotHTTP(Exception):
    """The other side does not speak HTTP, or wrongly. The text says what it said instead."""


@dataclass(frozen=True, slots=True)
class Head:
    status: int
    headers: Mapping[str, str]
    """By lower-case name; of repeated ones the last."""

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class Reply:
    """Takes a reply apart. `feed` it what the connection brings; `end` it when the connection ends."""

    def __init__(self) -> None:
        self.head: Head | None = None
        self.complete = False
        self.keep_alive = False
        self._rest = b""
        self._left: int | None = 0
        """Bytes that are missing: of the body, or of the current chunk; None until the connection ends."""
        self._chunked = False
        self._trailer = False

    @property
    def between_chunks(self) -> bool:
        """The next byte begins a chunk, or the end."""
        return self._chunked and not self._left and not self._rest and not self._trailer and not self.complete

    def feed(self, data: bytes) -> bytes:
        """The bytes of the body that are in `data`.

        Raises:
            NotHTTP
        """
        if self.head is None:
            data = self._rest + data
            self._rest = b""
            while self.head is None:
                end = data.find(b"\r\n\r\n")
                if end < 0:
                    _check_beginning(data)
                    self._rest = data
                    return b""
                self._open(data[:end])
                data = data[end + 4 :]
        if self._chunked:
            return self._dechunk(data)
        if self._left is None:
            return data
        body = data[: self._left]
        self._left -= len(body)
        self._finish_if(self._left == 0)
        if len(body) < len(data):
            self.keep_alive = False  # it said more than it announced
        return body

    def end(self) -> bool:
        """The connection has ended. Whether the body may end there."""
        if self.head is not None and self._left is None and not self._chunked:
            self._finish_if(True)
        return self.complete

    def _open(self, raw: bytes) -> None:
        lines = raw.split(b"\r\n")
        version, _, rest = lines[0].partition(b" ")
        code = rest.partition(b" ")[0]
        if version not in (b"HTTP/1.1", b"HTTP/1.0") or len(code) != 3 or not code.isdigit():
            raise NotHTTP(_shown(lines[0]))
        status = int(code)
        if 100 <= status < 200 and status != 101:
            return  # a word in between: the real head follows
        headers = {}
        for line in lines[1:]:
            name, colon, value = line.partition(b":")
            if colon:
                headers[name.strip().lower().decode("latin-1")] = value.strip().decode("latin-1")
        self.head = Head(status, headers)
        self.keep_alive = version == b"HTTP/1.1" and headers.get("connection", "").lower() != "close"
        self._chunked = "chunked" in headers.get("transfer-encoding", "").lower()
        if self._chunked:
            return
        length = headers.get("content-length")
        if status in (204, 304):
            length = "0"
        if length is None:
            self._left, self.keep_alive = None, False
        elif length.isascii() and length.isdigit() and len(length) < 19:
            self._left = int(length)
            self._finish_if(self._left == 0)
        else:
            raise NotHTTP(f"content-length: {length[:_SHOWN]}")

    def _dechunk(self, data: bytes) -> bytes:
        if self._rest:
            data, self._rest = self._rest + data, b""
        out: list[bytes] = []
        at, length = 0, len(data)
        find = data.find
        if self._left:  # the rest of a chunk, and the line feed after it
            at = min(self._left, length)
            self._left -= at
            out.append(data[:at] if self._left >= 2 else data[: max(0, at - (2 - self._left))])
        while at < length and not self.complete:
            line_end = find(b"\r\n", at)
            if line_end < 0:
                if length - at > _MAX_SIZE_LINE:
                    raise NotHTTP(_shown(data[at : at + 100]))
                break
            if self._trailer:
                self._finish_if(line_end == at)
                at = line_end + 2
                continue
            word = data[at:line_end]
            try:
                size = int(word if word.isalnum() else word.partition(b";")[0].strip(), 16)
            except ValueError:
                size = -1
            if not 0 <= size < 1 << 60:
                raise NotHTTP(_shown(word))
            begin = line_end + 2
            if size == 0:
                self._trailer, at = True, begin
                continue
            at = begin + size + 2
            out.append(data[begin : at - 2])
            if at > length:
                self._left = at - length
                return b"".join(out)
        if self.complete:
            self.keep_alive = self.keep_alive and at == length
        else:
            self._rest = data[at:]
        return b"".join(out)

    def _finish_if(self, finished: bool) -> None:
        self.complete = self.complete or finished


def _check_beginning(data: bytes) -> None:
    if not b"HTTP/1.".startswith(data[:7]) or len(data) > _MAX_HEAD:
        raise NotHTTP(_shown(data))


def _shown(data: bytes) -> str:
    return ascii(data[:_SHOWN])[2:-1]

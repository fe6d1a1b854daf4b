"""A bad OpenAI-compatible server on a real socket, and the book that it keeps of what it was asked and answered.

A test says how it behaves: with a function that is given each request and yields what to do, or with `Answers`, which
answers as a good server does and can be made bad in parts.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import socket
import ssl
import struct
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


class Reset(Exception):
    """Ends a connection with a TCP reset."""


class Hang(Exception):
    """Says nothing more, until the client hangs up."""


class Close(Exception):
    """Ends a connection in the middle, politely."""


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    number: int
    """Of all requests for answers, from 0."""
    tries: int
    """How often the same chains were asked for before."""

    @property
    def prompt(self) -> str:
        if "prompt" in self.body:
            return str(self.body["prompt"])
        return str(self.body["messages"][-1]["content"])

    @property
    def n(self) -> int:
        return int(self.body.get("n", 1))

    @property
    def seed(self) -> int | None:
        return self.body.get("seed")


class Listener(socket.socket):
    """Listens, and remembers what it accepted: a loop that stops forgets the connections that it has not begun."""

    def __init__(self) -> None:
        # The protocol is named: asyncio sends small pieces at once only where it knows that it is TCP.
        super().__init__(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self.accepted: list[socket.socket] = []

    def accept(self) -> tuple[socket.socket, Any]:
        connection, address = super().accept()
        self.accepted.append(connection)
        return connection, address


class Out:
    """Writes a reply."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._chunked = False

    async def head(self, status: int = 200, length: int | None = None, **headers: str) -> None:
        lines = [f"HTTP/1.1 {status} Whatever"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self._chunked = length is None
        lines.append("transfer-encoding: chunked" if length is None else f"content-length: {length}")
        await self.raw("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n")

    async def raw(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def body(self, data: bytes) -> None:
        await self.raw(b"%x\r\n%s\r\n" % (len(data), data) if self._chunked else data)

    async def event(self, document: Any) -> None:
        text = document if isinstance(document, str) else json.dumps(document)
        await self.body(f"data: {text}\n\n".encode())

    async def end(self) -> None:
        if self._chunked:
            await self.raw(b"0\r\n\r\n")

    async def json(self, document: Any, status: int = 200, **headers: str) -> None:
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        await self.head(status, len(data), content_type="application/json", **headers)
        await self.raw(data)

    async def error(self, status: int, message: str, **headers: str) -> None:
        await self.json({"error": {"message": message, "type": "error", "code": None}}, status, **headers)


Behaviour = Callable[["BadServer", Asked, Out], Any]


class BadServer:
    """Serves in a thread. `base_url` is its address.

    Args:
        behaviour: answers one request.
        models: what /v1/models says; None answers 404, a callable is a behaviour of its own.
        tls: a certificate and its key in one file.
    """

    def __init__(
        self,
        behaviour: Behaviour,
        *,
        models: Any = ("made-up",),
        context: int | None = None,
        tls: str | None = None,
    ) -> None:
        self.behaviour = behaviour
        self.models = models
        self.context = context
        self.tls = tls
        self.asked: list[Asked] = []
        self.heads: list[dict[str, str]] = []
        """Headers of all requests, those for models included."""
        self.delivered: Counter[tuple[str, int | None, int]] = Counter()
        """Answers that were sent to their end: prompt, seed, index of the choice."""
        self.only_below = ""
        """Other paths are answered with 404."""
        self.in_flight = 0
        self.most_in_flight = 0
        self.accepted: list[socket.socket] = []
        """All connections, closed or not."""
        self.hung_up = 0
        """Answers that the client did not wait for."""
        self._tries: Counter[tuple[str, int | None, int]] = Counter()
        self._lock = threading.Lock()
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def base_url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> BadServer:
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def deliver(self, asked: Asked, index: int = 0) -> None:
        """Note that a choice was sent to its end."""
        self.delivered[asked.prompt, asked.seed, index] += 1

    # -- inside ------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._main())
        finally:
            self._loop.close()

    async def _main(self) -> None:
        self._stop = asyncio.Event()
        context = None
        if self.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.tls)
        with Listener() as listener:
            listener.bind(("127.0.0.1", 0))
            server = await asyncio.start_server(self._connection, sock=listener, backlog=1024, ssl=context)
            self.accepted = listener.accepted
            self.port = listener.getsockname()[1]
            self._started.set()
            await self._stop.wait()
            self._loop.remove_reader(listener.fileno())  # no more of them
            # Accepted is not begun: it takes turns of the loop until each has its transport, which a closed server
            # refuses, its task and its writer.
            await _turns()
            server.close()
            await self._close()

    async def _close(self) -> None:
        """Close all connections, however far each of them got."""
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        for writer in self._writers:  # whatever is still to be sent to a client that does not read
            writer.transport.abort()
        await asyncio.gather(*tasks, return_exceptions=True)
        await _turns()  # a transport closes its socket one turn after it was told to
        for connection in self.accepted:
            connection.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while await self._request(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, Close, ssl.SSLError):
            pass
        except Reset:
            sock = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        except Hang:
            with contextlib.suppress(ConnectionError):
                await reader.read()
        finally:
            writer.close()
            with contextlib.suppress(Exception, asyncio.CancelledError):
                await writer.wait_closed()
            self._writers.discard(writer)

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")[:-2]
        method, path, _ = first.split(" ")
        headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        self.heads.append({**headers, ":path": path, ":method": method})
        data = await reader.readexactly(int(headers.get("content-length", "0")))
        out = Out(writer)
        if not path.startswith(self.only_below):
            await out.error(404, "Not Found")
            return True
        if path.endswith("/models"):
            await self._answer_models(out)
            return True
        body = json.loads(data)
        with self._lock:
            asked = Asked(method, path, headers, body, len(self.asked), 0)
            key = (asked.prompt, asked.seed, 0)
            asked.tries = self._tries[key]
            self._tries[key] += 1
            self.asked.append(asked)
        self.in_flight += asked.n
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await self._watched(reader, asked, out)
        finally:
            self.in_flight -= asked.n
        return True

    async def _watched(self, reader: asyncio.StreamReader, asked: Asked, out: Out) -> None:
        """Answer, until the client hangs up."""
        work = asyncio.ensure_future(self.behaviour(self, asked, out))
        # The client sends nothing while it waits, so that an end of its stream is a hang-up.
        while not work.done():
            await asyncio.wait([work], timeout=0.02)
            if reader.at_eof() and not work.done():
                self.hung_up += 1
                work.cancel()
        await work

    async def _answer_models(self, out: Out) -> None:
        if callable(self.models):
            await self.models(out)
        elif self.models is None:
            await out.error(404, "Not Found")
        else:
            rows = [{"id": name, "object": "model", "owned_by": "bad"} for name in self.models]
            if self.context:
                rows = [{**row, "max_model_len": self.context} for row in rows]
            await out.json({"object": "list", "data": rows})


async def _turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def text_of(prompt: str, seed: int | None, index: int = 0) -> str:
    """What a good server writes: a text that only its prompt and seed decide."""
    mark = hashlib.sha256(f"{prompt}|{seed}|{index}".encode()).hexdigest()
    return f'Let me think about “{prompt}”.\nI find {mark} \\ "so".\n\nThe answer is {int(mark[:4], 16)}.'


@dataclass
class Answers:
    """Answers as a good server does, but for what is set otherwise."""

    pieces: int = 8
    seconds: float | Callable[[Asked], float] = 0.0
    text: Callable[[Asked, int], str] = field(
        default=lambda asked, index: text_of(asked.prompt, asked.seed, index)
    )
    reasoning: str = ""
    reasoning_field: str = "reasoning_content"
    finish: str | None = "stop"
    usage: bool = True
    stream: bool = True
    choices: int | None = None
    """How many it gives, whatever n is."""
    index: Callable[[int], int] = field(default=lambda index: index)
    stops: bool = True
    """Ends at the stop texts of the request."""
    done: bool = True
    """Ends its streams with [DONE]."""
    refuses: tuple[str, ...] = ()
    """Fields that it does not take."""

    async def __call__(self, server: BadServer, asked: Asked, out: Out) -> None:
        for name in self.refuses:
            if name in asked.body:
                await out.error(400, f"Unsupported parameter: '{name}' is not supported with this model.")
                return
        count = self.choices or asked.n
        texts = [self.text(asked, index) for index in range(count)]
        for stop in asked.body.get("stop", ()) if self.stops else ():
            texts = [text.partition(stop)[0] for text in texts]
        usage = {"prompt_tokens": 11, "completion_tokens": 7 * count, "total_tokens": 11 + 7 * count}
        seconds = self.seconds(asked) if callable(self.seconds) else self.seconds
        if not self.stream:
            await asyncio.sleep(seconds)
            choices = [self._whole(asked, i, text) for i, text in enumerate(texts)]
            await out.json(
                {"model": "made-up", "choices": choices, **({"usage": usage} if self.usage else {})}
            )
        else:
            await out.head(content_type="text/event-stream")
            await self._pieces(asked, out, texts, seconds)
            asked_for_usage = (asked.body.get("stream_options") or {}).get("include_usage")
            if self.usage and asked_for_usage:
                await out.event({"model": "made-up", "choices": [], "usage": usage})
            if self.done:
                await out.event("[DONE]")
            await out.end()
        for index in range(count):
            server.deliver(asked, index)

    async def _pieces(self, asked: Asked, out: Out, texts: list[str], seconds: float) -> None:
        for i in range(len(texts)):
            await out.event(self.piece(asked, self.index(i), "", role=True))
        if self.reasoning:
            for i in range(len(texts)):
                await out.event(self.piece(asked, self.index(i), self.reasoning, kind=self.reasoning_field))
        for step in range(self.pieces):
            await asyncio.sleep(seconds / self.pieces)
            for i, text in enumerate(texts):
                cut = text[len(text) * step // self.pieces : len(text) * (step + 1) // self.pieces]
                await out.event(self.piece(asked, self.index(i), cut))
        for i in range(len(texts)):
            await out.event(self.piece(asked, self.index(i), "", finish=self.finish))

    @staticmethod
    def piece(
        asked: Asked,
        index: int,
        text: str,
        *,
        kind: str = "content",
        finish: str | None = None,
        role: bool = False,
    ) -> dict[str, Any]:
        """One event of a stream."""
        choice: dict[str, Any] = {"index": index, "logprobs": None, "finish_reason": finish}
        if asked.path.endswith("/chat/completions"):
            delta = {"role": "assistant", "content": ""} if role else {kind: text} if text else {}
            choice["delta"] = delta
        else:
            choice["text"] = text
        return {"id": f"x-{asked.number}", "object": "chunk", "model": "made-up", "choices": [choice]}

    def _whole(self, asked: Asked, index: int, text: str) -> dict[str, Any]:
        choice: dict[str, Any] = {"index": self.index(index), "finish_reason": self.finish}
        if asked.path.endswith("/chat/completions"):
            choice["message"] = {"role": "assistant", "content": text}
            if self.reasoning:
                choice["message"][self.reasoning_field] = self.reasoning
        else:
            choice["text"] = text
        return choice


def first(count: int, bad: Behaviour, good: Behaviour) -> Behaviour:
    """Bad at the first `count` tries for each chain, then good."""

    async def behave(server: BadServer, asked: Asked, out: Out) -> None:
        await (bad if asked.tries < count else good)(server, asked, out)

    return behave

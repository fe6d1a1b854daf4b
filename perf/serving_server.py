"""A loopback server for `serving.py`: answers like an inference server, at latencies drawn from a fixed seed.

    python perf/serving_server.py --port-file FILE --log FILE --requests 2000

Each request for an answer takes the next latency and the next answer. Streams bring a token as an event of its own, in
chunks of their own, at an even pace over their latency; whole answers come at its end. When the last answer is given,
and at the end, it writes what it did to the log: when each answer was asked for and given, and at which latency.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
import re
import signal
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

MEDIAN_SECONDS, SPREAD = 2.0, 0.6
"""Of the lognormal latencies: median, and standard deviation of the logarithm."""
MEDIAN_TOKENS, TOKEN_SPREAD = 340, 0.6
"""Of the lognormal lengths, as Qwen2.5-14B-Instruct answers MATH-500: half of its answers have 1,300 characters or
more."""
STEP = 0.05
"""Seconds between two writes of a stream."""

_WORDS = (
    " the",
    " so",
    " we",
    " have",
    " that",
    " x",
    " =",
    " 12",
    "+",
    "\\\\frac",
    " therefore",
    ".\\n",
    " is",
    " sum",
)
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: "
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Draw:
    """What one request gets."""

    seconds: float
    tokens: list[str]
    """As they stand in JSON."""

    @property
    def text(self) -> str:
        return "".join(self.tokens)


def draws(count: int, seed: int = 0) -> list[Draw]:
    """Latencies and answers of a run's requests."""
    dice = random.Random(seed)
    made = []
    for _ in range(count):
        seconds = MEDIAN_SECONDS * math.exp(SPREAD * dice.gauss(0, 1))
        tokens = max(8, round(MEDIAN_TOKENS * math.exp(TOKEN_SPREAD * dice.gauss(0, 1))))
        made.append(
            Draw(seconds, [*dice.choices(_WORDS, k=tokens - 2), " \\\\boxed{", f"{dice.randrange(100)}}}"])
        )
    return made


def stream_parts(draw: Draw, number: int) -> list[bytes]:
    """The writes of a stream: chunked events, as vLLM makes them."""
    parts = max(1, round(draw.seconds / STEP))
    prefix = (
        f'data: {{"id":"chatcmpl-{number:032x}","object":"chat.completion.chunk","created":1760000000,'
        '"model":"made-up","choices":[{"index":0,"delta":'
    )
    events = [f'{prefix}{{"role":"assistant","content":""}},"logprobs":null,"finish_reason":null}}]}}\n\n']
    tail = ',"logprobs":null,"finish_reason":null,"token_ids":null}]}\n\n'
    events += [f'{prefix}{{"content":"{token}"}}{tail}' for token in draw.tokens]
    chunks = [b"%x\r\n%s\r\n" % (len(data), data) for data in map(str.encode, events)]
    cuts = [len(chunks) * i // parts for i in range(parts + 1)]
    return [b"".join(chunks[a:b]) for a, b in pairwise(cuts)]


def stream_end(draw: Draw, number: int) -> bytes:
    frame = f'{{"id":"chatcmpl-{number:032x}","object":"chat.completion.chunk","created":1760000000,"model":"made-up",'
    n = len(draw.tokens)
    usage = f'"usage":{{"prompt_tokens":90,"total_tokens":{90 + n},"completion_tokens":{n}}}'
    events = (
        f'data: {frame}"choices":[{{"index":0,"delta":{{"content":""}},"logprobs":null,"finish_reason":"stop"}}]}}\n\n',
        f'data: {frame}"choices":[],{usage}}}\n\n',
        "data: [DONE]\n\n",
    )
    chunks = (b"%x\r\n%s\r\n" % (len(data), data) for data in map(str.encode, events))
    return b"".join(chunks) + b"0\r\n\r\n"


def whole(draw: Draw, number: int) -> bytes:
    n = len(draw.tokens)
    return (
        f'{{"id":"chatcmpl-{number:032x}","object":"chat.completion","created":1760000000,"model":"made-up","choices":'
        f'[{{"index":0,"message":{{"role":"assistant","content":"{draw.text}"}},"logprobs":null,"finish_reason":"stop"}}],'
        f'"usage":{{"prompt_tokens":90,"total_tokens":{90 + n},"completion_tokens":{n}}}}}'
    ).encode()


class Server:
    def __init__(self, answers: list[Draw], log: Path) -> None:
        self._answers = answers
        # Ready-made: what the server computes while it serves would be missing to the client on a small machine.
        self._streams = [stream_parts(draw, i) for i, draw in enumerate(answers)]
        self._log = log
        self._rows: list[dict[str, Any]] = []
        self._next = 0
        self._in_flight = self._most = 0

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                body = await reader.readexactly(int(length[1])) if length else b""
                if head.startswith(b"GET"):
                    found = json.dumps(
                        {"data": [{"id": "made-up", "object": "model", "max_model_len": 32768}]}
                    ).encode()
                    writer.write(
                        _HEAD + b"application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(found), found)
                    )
                else:
                    await self._answer(writer, streamed=b'"stream":true' in body or b'"stream": true' in body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, *, streamed: bool) -> None:
        number, began = self._next, time.monotonic()
        self._next += 1
        draw = self._answers[number % len(self._answers)]
        self._in_flight += 1
        self._most = max(self._most, self._in_flight)
        if streamed:
            writer.write(_HEAD + b"text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n")
            parts = self._streams[number % len(self._answers)]
            for i, part in enumerate(parts, 1):
                await asyncio.sleep(began + draw.seconds * i / len(parts) - time.monotonic())
                writer.write(part)
            writer.write(stream_end(draw, number))
        else:
            await asyncio.sleep(draw.seconds)
            data = whole(draw, number)
            writer.write(_HEAD + b"application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(data), data))
        self._in_flight -= 1
        self._rows.append(
            {"asked": began, "given": time.monotonic(), "seconds": draw.seconds, "streamed": streamed}
        )

    def write_log(self) -> None:
        self._log.write_text(json.dumps({"answers": self._rows, "most_in_flight": self._most}))


async def serve(options: argparse.Namespace) -> None:
    server = Server(draws(options.requests), options.log)
    listening = await asyncio.start_server(server.connection, "127.0.0.1", 0, backlog=2048)
    options.port_file.write_text(str(listening.sockets[0].getsockname()[1]))
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()
    server.write_log()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port-file", type=Path, required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--requests", type=int, default=2000)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()

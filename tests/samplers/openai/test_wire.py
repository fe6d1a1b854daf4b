"""What the openai sampler makes of bytes: replies and streams are the same however the network cuts them up."""

from __future__ import annotations

import contextlib
import email.utils
import json
import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import HarnessError
from harness_plugins.samplers.openai._answer import Answer, Choice, TooMuch
from harness_plugins.samplers.openai._errors import classify, retry_after
from harness_plugins.samplers.openai._url import is_private, proxy_for, read_address
from harness_plugins.samplers.openai._window import Backoff, Window
from harness_plugins.samplers.openai._wire import NotHTTP, Reply

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[a:b] for a, b in pairwise(ends)]


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=8), st.lists(st.integers(0, 999)), st.booleans())
def test_a_chunked_body_is_read_however_it_is_cut_up(
    chunks: list[bytes], places: list[int], trailer: bool
) -> None:
    framed = b"".join(
        b"%x;name=value\r\n%s\r\n" % (len(c), c) if c[0] % 2 else b"%X\r\n%s\r\n" % (len(c), c)
        for c in chunks
    )
    data = CHUNKED + framed + b"0\r\n" + (b"x-checksum: 1\r\n" if trailer else b"") + b"\r\n"
    reply = Reply()
    body = b"".join(reply.feed(piece) for piece in cut(data, places))
    assert body == b"".join(chunks)
    assert reply.complete
    assert reply.keep_alive


@given(st.binary(max_size=100), st.lists(st.integers(0, 999)))
def test_a_body_of_known_length_is_read_however_it_is_cut_up(content: bytes, places: list[int]) -> None:
    data = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (
        len(content),
        content,
    )
    reply = Reply()
    assert b"".join(reply.feed(piece) for piece in cut(data, places)) == content
    assert reply.complete


def test_a_body_without_a_length_ends_with_its_connection_and_others_do_not() -> None:
    reply = Reply()
    assert reply.feed(b"HTTP/1.0 200 OK\r\n\r\nhello") == b"hello"
    assert not reply.complete
    assert reply.end()
    reply = Reply()
    reply.feed(CHUNKED + b"5\r\nhel")
    assert not reply.end()


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000,
        CHUNKED + b"-5\r\nhello\r\n",
        CHUNKED + b"fffffffffffffffffffff\r\nhello",
        CHUNKED + b"5" * 5000,
        b"\x15\x03\x01\x00\x02\x02F",
    ],
)
def test_what_is_not_http_is_noticed(data: bytes) -> None:
    with pytest.raises(NotHTTP):
        Reply().feed(data)


def event(index: int, field: str, piece: str, *, spaces: bool = False, escaped: bool = True) -> bytes:
    separators = (", ", ": ") if spaces else (",", ":")
    document = {
        "id": "x",
        "model": "m",
        "choices": [{"index": index, "delta": {field: piece}, "finish_reason": None}],
    }
    return (
        b"data: "
        + json.dumps(document, separators=separators, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
        + b"\n\n"
    )


PIECES = st.text(st.sampled_from('abc "\\\n\u2028é𝄞{}[]:,'), max_size=6)


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(["content", "reasoning_content"]), PIECES), max_size=30
    ),
    st.lists(st.integers(0, 5000), max_size=6),
    st.booleans(),
    st.booleans(),
)
def test_a_stream_says_the_same_however_it_is_cut_up(
    pieces: list[tuple[int, str, str]], places: list[int], spaces: bool, escaped: bool
) -> None:
    """Also where most events are not parsed one by one."""
    stream = b"".join(event(*piece, spaces=spaces, escaped=escaped) for piece in pieces) + b"data: [DONE]\n\n"
    answer = Answer(10_000)
    for piece in cut(stream, places):
        answer.feed(piece)
    assert answer.done
    for index in range(3):
        for field, kind in (("content", "text"), ("reasoning_content", "reasoning")):
            expected = "".join(text for i, f, text in pieces if (i, f) == (index, field))
            choice = answer.choices.get(index)
            assert (getattr(choice, kind) if choice else "") == expected


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_streams_may_have_other_line_ends_comments_and_fields(end: bytes) -> None:
    lines = [b": hello", b"event: message", b"id: 7", b"retry: 10", b""]
    for piece in "abcd":
        lines += [event(0, "content", piece).strip().replace(b"data: ", b"data:"), b"", b":"]
    answer = Answer(1000)
    answer.feed(end.join([*lines, b"data: [DONE]", b"", b""]))
    assert (answer.choices[0].text, answer.done, answer.error) == ("abcd", True, None)


def test_half_a_character_in_each_of_two_events_is_one_character() -> None:
    answer = Answer(1000)
    for half in ('"a"', '"\\ud834"', '"\\udd1e"', '"b"', '"\\ud834"'):
        answer.feed(b'data: {"choices": [{"index": 0, "delta": {"content": ' + half.encode() + b"}}]}\n\n")
    assert answer.choices[0].text == "a𝄞b\ufffd"


@pytest.mark.parametrize(
    "line",
    [
        b'data: {"choices":[{"index":0,"delta":{"content":"a\\"},"x":"b"}}]}',
        b'data: {"choices":[{"index":0,"delta":{"content":"a","content":"b"}}]}',
        b'data: {"choices":[{"index":0,"delta":{"content":"a"},"logprobs":{"content":"b"}}]}',
        b'data:{"choices":[{"index":0,"delta":{"content":"","reasoning":"b"}}]}',
        b'data: {"choices":[{"index":0,"delta":{"content":"a"}}],"content":"a"}',
    ],
)
def test_odd_events_mean_what_a_json_parser_says(line: bytes) -> None:
    """A pattern made from another event, or from themselves, does not change it."""
    usual = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}'
    for stream in ([line] * 3, [usual, line, usual, line], [line, usual, usual, line]):
        answer = Answer(1000)
        answer.feed(b"\n\n".join(stream) + b"\n\n")
        texts, reasonings = "", ""
        for item in stream:
            try:
                delta = json.loads(item.partition(b":")[2])["choices"][0]["delta"]
            except ValueError:
                continue
            texts += delta.get("content", "")
            reasonings += delta.get("reasoning", "")
        choice = answer.choices.get(0, Choice())
        assert (choice.text, choice.reasoning) == (texts, reasonings)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "choices",
                        "delta",
                        "content",
                        "index",
                        "usage",
                        "error",
                        "message",
                        "text",
                        "finish_reason",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_is_survived(document: Any) -> None:
    answer = Answer(1000)
    answer.feed(b"data: " + json.dumps(document).encode() + b"\n\n")
    answer = Answer(1000)
    with contextlib.suppress(ValueError):
        answer.read(json.dumps(document).encode())
    for choice in answer.choices.values():
        assert isinstance(choice.text + choice.reasoning, str)


def test_answers_are_bounded() -> None:
    many, long = Answer(100), Answer(100)
    with pytest.raises(TooMuch):
        many.feed(event(0, "content", "ten letters") * 30)
    for _ in range(16):
        long.feed(b"x" * 2**20)
    with pytest.raises(TooMuch):
        long.feed(b"x")
    deep = b"[" * 100_000
    with pytest.raises(ValueError, match=r"nested too deeply|recursion|depth"):
        Answer(100).read(deep)


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (400, {"error": {"message": "Unsupported parameter: 'seed'", "param": "seed"}}, "field", "seed"),
        (422, {"detail": [{"loc": ["body", "stream_options"], "msg": "Extra input not permitted"}]}, "field", "Extra"),
        (400, {"object": "error", "message": "This model's maximum context length is 4096 tokens"}, "final", "4096"),
        (400, {"error": {"message": "Input rejected", "code": "content_filter"}}, "prompt", "Input rejected"),
        (400, {"error": "something else"}, "unclear", "something else"),
        (429, {"error": {"message": "slow down"}}, "busy", "slow down"),
        (429, {"error": {"message": "no money", "code": "insufficient_quota"}}, "final", "no money"),
        (500, "boom \x1b[2J\x00" * 1000, "passing", "boom"),
        (502, "<html><head><title>502 Bad Gateway</title></head>", "passing", "a web page (502 Bad Gateway)"),
        (401, {"message": "the key sk-123 is wrong"}, "final", "the key *** is wrong"),
    ],
)  # fmt: skip
def test_refusals_are_told_apart_and_told_in_a_line(status: int, body: Any, kind: str, words: str) -> None:
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    refusal = classify(status, {}, raw, ("stream_options", "seed"), secret="sk-123")
    assert refusal.kind == kind
    assert words in refusal.words
    assert refusal.words.isprintable()
    assert len(refusal.words) < 400


def test_waits_are_read_as_seconds_or_as_a_date() -> None:
    assert retry_after({"retry-after": "7"}) == 7
    assert retry_after({"retry-after-ms": "250"}) == 0.25
    date = email.utils.formatdate(time.time() + 30, usegmt=True)
    assert 25 < (retry_after({"retry-after": date}) or 0) < 31
    past = email.utils.formatdate(time.time() - 30, usegmt=True)
    assert retry_after({"retry-after": past}) == 0
    for nonsense in ("", "soon", "-3", "1e9", "٣", "9" * 40):
        assert retry_after({"retry-after": nonsense}) is None


def test_the_window_forgives_a_few_refusals_and_halves_for_many_of_one_burst_once() -> None:
    window = Window(64)
    for _ in range(12):
        assert not window.refused(sent=1, now=2, in_flight=64, wait=None)
    assert window.refused(sent=1, now=2, in_flight=64, wait=None)
    for _ in range(51):
        assert not window.refused(sent=1, now=3, in_flight=64, wait=None)
    assert window.limit == 32
    for _ in range(1000):
        window.accepted(1)
    assert 32 < window.limit <= 64
    for round_ in range(20):
        for _ in range(64):
            window.refused(sent=10 + round_, now=10.5 + round_, in_flight=window.limit, wait=None)
    assert window.limit == 1
    window.refused(sent=99, now=100, in_flight=1, wait=5)
    assert window.paused_until == 105


def test_waits_grow_with_full_jitter_and_keep_to_what_the_server_asks() -> None:
    backoff = Backoff(first=1, longest=8)
    for failures, most in ((1, 1), (2, 2), (3, 4), (4, 8), (50, 8)):
        delays = [backoff.delay(failures, None) for _ in range(200)]
        assert 0 <= min(delays) < most / 4
        assert most / 2 < max(delays) <= most
    assert all(10 <= backoff.delay(3, 10) < 13 for _ in range(100))


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("http://localhost:8000/v1/", "http://localhost:8000/v1"),
        ("https://api.example.com/v1/chat/completions", "https://api.example.com/v1"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
        ("https://host:443", "https://host"),
    ],
)
def test_addresses(text: str, normal: str) -> None:
    assert str(read_address(text)) == normal


def test_private_hosts() -> None:
    for host in (
        "localhost",
        "127.0.0.1",
        "10.1.2.3",
        "192.168.0.9",
        "::1",
        "fe80::1%eth0",
        "gpu17",
        "a.local",
    ):
        assert is_private(host)
    for host in ("api.openai.com", "8.8.8.8", "2606:4700::1111"):
        assert not is_private(host)


def test_proxies_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://me:secret@proxy:3128")
    monkeypatch.setenv("https_proxy", "proxy2:3129")
    proxy = proxy_for(read_address("http://host/v1"))
    assert proxy is not None
    assert (proxy.host, proxy.port, proxy.user) == ("proxy", 3128, "me:secret")
    assert "secret" not in repr(proxy)
    secure = proxy_for(read_address("https://host/v1"))
    assert secure is not None
    assert (secure.host, secure.port, secure.user) == ("proxy2", 3129, None)
    assert proxy_for(read_address("http://localhost:8000/v1")) is None
    monkeypatch.setenv("no_proxy", "host")
    assert proxy_for(read_address("http://host/v1")) is None
    monkeypatch.setenv("http_proxy", "socks5://proxy:1080")
    with pytest.raises(HarnessError, match="http://host:port"):
        proxy_for(read_address("http://other/v1"))

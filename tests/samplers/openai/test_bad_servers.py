"""The openai sampler against bad servers, on real sockets.

Whatever the server does: every chain that is wanted comes exactly once, nothing is asked twice that was answered, and
a run ends or stops with a clear error.
"""

from __future__ import annotations

import email.utils
import json
import random
import re
import time
from collections import Counter

import pytest

from harness import ChainKey, HarnessError

from .asking import (
    KEY,
    assert_right,
    opened,
    requests,
    sample,
    says,
    until_refused,
)
from .badserver import Answers, Asked, BadServer, Behaviour, Close, Hang, Out, Reset, first, text_of

# -- a bad server: what passes -------------------------------------------------------------------------------


async def reset_at_once(server: BadServer, asked: Asked, out: Out) -> None:
    raise Reset


async def reset_in_the_middle(server: BadServer, asked: Asked, out: Out) -> None:
    await out.head(content_type="text/event-stream")
    await out.event(Answers.piece(asked, 0, "Let me th"))
    raise Reset


async def close_in_the_middle(server: BadServer, asked: Asked, out: Out) -> None:
    await out.head(content_type="text/event-stream")
    await out.event(Answers.piece(asked, 0, "Let me th"))
    raise Close


async def end_in_the_middle(server: BadServer, asked: Asked, out: Out) -> None:
    await out.head(content_type="text/event-stream")
    await out.event(Answers.piece(asked, 0, "Let me th"))
    await out.end()


async def hang_at_once(server: BadServer, asked: Asked, out: Out) -> None:
    raise Hang


async def hang_after_the_head(server: BadServer, asked: Asked, out: Out) -> None:
    await out.head(content_type="text/event-stream")
    await out.event(Answers.piece(asked, 0, "", role=True))
    raise Hang


async def hang_in_the_middle(server: BadServer, asked: Asked, out: Out) -> None:
    await out.head(content_type="text/event-stream")
    await out.event(Answers.piece(asked, 0, "Let me th"))
    raise Hang


async def truncated_event(server: BadServer, asked: Asked, out: Out) -> None:
    await out.head(content_type="text/event-stream")
    await out.event(json.dumps(Answers.piece(asked, 0, "Let me th"))[:-20])
    await out.event("[DONE]")
    await out.end()


async def truncated_json(server: BadServer, asked: Asked, out: Out) -> None:
    await out.json(b'{"choices": [{"index": 0, "message": {"content": "Let me th')


async def short_body(server: BadServer, asked: Asked, out: Out) -> None:
    await out.head(length=500, content_type="application/json")
    await out.raw(b'{"choices": [')
    raise Close


async def error_in_the_stream(server: BadServer, asked: Asked, out: Out) -> None:
    await out.head(content_type="text/event-stream")
    await out.event(Answers.piece(asked, 0, "Let me th"))
    await out.event({"error": {"message": "the engine has died", "code": 500}})
    await out.event("[DONE]")
    await out.end()


async def aborted(server: BadServer, asked: Asked, out: Out) -> None:
    await out.head(content_type="text/event-stream")
    await out.event(Answers.piece(asked, 0, "Let me th"))
    await out.event(Answers.piece(asked, 0, "", finish="abort"))
    await out.event("[DONE]")
    await out.end()


async def nothing(server: BadServer, asked: Asked, out: Out) -> None:
    await out.head(content_type="text/event-stream")
    await out.event("[DONE]")
    await out.end()


async def not_http(server: BadServer, asked: Asked, out: Out) -> None:
    await out.raw(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
    raise Close


async def bad_chunk(server: BadServer, asked: Asked, out: Out) -> None:
    await out.head(content_type="text/event-stream")
    await out.raw(b"zz\r\nhello\r\n")
    raise Hang


PASSING = [
    reset_at_once,
    reset_in_the_middle,
    close_in_the_middle,
    end_in_the_middle,
    hang_at_once,
    hang_after_the_head,
    hang_in_the_middle,
    truncated_event,
    truncated_json,
    short_body,
    error_in_the_stream,
    aborted,
    nothing,
    not_http,
    bad_chunk,
    says(408),
    says(409),
    says(425),
    says(429),
    says(429, Retry_After="0.1"),
    says(500),
    says(502, "<html><title>Bad gateway</title></html>"),
    says(503, Retry_After="0"),
    says(529),
]
PATIENT = {"first_timeout": 0.3, "idle_timeout": 0.3, "retries": 6}


@pytest.mark.parametrize("bad", PASSING, ids=lambda bad: getattr(bad, "__qualname__", "").split(".")[0])
def test_what_passes_is_tried_again(bad: Behaviour) -> None:
    with BadServer(first(2, bad, Answers())) as server, opened(server, **PATIENT) as engine:
        chains = sample(engine, requests(problems=2, n=3))
        assert_right(chains, server)
        assert len(server.asked) == 3 * 6


def test_chaos() -> None:
    """All of it at once, with latencies from 0.01 to 5 s, and no two servers' moods alike."""

    def seconds(asked: Asked) -> float:
        if asked.seed == 4003:
            return 5.0
        return min(0.5, max(0.01, random.Random(asked.seed).lognormvariate(-3, 1)))

    good = Answers(seconds=seconds)

    async def moody(server: BadServer, asked: Asked, out: Out) -> None:
        mood = random.Random(f"{asked.seed}/{asked.tries}").random()
        await (PASSING[int(mood * 2 * len(PASSING))] if mood < 0.5 else good)(server, asked, out)

    patient = {"first_timeout": 1, "idle_timeout": 1, "retries": 25}
    with BadServer(moody) as server, opened(server, max_in_flight=64, **patient) as engine:
        chains = sample(engine, requests(problems=5, n=60))
        assert_right(chains, server)
        assert server.most_in_flight <= 64
        usage = engine.usage
        assert usage is not None
        assert usage["completion_tokens"] >= 7 * 300, "attempts that broke off are paid for as well"


def test_a_stream_that_ends_without_its_last_word_is_complete_if_its_choice_is() -> None:
    with BadServer(Answers(done=False)) as server, opened(server) as engine:
        assert_right(sample(engine, requests(1, 3)), server)
        assert len(server.asked) == 3


def test_a_choice_that_ended_before_the_connection_dropped_is_kept() -> None:
    async def drop(server: BadServer, asked: Asked, out: Out) -> None:
        await out.head(content_type="text/event-stream")
        await out.event(Answers.piece(asked, 0, text_of(asked.prompt, asked.seed)))
        await out.event(Answers.piece(asked, 0, "", finish="stop"))
        server.deliver(asked)
        raise Reset

    with BadServer(drop) as server, opened(server) as engine:
        assert_right(sample(engine, requests(2, 2)), server)
        assert len(server.asked) == 4


def test_a_server_that_closes_each_connection_costs_no_answer() -> None:
    async def close(server: BadServer, asked: Asked, out: Out) -> None:
        await Answers()(server, asked, out)
        raise Close

    with BadServer(close) as server, opened(server, max_in_flight=4) as engine:
        assert_right(sample(engine, requests(5, 10)), server)
        assert len(server.asked) == 50


def test_of_parallel_choices_only_those_that_did_not_end_are_asked_for_again() -> None:
    async def drop(server: BadServer, asked: Asked, out: Out) -> None:
        await out.head(content_type="text/event-stream")
        for index in range(asked.n):
            await out.event(Answers.piece(asked, index, f"a text of {asked.seed}/{index}, "))
        for index in (2, 0):
            await out.event(Answers.piece(asked, index, "ended"))
            await out.event(Answers.piece(asked, index, "", finish="stop"))
        raise Reset

    async def once(server: BadServer, asked: Asked, out: Out) -> None:
        await (Answers() if asked.number else drop)(server, asked, out)

    with BadServer(once) as server, opened(server, n=4) as engine:
        chains = sample(engine, requests(1, 4))
        assert [asked.n for asked in server.asked] == [4, 2]
        assert server.asked[1].seed == 1, "the seed of the first chain that is missing"
        texts = [chains[ChainKey("made-up", "p0", i)].text for i in range(4)]
        assert texts[0] == "a text of 0/0, ended"
        assert texts[2] == "a text of 0/2, ended"
        assert texts[1] == text_of("problem 0", 1, 0)
        assert texts[3] == text_of("problem 0", 1, 1)


# -- what cannot be mended by asking again -------------------------------------------------------------------


FINAL = {
    "key": (says(401, f"Incorrect API key provided: {KEY}"), "OPENAI_API_KEY"),
    "forbidden": (says(403, "no access"), "OPENAI_API_KEY"),
    "context": (says(400, "This model's maximum context length is 64 tokens."), "lower --max-tokens"),
    "credit": (says(429, "insufficient_quota: You exceeded your current quota"), "insufficient_quota"),
    "unknown path": (says(404, "Not Found"), "/v1"),
    "come back later": (says(429, Retry_After="7200"), "7,200 s"),
    "another date": (
        says(503, Retry_After=email.utils.formatdate(time.time() + 9000, usegmt=True)),
        "come back in",
    ),
    "redirect": (says(308, "moved", location="http://elsewhere/v1/chat/completions"), "--base-url"),
}


@pytest.mark.parametrize("case", FINAL)
def test_what_cannot_be_retried_stops_the_run_at_once_with_the_servers_words(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    bad, hint = FINAL[case]
    with BadServer(bad) as server, opened(server, max_in_flight=4) as engine:
        _, error = until_refused(engine, requests(problems=20, n=4))
        assert hint in error
        assert KEY not in error
        assert len(server.asked) <= 4


def test_a_web_page_is_no_server_of_models() -> None:
    async def page(server: BadServer, asked: Asked, out: Out) -> None:
        await out.head(content_type="text/html")
        await out.body(b"<!doctype html><html><title>Welcome\x1b[31m</title>" + b"<p>hello</p>" * 9999)
        await out.end()

    with BadServer(page, models=None) as server, opened(server) as engine:
        _, error = until_refused(engine, requests(2, 2))
        assert re.search(r"a web page .Welcome .31m.*OpenAI-compatible", error)

    async def models(out: Out) -> None:
        await page(server, None, out)  # type: ignore[arg-type]

    with (
        BadServer(page, models=models) as server,
        pytest.raises(HarnessError, match="a web page"),
        opened(server),
    ):
        pass


def test_a_prompt_that_the_server_refuses_does_not_stop_the_others() -> None:
    async def filtered(server: BadServer, asked: Asked, out: Out) -> None:
        if asked.prompt == "problem 1":
            await out.error(400, "The response was filtered due to the prompt triggering content_filter")
        else:
            await Answers()(server, asked, out)

    with BadServer(filtered) as server, opened(server, max_in_flight=2) as engine:
        chains, error = until_refused(engine, requests(3, 4))
        assert re.search("4 of 12 chains could not be had.*content_filter.*same command", error)
        assert Counter(chain.problem_id for chain in chains) == {"p0": 4, "p2": 4}
        assert sum(asked.prompt == "problem 1" for asked in server.asked) <= 2, (
            "its other chains are not tried"
        )


def test_a_request_that_fails_for_good_does_not_stop_the_others() -> None:
    async def one_bad(server: BadServer, asked: Asked, out: Out) -> None:
        await (says(500, "no") if asked.seed == 1001 else Answers(seconds=0.02))(server, asked, out)

    with BadServer(one_bad) as server, opened(server, retries=3) as engine:
        chains, error = until_refused(engine, requests(4, 5))
        assert re.search(r"1 of 20 chains could not be had.*HTTP 500: no \(tried 4 times\)", error)
        assert len({chain.key for chain in chains}) == 19


def test_a_server_that_is_gone_is_not_waited_for_chain_by_chain() -> None:
    async def dies(server: BadServer, asked: Asked, out: Out) -> None:
        await (Answers() if asked.number < 10 else says(500, "dead"))(server, asked, out)

    with BadServer(dies) as server, opened(server, retries=2, max_in_flight=4) as engine:
        chains, error = until_refused(engine, requests(100, 10))
        assert re.search(r"no answer comes any more.*dead.*same command", error)
        assert len(chains) == 10
        assert len(server.asked) < 100


async def endless_line(server: BadServer, asked: Asked, out: Out) -> None:
    await out.head(content_type="text/event-stream")
    await out.body(b"data: {")
    while True:
        await out.body(b"x" * 2**20)


async def endless_text(server: BadServer, asked: Asked, out: Out) -> None:
    await out.head(content_type="text/event-stream")
    while True:
        await out.event(Answers.piece(asked, 0, "and so on " * 100))


async def endless_comments(server: BadServer, asked: Asked, out: Out) -> None:
    await out.head(content_type="text/event-stream")
    while True:
        await out.body(b": ping\n\n" * 10000)


async def endless_head(server: BadServer, asked: Asked, out: Out) -> None:
    await out.raw(b"HTTP/1.1 200 OK\r\n")
    while True:
        await out.raw(b"x-more: and more\r\n" * 1000)


@pytest.mark.parametrize("bad", [endless_line, endless_text, endless_comments, endless_head])
def test_a_server_that_never_ends_is_ended(bad: Behaviour) -> None:
    async def once(server: BadServer, asked: Asked, out: Out) -> None:
        await (bad if asked.prompt == "problem 0" else Answers())(server, asked, out)

    with BadServer(once) as server, opened(server, retries=1) as engine:
        chains, error = until_refused(engine, requests(3, 1))
        assert re.search(r"1 of 3 chains could not be had", error)
        assert len(chains) == 2

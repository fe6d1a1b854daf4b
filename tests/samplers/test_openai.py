"""The openai sampler against servers that are good and bad, on real sockets.

Whatever the server does: every chain that is wanted comes exactly once, nothing is asked twice that was answered, and
a run ends or stops with a clear error.
"""

from __future__ import annotations

import asyncio
import email.utils
import json
import logging
import random
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from harness import Chain, ChainKey, Engine, HarnessError, Message, Prompt, Request, SamplingSettings
from harness.models import ResolvedModel
from harness_plugins.samplers.openai import OpenAI

from ..conftest import ROOT, Command, one_line_error
from .badserver import Answers, Asked, BadServer, Behaviour, Close, Hang, Out, Reset, first, text_of

SETTINGS = SamplingSettings(temperature=0.6, top_p=0.95, max_tokens=64)
QUICK = {"backoff": "0.02"}
KEY = "sk-a-key-that-nobody-may-see"


@pytest.fixture(autouse=True)
def _no_key_or_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@contextmanager
def opened(
    server: BadServer, *, model: str = "made-up", settings: SamplingSettings = SETTINGS, **options: Any
) -> Iterator[Engine]:
    texts = {**QUICK, "base_url": server.base_url} | {name: str(value) for name, value in options.items()}
    with OpenAI().open(ResolvedModel(model), settings, texts) as engine:
        yield engine


def requests(problems: int, n: int, **prompt: Any) -> list[Request]:
    prompts = [Prompt((Message("user", f"problem {i}"),), **prompt) for i in range(problems)]
    return [
        Request(ChainKey("made-up", f"p{i}", index), asked, seed=1000 * i + index)
        for i, asked in enumerate(prompts)
        for index in range(n)
    ]


def sample(engine: Engine, wanted: list[Request]) -> dict[ChainKey, Chain]:
    """All chains; each wanted one came exactly once."""
    chains = list(engine.sample(wanted))
    assert Counter(c.key for c in chains) == Counter(r.key for r in wanted)
    return {chain.key: chain for chain in chains}


def until_refused(engine: Engine, wanted: list[Request]) -> tuple[list[Chain], str]:
    """The chains that came until the run stopped with an error, and its one line."""
    chains: list[Chain] = []

    def take() -> None:
        for chain in engine.sample(wanted):
            chains.append(chain)

    with pytest.raises(HarnessError) as caught:
        take()
    assert str(caught.value).isprintable()
    return chains, str(caught.value)


def refused_opening(options: dict[str, str]) -> str:
    """The one line with which the sampler refuses to open."""
    with (
        pytest.raises(HarnessError) as caught,
        OpenAI().open(ResolvedModel("made-up"), SETTINGS, {**QUICK, **options}),
    ):
        pass
    assert str(caught.value).isprintable()
    return str(caught.value)


def assert_right(chains: dict[ChainKey, Chain], server: BadServer) -> None:
    """Each chain has the text of its own seed, and no answer was sent to its end twice."""
    for chain in chains.values():
        assert chain.text == text_of(f"problem {chain.problem_id[1:]}", chain.seed)
    assert max(server.delivered.values()) == 1
    assert len(server.delivered) == len(chains)


# -- a good server -------------------------------------------------------------------------------------------


def test_each_chain_is_asked_for_with_its_own_seed_and_comes_with_its_counts() -> None:
    with BadServer(Answers()) as server, opened(server) as engine:
        wanted = requests(problems=3, n=4)
        chains = sample(engine, wanted)
        assert_right(chains, server)
        assert sorted(asked.seed or 0 for asked in server.asked) == sorted(r.seed for r in wanted)
        chain = chains[wanted[0].key]
        counts = (chain.completion_tokens, chain.prompt_tokens, chain.finish_reason, chain.seed)
        assert counts == (7, 11, "stop", wanted[0].seed)
        assert engine.usage == {"prompt_tokens": 12 * 11, "completion_tokens": 12 * 7}
        body = server.asked[0].body
        assert (body["model"], body["temperature"], body["top_p"]) == ("made-up", 0.6, 0.95)
        assert (body["max_tokens"], body["stream"]) == (64, True)
        assert "authorization" not in server.asked[0].headers
        assert not engine.warnings


@pytest.mark.parametrize("stream", [True, False])
def test_reasoning_is_kept_apart_from_the_text(stream: bool) -> None:
    for name in ("reasoning_content", "reasoning"):
        good = Answers(reasoning="Hm, let me see.", reasoning_field=name, stream=stream)
        with BadServer(good) as server, opened(server) as engine:
            for chain in sample(engine, requests(1, 2)).values():
                assert chain.reasoning == "Hm, let me see."
                assert chain.text == text_of("problem 0", chain.seed)


@pytest.mark.parametrize(
    ("word", "reason"),
    [("stop", "stop"), ("length", "length"), ("tool_calls", "stop"), ("content_filter", None), (None, None)],
)
def test_finish_reasons(word: str | None, reason: str | None) -> None:
    with BadServer(Answers(finish=word)) as server, opened(server) as engine:
        (chain,) = sample(engine, requests(1, 1)).values()
        assert chain.finish_reason == reason
        cut = ["1 chains were cut off by the server's content filter"] if word == "content_filter" else []
        assert list(engine.warnings) == cut


def test_a_server_that_counts_no_tokens_gives_chains_without_counts() -> None:
    with BadServer(Answers(usage=False)) as server, opened(server) as engine:
        (chain,) = sample(engine, requests(1, 1)).values()
        assert chain.completion_tokens is None
        assert engine.usage is None


def test_raw_prompts_go_to_the_completions_endpoint() -> None:
    raw = Prompt((), text="Question: 2 + 2\nAnswer:", stop=("\n\n",))
    wanted = [Request(ChainKey("b", "p", 0), raw, seed=5)]
    with BadServer(Answers()) as server:
        with opened(server) as engine:
            assert sample(engine, wanted)[wanted[0].key].finish_reason == "stop"
        with opened(server, endpoint="chat") as engine:
            sample(engine, wanted)
        with opened(server, endpoint="completions") as engine:
            _, error = until_refused(engine, requests(1, 1))
            assert re.search(r"completions needs raw prompts", error)
    assert [asked.path for asked in server.asked] == ["/v1/completions", "/v1/chat/completions"]
    assert server.asked[0].body["prompt"] == raw.text
    assert server.asked[1].body["messages"] == [{"role": "user", "content": raw.text}]


def test_stop_texts_are_no_part_of_a_chain_also_beyond_the_four_that_are_sent() -> None:
    stops = ("S1", "S2", "S3", "S4", "STOP", "S6")
    wanted = requests(1, 2, stop=stops)
    answers = Answers(
        text=lambda asked, index: f"one {asked.seed} STOP two" + " and more" * 500, pieces=200, seconds=2
    )
    with BadServer(answers) as server, opened(server) as engine:
        began = time.monotonic()
        chains = sample(engine, wanted)
        assert time.monotonic() - began < 1.5, "the rest was waited for"
        assert {chain.text for chain in chains.values()} == {"one 0 ", "one 1 "}
        assert all(chain.finish_reason == "stop" for chain in chains.values())
        assert server.asked[0].body["stop"] == ["S1", "S2", "S3", "S4"]


def test_a_stop_that_the_server_leaves_in_the_text_is_cut_off() -> None:
    answers = Answers(text=lambda asked, index: "four\n\nQuestion:", stops=False)
    with BadServer(answers) as server, opened(server) as engine:
        (chain,) = sample(engine, requests(1, 1, stop=("\n\n",))).values()
        assert (chain.text, chain.finish_reason) == ("four", "stop")


def test_text_in_all_its_oddity_arrives_as_it_was() -> None:
    odd = 'a"b\\c\n\t\u2028é𝄞\x07\\"}]} data: [DONE]\n\n' * 20
    for pieces in (1, 7, 150):
        with (
            BadServer(Answers(text=lambda asked, index: odd, pieces=pieces)) as server,
            opened(server) as engine,
        ):
            assert {chain.text for chain in sample(engine, requests(1, 2)).values()} == {odd}


def test_the_model_can_be_asked_for_further_fields() -> None:
    extra = {"chat_template_kwargs": {"enable_thinking": True}, "top_k": 20}
    with BadServer(Answers()) as server, opened(server, extra=json.dumps(extra)) as engine:
        sample(engine, requests(1, 1))
        assert extra.items() <= server.asked[0].body.items()
    sampler = OpenAI()
    plain = {"base_url": "http://a/v1"}
    assert sampler.identity(plain) == {"sampler": "openai", "endpoint": "auto"}
    assert sampler.identity({"base_url": "http://b/v1"}) == sampler.identity(plain)
    assert sampler.identity({**plain, "extra": json.dumps(extra)})["extra"] == extra
    for bad in ("top_k=20", "[]", '{"seed": 1}'):
        with pytest.raises(HarnessError, match="extra"):
            sampler.identity({"extra": bad})


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


def says(status: int, message: str = "not now", **headers: str) -> Behaviour:
    async def behave(server: BadServer, asked: Asked, out: Out) -> None:
        await out.error(status, message, **headers)

    return behave


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


# -- several choices in one request --------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
def test_a_server_that_honours_n_is_asked_for_several_chains_at_once(stream: bool) -> None:
    with BadServer(Answers(stream=stream)) as server, opened(server, n=4) as engine:
        chains = sample(engine, requests(problems=2, n=6))
        assert sorted(asked.n for asked in server.asked) == [2, 2, 4, 4]
        assert len({chain.text for chain in chains.values()}) == 12
        assert {chain.seed for chain in chains.values()} == {None}, "no chain had a seed of its own"
        assert {chain.completion_tokens for chain in chains.values()} == {None}
        assert engine.usage == {"prompt_tokens": 4 * 11, "completion_tokens": 12 * 7}


def test_by_itself_it_asks_for_one_chain_at_a_time_from_a_server_nearby() -> None:
    long = Prompt((Message("user", "few shots " * 1000),))
    wanted = [Request(ChainKey("b", "p", i), long, seed=i) for i in range(4)]
    with BadServer(Answers()) as server, opened(server) as engine:
        sample(engine, wanted)
        assert [asked.n for asked in server.asked] == [1] * 4


BAD_AT_N = {
    "one choice": Answers(choices=1),
    "one choice, whole": Answers(choices=1, stream=False),
    "duplicate indexes": Answers(index=lambda index: index // 2),
    "duplicate indexes, whole": Answers(index=lambda index: 0, stream=False),
    "refused": Answers(refuses=("n",)),
}


@pytest.mark.parametrize("how", BAD_AT_N)
def test_a_server_that_does_not_honour_n_is_asked_for_one_chain_at_a_time(
    how: str, caplog: pytest.LogCaptureFixture
) -> None:
    with BadServer(BAD_AT_N[how]) as server, opened(server, n=4, max_in_flight=4) as engine:
        chains = sample(engine, requests(problems=2, n=6))
        for chain in chains.values():
            prompt = f"problem {chain.problem_id[1:]}"
            seeds = [chain.seed] if chain.seed is not None else [0, 1000]
            assert chain.text in [text_of(prompt, seed) for seed in seeds]
        assert len({chain.text for chain in chains.values()}) == 12
        assert server.asked[0].n == 4
        assert {asked.n for asked in server.asked[1:]} == {1}
    said = [r.getMessage() for r in caplog.records if "on its own" in r.getMessage()]
    assert len(said) == 1


def test_identical_choices_are_no_samples_so_the_others_are_asked_for_one_by_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answers = Answers(text=lambda asked, index: f"the same for {asked.seed} " * 20)
    with BadServer(answers) as server, opened(server, n=4, max_in_flight=4) as engine:
        chains = sample(engine, requests(1, 4))
        assert len({chain.text for chain in chains.values()}) == 4
        assert [asked.n for asked in server.asked] == [4, 1, 1, 1]
        assert "identical" in caplog.text
        assert not engine.warnings


def test_a_server_that_gives_each_chain_the_same_text_is_told_to_the_reader(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answers = Answers(text=lambda asked, index: f"so {asked.prompt} is 4. " * 20)
    with BadServer(answers) as server:
        with opened(server) as engine:
            sample(engine, requests(2, 8))
            (warning,) = engine.warnings
            assert "word for word" in warning
            assert sum("word for word" in r.getMessage() for r in caplog.records) == 1
        greedy = SamplingSettings(temperature=0, top_p=1, max_tokens=64)
        with opened(server, settings=greedy) as engine:
            sample(engine, requests(2, 8))
            assert not engine.warnings, "at temperature 0 they are the same by right"


# -- fields that a server refuses ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["seed", "stream_options", "stop", "max_tokens"])
def test_a_field_that_the_server_refuses_is_left_out_and_that_is_said_once(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    answers = Answers(refuses=(name,), text=lambda asked, index: f"{asked.prompt} is four#and more")
    with BadServer(answers) as server, opened(server, max_in_flight=4) as engine:
        chains = sample(engine, requests(problems=2, n=8, stop=("#",)))
        assert {chain.text for chain in chains.values()} == {"problem 0 is four", "problem 1 is four"}
        assert sum(name in asked.body for asked in server.asked) <= 4
        seeds = {chain.seed for chain in chains.values()}
        assert seeds == {None} if name == "seed" else None not in seeds
        if name == "max_tokens":
            assert server.asked[-1].body["max_completion_tokens"] == 64
    assert sum("does not take" in record.getMessage() for record in caplog.records) == 1


def test_a_temperature_that_the_server_refuses_stops_the_run() -> None:
    """It would be another protocol."""
    words = "Unsupported value: 'temperature' does not support 0.6 with this model. Only the default (1) is supported."
    with BadServer(says(400, words)) as server, opened(server) as engine:
        _, error = until_refused(engine, requests(3, 2))
        assert re.search(r"does not support 0.6", error)


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


# -- opening -------------------------------------------------------------------------------------------------


def test_the_context_of_the_model_is_known_from_the_list_of_models() -> None:
    with BadServer(Answers(), context=4096) as server, opened(server) as engine:
        assert engine.info["context"] == 4096
        assert engine.lazy


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("localhost:8000/v1", "write http://localhost:8000/v1"),
        ("ftp://host/v1", "is not an address"),
        ("http://", "is not an address"),
        ("http://host:99999/v1", "is not an address"),
        ("http://user:secret@host/v1", "must not hold a user"),
        ("http://host/v1?api_key=secret", "must not hold a user"),
        ("http://ho\nst/v1", "is not an address"),
    ],
)
def test_an_address_that_is_none_is_refused_without_repeating_secrets(url: str, why: str) -> None:
    with (
        pytest.raises(HarnessError) as caught,
        OpenAI().open(ResolvedModel("m"), SETTINGS, {"base_url": url}),
    ):
        pass
    assert why in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_an_address_it_says_which_flag_gives_one() -> None:
    assert "--base-url" in refused_opening({})


def test_a_server_that_does_not_run_is_said_within_seconds() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {"base_url": f"http://127.0.0.1:{port}/v1"}
    assert re.search(r"connection refused.*is the server running", refused_opening(options))


def test_a_model_that_is_not_served_is_said_with_the_closest_ones() -> None:
    served = ("qwen2.5-7b", "qwen2.5-14b", "llama-3-8b", "mistral", "gemma")
    with (
        BadServer(Answers(), models=served) as server,
        pytest.raises(HarnessError, match=r"does not serve qwen25-7b: did you mean qwen2\.5-7b"),
        opened(server, model="qwen25-7b"),
    ):
        pass


def test_the_one_model_that_is_served_needs_no_name() -> None:
    with BadServer(Answers()) as server:
        assert OpenAI().default_model({"base_url": server.base_url}) == "made-up"
    with (
        BadServer(Answers(), models=("one", "two")) as server,
        pytest.raises(HarnessError, match=r"serves 2 models \(one, two\): say which with --model"),
    ):
        OpenAI().default_model({"base_url": server.base_url})


def test_an_address_that_lacks_its_v1_is_mended_in_words() -> None:
    with BadServer(Answers()) as server:
        short = server.base_url.removesuffix("/v1")
        server.only_below = "/v1/"
        assert f"there is a server at {short}/v1" in refused_opening({"base_url": short})


@pytest.mark.parametrize("status", [404, 405, 500, 501])
def test_servers_without_a_list_of_models_will_do(status: int) -> None:
    async def models(out: Out) -> None:
        await out.error(status, "no such thing")

    with BadServer(Answers(), models=models) as server, opened(server) as engine:
        assert_right(sample(engine, requests(1, 2)), server)


def test_the_address_of_an_endpoint_means_its_server() -> None:
    with BadServer(Answers()) as server:
        options = {"base_url": f"{server.base_url}/chat/completions"}
        with OpenAI().open(ResolvedModel("made-up"), SETTINGS, options) as engine:
            assert_right(sample(engine, requests(1, 1)), server)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", "0"),
        ("n", "many"),
        ("timeout", "-1"),
        ("retries", "-1"),
        ("endpoint", "chats"),
        ("max_in_flight", "0"),
    ],
)
def test_options_that_make_no_sense_are_refused(name: str, value: str) -> None:
    with (
        BadServer(Answers()) as server,
        pytest.raises(HarnessError, match=name),
        opened(server, **{name: value}),
    ):
        pass


def test_the_options_are_documented() -> None:
    page = (ROOT / "docs" / "servers.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)`(?: \(`--[\w-]+`\))? \|", page.partition("## Options")[2], re.MULTILINE)
    assert rows == list(OpenAI.options)


# -- the key -------------------------------------------------------------------------------------------------


def test_the_key_is_sent_and_is_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MY_KEY", f" {KEY}\n")
    caplog.set_level(logging.DEBUG)
    with BadServer(Answers()) as server, opened(server, api_key_env="MY_KEY") as engine:
        sample(engine, requests(1, 2))
        assert KEY not in repr(engine.info)
        assert KEY not in repr(vars(engine))
    assert {head["authorization"] for head in server.heads} == {f"Bearer {KEY}"}
    assert KEY not in caplog.text


def test_a_key_that_is_asked_for_and_missing_or_broken_is_said_without_showing_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with BadServer(Answers()) as server:
        with pytest.raises(HarnessError, match="no MY_KEY"), opened(server, api_key_env="MY_KEY"):
            pass
        monkeypatch.setenv("MY_KEY", "two\r\nlines")
        with pytest.raises(HarnessError, match="MY_KEY") as caught, opened(server, api_key_env="MY_KEY"):
            pass
        assert "lines" not in str(caught.value)


def test_a_redirection_is_not_followed_so_the_key_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with BadServer(Answers()) as elsewhere:

        async def models(out: Out) -> None:
            await out.json({}, 307, location=f"{elsewhere.base_url}/models")

        with (
            BadServer(Answers(), models=models) as server,
            pytest.raises(HarnessError, match=f"redirects to {elsewhere.base_url}.*--base-url"),
            opened(server),
        ):
            pass
        assert not elsewhere.heads


# -- how much at once ----------------------------------------------------------------------------------------


def test_no_more_is_asked_at_once_than_allowed_and_no_less_than_possible() -> None:
    with BadServer(Answers(seconds=0.05)) as server, opened(server, max_in_flight=16) as engine:
        sample(engine, requests(10, 16))
        assert server.most_in_flight == 16


@pytest.mark.parametrize("headers", [{}, {"retry_after": "0.05"}])
def test_it_finds_how_much_a_server_with_a_limit_sustains(headers: dict[str, str]) -> None:
    async def limited(server: BadServer, asked: Asked, out: Out) -> None:
        if server.in_flight > 8:
            await out.error(429, "too many requests", **headers)
        else:
            await Answers(seconds=0.03)(server, asked, out)

    with BadServer(limited) as server, opened(server, max_in_flight=64, retries=5) as engine:
        began = time.monotonic()
        chains = sample(engine, requests(10, 40))
        took = time.monotonic() - began
        assert_right(chains, server)
        refused = len(server.asked) - 400
        assert refused < 300, "it keeps asking for more than the server takes"
        assert took < 5 * 400 / 8 * 0.03 + 1, "it stays far below what the server takes"


def test_requests_are_taken_from_the_input_only_as_there_is_room() -> None:
    taken = 0

    def slowly() -> Iterator[Request]:
        nonlocal taken
        for request in requests(20, 10):
            taken += 1
            yield request

    with BadServer(Answers(seconds=0.05)) as server, opened(server, max_in_flight=8) as engine:
        assert isinstance(engine, Engine)
        for done, _ in enumerate(engine.sample(slowly())):
            assert taken <= done + 8 + 1
    assert taken == 200


def test_chains_that_are_dropped_are_given_up_at_once() -> None:
    def seconds(asked: Asked) -> float:
        return 0.02 if asked.prompt == "problem 0" else 30

    with BadServer(Answers(seconds=seconds)) as server, opened(server, max_in_flight=8) as engine:
        wanted = requests(3, 4)
        unwanted = {request.key for request in wanted if request.key.problem_id != "p0"}
        threading.Timer(0.3, engine.drop, [unwanted]).start()
        began = time.monotonic()
        chains = list(engine.sample(wanted))
        assert time.monotonic() - began < 5
        assert {chain.key for chain in chains} == {r.key for r in wanted} - unwanted
        deadline = time.monotonic() + 5
        while server.hung_up < 8 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert server.hung_up == 8, "the server writes on for nobody"


def test_closing_the_iterator_ends_all_requests_at_once() -> None:
    def seconds(asked: Asked) -> float:
        return 0.02 if asked.seed == 3 else 30

    with BadServer(Answers(seconds=seconds)) as server, opened(server) as engine:
        chains = engine.sample(requests(1, 10))
        assert next(iter(chains)).index == 3
        began = time.monotonic()
        chains.close()  # type: ignore[attr-defined]
        assert time.monotonic() - began < 1
        deadline = time.monotonic() + 5
        while server.hung_up < 9 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert server.hung_up == 9
        assert len(sample(engine, [requests(1, 4)[3]])) == 1, "the engine can be used again"


def test_an_answer_can_be_watched_as_it_is_written() -> None:
    with BadServer(Answers(seconds=0.4, reasoning="Hm. ")) as server, opened(server) as engine:
        pieces: list[tuple[float, str]] = []
        request = requests(1, 1)[0]
        chain = engine.stream(request, lambda piece: pieces.append((time.monotonic(), piece)))
        assert "".join(piece for _, piece in pieces) == chain.reasoning + chain.text
        assert chain.text == text_of("problem 0", 0)
        assert pieces[-1][0] - pieces[0][0] > 0.2


def test_it_works_where_an_event_loop_runs_already() -> None:
    """As in a notebook."""

    async def notebook(server: BadServer) -> None:
        with opened(server) as engine:
            assert_right(sample(engine, requests(1, 2)), server)

    with BadServer(Answers()) as server:
        asyncio.run(notebook(server))


# -- the way there -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A certificate for 127.0.0.1 and its key, in one file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl to make a certificate with")
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    command = [
        openssl,
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(file), "-out", f"{file}.crt"]
    subprocess.run(command, check=True, capture_output=True)
    file.write_text(file.read_text() + Path(f"{file}.crt").read_text())
    return str(file)


def test_tls_with_a_trusted_certificate_works_and_with_another_it_stops(
    certificate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with BadServer(Answers(), tls=certificate) as server:
        with pytest.raises(HarnessError, match=r"certificate is not trusted.*SSL_CERT_FILE"), opened(server):
            pass
        monkeypatch.setenv("SSL_CERT_FILE", certificate)
        with opened(server) as engine:
            assert_right(sample(engine, requests(2, 3)), server)
        plain = {"base_url": server.base_url.replace("https", "http")}
        assert re.search(r"cannot be reached", refused_opening(plain))
    monkeypatch.setattr("harness_plugins.samplers.openai._http._CONNECT_SECONDS", 1.0)
    with BadServer(Answers()) as server:
        secure = {"base_url": server.base_url.replace("http", "https")}
        assert re.search(r"is it http", refused_opening(secure))


class Proxy:
    """Forwards connections to one port, whatever name they ask for."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.asked: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)

    def _serve(self) -> None:
        threads = []
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                break
            threads.append(threading.Thread(target=self._forward, args=[client], daemon=True))
            threads[-1].start()
        for thread in threads:
            thread.join(5)

    def _forward(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self.target)) as server:
            head = client.recv(65536)
            self.asked.append(head)
            if head.startswith(b"CONNECT"):
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                server.sendall(head)
            back = threading.Thread(target=_pump, args=[server, client], daemon=True)
            back.start()
            _pump(client, server)
            back.join(5)


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def test_a_proxy_of_the_environment_is_used(certificate: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with BadServer(Answers()) as server, Proxy(server.port) as proxy:
        monkeypatch.setenv("http_proxy", f"http://me:pass@127.0.0.1:{proxy.port}")
        options = {**QUICK, "base_url": "http://made-up.example/v1"}
        with OpenAI().open(ResolvedModel("made-up"), SETTINGS, options) as engine:
            assert len(sample(engine, requests(1, 2))) == 2
        assert proxy.asked[0].startswith(b"GET http://made-up.example/v1/models HTTP/1.1\r\n")
        assert b"proxy-authorization: Basic bWU6cGFzcw==" in proxy.asked[0]
    monkeypatch.setenv("SSL_CERT_FILE", certificate)
    with BadServer(Answers(), tls=certificate) as server, Proxy(server.port) as proxy:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setattr("harness_plugins.samplers.openai._url.is_loopback", lambda host: False)
        with opened(server) as engine:
            assert_right(sample(engine, requests(1, 2)), server)
        assert proxy.asked[0].startswith(b"CONNECT 127.0.0.1:")
        assert not any(KEY.encode() in asked for asked in proxy.asked)


# -- as a user runs it ---------------------------------------------------------------------------------------


def test_a_run_that_is_killed_goes_on_where_it_stopped(harness: Command) -> None:
    """No chain is lost or doubled, no answer that was stored is asked for again, and the key is in no file."""
    bench = [
        "run",
        "--sampler",
        "openai",
        "--model",
        "made-up",
        "--bench",
        "fresh:level=1,size=6",
        "--n",
        "10",
    ]
    answers = Answers(seconds=lambda asked: 0.05 + (asked.seed or 0) % 7 / 20, text=_boxed)
    with BadServer(answers) as server:
        command = [*bench, "--base-url", server.base_url, "--max-in-flight", "8"]
        running = harness.start(*command, OPENAI_API_KEY=KEY)
        deadline = time.monotonic() + 60
        while len(server.delivered) < 20 and time.monotonic() < deadline:
            time.sleep(0.01)
        running.kill()
        running.communicate()
        before = len(server.asked)
        assert before < 60
        (result,) = harness.json(*command, OPENAI_API_KEY=KEY)
        assert result["chains"] == 60
        assert max(server.delivered.values()) <= 2
        again = sum(count - 1 for count in server.delivered.values())
        assert again <= 8 + 2, "only answers that were on their way when it was killed"
        assert len(server.asked) - before <= 60 - (20 - 8 - 2)
        asked = len(server.asked)
        assert harness.json(*command, OPENAI_API_KEY=KEY) == [result]
        assert len(server.asked) == asked, "all is stored"
        rows = pq.read_table(Path(harness.folder, result["path"], "chains.parquet")).to_pylist()
        assert len({(row["problem_id"], row["index"]) for row in rows}) == 60
        assert all(str(row["seed"]) in row["text"] for row in rows)
        for file in Path(harness.folder).rglob("*"):
            assert not file.is_file() or KEY.encode() not in file.read_bytes()


def _boxed(asked: Asked, index: int) -> str:
    return f"With {asked.seed} in mind, \\boxed{{{(asked.seed or 0) % 5}}}."


def test_a_run_against_a_server_that_refuses_says_one_line(harness: Command) -> None:
    async def refuse(server: BadServer, asked: Asked, out: Out) -> None:
        await out.error(401, f"bad key {asked.headers['authorization']}\nsecond line \x1b[31m")

    with BadServer(refuse) as server:
        done = harness(
            *(
                "run",
                "--sampler",
                "openai",
                "--model",
                "made-up",
                "--bench",
                "fresh:level=1,size=2",
                "--n",
                "2",
            ),
            *("--base-url", server.base_url, "--quiet"),
            OPENAI_API_KEY=KEY,
        )
    assert done.returncode == 1
    assert "HTTP 401: bad key Bearer ***" in one_line_error(done)
    assert KEY not in done.stderr + done.stdout


def test_ctrl_c_ends_a_run_at_once(harness: Command) -> None:
    with BadServer(Answers(seconds=60)) as server:
        running = harness.start(
            *(
                "run",
                "--sampler",
                "openai",
                "--model",
                "made-up",
                "--bench",
                "fresh:level=1,size=2",
                "--n",
                "4",
            ),
            *("--base-url", server.base_url),
        )
        deadline = time.monotonic() + 30
        while len(server.asked) < 8 and time.monotonic() < deadline:
            time.sleep(0.01)
        began = time.monotonic()
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=30)
        assert running.returncode == 130
        assert "run the same command to go on" in errors
        assert time.monotonic() - began < 5

"""The openai sampler against servers that do as they are told, or nearly."""

from __future__ import annotations

import json
import re
import time

import pytest

from harness import ChainKey, HarnessError, Message, Prompt, Request, SamplingSettings
from harness_plugins.samplers.openai import OpenAI

from .asking import (
    assert_right,
    opened,
    requests,
    sample,
    says,
    until_refused,
)
from .badserver import Answers, BadServer, text_of

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

"""`harness serve-check URL`: what a server supports, said before a run depends on it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ...conftest import Command, one_line_error
from .badserver import Answers, Asked, BadServer, Out


def check(harness: Command, server: BadServer, *arguments: str) -> dict[str, Any]:
    done = harness("serve-check", server.base_url, "--json", *arguments, OPENAI_API_KEY="sk-secret")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert "sk-secret" not in done.stdout
    return found


def supports(found: dict[str, Any]) -> dict[str, str]:
    return {name: finding["support"] for name, finding in found["findings"].items()}


async def good(server: BadServer, asked: Asked, out: Out) -> None:
    """A good server, greedy at temperature 0, that thinks and gives log probabilities."""

    def text(asked: Asked, index: int) -> str:
        greedy = asked.body.get("temperature") == 0
        return f"{asked.prompt} " * 3 + ("one and only" if greedy else f"{asked.seed}/{index}")

    if asked.body.get("logprobs"):
        message = {"role": "assistant", "content": "One"}
        logprobs = {"content": [{"token": "One", "logprob": -0.1, "top_logprobs": []}]}
        choice = {"index": 0, "message": message, "logprobs": logprobs, "finish_reason": "length"}
        await out.json({"choices": [choice]})
        return
    stream = bool(asked.body.get("stream"))
    await Answers(text=text, stream=stream, reasoning="Hm." if "Think" in asked.prompt else "")(
        server, asked, out
    )


def test_all_that_a_good_server_supports_is_found(harness: Command) -> None:
    with BadServer(good, context=4096) as server:
        found = check(harness, server)
        assert found["usable"] is True
        assert found["model"] == "made-up", "the only one that is served"
        assert set(supports(found).values()) == {"yes"}
        assert "4,096" in found["findings"]["context"]["detail"]
        done = harness("serve-check", server.base_url)
        assert done.returncode == 0
        lines = done.stdout.split("\n")
        assert [line.split()[0] for line in lines if line.split()[1:2] == ["yes"]] == list(found["findings"])
        assert "harness run --sampler openai" in done.stdout
        assert len(server.asked) < 2 * 25


def test_a_server_that_supports_little_is_usable_and_said_so(harness: Command) -> None:
    poor = Answers(
        stream=False,
        usage=False,
        choices=1,
        stops=False,
        refuses=("seed",),
        text=lambda asked, index: "the same text",
    )

    async def only_chat(server: BadServer, asked: Asked, out: Out) -> None:
        if asked.path.endswith("/chat/completions"):
            await poor(server, asked, out)
        else:
            await out.error(404, "Not Found")

    with BadServer(only_chat, models=None) as server:
        found = supports(check(harness, server, "--model", "any"))
    no = {
        "models",
        "completions",
        "streaming",
        "usage",
        "temperature",
        "seed",
        "n",
        "stop",
        "reasoning",
        "logprobs",
    }
    assert {name for name, support in found.items() if support == "no"} == no
    assert found["chat"] == "yes"
    assert found["context"] == "?"


def test_a_context_is_read_from_the_refusal_of_a_longer_one(harness: Command) -> None:
    async def short(server: BadServer, asked: Asked, out: Out) -> None:
        if asked.body["max_tokens"] > 4096:
            await out.error(
                400, "max_tokens is too large: 10000000. This model's maximum context length is 4096 tokens"
            )
        else:
            await Answers(stream=bool(asked.body.get("stream")))(server, asked, out)

    with BadServer(short) as server:
        found = check(harness, server)["findings"]["context"]
    assert found["support"] == "yes"
    assert "4,096 tokens" in found["detail"]


@pytest.mark.parametrize("status", [401, 404, 500])
def test_a_server_that_cannot_be_sampled_from_ends_with_a_clear_line(harness: Command, status: int) -> None:
    async def refuse(server: BadServer, asked: Asked, out: Out) -> None:
        await out.error(status, "no, not you")

    with BadServer(refuse) as server:
        done = harness("serve-check", server.base_url, "--json")
    assert done.returncode == 1
    assert f"HTTP {status}: no, not you" in one_line_error(done)
    assert json.loads(done.stdout)["usable"] is False


def test_several_models_need_a_choice(harness: Command) -> None:
    with BadServer(good, models=("one", "two")) as server:
        done = harness("serve-check", server.base_url)
        assert done.returncode == 1
        assert "it serves 2 models (one, two): say which with --model" in one_line_error(done)
        assert check(harness, server, "--model", "two")["model"] == "two"
        done = harness("serve-check", server.base_url, "--model", "tow")
        assert "it serves one and two, not tow" in one_line_error(done)


def test_a_server_that_hangs_is_not_waited_for(harness: Command) -> None:
    async def hang(server: BadServer, asked: Asked, out: Out) -> None:
        await Answers(seconds=60)(server, asked, out)

    with BadServer(hang) as server:
        done = harness("serve-check", server.base_url, "--timeout", "0.3", timeout=20)
    assert done.returncode == 1
    assert "0.3 s" in one_line_error(done)

"""What the openai sampler learns and refuses before it asks anything, and what becomes of the key."""

from __future__ import annotations

import logging
import re
import socket

import pytest

from harness import HarnessError
from harness.models import ResolvedModel
from harness_plugins.samplers.openai import OpenAI

from ...conftest import ROOT
from .asking import (
    KEY,
    SETTINGS,
    assert_right,
    opened,
    refused_opening,
    requests,
    sample,
)
from .badserver import Answers, BadServer, Out

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

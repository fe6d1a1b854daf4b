"""Sampler `openai`: any server that speaks OpenAI's protocol, on this machine or elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from harness import Engine, Fit, HarnessError, Sampler, SamplingSettings, hookimpl
from harness.models import ResolvedModel

from .._options import choice, positive, positive_int

if TYPE_CHECKING:
    from ._server import Server

_ENDPOINTS = ("auto", "chat", "completions")
_KEY = "OPENAI_API_KEY"
_MAX_IN_FLIGHT = 256
_TIMEOUT, _FIRST_TIMEOUT, _IDLE_TIMEOUT = 3600.0, 900.0, 120.0  # seconds
_RETRIES = 8
_BACKOFF = 1.0


class OpenAI(Sampler):
    """Asks a server over HTTP: vLLM, SGLang, llama.cpp, TGI, hosted APIs.

    What is sent: `model`, the prompt (`messages` to /chat/completions; a raw prompt as `prompt` to /completions),
    `temperature`, `top_p`, `max_tokens`, `seed`, `stop` (the first four), `stream` with usage, and what the option
    `extra` adds. Optional fields that a server refuses are left out from then on, which is said once.

    Seeds and `n`: each chain is a request of its own with its own seed, so that a chain can be made again and a run
    that is topped up equals one made at once, wherever the server honours seeds. An inference server reads a prompt
    that it has seen from its cache, so this costs nothing there. A hosted API bills the prompt each time: with
    `n=auto`, up to 8 chains share a request where the server is elsewhere on the internet, has a key, and the prompt
    is more than a quarter of the token budget (few-shot prompts with short answers); for reasoning, prompts are less
    than a hundredth of the bill. `n=K` always asks for up to K at once, `n=off` never. A request for several carries
    the seed of its first chain; no chain of it has a seed or a token count of its own, since no server gives them. If
    the server gives fewer choices than asked, mixes them up, or gives the same long text several times, each chain
    that is missing is asked for on its own.

    How many at once: up to `max_in_flight`, from the start; halved when the server says that it is busy (429, 503),
    cannot be reached, or does not begin to answer in time, and widened again with each answer that begins. A server
    with a queue of its own is not held back for being slow.

    The key is read from the environment when the sampler is opened, sent to that server alone (redirections are not
    followed), and is in no file, log or message.
    """

    name = "openai"
    description = "any OpenAI-compatible server: vLLM, SGLang, llama.cpp, hosted APIs (--base-url URL)"
    options: ClassVar = {
        "base_url": "address of the server, as in http://localhost:8000/v1",
        "max_in_flight": f"most chains asked for at once (default: {_MAX_IN_FLIGHT})",
        "endpoint": "auto (by the prompt), chat or completions",
        "n": "most chains in one request: auto, off or a number (default: auto)",
        "timeout": f"seconds until an answer must be complete (default: {_TIMEOUT:g})",
        "first_timeout": f"seconds until an answer must begin (default: {_FIRST_TIMEOUT:g})",
        "idle_timeout": f"seconds that a stream may stand still (default: {_IDLE_TIMEOUT:g})",
        "retries": f"how often a request is tried again (default: {_RETRIES})",
        "backoff": f"longest first wait before that, in seconds (default: {_BACKOFF:g})",
        "api_key_env": f"environment variable that holds the key (default: {_KEY})",
        "extra": "further fields of each request, as a JSON object",
    }
    needs_weights = False
    runs_here = False

    def fit(self, model: ResolvedModel) -> Fit:
        return Fit(0, "")  # never by itself: it is asked for with --base-url

    def identity(self, options: Mapping[str, str]) -> Mapping[str, Any]:
        # Not the address: the same model on another machine gives the same chains.
        identity = {"sampler": self.name, "endpoint": choice(options, "endpoint", _ENDPOINTS, "auto")}
        return {**identity, "extra": extra} if (extra := _extra(options)) else identity

    def default_model(self, options: Mapping[str, str]) -> str | None:
        """The one model that the server serves."""
        if "base_url" not in options:
            return None
        from ._engine import Loop

        key_name, key = read_key(options)
        loop = Loop()
        try:
            server = loop.run(make_server("", SamplingSettings(1, 1, 1), options, key_name, key))
            loop.at_close(server.client.close)
            loop.run(server.survey())
            return server.only_model()
        finally:
            loop.close()

    @contextmanager
    def open(
        self, model: ResolvedModel, settings: SamplingSettings, options: Mapping[str, str]
    ) -> Iterator[Engine]:
        from ._engine import Loop, OpenAIEngine

        if "base_url" not in options:
            raise HarnessError(
                "the openai sampler needs the address of a server: --base-url http://host:8000/v1"
            )
        n = _together(options)
        key_name, key = read_key(options)
        loop = Loop()
        try:
            server = loop.run(make_server(model.name, settings, options, key_name, key))
            loop.at_close(server.client.close)
            loop.run(server.survey())
            hosted = server.hosted
            server.refuse_unserved(hosted)
            info = _info(server, options)
            yield OpenAIEngine(loop, server, n, hosted, info)
        finally:
            loop.close()


@hookimpl
def harness_samplers() -> Sequence[Sampler]:
    return [OpenAI()]


async def make_server(
    model: str, settings: SamplingSettings, options: Mapping[str, str], key_name: str, key: str | None
) -> Server:
    """The server that the options name; nothing is sent yet. To be called in the event loop that will ask it.

    Raises:
        HarnessError
    """
    import logging

    from ._ask import Asking
    from ._connection import Patience
    from ._http import Client
    from ._server import Server
    from ._url import is_loopback, read_address
    from ._window import Backoff, Window

    log = logging.getLogger("harness.openai")
    address = read_address(options["base_url"])
    if key is not None and not address.secure and not is_loopback(address.host):
        log.warning("the key in %s goes to %s without encryption", key_name, address.host)
    total = positive(options, "timeout") or _TIMEOUT
    patience = Patience(
        total=total,
        first=min(total, positive(options, "first_timeout") or _FIRST_TIMEOUT),
        idle=min(total, positive(options, "idle_timeout") or _IDLE_TIMEOUT),
    )
    endpoint: Any = choice(options, "endpoint", _ENDPOINTS, "auto")
    return Server(
        client=Client(address, None if key is None else lambda: key),
        asking=Asking(model, settings, endpoint, _extra(options)),
        window=Window(positive_int(options, "max_in_flight") or _MAX_IN_FLIGHT),
        backoff=Backoff(positive(options, "backoff") or _BACKOFF),
        patience=patience,
        retries=_retries(options),
        secret=key,
        key_name=key_name,
        note=log.warning,
    )


def _info(server: Server, options: Mapping[str, str]) -> Mapping[str, Any]:
    info: dict[str, Any] = {
        "engine": "openai",
        "server": server.served.software,
        "endpoint": server.asking.endpoint,
        "max_in_flight": server.window.ceiling,
        "n": options.get("n", "auto"),
    }
    if server.served.context is not None:
        info["context"] = server.served.context
    return info


def read_key(options: Mapping[str, str]) -> tuple[str, str | None]:
    """Where the key is, and the key.

    Raises:
        HarnessError: it is not where an option says, or it cannot be sent.
    """
    name = options.get("api_key_env", _KEY)
    key = os.environ.get(name, "").strip()
    if not key:
        if "api_key_env" in options:
            raise HarnessError(f"sampler option api_key_env: the environment has no {name}")
        return name, None
    if not key.isascii() or not key.isprintable():
        raise HarnessError(f"the key in {name} holds a character that cannot be sent")
    return name, key


def _together(options: Mapping[str, str]) -> Any:
    text = options.get("n", "auto").strip().lower()
    if text == "off":
        return 1
    if text == "auto":
        return "auto"
    number = positive_int(options, "n")
    if number is None or number > 128:
        raise HarnessError(f"sampler option n={text!r} is not auto, off or a number up to 128")
    return number


def _retries(options: Mapping[str, str]) -> int:
    text = options.get("retries", str(_RETRIES)).strip()
    if not text.isascii() or not text.isdigit() or len(text) > 4:
        raise HarnessError(f"sampler option retries={text!r} is not a whole number from 0")
    return int(text)


def _extra(options: Mapping[str, str]) -> dict[str, Any]:
    if "extra" not in options:
        return {}
    from ._server import read_extra

    return read_extra(options["extra"])

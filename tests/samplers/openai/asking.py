"""What the tests of the openai sampler share: opening it against a server, asking, and what must be right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from harness import Chain, ChainKey, Engine, HarnessError, Message, Prompt, Request, SamplingSettings
from harness.models import ResolvedModel
from harness_plugins.samplers.openai import OpenAI

from .badserver import Asked, BadServer, Behaviour, Out, text_of

SETTINGS = SamplingSettings(temperature=0.6, top_p=0.95, max_tokens=64)
QUICK = {"backoff": "0.02"}
KEY = "sk-a-key-that-nobody-may-see"


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


def says(status: int, message: str = "not now", **headers: str) -> Behaviour:
    async def behave(server: BadServer, asked: Asked, out: Out) -> None:
        await out.error(status, message, **headers)

    return behave

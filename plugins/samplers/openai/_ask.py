"""Requests as an OpenAI-compatible server wants them, without the fields that this one refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from harness import HarnessError, Prompt, SamplingSettings
from harness.text import printable

MOST_STOPS = 4  # OpenAI takes no more; the others are cut here

Endpoint = Literal["chat", "completions"]

_TEXT_PER_TOKEN = 256  # characters; runs of blanks are the longest tokens that there are
_WIRE_PER_TOKEN = 4096  # bytes of an event with log probabilities


@dataclass(slots=True)
class Fields:
    """Which optional fields are sent. A server that refuses one is not sent it again."""

    seed: bool = True
    stream_options: bool = True
    stop: bool = True
    n: bool = True
    max_tokens: str = "max_tokens"

    def sent(self, body: Mapping[str, Any]) -> list[str]:
        """Those of a request that can be left out or put otherwise."""
        names = [name for name in ("stream_options", "seed", "n", "stop") if name in body]
        return [*names, "max_tokens"] if "max_tokens" in body else names

    def drop(self, name: str) -> None:
        if name == "max_tokens":
            self.max_tokens = "max_completion_tokens"
        else:
            setattr(self, name, False)


@dataclass(frozen=True, slots=True)
class Asking:
    """How all requests of a run are made."""

    model: str
    settings: SamplingSettings
    endpoint: Literal["auto", "chat", "completions"] = "auto"
    extra: Mapping[str, Any] = field(default_factory=dict)

    def endpoint_of(self, prompt: Prompt) -> Endpoint:
        if self.endpoint == "auto":
            return "chat" if prompt.text is None else "completions"
        if self.endpoint == "completions" and prompt.text is None:
            raise HarnessError(
                "endpoint=completions needs raw prompts, and this benchmark's are chat messages: leave it out, or use "
                "endpoint=chat"
            )
        return self.endpoint

    def body(self, prompt: Prompt, n: int, seed: int | None, fields: Fields) -> dict[str, Any]:
        """A request for n choices."""
        settings = self.settings
        body: dict[str, Any] = {"model": self.model}
        if self.endpoint_of(prompt) == "completions":
            body["prompt"] = printable(prompt.text or "")
        elif prompt.text is not None:
            body["messages"] = [{"role": "user", "content": printable(prompt.text)}]
        else:
            body["messages"] = [{"role": m.role, "content": printable(m.content)} for m in prompt.messages]
        body |= {
            "temperature": settings.temperature,
            "top_p": settings.top_p,
            fields.max_tokens: settings.max_tokens,
        }
        if n > 1:
            body["n"] = n
        if seed is not None and fields.seed:
            body["seed"] = seed
        if fields.stop and (stops := sent_stops(prompt)):
            body["stop"] = stops
        body["stream"] = True
        if fields.stream_options:
            body["stream_options"] = {"include_usage": True}
        return {**body, **self.extra}

    def most_text(self, n: int) -> int:
        """Characters that n choices cannot exceed."""
        return n * (self.settings.max_tokens * _TEXT_PER_TOKEN + 2**16)

    def most_bytes(self, n: int) -> int:
        """Bytes that an answer of n choices cannot exceed."""
        return n * (self.settings.max_tokens * _WIRE_PER_TOKEN + 2**22)


def encode(body: Mapping[str, Any]) -> bytes:
    return orjson.dumps(body)


def stops_of(prompt: Prompt) -> list[str]:
    return [printable(stop) for stop in prompt.stop if stop]


def sent_stops(prompt: Prompt) -> list[str]:
    return stops_of(prompt)[:MOST_STOPS]


def cut_at_stop(text: str, stops: Sequence[str]) -> str | None:
    """The text before the first stop in it; None where it holds none."""
    ends = [at for stop in stops if (at := text.find(stop)) >= 0]
    return text[: min(ends)] if ends else None


_FINISHES: Mapping[str, Literal["stop", "length"]] = {
    "stop": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_calls": "stop",
    "function_call": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
}


def finish_reason(word: str | None) -> Literal["stop", "length"] | None:
    """A server's reason for ending a choice, as chains put it; None where the chain is neither done nor cut by its
    budget (content_filter), or the server does not say."""
    return _FINISHES.get(word or "")

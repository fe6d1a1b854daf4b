"""What a server supports, found out by asking it. Every probe is a few short requests with a time limit."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from harness import SamplingSettings
from harness.text import one_row

from ._answer import Answer, Choice, TooMuch
from ._ask import encode
from ._connection import Dropped, Patience, TimedOut
from ._errors import Refusal, classify, classify_reported
from ._http import Unreachable
from ._server import Server
from ._sink import AnswerSink

PROBE_SECONDS = 60.0
TOKENS = 64
"""Budget of a probe's answer: enough for two samples to part."""

_OPEN = "Write the beginning of a story about an animal of your choice."
_COUNT = "Count from one to twenty in words."
_THINK = "What is 17 + 26? Think, then answer."

Support = Literal["yes", "no", "?"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out about one thing."""

    name: str
    support: Support
    detail: str = ""


@dataclass(slots=True)
class _Said:
    """A server's reply to a probe."""

    answer: Answer
    error: str = ""
    """Why there is no answer; empty where there is one."""
    first: float = 0.0
    """Seconds until the first piece of text."""
    refusal: Refusal | None = None
    streamed: bool = False
    document: bytes = b""

    @property
    def choice(self) -> Choice:
        return self.answer.choices.get(0) or Choice()

    @property
    def words(self) -> str:
        return self.choice.reasoning + self.choice.text


class Probes:
    """Asks one server about itself.

    Args:
        seconds: time limit of each request.
    """

    def __init__(self, server: Server, seconds: float = PROBE_SECONDS) -> None:
        self._server = server
        self._patience = Patience(seconds, seconds, seconds)
        self._chat = True
        self._seeds_taken = True
        self._base: _Said | None = None

    async def run(self, report: Callable[[Finding], None]) -> bool:
        """Probe everything, telling each finding as it is made. Whether the server can be sampled from.

        Raises:
            HarnessError: it cannot be reached, wants another key or does not serve the model.
        """
        chat = await self._endpoint("chat")
        report(chat)
        completions = await self._endpoint("completions")
        report(completions)
        if chat.support == "no" and completions.support == "no":
            return False
        self._chat = chat.support == "yes"
        probes: list[Callable[[], Coroutine[Any, Any, Finding]]] = [
            self._streaming,
            self._usage,
            self._temperature,
            self._seeds,
            self._n,
            self._stop,
            self._reasoning,
            self._logprobs,
            self._context,
        ]
        for probe in probes:
            report(await probe())
        return True

    # -- asking ----------------------------------------------------------------------------------------------

    async def _ask(
        self, prompt: str = _OPEN, *, chat: bool | None = None, tokens: int = TOKENS, **fields: Any
    ) -> _Said:
        chat = self._chat if chat is None else chat
        body: dict[str, Any] = {"model": self._server.asking.model, self._server.fields.max_tokens: tokens}
        if chat:
            body["messages"] = [{"role": "user", "content": prompt}]
        else:
            body["prompt"] = prompt
        body |= {**self._server.asking.extra, **fields}
        if not self._seeds_taken:
            body.pop("seed", None)
        said = await self._send(body, "chat/completions" if chat else "completions")
        if said.refusal is not None and said.refusal.field == "max_tokens" and "max_tokens" in body:
            self._server.fields.drop("max_tokens")
            return await self._ask(prompt, chat=chat, tokens=tokens, **fields)
        if said.refusal is not None and said.refusal.field == "seed":
            self._seeds_taken = False
            return await self._ask(prompt, chat=chat, tokens=tokens, **fields)
        return said

    async def _send(self, body: Mapping[str, Any], path: str) -> _Said:
        server, n = self._server, int(body.get("n", 1))
        answer = Answer(server.asking.most_text(n))
        began = time.monotonic()
        said = _Said(answer)

        def begun() -> None:
            said.first = time.monotonic() - began

        sink = AnswerSink(answer, n, server.asking.most_bytes(n), on_begun=begun)
        try:
            place = f"{server.client.address.path}/{path}"
            await server.client.exchange("POST", place, encode(body), sink, self._patience, paced=False)
        except (Unreachable, Dropped, TimedOut, TooMuch) as error:
            said.error = str(error)
            return said
        sink.close(complete=True)
        said.streamed, said.document = sink.streamed, sink.document
        sent = [*server.fields.sent(body), *(["n"] if "n" in body else [])]
        if sink.status != 200:
            said.refusal = classify(sink.status, sink.headers, sink.document, sent, secret=server.secret)
            if 300 <= sink.status < 400:
                said.refusal = server.redirected(sink.status, sink.headers)
        elif answer.error is not None:
            said.refusal = classify_reported(answer.error, sent, secret=server.secret)
        elif not answer.choices:
            said.refusal = server.no_answer(sink.document, sink.headers, known=True)
        if said.refusal is not None:
            said.error = said.refusal.words
        return said

    # -- the probes ------------------------------------------------------------------------------------------

    async def _endpoint(self, kind: Literal["chat", "completions"]) -> Finding:
        said = await self._ask(chat=kind == "chat", temperature=0, stream=False)
        if said.error:
            return Finding(kind, "no", said.error)
        if kind == "chat" or self._base is None:
            self._base = said
        return Finding(kind, "yes", f"/{'chat/' if kind == 'chat' else ''}completions")

    async def _streaming(self) -> Finding:
        said = await self._ask(stream=True)
        if said.error or not said.streamed:
            return Finding("streaming", "no", said.error or "it sends the whole answer at once")
        pieces = said.answer.events
        return Finding("streaming", "yes", f"first text after {said.first:.2f} s, {pieces} pieces")

    async def _usage(self) -> Finding:
        whole = self._base is not None and self._server.tokens(self._base.answer)[0] is not None
        said = await self._ask(stream=True, stream_options={"include_usage": True})
        if said.error:
            detail = "only where the answer is not streamed" if whole else ""
            return Finding("usage", "no", f"{said.error}{'; ' + detail if detail else ''}")
        tokens, prompt = self._server.tokens(said.answer)
        if tokens is None:
            return Finding("usage", "no", "streams carry no token counts")
        over = f", more than the budget of {TOKENS}" if tokens > TOKENS else ""
        return Finding("usage", "yes", f"{prompt} prompt and {tokens} completion tokens{over}")

    async def _temperature(self) -> Finding:
        texts: list[str] = []
        for seed in range(4):
            said = await self._ask(temperature=1.0, seed=1000 + seed)
            if said.error:
                return Finding("temperature", "?", said.error)
            texts.append(said.words)
        different = len(set(texts))
        if not any(texts):
            return Finding("temperature", "?", "its answers are empty")
        return Finding(
            "temperature", "yes" if different > 2 else "no", f"{different} different texts of 4 at 1.0"
        )

    async def _seeds(self) -> Finding:
        texts: list[str] = []
        for seed in (7, 7, 8):
            if not self._seeds_taken:
                return Finding("seed", "no", "it refuses the field")
            said = await self._ask(temperature=1.0, seed=seed)
            if said.error:
                return Finding("seed", "no", said.error)
            texts.append(said.words)
        if texts[0] != texts[1]:
            return Finding("seed", "no", "the same seed gives another text")
        if texts[1] == texts[2]:
            return Finding("seed", "no", "another seed gives the same text")
        return Finding("seed", "yes", "the same seed gives the same text, another seed another")

    async def _n(self) -> Finding:
        said = await self._ask(temperature=1.0, seed=7, n=3)
        if said.error:
            return Finding("n", "no", said.error)
        choices = said.answer.choices
        if len(choices) != 3 or any(choice.ends > 1 or choice.garbled for choice in choices.values()):
            return Finding("n", "no", f"{len(choices)} choices for n=3")
        different = len({choice.reasoning + choice.text for choice in choices.values()})
        if different == 1 and any(choice.size for choice in choices.values()):
            return Finding("n", "no", "3 identical choices for n=3")
        return Finding("n", "yes", f"3 choices for n=3, {different} of them different")

    async def _stop(self) -> Finding:
        plain = await self._ask(_COUNT, temperature=0)
        text = plain.choice.text
        if plain.error or len(text) < 12:
            return Finding("stop", "?", plain.error or "its answer is too short to stop in")
        stop = text[len(text) // 2 : len(text) // 2 + 4]
        said = await self._ask(_COUNT, temperature=0, stop=[stop])
        if said.error:
            return Finding("stop", "no", said.error)
        ends = stop in said.choice.text and said.choice.text.endswith(stop)
        if stop in said.choice.text and not ends:
            return Finding("stop", "no", f"it writes on after {stop!r}")
        return Finding("stop", "yes", "the stop is part of the text" if ends else "")

    async def _reasoning(self) -> Finding:
        said = await self._ask(_THINK, tokens=4 * TOKENS, temperature=0)
        if said.error:
            return Finding("reasoning", "?", said.error)
        if said.choice.reasoning:
            return Finding("reasoning", "yes", "it is handed over apart from the text")
        if "<think>" in said.choice.text or "</think>" in said.choice.text:
            return Finding("reasoning", "no", "think tags are in the text: no reasoning parser is on")
        return Finding("reasoning", "no", "there is none, or it is part of the text")

    async def _logprobs(self) -> Finding:
        fields: dict[str, Any] = {"logprobs": True, "top_logprobs": 1} if self._chat else {"logprobs": 1}
        said = await self._ask(tokens=4, temperature=0, **fields)
        if said.error:
            return Finding("logprobs", "no", said.error)
        found = re.search(rb'"logprobs" ?: ?\{ ?"', said.document) is not None
        return Finding("logprobs", "yes" if found else "no", "" if found else "asked for, and not given")

    async def _context(self) -> Finding:
        if (context := self._server.served.context) is not None:
            return Finding("context", "yes", f"{context:,} tokens (/models says so)")
        # A budget beyond any context is refused with words that name the limit; else the first piece is enough.
        said = await self._ask(tokens=10_000_000, temperature=0, stream=True)
        numbers = [int(n.replace(",", "")) for n in re.findall(r"\b\d[\d,]{2,8}\b", said.error)]
        known = [number for number in numbers if 256 <= number < 10_000_000]
        if said.refusal is not None and known:
            return Finding("context", "yes", f"{max(known):,} tokens (from its refusal of a longer one)")
        return Finding("context", "?", "it does not say")


def check_settings() -> SamplingSettings:
    """What the probes' bounds on answers are made from."""
    return SamplingSettings(temperature=1.0, top_p=1.0, max_tokens=16 * TOKENS)


async def probe(server: Server, report: Callable[[Finding], None], seconds: float) -> bool:
    """Survey the server, then probe it. Whether it can be sampled from.

    Raises:
        HarnessError
    """
    await server.survey()
    models = server.served.models
    if not server.asking.model:
        server.ask_for(server.only_model())
    server.refuse_unserved(server.hosted)
    listed = (
        f"{len(models)} listed: {', '.join(one_row(m)[:60] for m in models[:3])}" if models else "no list"
    )
    report(Finding("models", "yes" if models else "no", listed))
    return await Probes(server, seconds).run(report)

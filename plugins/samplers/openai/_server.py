"""What is known of the server: its address, what it takes, how much of it, and what it has billed."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from harness import Chain, HarnessError, Request, closest
from harness.text import one_row

from ._answer import Answer
from ._ask import Asking, Fields
from ._connection import Dropped, Patience, TimedOut
from ._errors import Refusal, classify, words_of
from ._http import Client, Unreachable
from ._sink import Document
from ._url import is_private
from ._variety import Variety
from ._window import Backoff, Window

_SURVEY_SECONDS = 10.0
_MOST_MODELS = 16 * 2**20  # bytes of the list of models
_WARM = 0.2  # temperature from which long answers differ


@dataclass(slots=True)
class Served:
    """What `/models` says."""

    models: Sequence[str] = ()
    context: int | None = None
    """Tokens, of the model that is asked."""
    contexts: Mapping[str, int] = field(default_factory=dict)
    """Of each model that has one."""
    software: str = ""


@dataclass(slots=True)
class Server:
    client: Client
    asking: Asking
    window: Window
    backoff: Backoff
    patience: Patience
    retries: int
    secret: str | None = field(repr=False)
    """Taken out of all that the server says."""
    key_name: str
    note: Callable[[str], None]
    served: Served = field(default_factory=Served)
    fields: Fields = field(default_factory=Fields)
    variety: Variety = field(default_factory=Variety)
    retried: int = 0
    filtered: int = 0
    """Chains that the server's content filter cut off."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    counts: bool = False
    """Whether the server ever said how many tokens it took."""
    _said: set[str] = field(default_factory=set)

    @property
    def url(self) -> str:
        return str(self.client.address)

    @property
    def warm(self) -> bool:
        """The temperature is one at which long answers differ."""
        return self.asking.settings.temperature >= _WARM

    def say(self, what: str, text: str) -> None:
        """A line to the user, once for each `what`."""
        if what not in self._said:
            self._said.add(what)
            self.note(f"{self.url}: {text}")

    def ask_for(self, model: str) -> None:
        self.asking = dataclasses.replace(self.asking, model=model)
        self.served.context = self.served.contexts.get(model)

    # -- tokens ----------------------------------------------------------------------------------------------

    def count(self, answer: Answer) -> None:
        """Add what an answer cost, complete or not."""
        completion, prompt = self.tokens(answer)
        self.counts = self.counts or completion is not None
        self.prompt_tokens += prompt or 0
        # An answer that broke off was paid for as well; its pieces are a token each at least.
        self.completion_tokens += answer.events if completion is None else completion

    @staticmethod
    def tokens(answer: Answer) -> tuple[int | None, int | None]:
        """Completion and prompt tokens of an answer, where the server says."""
        usage = answer.usage or {}
        found = [usage.get(name) for name in ("completion_tokens", "prompt_tokens")]
        completion, prompt = (
            value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 40 else None
            for value in found
        )
        return completion, prompt

    def notice(self, request: Request, chain: Chain) -> None:
        """Look at a chain for signs that the server does not sample."""
        if self.warm:
            self.variety.add((request.key.benchmark, request.key.problem_id), chain.reasoning + chain.text)
            if (warning := self.variety.warning) is not None:
                self.say("variety", warning)

    # -- what it does not take -------------------------------------------------------------------------------

    def no_more_n(self, why: str) -> None:
        if self.fields.n:
            self.fields.n = False
            self.say("n", f"{why.removeprefix('the server ')}: each chain is asked for on its own")

    def without(self, refusal: Refusal) -> None:
        """Do without a field that the server refuses."""
        name = refusal.field
        if name == "n":
            self.no_more_n("does not take n")
            return
        self.fields.drop(name)
        consequence = {
            "seed": "chains have no seeds of their own",
            "stream_options": "it may not count tokens",
            "stop": "chains are cut at stop texts here",
            "max_tokens": "the budget is sent as max_completion_tokens",
        }[name]
        self.say(name, f"it does not take {name} ({refusal.words}): {consequence}")

    def redirected(self, status: int, headers: Mapping[str, str]) -> Refusal:
        # Not followed: the key goes to the address that the user gave and nowhere else.
        to = one_row(headers.get("location", ""))[:200]
        for endpoint in ("/chat/completions", "/completions", "/models"):
            to = to.partition("?")[0].removesuffix(endpoint)
        hint = f" to {to}: if that is right, give it as --base-url" if to else ""
        return Refusal("final", f"HTTP {status}, it redirects{hint}", status)

    def no_answer(self, body: bytes, headers: Mapping[str, str], *, known: bool) -> Refusal:
        """What a reply with status 200 means that is no answer."""
        said, _ = words_of(body, headers.get("content-type", ""), self.secret)
        words = (
            f"it answers with {said}" if said.startswith("a web page") else f"its answer is not JSON: {said}"
        )
        if not body.strip():
            words = "its answer is empty"
        elif body.lstrip()[:1] in (b"{", b"["):
            return Refusal("passing", "its answer is cut off or holds no choices")
        return Refusal("passing" if known else "final", words, 200)

    # -- at the beginning ------------------------------------------------------------------------------------

    async def survey(self) -> None:
        """Ask which models are served.

        Raises:
            HarnessError: the server cannot be reached, wants another key, or does not serve the model.
        """
        try:
            reply = await self.get(f"{self.client.address.path}/models")
        except (Unreachable, Dropped, TimedOut) as error:
            hint = "" if "certificate" in str(error) else "; is the address right, and is the server running?"
            raise HarnessError(f"{self.url} cannot be reached: {error}{hint}") from None
        if reply.status == 404:
            await self._look_below()
        if 300 <= reply.status < 400:
            raise final_error(self, self.redirected(reply.status, reply.headers))
        if reply.status in (401, 402, 403):
            raise final_error(self, classify(reply.status, reply.headers, reply.body, (), secret=self.secret))
        if reply.status == 200:
            try:
                self.served = _served(reply.body, self.asking.model)
            except ValueError:
                self.served = Served()
                if reply.body.lstrip()[:1] == b"<":
                    refusal = self.no_answer(reply.body, reply.headers, known=False)
                    raise final_error(self, refusal) from None

    @property
    def hosted(self) -> bool:
        """Whether the server is somebody else's, that bills each prompt: elsewhere on the internet, and with a key."""
        host, peer = self.client.address.host, self.client.peer
        return self.secret is not None and not is_private(host) and (peer is None or not is_private(peer))

    async def _look_below(self) -> None:
        """Say so where the address lacks the /v1 that most servers want."""
        path = self.client.address.path
        with contextlib.suppress(Unreachable, Dropped, TimedOut, ValueError):
            below = await self.get(f"{path}/v1/models")
            if below.status == 200 and _served(below.body, "").models:
                raise HarnessError(
                    f"{self.url}: HTTP 404, but there is a server at {self.url}/v1: give that with --base-url"
                )

    def only_model(self) -> str:
        """The one model that is served.

        Raises:
            HarnessError: it is not one.
        """
        models = self.served.models
        if len(models) == 1:
            return models[0]
        named = ", ".join(one_row(name)[:60] for name in models[:10])
        what = f"it serves {len(models)} models ({named})" if models else "it does not list its models"
        raise HarnessError(f"{self.url}: {what}: say which with --model")

    def refuse_unserved(self, hosted: bool) -> None:
        """Stop if the model is not served: a server of one's own lists all its models, and may answer to any name.

        A hosted API may list only some.

        Raises:
            HarnessError
        """
        if (hint := unserved_hint(self)) and not hosted:
            raise HarnessError(f"{self.url}: {hint}")

    async def get(self, path: str) -> Document:
        """A document of the server.

        Raises:
            Unreachable, Dropped, TimedOut
        """
        document = Document(_MOST_MODELS)
        limit = _SURVEY_SECONDS
        await self.client.exchange("GET", path, b"", document, Patience(limit, limit, limit), paced=False)
        return document


def _served(body: bytes, model: str) -> Served:
    """Read a list of models.

    Raises:
        ValueError: it is none.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ValueError(str(error)) from None
    rows = document.get("data") if isinstance(document, dict) else document
    if not isinstance(rows, list):
        raise ValueError("no list of models")
    rows = [row for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str)]
    served = Served([row["id"] for row in rows])
    contexts = {row["id"]: context for row in rows if (context := _context(row)) is not None}
    served.contexts, served.context = contexts, contexts.get(model)
    mine: dict[str, Any] = next((row for row in rows if row["id"] == model), {})
    owner = mine.get("owned_by")
    served.software = one_row(owner)[:40] if isinstance(owner, str) else ""
    return served


def _context(row: Mapping[str, Any]) -> int | None:
    meta = row.get("meta")  # llama.cpp
    places = [row, meta if isinstance(meta, dict) else {}]
    names = ("max_model_len", "context_length", "context_window", "n_ctx")
    found = (place.get(name) for place in places for name in names)
    return next((n for n in found if type(n) is int and 0 < n < 1 << 40), None)


def final_error(server: Server, refusal: Refusal) -> HarnessError:
    """The error that ends a run: the server's words, and how to mend it."""
    words, status = refusal.words, refusal.status
    if status in (401, 403):
        hint = f"check the key in {server.key_name}" if server.secret else f"set the key in {server.key_name}"
    elif refusal.field == "context":
        budget = server.asking.settings.max_tokens
        hint = f"lower --max-tokens ({budget:,} now), or give the server a longer context"
    elif status == 404:
        hint = unserved_hint(server) or "is the address right? It usually ends in /v1"
    elif status in (402, 429):
        hint = "chains that came are stored; run the same command when the account is in credit again"
    elif status == 200:
        hint = "is this the address of an OpenAI-compatible server? It usually ends in /v1"
    else:
        hint = ""
    return HarnessError(f"{server.url}: {words}" + (f"; {hint}" if hint else ""))


def unserved_hint(server: Server) -> str:
    """Which models are served, where the one that is asked is not among them."""
    model, models = server.asking.model, server.served.models
    if not models or model in models:
        return ""
    names = [one_row(name)[:100] for name in models]
    if len(names) <= 3:
        return f"it serves {' and '.join(names)}, not {model}: give that with --model"
    hint = closest(model, names)
    if hint.startswith("known:"):
        hint = f"known: {', '.join(names[:10])} and {len(names) - 10} more" if len(names) > 10 else hint
    return f"it does not serve {model}: {hint}"


def read_extra(text: str) -> dict[str, Any]:
    """The further fields of requests that an option gives, as a JSON object."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise HarnessError(
            "sampler option extra is not a JSON object: write it as in "
            """--sampler-option 'extra={"chat_template_kwargs": {"enable_thinking": true}}'"""
        )
    own = {
        "model",
        "messages",
        "prompt",
        "n",
        "seed",
        "stream",
        "stream_options",
        "temperature",
        "top_p",
        "max_tokens",
    }
    if taken := own & value.keys():
        raise HarnessError(
            f"sampler option extra may not set {', '.join(sorted(taken))}: the run decides on that"
        )
    return value

"""The engine over a model type of lm-eval. Imports lm-eval: import it only when a model is to be opened."""

from __future__ import annotations

import gc
import importlib.metadata
import inspect
import sys
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from harness import Chain, ChainKey, Engine, HarnessError, Prompt, Request, SamplingSettings
from harness.errors import one_line
from harness.records import FinishReason

from ._open import aside, make, typed
from ._record import Recorder, Written

_UNBATCHED = 256
"""Chains handed over at a time where lm-eval finds its batch size by itself."""
_ROUNDS = 4
"""Chains handed over at a time for each connection, so that slow answers do not leave the others idle."""


def load(
    kind: str,
    args: Mapping[str, str],
    settings: SamplingSettings,
    *,
    batch: str | None,
    device: str | None,
    max_in_flight: int | None,
    more: Mapping[str, str],
) -> LMEvalEngine:
    """Open one of lm-eval's model types; arguments and errors as of `_lm_eval_open.make`.

    Args:
        max_in_flight: chains handed to lm-eval at a time; None: what its batch size or its connections suggest.
        more: further generation settings.
    """
    lm = make(kind, args, batch=batch, device=device)
    return LMEvalEngine(kind, lm, settings, max_in_flight, typed(more), own_seed="seed" in args)


class _Asked(NamedTuple):
    """What lm-eval is asked for one chain."""

    context: Any
    """A text, or messages in the form that the model type has for them."""
    generation: Mapping[str, Any]
    """lm-eval's gen_kwargs; not to be changed."""
    budget: int
    prompt_tokens: int | None


class LMEvalEngine(Engine):
    """A model of lm-eval."""

    lazy = True

    def __init__(
        self,
        kind: str,
        lm: Any,
        settings: SamplingSettings,
        max_in_flight: int | None,
        more: Mapping[str, Any],
        own_seed: bool = False,
    ) -> None:
        self._kind = kind
        self._lm = lm
        self._settings = settings
        self._more = dict(more)
        self._recorder = Recorder(lm)
        self._max_in_flight = max_in_flight or _in_flight(lm)
        self._quiet = "disable_tqdm" in inspect.signature(lm.generate_until).parameters
        self._dropped: set[ChainKey] = set()
        self._seeds: deque[int] = deque()
        self._alike = _Alike()
        self._asked_last: tuple[Prompt, _Asked] | None = None
        # Models behind a server get one seed for all requests from lm-eval, so that their chains would be alike.
        if hasattr(lm, "_create_payload") and hasattr(lm, "_seed") and not own_seed:
            self._seed_requests()

    @property
    def info(self) -> Mapping[str, Any]:
        device = getattr(self._lm, "device", None)
        model = getattr(self._lm, "model", None)
        dtype = getattr(model, "dtype", None)
        context = self._context()
        return {
            "engine": "lm-eval",
            "version": importlib.metadata.version("lm-eval"),
            "variant": self._kind,
            "batch": str(getattr(self._lm, "batch_size", None) or getattr(self._lm, "_batch_size", "")),
            "max_in_flight": self._max_in_flight,
            "batch_invariant": False,
            "seeds": "per call",
            # Types that ask a server have no device.
            **({"device": str(device), "devices": 1} if device is not None else {}),
            **({"precision": str(dtype).removeprefix("torch.")} if dtype is not None else {}),
            **({"context": context} if context else {}),
        }

    @property
    def warnings(self) -> Sequence[str]:
        if self._settings.temperature > 0 and self._alike.everywhere:
            return (
                f"lm-eval's model {self._kind} wrote the same text for all chains of each of {self._alike.prompts} "
                f"problems at temperature {self._settings.temperature:g}: it ignores the temperature or repeats a seed",
            )
        return ()

    def close(self) -> None:
        """Give the memory back."""
        self._recorder.close()
        self._lm = None
        gc.collect()
        if (torch := sys.modules.get("torch")) is not None and torch.cuda.is_available():
            torch.cuda.empty_cache()

    def drop(self, keys: Collection[ChainKey]) -> None:
        self._dropped.update(keys)

    def sample(self, requests: Iterable[Request]) -> Iterator[Chain]:
        wanted = (request for request in requests if request.key not in self._dropped)
        while batch := list(islice(wanted, self._max_in_flight)):
            yield from self._generate(batch)

    def _generate(self, requests: Sequence[Request]) -> Iterator[Chain]:
        from lm_eval.api.instance import Instance

        asked = [self._asked(request) for request in requests]
        instances = [
            Instance(
                "generate_until", {}, (a.context, a.generation), number, (request.key.benchmark, number, 1)
            )
            for number, (request, a) in enumerate(zip(requests, asked, strict=True))
        ]
        self._seed(requests)
        self._recorder.begin()
        try:
            with aside():
                texts = self._lm.generate_until(instances, **({"disable_tqdm": True} if self._quiet else {}))
        except Exception:
            # Some were finished before it failed: they are not to be asked for again.
            for request, a in zip(requests, asked, strict=True):
                if (written := self._recorder.any_of(a.context)) is not None:
                    yield self._chain(request, written, a)
            raise
        if len(texts) != len(requests):
            raise HarnessError(
                f"lm-eval's model {self._kind} gave {len(texts)} texts for {len(requests)} requests"
            )
        for request, a, text in zip(requests, asked, texts, strict=True):
            yield self._chain(request, self._recorder.of(a.context, text), a)

    # -- one request -----------------------------------------------------------------------------

    def _asked(self, request: Request) -> _Asked:
        """What lm-eval is asked; made once for chains of one prompt, which come one after the other."""
        if self._asked_last is None or self._asked_last[0] is not request.prompt:
            context = self._context_of(request)
            tokens = self._count(context) if isinstance(context, str) else None
            budget = self._budget(tokens, request)
            generation = self._generation(request.prompt, budget)
            self._asked_last = (request.prompt, _Asked(context, generation, budget, tokens))
        return self._asked_last[1]

    def _context_of(self, request: Request) -> Any:
        """What lm-eval's model reads: a text, or messages in the form that it has for them."""
        prompt = request.prompt
        if prompt.text is not None:
            if any(base.__name__ == "LocalChatCompletion" for base in type(self._lm).__mro__):
                raise HarnessError(
                    f"lm-eval's model {self._kind} takes chat messages, and {request.key.benchmark} has a raw prompt: "
                    "add chat=true to the benchmark, or use a completions model"
                )
            return prompt.text
        messages = [{"role": message.role, "content": message.content} for message in prompt.messages]
        ends_with_model = bool(messages) and messages[-1]["role"] == "assistant"
        try:
            with aside():
                return self._lm.apply_chat_template(messages, add_generation_prompt=not ends_with_model)
        except NotImplementedError:
            raise HarnessError(
                f"lm-eval's model {self._kind} has no chat template: it takes raw prompts only"
            ) from None
        except Exception as error:
            raise HarnessError(
                f"lm-eval's model {self._kind} cannot render problem {request.key.problem_id} with its chat template: "
                f"{one_line(error)}"
            ) from error

    def _generation(self, prompt: Prompt, budget: int) -> dict[str, Any]:
        temperature = self._settings.temperature
        drawn = {"do_sample": True, "temperature": temperature, "top_p": self._settings.top_p}
        return {
            "until": list(prompt.stop),
            "max_gen_toks": budget,
            **(drawn if temperature > 0 else {"do_sample": False, "temperature": 0.0}),
            **self._more,
        }

    def _context(self) -> int | None:
        """The model's context in tokens, where lm-eval keeps prompts within it."""
        if not getattr(self._lm, "tokenized_requests", True) or getattr(self._lm, "max_length", None) is None:
            return None
        if getattr(self._lm, "tokenizer", None) is None:
            return None
        length = self._lm.max_length
        return length if isinstance(length, int) and length > 0 else None

    def _budget(self, prompt: int | None, request: Request) -> int:
        """Most tokens to generate: lm-eval would cut the beginning of a prompt to make room for more."""
        longest = self._context()
        if longest is None or prompt is None:
            return self._settings.max_tokens
        budget = min(self._settings.max_tokens, longest - prompt)
        if budget < 1:
            raise HarnessError(
                f"the prompt of problem {request.key.problem_id} has {prompt:,} tokens and the model's context is "
                f"{longest:,}: leave the problem out, or raise it with --model-args max_length=N where the model can"
            )
        return budget

    def _count(self, text: str, **options: Any) -> int | None:
        """How many tokens a text has, where this model type can tell."""
        encode = getattr(self._lm, "tok_encode", None)
        if encode is None or not text:
            return None if encode is None else 0
        try:
            tokens = encode(text, **options)
        except Exception:  # noqa: BLE001 - a stranger's tokenizer: the count is only told
            return None
        countable = isinstance(tokens, (list, tuple)) and all(isinstance(token, int) for token in tokens)
        return len(tokens) if countable else None

    def _seed(self, requests: Sequence[Request]) -> None:
        self._seeds = deque(request.seed for request in requests)
        if (torch := sys.modules.get("torch")) is not None:
            torch.manual_seed(requests[0].seed)

    def _seed_requests(self) -> None:
        create = self._lm._create_payload

        def seeded(*args: Any, **kwargs: Any) -> Any:
            if self._seeds:
                kwargs["seed"] = self._seeds.popleft()
                self._seeds.append((kwargs["seed"] + 1) % 2**31)  # for attempts beyond one a chain
            return create(*args, **kwargs)

        self._lm._create_payload = seeded

    def _chain(self, request: Request, written: Written, asked: _Asked) -> Chain:
        text = written.text
        for stop in request.prompt.stop:  # most model types have cut them already
            text = text.split(stop, 1)[0]
        self._alike.add(request.prompt, text)
        tokens = written.tokens
        finish: FinishReason | None
        if tokens is not None:
            finish = "length" if not written.ended and tokens >= asked.budget else "stop"
        else:
            tokens = self._count(text, add_special_tokens=False)
            finish = None if tokens is None else "length" if tokens >= asked.budget else "stop"
        return request.chain(
            text, finish_reason=finish, completion_tokens=tokens, prompt_tokens=asked.prompt_tokens
        )


class _Alike:
    """Whether all chains of every problem so far are the same text."""

    def __init__(self) -> None:
        self._first: dict[Prompt, tuple[str, int, bool]] = {}

    def add(self, prompt: Prompt, text: str) -> None:
        first, count, same = self._first.get(prompt, (text, 0, True))
        self._first[prompt] = (first, count + 1, same and text == first)

    @property
    def prompts(self) -> int:
        return sum(count > 1 for _, count, _ in self._first.values())

    @property
    def everywhere(self) -> bool:
        several = [(first, same) for first, count, same in self._first.values() if count > 1]
        return bool(several) and all(same for _, same in several)


def _in_flight(lm: Any) -> int:
    connections = int(getattr(lm, "_concurrent", 1) or 1)
    if connections > 1:
        return _ROUNDS * connections
    batch = getattr(lm, "batch_size", None) or getattr(lm, "_batch_size", None)
    try:
        return max(1, int(str(batch)))
    except ValueError:
        return _UNBATCHED if batch is not None else 1

"""The engine over a transformers model. Imports torch: import it only when a model is to be loaded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers

from harness import Chain, ChainKey, Engine, HarnessError, Prompt, Request, SamplingSettings

from .._device import available_memory
from ._batch import Ids, Row
from ._load import Loaded, load, one_line
from ._loop import Sampling, empty_cache
from ._memory import Footprint

_MAX_ROWS = {"cuda": 256, "cpu": 128}
_MEMORY_SHARE = {"cuda": 0.9, "cpu": 0.5}  # of what is free once the weights are in
_ELSEWHERE = 0.5
_TEMPLATE = 64  # tokens that a chat template may add
_UNKNOWN = 256  # tokens by which a prompt may be longer than one of twice the first one's length


def open_engine(
    path: Path, settings: SamplingSettings, device: str, dtype: str, max_rows: int | None
) -> TransformersEngine:
    """Load a folder of safetensors, or a GGUF file."""
    return TransformersEngine(load(path, device, dtype), settings, max_rows)


class TransformersEngine(Engine):
    """A loaded model. One step of its loop is one forward pass that gives every chain in flight its next token."""

    lazy = True

    def __init__(self, loaded: Loaded, settings: SamplingSettings, max_rows: int | None) -> None:
        self.model: Any = loaded.model
        self.settings = settings
        self.device: torch.device = loaded.model.device
        self._tokenizer = loaded.tokenizer
        self._context = int(getattr(loaded.config, "max_position_embeddings", None) or 1 << 30)
        self._footprint = Footprint.of(loaded.model, loaded.config, loaded.layers)
        self._stop_ids = _stop_ids(loaded.model, loaded.tokenizer)
        # Think tags must stay in the text; where a model calls them special, nothing special is left out.
        self._skip_special = "<think>" not in loaded.tokenizer.all_special_tokens
        self._most_rows = max_rows or _MAX_ROWS.get(self.device.type, 128)
        self._dropped: frozenset[ChainKey] = frozenset()
        self._lock = threading.Lock()
        self._usage = {"prompt_tokens": 0, "completion_tokens": 0}

    @property
    def info(self) -> Mapping[str, Any]:
        cuda = self.device.type == "cuda"
        longest = min(self.settings.longest_prompt + _TEMPLATE, self._context)
        columns = min(self._context, longest + self.settings.max_tokens)
        return {
            "engine": "transformers",
            "version": transformers.__version__,
            "torch": str(torch.__version__),
            "device": torch.cuda.get_device_name(self.device) if cuda else str(self.device),
            "devices": 1,
            "precision": str(self.model.dtype).removeprefix("torch."),
            "context": self._context,
            "max_in_flight": max(1, self.rows_that_fit(columns, longest)),
            "batch_invariant": False,
        }

    @property
    def usage(self) -> Mapping[str, int]:
        return dict(self._usage)

    def used(self, *, prompt: int = 0, completion: int = 0) -> None:
        """Count tokens that were read and drawn."""
        self._usage["prompt_tokens"] += prompt
        self._usage["completion_tokens"] += completion

    def close(self) -> None:
        """Give the memory back."""
        self.model = None
        empty_cache()

    def sample(self, requests: Iterable[Request]) -> Iterator[Chain]:
        with self._lock:
            self._dropped = frozenset()
        return Sampling(self, requests).chains()

    def drop(self, keys: Collection[ChainKey]) -> None:
        with self._lock:
            self._dropped = self._dropped | frozenset(keys)

    def stream(self, request: Request, on_text: Callable[[str], None]) -> Chain:
        for chain in Sampling(self, [request], on_text).chains():
            return chain
        raise HarnessError("the engine gave no answer")

    def dropped(self, request: Request) -> bool:
        """Whether the request's chain is no longer wanted."""
        return bool(self._dropped) and request.key in self._dropped

    def ids(self, request: Request) -> Ids:
        """The request's prompt as tokens.

        Raises:
            HarnessError: the model's template cannot render it, or the context leaves no room for an answer.
        """
        prompt, problem = request.prompt, request.key.problem_id
        if prompt.text is not None:
            ids = list(self._tokenizer(prompt.text)["input_ids"])
        else:
            ids = list(
                self._tokenizer(self._rendered(prompt, problem), add_special_tokens=False)["input_ids"]
            )
        if not ids:
            raise HarnessError(f"the prompt of problem {problem} is empty")
        budget = min(self.settings.max_tokens, self._context - len(ids))
        if budget < 1:
            raise HarnessError(
                f"the prompt of problem {problem} has {len(ids):,} tokens and the model's context is "
                f"{self._context:,}: leave the problem out or use a model with a longer context"
            )
        # A special token is no part of the text, so as a stop text it has to be known by its id.
        special = [text for text in prompt.stop if text in self._tokenizer.all_special_tokens]
        end = self._stop_ids | set(self._tokenizer.convert_tokens_to_ids(special))
        return Ids(prompt, ids, budget, frozenset(end))

    def _rendered(self, prompt: Prompt, problem: str) -> str:
        messages = [{"role": m.role, "content": m.content} for m in prompt.messages]
        if not self._tokenizer.chat_template:
            raise HarnessError(
                "the model's tokenizer has no chat template: add chat_template.jinja to its folder"
            )
        from jinja2 import TemplateError  # type: ignore[import-not-found,unused-ignore]  # of transformers

        try:
            text = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        except (TemplateError, ValueError, TypeError) as error:
            raise HarnessError(
                f"the model's chat template cannot render problem {problem}: {one_line(error)}"
            ) from None
        return str(text)

    def columns(self, first: Ids) -> int:
        """Tokens of the longest chain that is to be expected, prompt included, by the first prompt."""
        known, own = self.settings.longest_prompt, len(first.ids)
        if not known:
            longest = 2 * own + _UNKNOWN
        else:
            # Bytes are a far bound for tokens; other prompts will be much like the first.
            likely = 1.5 * known * own / max(1, first.prompt.size)
            longest = max(own, min(known, round(likely))) + _TEMPLATE
        return min(self._context, longest + self.settings.max_tokens)

    def rows_that_fit(self, columns: int, prompt: int) -> int:
        """How many chains of full length memory holds, up to the most that there may be; 0: not one."""
        empty_cache()
        share = _MEMORY_SHARE.get(self.device.type, _ELSEWHERE)
        free = _free_memory(self.device) * share
        return min(self._most_rows, self._footprint.rows(free, columns, self.settings.max_tokens, prompt))

    def text(self, tokens: Sequence[int]) -> str:
        return str(
            self._tokenizer.decode(
                list(tokens), skip_special_tokens=self._skip_special, clean_up_tokenization_spaces=False
            )
        )

    def chain(self, row: Row) -> Chain:
        ended = row.tokens[-1] in row.prompt.end
        tokens = row.tokens[:-1] if ended else row.tokens
        return row.request.chain(
            self.text(tokens) if row.text is None else row.text.finish(),
            finish_reason=row.finished,
            completion_tokens=len(row.tokens),
            prompt_tokens=len(row.prompt.ids),
        )


def _free_memory(device: torch.device) -> float:
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    return float(available_memory())


def _stop_ids(model: Any, tokenizer: Any) -> set[int]:
    """Ids that end an answer, by the model's generation settings and by its tokenizer."""
    stop: set[int] = set()
    for found in (model.generation_config.eos_token_id, model.config.eos_token_id, tokenizer.eos_token_id):
        stop.update(found if isinstance(found, (list, tuple)) else [] if found is None else [found])
    return stop

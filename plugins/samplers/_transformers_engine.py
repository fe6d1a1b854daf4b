"""The sampling loop over a transformers model. Imports torch: import it only when a model is to be loaded."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers

from harness import Chain, Engine, HarnessError, Prompt, Request, SamplingSettings

from ._device import available_memory
from ._draw import draw
from ._kv_cache import KeyValues

_MAX_ROWS = 256
_MEMORY_SHARE = {"cuda": 0.85, "cpu": 0.5, "mps": 0.5}
_UNIFORMS = 256  # random numbers drawn at a time


def load(
    path: Path, settings: SamplingSettings, device: str, dtype: str, max_rows: int | None
) -> TransformersEngine:
    """Load a folder of safetensors, or a GGUF file, and its tokenizer. Runs no code that comes with the model."""
    target = _device(device)
    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    folder = path
    if path.is_file():
        folder, options["gguf_file"] = path.parent, path.name
    kind = dtype if dtype != "auto" else ("auto" if target.type == "cuda" else "float32")
    transformers.utils.logging.disable_progress_bar()
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder), **options)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            str(folder),
            dtype=kind if kind == "auto" else getattr(torch, kind),
            use_safetensors=True,
            **options,
        )
        model = model.to(target).eval()
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        raise HarnessError(f"transformers cannot load {path}: {one_line(error)}") from None
    return TransformersEngine(model, tokenizer, settings, max_rows)


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, ValueError) as error:
        raise HarnessError(f"sampler option device={name!r} cannot be used here: {one_line(error)}") from None
    return device


@dataclass(slots=True, eq=False)
class _Group:
    """Requests that share a prompt."""

    ids: list[int]
    budget: int
    """Most tokens to generate: the protocol's, or what the model's context leaves."""
    requests: deque[Request]


@dataclass(slots=True, eq=False)
class _Row:
    """One chain in the making."""

    request: Request
    group: _Group
    tokens: list[int] = field(default_factory=list)
    finished: bool = False
    _random: Any = None
    _uniforms: tuple[int, list[float]] = (-1, [])

    def uniform(self) -> float:
        """The random number in [0, 1) for the next token: the same one if asked again for that token."""
        block, at = divmod(len(self.tokens), _UNIFORMS)
        if block != self._uniforms[0]:
            if self._random is None:
                self._random = torch.Generator().manual_seed(self.request.seed)
            numbers = torch.rand(_UNIFORMS, generator=self._random, dtype=torch.float64)
            self._uniforms = (block, numbers.tolist())
        return self._uniforms[1][at]


class TransformersEngine(Engine):
    """A loaded model. One step of the loop is one forward pass that gives every row its next token."""

    def __init__(self, model: Any, tokenizer: Any, settings: SamplingSettings, max_rows: int | None) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._settings = settings
        self._config = model.config.get_text_config(decoder=True)
        if set(getattr(self._config, "layer_types", None) or ()) - {"full_attention", "sliding_attention"}:
            raise HarnessError(
                f"the transformers sampler does not run {self._config.model_type} models: they have layers other "
                "than attention"
            )
        self._context = int(getattr(self._config, "max_position_embeddings", None) or 1 << 30)
        self._stop_ids = _stop_ids(model, tokenizer)
        # Think tags must stay in the text; where a model calls them special, nothing special is left out.
        self._skip_special = "<think>" not in tokenizer.all_special_tokens
        self._max_rows = max_rows

    @property
    def info(self) -> Mapping[str, Any]:
        device = self._model.device
        cuda = device.type == "cuda"
        return {
            "engine": "transformers",
            "version": transformers.__version__,
            "torch": str(torch.__version__),
            "device": torch.cuda.get_device_name(device) if cuda else str(device),
            "precision": str(self._model.dtype).removeprefix("torch."),
            "context": self._context,
            "batch_invariant": False,
        }

    def close(self) -> None:
        """Give the memory back."""
        self._model = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def sample(self, requests: Iterable[Request]) -> Iterator[Chain]:
        by_prompt: dict[Prompt, list[Request]] = {}
        for request in requests:
            by_prompt.setdefault(request.prompt, []).append(request)
        pending = deque(self._group(members) for members in by_prompt.values())
        room = self._rows_that_fit(pending)
        batch = _Batch()
        while pending or batch.flying:
            try:
                with torch.inference_mode():
                    if pending and room - len(batch.flying) >= max(1, room // 4):
                        self._fill(batch, pending, room)
                    else:
                        self._advance(batch)
            except RuntimeError as error:  # torch.OutOfMemoryError is one
                if not _out_of_memory(error):
                    raise HarnessError(f"transformers failed: {one_line(error)}") from None
                room = _shrink(batch, pending, room)
            for row in batch.land():
                yield self._chain(row)

    def _fill(self, batch: _Batch, pending: deque[_Group], room: int) -> None:
        """Let more chains in: their prompts are read, each once, and their first tokens drawn."""
        parts = [(batch.cache, batch.living())] if batch.cache is not None and batch.flying else []
        rows = list(batch.flying)
        while pending and len(batch.flying) < room:
            group = pending[0]
            new = []
            while group.requests and len(batch.flying) < room:
                new.append(_Row(group.requests.popleft(), group))
                batch.flying.append(new[-1])
            if not group.requests:
                pending.popleft()
            cache = KeyValues.empty(self._model.device)
            logits = cache.forward(self._model, torch.tensor([group.ids], device=self._model.device))
            self._draw(logits.expand(len(new), -1), new)
            parts.append((cache, [0] * len(new)))
            rows += new
        batch.cache = KeyValues.stack(parts)
        batch.rows = list(rows)

    def _advance(self, batch: _Batch) -> None:
        """One more token for every chain in flight."""
        gone = len(batch.rows) - len(batch.flying)
        if gone >= max(1, len(batch.rows) // 8):
            assert batch.cache is not None
            batch.cache = KeyValues.stack([(batch.cache, batch.living())])
            batch.rows = list(batch.flying)
        assert batch.cache is not None
        last = [[row.tokens[-1] if row is not None else 0] for row in batch.rows]
        logits = batch.cache.forward(self._model, torch.tensor(last, device=self._model.device))
        self._draw(logits, batch.rows)

    def _draw(self, logits: torch.Tensor, rows: Sequence[_Row | None]) -> None:
        greedy = self._settings.temperature <= 0
        numbers = [0.0 if greedy or row is None else row.uniform() for row in rows]
        uniforms = torch.tensor(numbers, dtype=_float(logits.device), device=logits.device)
        tokens = draw(logits, uniforms, self._settings.temperature, self._settings.top_p).tolist()
        for row, token in zip(rows, tokens, strict=True):
            if row is not None:
                row.tokens.append(token)
                row.finished = token in self._stop_ids or len(row.tokens) >= row.group.budget

    def _group(self, requests: Sequence[Request]) -> _Group:
        problem = requests[0].key.problem_id
        messages = [{"role": m.role, "content": m.content} for m in requests[0].prompt.messages]
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
        ids = list(self._tokenizer(text, add_special_tokens=False)["input_ids"])
        budget = min(self._settings.max_tokens, self._context - len(ids))
        if budget < 1:
            raise HarnessError(
                f"the prompt of problem {problem} has {len(ids):,} tokens and the model's context is "
                f"{self._context:,}: leave the problem out or use a model with a longer context"
            )
        return _Group(ids, budget, deque(requests))

    def _rows_that_fit(self, groups: Sequence[_Group]) -> int:
        """How many chains of full length memory holds."""
        longest = max((len(group.ids) + group.budget for group in groups), default=1)
        c, size = self._config, self._model.dtype.itemsize
        heads = c.num_attention_heads
        head_size = getattr(c, "head_dim", None) or c.hidden_size // heads
        kv_heads = getattr(c, "num_key_value_heads", None) or heads
        # Keys and values of all layers, and those of one layer repeated for every head of attention.
        token = 2 * head_size * size * (c.num_hidden_layers * kv_heads + heads)
        row = longest * token + c.vocab_size * 4 * 6  # logits, and what drawing from them takes
        most = min(_MAX_ROWS, self._max_rows or _MAX_ROWS)
        return max(1, min(most, int(_free_memory(self._model.device) // row)))

    def _chain(self, row: _Row) -> Chain:
        stopped = row.tokens[-1] in self._stop_ids
        text = self._tokenizer.decode(
            row.tokens[:-1] if stopped else row.tokens,
            skip_special_tokens=self._skip_special,
            clean_up_tokenization_spaces=False,
        )
        return row.request.chain(
            text,
            finish_reason="stop" if stopped else "length",
            completion_tokens=len(row.tokens),
            prompt_tokens=len(row.group.ids),
        )


@dataclass(slots=True)
class _Batch:
    """The chains in flight."""

    flying: list[_Row] = field(default_factory=list)
    rows: list[_Row | None] = field(default_factory=list)
    """The same in the order of the cache's rows; None where a chain has ended and its row is still there."""
    cache: KeyValues | None = None

    def living(self) -> list[int]:
        return [number for number, row in enumerate(self.rows) if row is not None]

    def land(self) -> list[_Row]:
        """Take out the chains that have ended."""
        landed = [row for row in self.flying if row.finished]
        if landed:
            self.flying = [row for row in self.flying if not row.finished]
            self.rows = [None if row is None or row.finished else row for row in self.rows]
        return landed


def _shrink(batch: _Batch, pending: deque[_Group], room: int) -> int:
    """After running out of memory: half as many chains at once. Those in flight start again with the same random
    numbers, so they come out the same."""
    flying = len(batch.flying)
    if flying <= 1:
        raise HarnessError(
            "there is not enough memory for one chain: lower --max-tokens, use a smaller model or dtype=bfloat16"
        )
    for row in reversed(batch.flying):
        row.group.requests.appendleft(row.request)
        if row.group not in pending:
            pending.appendleft(row.group)
    batch.flying, batch.rows, batch.cache = [], [], None
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return max(1, min(room, flying) // 2)


def _out_of_memory(error: RuntimeError) -> bool:
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in text or "allocate memory" in text


def _free_memory(device: torch.device) -> float:
    share = _MEMORY_SHARE.get(device.type, 0.5)
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0]) * share
    return available_memory() * share


def _float(device: torch.device) -> torch.dtype:
    return torch.float32 if device.type == "mps" else torch.float64


def _stop_ids(model: Any, tokenizer: Any) -> set[int]:
    """Ids that end an answer, by the model's generation settings and by its tokenizer."""
    stop: set[int] = set()
    for found in (model.generation_config.eos_token_id, model.config.eos_token_id, tokenizer.eos_token_id):
        stop.update(found if isinstance(found, (list, tuple)) else [] if found is None else [found])
    return stop


def one_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).split("\n") if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]

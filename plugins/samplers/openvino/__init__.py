"""Sampler `openvino`: OpenVINO GenAI with continuous batching, the engine for machines without a GPU."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, cast

from harness import Engine, Fit, HarnessError, Sampler, SamplingSettings, hookimpl, hub
from harness.models import ResolvedModel

from .._device import gpu_visible
from .._options import choice, positive, positive_int
from ..weights import CONVERTER as GGUF_CONVERTER
from ..weights import openvino_gguf
from ..weights._checkpoints import WEIGHTS, Weights, converted, convertible
from ..weights._codec import Codec, PipelineCodec, codec_of_folder, codec_of_gguf
from ..weights._hf_config import FAMILIES
from ._admission import Limits
from ._engine import OpenVINOEngine, one_line
from ._memory import cache_blocks, cache_shape
from ._tokenizer import placeholder_tokenizer

INSTALL = 'pip install "fathom-harness[cpu]"'

_MAX_IN_FLIGHT = 256
_BATCHED_TOKENS = 2048  # a step's most tokens: prefill in few steps without stalling the running chains


class OpenVINO(Sampler):
    """Feeds all pending requests to the engine's scheduler and yields each chain when it finishes.

    Every chain has its own random stream, seeded with the request's seed. With `precision=f32` a chain's text
    depends on its prompt and seed alone. At the default precision (bf16 or f16 arithmetic where the processor has
    it, an 8-bit key-value cache, 8-bit activations where weights have 8 bits or fewer; half as fast again) rounding
    depends on what else is in the batch, so that a chain may take another turn of phrase when sampled in other
    company; its distribution is the same.
    """

    name = "openvino"
    description = (
        "OpenVINO GenAI: the fast engine where there is no GPU; reads safetensors of the Llama, Qwen2 and Qwen3 "
        "families, GGUF and OpenVINO IR, needs no torch"
    )
    options: ClassVar = {
        "threads": "processor threads to use (default: all)",
        "precision": "auto (fastest), or f32: exact, so that a chain depends on its seed alone",
        "weights": "of safetensors: auto (in their own types), or smaller: f16, q8_0",
        "cache_gb": "most memory for the key-value cache, in GB (default: from the memory that is free)",
        "max_in_flight": f"most chains in flight at once (default: {_MAX_IN_FLIGHT})",
    }

    def fit(self, model: ResolvedModel) -> Fit:
        if missing := _missing():
            return Fit(0, f"{' and '.join(missing)} not installed: {INSTALL}")
        ready = model.file is not None or (model.known is not None and model.known.gguf is not None)
        if not ready and not model.has_openvino_ir:
            return self._fit_of_safetensors(model)
        if gpu_visible():
            return Fit(30, "openvino-genai is installed; it runs on the processor, though there is a GPU")
        return Fit(80, "openvino-genai is installed and there is no GPU")

    def _fit_of_safetensors(self, model: ResolvedModel) -> Fit:
        if model.folder is not None:
            if (reason := convertible(model.folder)) is not None:
                return Fit(0, f"it cannot convert this checkpoint: {reason}")
        elif model.model_type is None:
            return Fit(
                20, f"openvino-genai is installed; it converts models of the families {', '.join(FAMILIES)}"
            )
        elif model.model_type not in FAMILIES:
            return Fit(0, f"it converts models of the families {', '.join(FAMILIES)}, not {model.model_type}")
        if gpu_visible():
            return Fit(30, "openvino-genai can convert it; it runs on the processor, though there is a GPU")
        return Fit(70, "openvino-genai is installed, can convert this checkpoint, and there is no GPU")

    def identity(self, options: Mapping[str, str]) -> Mapping[str, Any]:
        # Another converter makes other weights of the same file.
        identity = {"sampler": self.name, "precision": _precision(options), "converter": GGUF_CONVERTER}
        weights = _wanted_weights(options)
        return identity if weights == "auto" else {**identity, "weights": weights}

    def devices(self, options: Mapping[str, str]) -> int:
        return 0  # it computes on the processor

    @contextmanager
    def open(
        self, model: ResolvedModel, settings: SamplingSettings, options: Mapping[str, str]
    ) -> Iterator[Engine]:
        precision = _precision(options)
        threads = positive_int(options, "threads")
        cache_gb = positive(options, "cache_gb")
        max_in_flight = positive_int(options, "max_in_flight") or _MAX_IN_FLIGHT
        if missing := _missing():
            raise HarnessError(f"the openvino sampler needs {' and '.join(missing)}: {INSTALL}")
        path, codec = _weights(model, _wanted_weights(options))
        shape = cache_shape(path)
        blocks = cache_blocks(shape, settings, max_in_flight, cache_gb, precision, path)
        pipeline, codec = _load(path, codec, _properties(precision, threads), max_in_flight, blocks)
        limits = Limits(max_in_flight=max_in_flight, blocks=blocks, context=shape.context)
        info = {
            **_versions(),
            **_facts(precision, threads),
            "weights": path.name,
            "max_in_flight": max_in_flight,
            "context": shape.context,
            "kv_cache_gb": round(blocks * shape.block_bytes(precision) / 1e9, 2),
        }
        engine = OpenVINOEngine(pipeline, codec, settings, limits, info)
        try:
            yield engine
        finally:
            engine.close()


@hookimpl
def harness_samplers() -> Sequence[Sampler]:
    return [OpenVINO()]


def _precision(options: Mapping[str, str]) -> str:
    return choice(options, "precision", ("auto", "f32"), "auto")


def _wanted_weights(options: Mapping[str, str]) -> Weights:
    return cast("Weights", choice(options, "weights", WEIGHTS, "auto"))


def _missing() -> list[str]:
    names = {"openvino_genai": "openvino-genai", "tokenizers": "tokenizers", "jinja2": "jinja2"}
    return [name for module, name in names.items() if importlib.util.find_spec(module) is None]


def _properties(precision: str, threads: int | None) -> dict[str, Any]:
    properties: dict[str, Any] = {"KV_CACHE_PRECISION": "u8"}
    if precision == "f32":
        # All three: activations are otherwise rounded to 8 bits in groups that span the batch.
        properties = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}
        properties["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = "0"
    if threads is not None:
        properties["INFERENCE_NUM_THREADS"] = threads
    return properties


def _weights(model: ResolvedModel, weights: Weights) -> tuple[Path, Codec | None]:
    """A GGUF file or a folder of IR, and the model's tokenizer; None where OpenVINO's own is to be used."""
    if model.has_openvino_ir:
        assert model.folder is not None
        _only_for_safetensors(weights, "OpenVINO IR")
        try:
            return model.folder, codec_of_folder(model.folder)
        except (
            HarnessError
        ):  # there is none, or one of another kind: OpenVINO's copy of it lies in the folder
            return model.folder, None
    if model.file is not None or (
        model.folder is None and model.known is not None and model.known.gguf is not None
    ):
        _only_for_safetensors(weights, "a GGUF file")
        path = openvino_gguf(model)
        return path, codec_of_gguf(path)
    if model.folder is None and model.repo is None:
        raise HarnessError(f"model {model.name} has no weights: give a folder, a .gguf file or a Hub id")
    folder = model.folder or hub.snapshot(model.repo or "", model.revision)
    return converted(folder, model.name, weights), codec_of_folder(folder)


def _only_for_safetensors(weights: Weights, found: str) -> None:
    if weights != "auto":
        raise HarnessError(f"sampler option weights={weights} is for safetensors, and this model is {found}")


def _load(
    path: Path, codec: Codec | None, properties: dict[str, Any], max_in_flight: int, blocks: int
) -> tuple[Any, Codec]:
    import openvino_genai

    scheduler = openvino_genai.SchedulerConfig()
    scheduler.num_kv_blocks = blocks
    scheduler.max_num_seqs = max_in_flight
    scheduler.max_num_batched_tokens = _BATCHED_TOKENS
    scheduler.enable_prefix_caching = True
    pipeline = openvino_genai.ContinuousBatchingPipeline
    try:
        if codec is not None:
            return pipeline(str(path), placeholder_tokenizer(), scheduler, "CPU", **properties), codec
        loaded = pipeline(str(path), scheduler, "CPU", properties)
        return loaded, PipelineCodec(loaded)
    except (RuntimeError, ValueError) as error:
        raise HarnessError(f"OpenVINO cannot load {path}: {one_line(error)}") from None


def _versions() -> dict[str, Any]:
    from importlib.metadata import version

    return {"engine": "openvino-genai", "version": version("openvino-genai"), "openvino": version("openvino")}


def _facts(precision: str, threads: int | None) -> dict[str, Any]:
    import openvino

    core = openvino.Core()
    arithmetic = core.get_property("CPU", "INFERENCE_PRECISION_HINT").get_type_name()
    return {
        "device": str(core.get_property("CPU", "FULL_DEVICE_NAME")),
        "devices": 1,
        "precision": "f32" if precision == "f32" else arithmetic,
        "kv_cache_precision": "f32" if precision == "f32" else "u8",
        "batch_invariant": precision == "f32",
        "threads": threads or "all",
    }

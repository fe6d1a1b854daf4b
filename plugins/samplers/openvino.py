"""Sampler `openvino`: OpenVINO GenAI with continuous batching, the engine for machines without a GPU."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from harness import Engine, Fit, HarnessError, Sampler, SamplingSettings, hookimpl
from harness.models import ResolvedModel

from ._device import available_memory, gpu_visible
from ._gguf import read_header
from ._openvino_engine import BLOCK, Limits, OpenVINOEngine, one_line
from ._options import choice, positive, positive_int
from ._weights import CONVERTER, openvino_gguf

INSTALL = 'pip install "fathom-harness[cpu]"'

_MAX_IN_FLIGHT = 256
_BATCHED_TOKENS = 2048  # a step's most tokens: prefill in few steps without stalling the running chains
_USUAL_PROMPT = 512  # tokens; only for how much cache to ask for
_MEMORY_SHARE = 0.5  # of the memory that is free once the weights are in: others live on this machine too


class OpenVINO(Sampler):
    """Feeds all pending requests to the engine's scheduler and yields each chain when it finishes.

    Every chain has its own random stream, seeded with the request's seed. With `precision=f32` a chain's text
    depends on its prompt and seed alone. At the default precision (bf16 or f16 arithmetic where the processor has
    it, 8-bit activations and key-value cache, half as fast again) rounding depends on what else is in the batch,
    so that a chain may take another turn of phrase when sampled in other company; its distribution is the same.
    """

    name = "openvino"
    description = (
        "OpenVINO GenAI: the fast engine where there is no GPU; reads GGUF and OpenVINO IR, needs no torch"
    )
    options: ClassVar = {
        "threads": "processor threads to use (default: all)",
        "precision": "auto (fastest), or f32: exact, so that a chain depends on its seed alone",
        "cache_gb": "most memory for the key-value cache, in GB (default: from the memory that is free)",
        "max_in_flight": f"most chains in flight at once (default: {_MAX_IN_FLIGHT})",
    }

    def fit(self, model: ResolvedModel) -> Fit:
        has_gguf = model.file is not None or (model.known is not None and model.known.gguf is not None)
        if not has_gguf and not model.has_openvino_ir:
            return Fit(0, "it reads GGUF files and OpenVINO IR, and this model has neither")
        if importlib.util.find_spec("openvino_genai") is None:
            return Fit(0, f"openvino-genai is not installed: {INSTALL}")
        if gpu_visible():
            return Fit(30, "openvino-genai is installed; it runs on the processor, though there is a GPU")
        return Fit(80, "openvino-genai is installed and there is no GPU")

    def identity(self, options: Mapping[str, str]) -> Mapping[str, Any]:
        # Another converter makes other weights of the same file.
        return {"sampler": self.name, "precision": _precision(options), "converter": CONVERTER}

    @contextmanager
    def open(
        self, model: ResolvedModel, settings: SamplingSettings, options: Mapping[str, str]
    ) -> Iterator[Engine]:
        precision = _precision(options)
        threads = positive_int(options, "threads")
        cache_gb = positive(options, "cache_gb")
        max_in_flight = positive_int(options, "max_in_flight") or _MAX_IN_FLIGHT
        if importlib.util.find_spec("openvino_genai") is None:
            raise HarnessError(f"the openvino sampler needs openvino-genai: {INSTALL}")
        path = _weights(model)
        shape = _shape(path)
        blocks = _cache_blocks(shape, settings, max_in_flight, cache_gb, precision, _size(path))
        properties = _properties(precision, threads)
        pipeline = _load(path, properties, max_in_flight, blocks)
        limits = Limits(max_in_flight=max_in_flight, blocks=blocks, context=shape.context)
        info = {
            **_versions(),
            **_facts(precision, threads),
            "weights": path.name,
            "max_in_flight": max_in_flight,
        }
        info |= {
            "context": shape.context,
            "kv_cache_gb": round(blocks * shape.block_bytes(precision) / 1e9, 2),
        }
        engine = OpenVINOEngine(pipeline, settings, limits, info)
        try:
            yield engine
        finally:
            engine.close()


@hookimpl
def harness_samplers() -> Sequence[Sampler]:
    return [OpenVINO()]


@dataclass(frozen=True, slots=True)
class _Shape:
    """What of a model decides the size of its key-value cache, and the longest sequence it takes."""

    layers: int
    kv_heads: int
    head_size: int
    context: int

    def block_bytes(self, precision: str) -> int:
        """Bytes of one cache block of `BLOCK` tokens, keys and values together.

        At 8 bits there is a scale and a zero point besides (float32 each): for every token of a head's values,
        and for every channel of a head's keys in a block. The engine's own metrics agree to the byte.
        """
        if precision == "f32":
            head = 2 * self.head_size * 4 * BLOCK
        else:
            head = (self.head_size + 8) * BLOCK + self.head_size * (BLOCK + 8)
        return self.layers * self.kv_heads * head


def _precision(options: Mapping[str, str]) -> str:
    return choice(options, "precision", ("auto", "f32"), "auto")


def _properties(precision: str, threads: int | None) -> dict[str, Any]:
    properties: dict[str, Any] = {"KV_CACHE_PRECISION": "u8"}
    if precision == "f32":
        # All three: activations are otherwise rounded to 8 bits in groups that span the batch.
        properties = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}
        properties["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = "0"
    if threads is not None:
        properties["INFERENCE_NUM_THREADS"] = threads
    return properties


def _weights(model: ResolvedModel) -> Path:
    if model.has_openvino_ir:
        assert model.folder is not None
        return model.folder
    if model.folder is not None:
        raise HarnessError(
            f"the openvino sampler reads GGUF files and OpenVINO IR, and {model.folder} holds safetensors: "
            "use --sampler transformers"
        )
    return openvino_gguf(model)


def _shape(path: Path) -> _Shape:
    if path.is_file():
        header = read_header(path)
        heads, width = header.number("attention.head_count"), header.number("embedding_length")
        found = {
            "layers": header.number("block_count"),
            "kv_heads": header.number("attention.head_count_kv") or heads,
            "head_size": header.number("attention.key_length")
            or (width // heads if width and heads else None),
            "context": header.number("context_length"),
        }
    else:
        try:
            config = json.loads((path / "config.json").read_bytes())
            heads = config["num_attention_heads"]
            found = {
                "layers": config["num_hidden_layers"],
                "kv_heads": config.get("num_key_value_heads") or heads,
                "head_size": config.get("head_dim") or config["hidden_size"] // heads,
                "context": config["max_position_embeddings"],
            }
        except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
            raise HarnessError(f"{path}: config.json does not say the model's shape") from None
    numbers = {name: value for name, value in found.items() if isinstance(value, int) and value > 0}
    if missing := found.keys() - numbers:
        raise HarnessError(f"{path}: it does not say the model's {', '.join(sorted(missing))}")
    return _Shape(**numbers)


def _cache_blocks(
    shape: _Shape,
    settings: SamplingSettings,
    max_in_flight: int,
    cache_gb: float | None,
    precision: str,
    weights: int,
) -> int:
    """Blocks of key-value cache: enough for all chains in flight at full length, or what memory allows.

    Raises:
        HarnessError: not even one chain of the wanted length fits.
    """
    longest = min(settings.max_tokens + _USUAL_PROMPT, shape.context)
    one = -(-longest // BLOCK) + 2
    block_bytes = shape.block_bytes(precision)
    # Reading a GGUF takes about three times its size: packed, unpacked, and laid out for the processor.
    free = (available_memory() - 3 * weights) * _MEMORY_SHARE
    most = cache_gb * 1e9 if cache_gb is not None else free
    blocks = min(max_in_flight * one, int(most // block_bytes))
    if blocks < one:
        needed = one * block_bytes / 1e9
        room = (
            f"cache_gb={cache_gb:g}"
            if cache_gb is not None
            else f"{max(free, 0) / 1e9:.1f} GB of memory to use"
        )
        raise HarnessError(
            f"a chain of {longest:,} tokens needs {needed:.2f} GB of cache and there is {room}: lower --max-tokens"
            + (" or raise cache_gb" if cache_gb is not None else ", use a smaller model or a larger machine")
        )
    return blocks


def _size(path: Path) -> int:
    files = [path] if path.is_file() else path.glob("*.bin")
    return sum(file.stat().st_size for file in files)


def _load(path: Path, properties: dict[str, Any], max_in_flight: int, blocks: int) -> Any:
    import openvino_genai

    scheduler = openvino_genai.SchedulerConfig()
    scheduler.num_kv_blocks = blocks
    scheduler.max_num_seqs = max_in_flight
    scheduler.max_num_batched_tokens = _BATCHED_TOKENS
    scheduler.enable_prefix_caching = True
    try:
        return openvino_genai.ContinuousBatchingPipeline(str(path), scheduler, "CPU", properties)
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
        "precision": "f32" if precision == "f32" else arithmetic,
        "kv_cache_precision": "f32" if precision == "f32" else "u8",
        "batch_invariant": precision == "f32",
        "threads": threads or "all",
    }

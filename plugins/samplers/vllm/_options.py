"""What the user asks of the vLLM engine, read and checked. Imports no vLLM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness import HarnessError

SEEDS = ("chain", "engine")


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Sampler options; None leaves it to vLLM."""

    tensor_parallel: int
    data_parallel: int
    max_in_flight: int | None
    """Of one copy of the model."""
    gpu_memory: float | None
    """Share of a device's memory, above 0 and up to 1."""
    context: int | None
    """Tokens."""
    dtype: str
    quantization: str | None
    kv_cache_dtype: str
    prefix_caching: bool
    seeds: str
    """"chain": each request carries its seed; "engine": the engine draws from one stream."""
    enforce_eager: bool | None
    trust_remote_code: bool
    engine_args: Mapping[str, Any]
    """Further arguments of vLLM's engine, by its own names; they go before the ones above."""


def yes_or_no(options: Mapping[str, str], name: str) -> bool | None:
    """A yes or no, or None where the option is not given."""
    if name not in options:
        return None
    word = options[name].strip().lower()
    if word in ("yes", "true", "1", "on"):
        return True
    if word in ("no", "false", "0", "off"):
        return False
    raise HarnessError(f"sampler option {name}={options[name]!r}: yes or no?")

"""How a model tells positions apart: the rates at which pairs of a head's values are rotated.

Formulas: RoPE (Su et al. 2021); linear interpolation (Chen et al. 2023); Llama 3.1's scaling (Meta's reference code);
YaRN (Peng et al. 2023, sections 3.2 to 3.4). All in float32, as transformers computes them, so that the angles agree.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

KINDS = ("default", "linear", "llama3", "yarn")
"""Scalings that are computed here. The others (dynamic, longrope) depend on how long a sequence has become."""


@dataclass(frozen=True, slots=True)
class Rotation:
    rates: tuple[float, ...]
    """Radians per token, for each pair of a head's values."""
    scale: float = 1.0
    """By which cosines and sines are multiplied."""


def parameters(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """What config.json says of the rotation: `rope_parameters` since transformers 5, before that `rope_scaling`."""
    found = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if not isinstance(found, dict):
        return {"rope_type": "unreadable"}
    if any(isinstance(value, dict) for value in found.values()):
        return {"rope_type": "another for each kind of layer"}
    return found


def kind(config: Mapping[str, Any]) -> str:
    """The name of the scaling, "default" where there is none."""
    found = parameters(config)
    return str(found.get("rope_type", found.get("type", "default")))


def base(config: Mapping[str, Any]) -> Any:
    """The base wavelength, as it stands in config.json."""
    return parameters(config).get("rope_theta", config.get("rope_theta", 10_000.0))


def rotation(config: Mapping[str, Any], base: float, head_size: int, context: int) -> Rotation:
    """The rates of a model whose scaling is one of `KINDS`.

    Raises:
        ValueError: a number that the scaling needs is missing or absurd; its text names it.
    """
    import numpy as np

    exponents = np.arange(0, head_size, 2, dtype=np.float32) / np.float32(head_size)
    wavelengths = np.float32(base) ** exponents
    rates = np.float32(1) / wavelengths
    scale = 1.0
    found = parameters(config)
    match kind(config):
        case "linear":
            rates = rates / np.float32(_number(found, "factor"))
        case "llama3":
            rates = _llama3(found, rates, context)
        case "yarn":
            rates, scale = _yarn(found, wavelengths, base, head_size, context)
    return Rotation(tuple(float(rate) for rate in rates), scale)


def _llama3(found: Mapping[str, Any], rates: NDArray[np.float32], context: int) -> NDArray[np.float32]:
    """Long wavelengths are stretched, short ones are not, those between a little."""
    import numpy as np

    factor, low, high = (_number(found, name) for name in ("factor", "low_freq_factor", "high_freq_factor"))
    original = _number(found, "original_max_position_embeddings", context)
    if high == low:
        raise ValueError("high_freq_factor")
    wavelengths = np.float32(2 * math.pi) / rates
    share = (np.float32(original) / wavelengths - np.float32(low)) / np.float32(high - low)
    between = (1 - share) * rates / np.float32(factor) + share * rates
    scaled = np.where(wavelengths > original / low, rates / np.float32(factor), between)
    return np.where(wavelengths < original / high, rates, scaled).astype(np.float32)


def _yarn(
    found: Mapping[str, Any], wavelengths: NDArray[np.float32], base: float, head_size: int, context: int
) -> tuple[NDArray[np.float32], float]:
    """Pairs that turn often within the original context keep their rates, those that turn rarely are stretched."""
    import numpy as np

    original = _number(found, "original_max_position_embeddings", context)
    factor = _number(found, "factor", context / original)

    def pair_that_turns(times: float) -> float:
        return head_size * math.log(original / (times * 2 * math.pi)) / (2 * math.log(base))

    first, last = (
        pair_that_turns(_number(found, "beta_fast", 32)),
        pair_that_turns(_number(found, "beta_slow", 1)),
    )
    if found.get("truncate", True):
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, head_size - 1)
    if first == last:
        last += 0.001
    pairs = np.arange(head_size // 2, dtype=np.float32)
    stretched = np.clip((pairs - np.float32(first)) / np.float32(last - first), 0, 1)
    kept = 1 - stretched
    rates = (1 / (np.float32(factor) * wavelengths)) * (1 - kept) + (1 / wavelengths) * kept

    def attention(weight: float) -> float:
        return 1.0 if factor <= 1 else 0.1 * weight * math.log(factor) + 1.0

    if found.get("attention_factor") is not None:
        scale = _number(found, "attention_factor")
    elif found.get("mscale") and found.get("mscale_all_dim"):
        scale = attention(_number(found, "mscale")) / attention(_number(found, "mscale_all_dim"))
    else:
        scale = attention(1.0)
    return rates.astype(np.float32), scale


def _number(found: Mapping[str, Any], name: str, default: float | None = None) -> float:
    value = found.get(name)
    value = default if value is None else value
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e12:
        raise ValueError(name)
    return float(value)

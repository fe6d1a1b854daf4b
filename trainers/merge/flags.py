"""The merge that the flags of the command ask for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from harness.errors import UsageError

from .settings import OF_DIFFERENCES, MergeSettings, Part

_UNITS: Final = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def settings_of(
    models: Sequence[str],
    method: str,
    base: str | None,
    weights: str | None,
    densities: str | None,
    others: Mapping[str, Any],
) -> MergeSettings:
    """What the flags say.

    Args:
        weights: numbers with commas between, one a model; a base among the models has none.
        densities: one for all, or one a model.
        others: `t`, `scale` and `normalize`; None where it is not given.

    Raises:
        UsageError: flags that do not go together.
        HarnessError: a merge that makes no sense.
    """
    given = {name: value for name, value in others.items() if value is not None}
    if method == "slerp":
        base = base or models[0]
        if weights is not None or "normalize" in given:
            raise UsageError("slerp has no weights: --t says how far to go from one model to the other")
    elif "t" in given:
        raise UsageError(f"--t is for slerp, not for {method}")
    if method not in OF_DIFFERENCES and (densities is not None or "scale" in given):
        raise UsageError(f"--density and --lambda are for ties and dare_ties, not for {method}")
    parts = [model for model in models if method == "linear" or model != base]
    given.setdefault("normalize", method != "dare_ties")
    alike = 1.0 if given["normalize"] else 1.0 / max(1, len(parts))
    chosen = map(
        Part,
        parts,
        _one_each("--weights", weights, parts, alike),
        _one_each("--density", densities, parts, 1.0, shared=True),
    )
    return MergeSettings(tuple(chosen), method, base, **given)


def bytes_of(text: str) -> int:
    """
    >>> bytes_of("5GB"), bytes_of("1.5 m")
    (5000000000, 1500000)

    Raises:
        UsageError: it is no size.
    """
    found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,9})?)\s*([KMGT]?)B?", text.strip(), re.IGNORECASE)
    size = int(float(found[1]) * _UNITS[found[2].upper()]) if found else 0
    if size < 1:
        raise UsageError(f"--shard-size: {text!r:.40} is not a size such as 5GB or 500MB")
    return size


def _one_each(
    flag: str, text: str | None, parts: Sequence[str], default: float, *, shared: bool = False
) -> list[float]:
    if text is None:
        return [default] * len(parts)
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(
            f"{flag}: {text!r:.60} is not numbers with commas between, such as 0.5,0.5"
        ) from None
    if shared and len(numbers) == 1:
        return numbers * len(parts)
    if len(numbers) != len(parts):
        raise UsageError(f"{flag} has {len(numbers)} numbers for {len(parts)} models")
    return numbers

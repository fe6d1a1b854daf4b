"""A merge as a stage of a recipe: what its parameters say."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from harness import HarnessError, closest

from .flags import bytes_of
from .settings import OF_DIFFERENCES, MergeSettings, Part

PARAMETERS: Final = (
    "method",
    "weights",
    "dtype",
    "t",
    "density",
    "lambda",
    "normalize",
    "rescale",
    "seed",
    "shard_size",
)
"""Names as on the command line of `harness merge`, `normalize` and `rescale` as in mergekit's files."""


def settings_of_stage(parameters: Mapping[str, Any], models: Sequence[str]) -> MergeSettings:
    """The merge of these models.

    slerp goes from the first model to the second; ties and dare_ties merge what the others changed in the first.

    Raises:
        HarnessError: a parameter that does not exist or is out of range, or models that the method cannot merge.
    """
    for name in parameters:
        if name not in PARAMETERS:
            raise HarnessError(f"merge has no parameter {name!r:.60}: {closest(name, PARAMETERS)}")
    given = {name: value for name, value in parameters.items() if value is not None}
    method = given.get("method", "linear")
    if not isinstance(method, str):
        raise HarnessError(f"method is {method!r:.40}: it is linear, slerp, ties or dare_ties")
    if method != "linear" and len(models) < 2:
        raise HarnessError(f"{method} takes at least two models")
    base = None if method == "linear" else models[0]
    parts = models if method == "linear" else models[1:]
    others: dict[str, Any] = {"normalize": method != "dare_ties"}
    for name, field in (("t", "t"), ("lambda", "scale")):
        if name in given:
            others[field] = _number(name, given[name])
    for name in ("normalize", "rescale"):
        if name in given:
            others[name] = _truth(name, given[name])
    _check_meant(method, given)
    alike = 1.0 if others["normalize"] else 1.0 / max(1, len(parts))
    weights = _one_each("weights", given.get("weights", alike), len(parts), shared="weights" not in given)
    densities = _one_each("density", given.get("density", 1.0), len(parts), shared=True)
    if "seed" in given:
        others["seed"] = _whole("seed", given["seed"])
    if "dtype" in given:
        others["dtype"] = str(given["dtype"])
    if "shard_size" in given:
        others["shard_bytes"] = bytes_of(str(given["shard_size"]))
    return MergeSettings(tuple(map(Part, parts, weights, densities)), method, base, **others)


def _check_meant(method: str, given: Mapping[str, Any]) -> None:
    meant = {
        "t": method == "slerp",
        "weights": method != "slerp",
        "normalize": method != "slerp",
        "density": method in OF_DIFFERENCES,
        "lambda": method in OF_DIFFERENCES,
        "rescale": method == "dare_ties",
        "seed": method == "dare_ties",
    }
    for name, fits in meant.items():
        if name in given and not fits:
            raise HarnessError(f"{name} says nothing to a {method} merge: leave it out")


def _one_each(name: str, value: Any, count: int, *, shared: bool) -> list[float]:
    if shared and not isinstance(value, list):
        return [_number(name, value)] * count
    if not isinstance(value, list):
        raise HarnessError(f"{name} is {value!r:.40}: it is a list, one number a model, such as [0.5, 0.5]")
    if len(value) != count:
        raise HarnessError(f"{name} has {len(value)} numbers for {count} models")
    return [_number(name, one) for one in value]


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise HarnessError(f"{name} is {value!r:.40}: it is a number")
    return float(value)


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise HarnessError(f"{name} is {value!r:.40}: it is a whole number from 0 on")
    return value


def _truth(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise HarnessError(f"{name} is {value!r:.40}: it is true or false")
    return value

"""Reads mergekit's YAML, for the methods that both have. Whatever it says and we would not do is an error."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from harness import HarnessError, closest
from harness.config import read_yaml

from .settings import METHODS, OF_DIFFERENCES, MergeSettings, Part

_TOP: Final = (
    "merge_method",
    "models",
    "base_model",
    "parameters",
    "dtype",
    "out_dtype",
    "tokenizer_source",
)
_OF_MODEL: Final = {
    "linear": ("weight",),
    "slerp": (),
    "ties": ("weight", "density"),
    "dare_ties": ("weight", "density"),
}
_OF_MERGE: Final = {
    "linear": ("normalize",),
    "slerp": ("t",),
    "ties": ("normalize", "lambda", "int8_mask"),
    "dare_ties": ("normalize", "lambda", "int8_mask", "rescale"),
}


def read_settings(path: Path) -> MergeSettings:
    """The merge that a file describes.

    Relative folders are meant from the working folder, as mergekit means them.

    Raises:
        HarnessError: it cannot be read, or asks for something that is not done here.
    """
    table = read_yaml(path)
    for key in ("slices", "modules"):
        if key in table:
            raise HarnessError(f"{path}: {key} are not supported: name whole models under `models`")
    _only(path, table, _TOP, "")
    method = table.get("merge_method")
    if method not in METHODS:
        raise HarnessError(
            f"{path}: merge_method {str(method)!r:.40} is not supported: {closest(str(method), METHODS)}"
        )
    shared = _mapping(path, table, "parameters", "")
    _only(path, shared, (*_OF_MERGE[method], *_OF_MODEL[method]), "parameters: ")
    base = _text(path, table, "base_model")
    entries = table.get("models")
    if not isinstance(entries, list) or not entries:
        raise HarnessError(f"{path}: models is missing: a list of models to merge")
    parts = []
    for entry in entries:
        model, own = _entry(path, entry, method)
        if method == "linear" or model != base:
            parts.append(_part(path, model, {**shared, **own}, method))
    _check_tokenizer(path, table, base, [part.model for part in parts])
    if method == "slerp" and "t" not in shared:
        raise HarnessError(f"{path}: parameters: t is missing: a number from 0 (base model) to 1")
    dtype, out_dtype = _text(path, table, "dtype"), _text(path, table, "out_dtype")
    return MergeSettings(
        parts=tuple(parts),
        method=method,
        base=base,
        dtype=out_dtype or dtype,
        normalize=_truth(path, shared, "normalize", method != "dare_ties"),
        t=_number(path, shared, "t", 0.5),
        scale=_number(path, shared, "lambda", 1.0),
        rescale=_truth(path, shared, "rescale", True),
        where=str(path),
    )


def _entry(path: Path, entry: object, method: str) -> tuple[str, Mapping[str, Any]]:
    model = entry.get("model") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not isinstance(model, str) or not model:
        raise HarnessError(
            f"{path}: an entry of models is {entry!r:.60}, not `model:` with a folder or a Hub id"
        )
    if "+" in model and not Path(model).exists():
        raise HarnessError(f"{path}: {model}: adapters are not supported: merge them into their models first")
    _only(path, entry, ("model", "parameters"), f"{model}: ")
    own = _mapping(path, entry, "parameters", f"{model}: ")
    _only(path, own, _OF_MODEL[method], f"{model}: parameters: ")
    return model, own


def _part(path: Path, model: str, values: Mapping[str, Any], method: str) -> Part:
    if method == "slerp":
        return Part(model)
    if "weight" not in values:
        raise HarnessError(f"{path}: {model}: its weight is missing")
    density = _number(path, values, "density", 1.0) if method in OF_DIFFERENCES else 1.0
    return Part(model, _number(path, values, "weight", 1.0), density)


def _check_tokenizer(path: Path, table: Mapping[str, Any], base: str | None, models: list[str]) -> None:
    """All vocabularies must be the same in any case, so that all that may be asked for is whose files are taken."""
    source, donor = table.get("tokenizer_source"), base or models[0] if models else base
    if source not in (None, "base", "union", donor):
        raise HarnessError(
            f"{path}: tokenizer_source {str(source)!r:.60} is not supported: the tokenizer is that of {donor}"
        )


def _number(path: Path, table: Mapping[str, Any], key: str, default: float) -> float:
    value = table.get(key, default)
    if isinstance(value, str):  # YAML takes 1e-3 for a text
        try:
            return float(value)
        except ValueError:
            pass
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise HarnessError(
            f"{path}: {key} is {value!r:.60}, not one number (values by layer or filter are not supported)"
        )
    return float(value)


def _truth(path: Path, table: Mapping[str, Any], key: str, default: bool) -> bool:
    value = table.get(key, default)
    if not isinstance(value, bool):
        raise HarnessError(f"{path}: {key} is {value!r:.60}, not true or false")
    return value


def _text(path: Path, table: Mapping[str, Any], key: str) -> str | None:
    value = table.get(key)
    if value is not None and (not isinstance(value, str) or not value):
        raise HarnessError(f"{path}: {key} is {value!r:.60}, not a name")
    return value


def _mapping(path: Path, table: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    found = table.get(key) or {}
    if not isinstance(found, dict):
        raise HarnessError(f"{path}: {where}{key} is a {type(found).__name__}, not names with values")
    return found


def _only(path: Path, table: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in known:
            hint = closest(str(key), known) if known else "none is known here"
            raise HarnessError(f"{path}: {where}{str(key)[:60]!r} is not supported: {hint}")

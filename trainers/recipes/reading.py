"""From a YAML file to a recipe. Whatever is wrong is one line: file, stage, key, and how to mend it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from harness import HarnessError, closest
from harness.config import read_yaml

from .schema import Data, Evaluate, Hardware, Provenance, Recipe, Sampled, Stage

_LARGEST: Final = 1_000_000
"""Bytes of a recipe's file."""
_MOST_VALUES: Final = 20_000
"""Values in it, those that an alias repeats counted each time."""
_DEEPEST: Final = 12

_MODELS: Final[dict[str, type[BaseModel]]] = {
    "data": Data,
    "sample": Sampled,
    "hardware": Hardware,
    "evaluate": Evaluate,
    "source": Provenance,
}


def read_recipe(path: Path) -> Recipe:
    """The recipe in a file.

    Raises:
        HarnessError: it cannot be read, is no recipe, or says something that is not understood.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise HarnessError(f"cannot read {path}: {error.strerror or error}") from None
    if not path.is_file():
        raise HarnessError(f"{path} is not a file: name a recipe, or its YAML file")
    if size > _LARGEST:
        raise HarnessError(f"{path} has {size:,} bytes: a recipe has at most {_LARGEST:,}")
    values = read_yaml(path)
    _check_size(path, values)
    if not values:
        raise HarnessError(f"{path} is empty: a recipe has at least `name` and `stages`")
    return recipe_of(values, str(path))


def recipe_of(values: Mapping[str, Any], where: str) -> Recipe:
    """The recipe that a file's values are.

    Args:
        where: begins the message where they are none.

    Raises:
        HarnessError: they say something that is not understood.
    """
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise HarnessError(f"{where}: {_line(error)}") from None


def _check_size(path: Path, values: object) -> None:
    """Bounds the tree, which aliases can make far larger than its file, or endless."""
    count = 0
    pending = [(values, 0)]
    while pending:
        value, depth = pending.pop()
        count += 1
        if count > _MOST_VALUES or depth > _DEEPEST:
            raise HarnessError(
                f"{path} holds more than {_MOST_VALUES:,} values, or deeper than {_DEEPEST} levels: "
                "that is no recipe (look at its aliases)"
            )
        if isinstance(value, dict):
            if odd := [key for key in value if not isinstance(key, str)]:
                raise HarnessError(f"{path}: the key {odd[0]!r:.40} is not a text: put it in quotes")
            pending += [(inner, depth + 1) for inner in value.values()]
        elif isinstance(value, list):
            pending += [(inner, depth + 1) for inner in value]
        elif isinstance(value, float) and not math.isfinite(value):
            raise HarnessError(f"{path}: {value} is not a number that a recipe can hold")
        elif value is not None and not isinstance(value, bool | int | float | str):
            raise HarnessError(f"{path}: {value!s:.40} is a {type(value).__name__}: put it in quotes")


def _line(error: ValidationError) -> str:
    first: Any = next((e for e in error.errors() if e["type"] == "extra_forbidden"), error.errors()[0])
    # A key that maps to a bad name is marked by pydantic with a last element of its own.
    place = [str(part) for part in first["loc"] if part != "[key]"]
    where, model = "", Recipe  # type: tuple[str, type[BaseModel]]
    if len(place) > 1 and place[0] == "stages":
        where, model, place = f"stage {place[1]:.100}: ", Stage, place[2:]
    if place and first["type"] in ("extra_forbidden", "missing"):
        for part in place[:-1]:
            model = _MODELS.get(part, model)
        key = ".".join([*place[:-1], repr(place[-1][:60])])
        if first["type"] == "missing":
            return f"{where}{'.'.join(place)} is missing"
        return f"{where}unknown key {key}: {closest(place[-1], model.model_fields)}"
    what = first["msg"].removeprefix("Value error, ").replace("valid tuple", "list")
    what = what.replace("valid dictionary", "mapping")
    at = f"{'.'.join(place)}: " if place else ""
    if first["type"] == "value_error" and not place:
        return f"{where}{what}"
    return f"{where}{at}{what[:1].lower()}{what[1:]}, got {first['input']!r:.80}"

"""What the command line changes in a recipe: another base, other data, other settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from harness import HarnessError, closest
from harness.errors import UsageError

from ..recipes import Node, Recipe, RecipeGraph, Stage, recipe_of
from .layout import RECIPE

_GROUPS: Final = ("data", "hardware", "evaluate")
_GIVEN: Final = "given on the command line"

Values = dict[str, Any]


def changed(
    graph: RecipeGraph, base: str | None, data: Sequence[str], settings: Sequence[str]
) -> RecipeGraph:
    """The recipes with what the command line says in place of what they say.

    Args:
        base: replaces the base model of all of them.
        data: STAGE=SOURCE each.
        settings: STAGE.KEY=VALUE each, VALUE as in YAML; KEY is a parameter, or data.KEY, hardware.KEY or evaluate.KEY.
            Without a stage, evaluate.KEY and hardware.KEY are the recipe's own.

    Raises:
        UsageError: no such stage, or no value.
        HarnessError: a recipe cannot hold such a value.
    """
    if base is None and not data and not settings:
        return graph
    values: dict[str, Values] = {
        name: recipe.model_dump(mode="json", exclude_unset=True) for name, recipe in graph.recipes.items()
    }
    if base is not None:
        for name, recipe in graph.recipes.items():
            if recipe.base is not None:
                values[name]["base"] = base
                _say_where_from(values[name], recipe, "base")
    for text in data:
        stage, source = _halves(text, "--data", "STAGE=SOURCE")
        node = find_stage(graph, stage, "--data")
        _set(values, node, "data.source", [source])
    for text in settings:
        key, value = _halves(text, "--set", "STAGE.KEY=VALUE")
        _change(graph, values, key, _value(text, value))
    recipes = {name: recipe_of(each, "the command line") for name, each in values.items()}
    return RecipeGraph(recipes, graph.asked)


def find_stage(graph: RecipeGraph, text: str, flag: str) -> Node:
    """The stage of that name, RECIPE:STAGE or title; one of the recipe that was asked for comes before others.

    Raises:
        UsageError: there is none, or several of other recipes.
    """
    nodes = list(graph)
    own = [node for node in nodes if node.recipe.name in graph.asked]
    ways: list[Callable[[Node], bool]] = [
        lambda node: node.id == text,
        lambda node: node.name == text,
        lambda node: (node.stage.title or "").lower() == text.lower(),
    ]
    for among in (own, nodes):
        for fits in ways:
            found = [node for node in among if fits(node)]
            if len(found) > 1:
                ids = ", ".join(node.id for node in found)
                raise UsageError(f"{flag}: {text!r:.60} is several stages, name one of them: {ids}")
            if found:
                return found[0]
    known = [node.name for node in own] + [node.id for node in nodes if node not in own]
    raise UsageError(f"{flag}: no stage is called {text!r:.100}: {closest(text, known)}")


def _change(graph: RecipeGraph, values: dict[str, Values], key: str, value: Any) -> None:
    names: dict[str, Node] = {}
    for node in [*(n for n in graph if n.recipe.name in graph.asked), *graph]:
        names.setdefault(node.id, node)
        names.setdefault(node.name, node)
    # Names of stages may have dots in them: the longest that fits is meant.
    stage = max((name for name in names if key.startswith(f"{name}.")), key=len, default=None)
    if stage is not None:
        _set(values, names[stage], key[len(stage) + 1 :], value)
        return
    group, dot, rest = key.partition(".")
    if dot and group in ("hardware", "evaluate"):
        for name in graph.asked:
            values[name].setdefault(group, {})[rest] = value
            _say_where_from(values[name], graph.recipes[name], key)
        return
    if not dot:
        raise UsageError(f"--set: {key!r:.60} names no stage: it is STAGE.KEY=VALUE")
    find_stage(graph, group, "--set")  # raises: says which there are
    raise UsageError(f"--set: {key!r:.60} is not STAGE.KEY=VALUE")


def _set(values: dict[str, Values], node: Node, key: str, value: Any) -> None:
    stage = values[node.recipe.name]["stages"][node.name]
    group, dot, rest = key.partition(".")
    if dot and group in _GROUPS:
        place = stage.get(group)
        if place is None:
            place = stage[group] = {}
        for part in rest.split(".")[:-1]:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise UsageError(f"--set: {node.name}.{key}: {part} holds no keys")
        place[rest.split(".")[-1]] = value
    else:
        stage.setdefault("parameters", {})[key] = value
    _say_where_from(stage, node.stage, key)


def _say_where_from(place: Values, before: Recipe | Stage, key: str) -> None:
    """Whoever reads the recipe later is told that a figure of it is not the author's."""
    kinds: dict[str, dict[str, str]] = {}
    known = {**before.source.by_key(), **_read(place.get("source"))}
    for name, (kind, text) in {**known, key: ("chosen", _GIVEN)}.items():
        kinds.setdefault(kind, {})[name] = text
    place["source"] = kinds


def _read(source: Mapping[str, Mapping[str, str]] | None) -> dict[str, tuple[str, str]]:
    """What an earlier change has left, where each key stands alone."""
    return {
        name.strip(): (kind, text)
        for kind, texts in (source or {}).items()
        for names, text in texts.items()
        for name in names.split(",")
    }


def _halves(text: str, flag: str, form: str) -> tuple[str, str]:
    left, equals, right = text.partition("=")
    if not equals or not left.strip() or not right.strip():
        raise UsageError(f"{flag}: {text!r:.80} is not {form}")
    return left.strip(), right.strip()


def _value(text: str, value: str) -> Any:
    try:
        return yaml.safe_load(value)
    except (yaml.YAMLError, RecursionError) as error:
        raise UsageError(
            f"--set: {text!r:.80} has no value that YAML knows: {' '.join(str(error).split())[:120]}"
        ) from None


def as_yaml(recipe: Recipe) -> str:
    """A recipe as a file that says the same."""
    values = recipe.model_dump(mode="json", exclude_unset=True)
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=110)


def check_recipes(recipes: Sequence[Recipe]) -> None:
    """
    Args:
        recipes: that which was asked for comes last.

    Raises:
        HarnessError: two recipes would be one file.
    """
    names = [recipe.name.lower() for recipe in recipes]
    if len(set(names)) < len(names):
        raise HarnessError("two recipes have names that differ in capitals only: rename one of them")
    if Path(RECIPE).stem in names[:-1]:
        raise HarnessError(
            f"{names[-1]} builds upon a recipe called {Path(RECIPE).stem}, and the run's own is {RECIPE} in its "
            "folder: rename the other one"
        )

"""Finds recipes by name, and everything that they build upon."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from harness import HarnessError, closest

from .graph import RecipeGraph
from .reading import read_recipe
from .schema import Recipe

_FOLDER: Final = Path(__file__).parent
_ENDINGS: Final = (".yaml", ".yml")
_MOST_RECIPES: Final = 200


@cache
def shipped() -> Mapping[str, Path]:
    """The recipes that come with the harness: name -> file."""
    return {path.stem: path for path in sorted(_FOLDER.glob("*.yaml"), key=lambda path: path.stem)}


def load_recipe(name_or_path: str | Path) -> RecipeGraph:
    """A recipe, by its shipped name or from a YAML file, with all the recipes that it builds upon.

    Raises:
        HarnessError: no such recipe, or one that is not understood.
    """
    return load_recipes([name_or_path])


def load_recipes(names: Sequence[str | Path]) -> RecipeGraph:
    """Several recipes as one graph.

    A recipe that another one builds upon (RECIPE:STAGE) is looked for beside the other one's file, as RECIPE.yaml,
    and then among those that come with the harness.

    Raises:
        HarnessError: no such recipe, or one that is not understood; names the file.
    """
    loading = _Loading()
    asked = [loading.load(_path_of(name)) for name in names]
    return RecipeGraph(loading.ordered, tuple(dict.fromkeys(asked)))


def recipe_files(name_or_path: str | Path) -> Mapping[str, Path]:
    """The files that a recipe comes from: name of the recipe, or of one that it builds upon -> file.

    Raises:
        HarnessError: as `load_recipe`.
    """
    loading = _Loading()
    loading.load(_path_of(name_or_path))
    return loading.paths


class _Loading:
    def __init__(self) -> None:
        self.ordered: dict[str, Recipe] = {}
        """Each after those that it builds upon."""
        self.paths: dict[str, Path] = {}

    def load(self, path: Path) -> str:
        """The name of a file's recipe, which is loaded with all that it builds upon."""
        recipe = read_recipe(path)
        if (known := self.paths.setdefault(recipe.name, path)).resolve() != path.resolve():
            raise HarnessError(f"{path}: name: {known} is called {recipe.name} too: rename one of them")
        if recipe.name in self.ordered:
            return recipe.name
        if len(self.paths) > _MOST_RECIPES:
            raise HarnessError(f"{path}: more than {_MOST_RECIPES} recipes build upon each other")
        for stage, key, other in _built_upon(recipe):
            if other in self.paths:
                continue
            found = _beside(path, other) or shipped().get(other)
            where = f"{path}: stage {stage}: {key}"
            if found is None:
                raise HarnessError(
                    f"{where}: no recipe is called {other!r:.60}: {closest(other, shipped())} "
                    f"(or put {other[:60]}.yaml beside this file)"
                )
            if (name := self.load(found)) != other:
                raise HarnessError(f"{where}: {found} holds a recipe called {name}, not {other}")
        self.ordered[recipe.name] = recipe
        return recipe.name


def _built_upon(recipe: Recipe) -> Iterator[tuple[str, str, str]]:
    """Stages that need other recipes, by which of their keys, and the names of these recipes."""
    for name, stage in recipe.stages.items():
        needed = [("init_from", parent) for parent in stage.init_from]
        needed += [("data.sample.model", model)] if (model := stage.samples_from) else []
        for key, parent in needed:
            if ":" in parent and (other := parent.split(":", 1)[0]) != recipe.name:
                yield name, key, other


def _beside(path: Path, name: str) -> Path | None:
    beside = path.with_name(f"{name}.yaml")  # names of recipes have no slashes: they are checked
    return beside if beside.is_file() else None


def _path_of(recipe: str | Path) -> Path:
    if isinstance(recipe, Path):
        return recipe
    if (known := shipped().get(recipe)) is not None:
        return known
    if recipe.lower().endswith(_ENDINGS):
        return Path(recipe)
    raise HarnessError(
        f"no recipe is called {recipe!r:.100}: {closest(recipe, shipped())} (a file's name ends in .yaml)"
    )

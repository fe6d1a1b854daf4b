"""Recipes: which stages make which checkpoint, of what, with which settings, and where each figure comes from.

A recipe is a YAML file (docs/recipes.md). `load_recipe` reads it and every recipe that it builds upon.
"""

from __future__ import annotations

from .graph import Node, RecipeGraph
from .reading import read_recipe, recipe_of
from .schema import BASE, KINDS, Data, Evaluate, Hardware, Provenance, Recipe, Sampled, Stage
from .shipped import load_recipe, load_recipes, recipe_files, shipped

__all__ = [
    "BASE",
    "KINDS",
    "Data",
    "Evaluate",
    "Hardware",
    "Node",
    "Provenance",
    "Recipe",
    "RecipeGraph",
    "Sampled",
    "Stage",
    "load_recipe",
    "load_recipes",
    "read_recipe",
    "recipe_files",
    "recipe_of",
    "shipped",
]

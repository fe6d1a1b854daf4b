"""The models that a run's stages start from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.plugins import PluginManager

from ..recipes import BASE, Node
from ..watching.naming import name_of
from .base import Base, folder_of
from .plan import Plan


class Models:
    """Finds them, and fetches a base model once it is needed.

    Args:
        told: is given a line before something that takes long.
    """

    def __init__(self, plan: Plan, plugins: PluginManager, told: Callable[[str], None]) -> None:
        self._plan, self._plugins, self._told = plan, plugins, told
        self._bases: dict[str, Path] = {}

    def base(self, text: str) -> Path:
        """Folder of a base model.

        Args:
            text: as recipes name it.

        Raises:
            HarnessError: it cannot be had.
        """
        if text not in self._bases:
            below = self._plan.layout.base
            self._bases[text] = folder_of(self._plan.bases[text], below, self._plugins, self._told)
        return self._bases[text]

    def fetch_base(self, node: Node) -> None:
        """Have the base model of a stage's recipe at hand, where it has one."""
        if self._plan.base_of(node) is not None:
            self.base(str(node.recipe.base))

    def starts(self, node: Node) -> list[Path]:
        """Folders of the models that a stage starts from, in the recipe's order."""
        found = []
        for parent in node.stage.init_from:
            if parent == BASE:
                found.append(self.base(str(node.recipe.base)))
            else:
                id_ = parent if ":" in parent else f"{node.recipe.name}:{parent}"
                found.append(self._plan.layout.out(self._plan.graph.nodes[id_]))
        return found

    @property
    def base_name(self) -> str | None:
        """Name in results of the model that all starts from, as far as it is known before it is fetched; None: it is
        not.
        """
        plan = self._plan
        if plan.base is None:
            return None if plan.root is None else plan.root.name
        return self._named(plan.base)[0]

    def bases(self) -> list[tuple[str, Path | None]]:
        """Names in results of the base models, and their folders where they are at hand."""
        return [self._named(base) for base in self._plan.bases.values()]

    def _named(self, base: Base) -> tuple[str, Path | None]:
        folder = self._bases.get(base.text) or base.folder(self._plan.layout.base)
        return (base.name, None) if folder is None else (name_of(folder), folder)

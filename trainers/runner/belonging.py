"""Which results are a recipe's: its models', on its benchmarks. Others may lie in the same folder."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness import HarnessError
from harness.models import ResolvedModel
from harness.plugins import PluginManager
from harness.store import RunFolder

from .layout import model_name, of_stage
from .models import Models
from .plan import Plan


class Belonging:
    """Says of a result whether it is of the recipe's base models, checkpoints, those on the way and merges.

    Not names alone: a recipe that was run twice, into two folders, has given two models one name.
    """

    def __init__(self, plan: Plan, models: Models, plugins: PluginManager) -> None:
        self._plan, self._models = plan, models
        nodes = [*plan.graph.wanted(), *plan.nodes]
        self._titles = {model_name(node) for node in nodes}
        self._benchmarks = set()
        for name in {name for node in nodes if node.evaluate for name in node.evaluate.bench or ()}:
            with suppress(HarnessError):  # the evaluation says so
                self._benchmarks.add(plugins.benchmark(name).label)
        self._contents: dict[Path, Any] = {}

    def __call__(self, result: Mapping[str, Any]) -> bool:
        """
        Args:
            result: as `harness.results.finished_below` gives it.
        """
        name, benchmark = str(result["model"]), str(result["benchmark"])
        if benchmark not in self._benchmarks:
            return False
        folders = [folder for base, folder in self._models.bases() if base == name]
        if of_stage(name)[0] in self._titles or name in self._titles:
            folders.append(self._plan.layout.models / name)
        if not folders:
            return False
        info = RunFolder(Path(result["path"]), benchmark).info_or_none() or {}
        model = info.get("model")
        measured = model.get("content") if isinstance(model, dict) else None
        return any(self._is(folder, measured) for folder in folders)

    def _is(self, folder: Path | None, measured: Any) -> bool:
        """Whether a folder's model is the one that was measured.

        Args:
            folder: None: it has not been fetched.
            measured: what tells it from others of its name; None: a model of the Hub, of which the name says enough.
        """
        if folder is None:
            return True
        if not folder.is_dir():
            return False
        return measured is None or self._content(folder) in (None, measured)

    def _content(self, folder: Path) -> Any:
        if folder not in self._contents:
            try:
                self._contents[folder] = ResolvedModel(folder.name, folder=folder).identity()["content"]
            except (HarnessError, OSError):
                return None
        return self._contents[folder]

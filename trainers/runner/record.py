"""What a run leaves for reports and for people: training.json, the recipe, the report."""

from __future__ import annotations

import threading
from pathlib import Path

from harness.files import write_atomically
from harness.plugins import PluginManager
from harness.training import Cost, Curve, Training, write_training

from ..ledger import Ledger, bill
from ..recipes import RecipeGraph
from ..watching.report import Watched, write_report
from .belonging import Belonging
from .changes import as_yaml
from .curves import curve_of, read_log
from .layout import RECIPE, model_name
from .models import Models
from .plan import Plan


class Record:
    """Rewrites the files of a run as it goes on. Threads may share it.

    Args:
        results: where evaluations go.
        published: whether published figures stand beside the measured ones.
    """

    def __init__(
        self,
        plan: Plan,
        results: Path,
        plugins: PluginManager,
        usd_per_hour: float | None,
        models: Models,
        *,
        published: bool = True,
    ) -> None:
        self.plan, self.results, self.price, self.published = plan, results, usd_per_hour, published
        self.belongs = Belonging(plan, models, plugins)
        self._plugins, self._models = plugins, models
        self._watched = Watched(results, plan.layout.folder)
        self._written: Training | None = None
        self._lock = threading.Lock()

    @property
    def base(self) -> str | None:
        """Name in results of the model that all starts from; None: not known yet."""
        return self._models.base_name

    def training(self) -> Training:
        """The costs and curves so far.

        Raises:
            HarnessError: the ledger or a log cannot be read.
        """
        plan = self.plan
        return Training(plan.recipe, plan.machine.device, self.base, self._costs(), self._curves())

    def write_training(self) -> None:
        """Write training.json alone.

        Raises:
            HarnessError: the disk is full, or the ledger or a log cannot be read.
        """
        with self._lock:
            self._write_training()

    def write(self, *, more: bool = False) -> str | None:
        """Write training.json, and the report where it is to be written again.

        Args:
            more: it will soon change again.

        Returns:
            one line on what of the report could not be written.

        Raises:
            HarnessError: the disk is full.
        """
        with self._lock:
            folder = self.plan.layout.folder
            self._write_training()
            if not self._watched.is_due(more=more):
                return None
            return write_report(
                self.results,
                folder / "report",
                plugins=self._plugins,
                baseline=self.base,
                training=folder,
                published=self.published,
                keep=self.belongs,
            )

    def _write_training(self) -> None:
        training = self.training()
        if training != self._written:  # a report is written again when the file has changed
            write_training(self.plan.layout.folder, training)
            self._written = training

    def _costs(self) -> tuple[Cost, ...]:
        ledger = Ledger(self.plan.layout.folder)
        entries = ledger.entries()
        ran = {entry.stage for entry in entries}
        found = []
        for row in bill(self.plan.graph, entries, self.price).checkpoints:
            # Of a stage that has not begun, the recipe's figure is nothing that this run took.
            if set(row.stages) <= ran:
                name = model_name(self.plan.graph.nodes[row.id])
                found.append(
                    Cost(name, row.made_from, row.device_hours, row.usd, row.energy_kwh, row.complete)
                )
        return tuple(found)

    def _curves(self) -> tuple[Curve, ...]:
        found = []
        for stage in self.plan.stages:
            node = stage.node
            log = read_log(self.plan.layout.work(node))
            curve = curve_of(
                log, node.id, node.stage.trainer, _leads_to(self.plan.graph, node.id), node.stage.parameters
            )
            if curve is not None:
                found.append(curve)
        return tuple(found)


def write_recipes(graph: RecipeGraph, folder: Path, sources: dict[str, Path]) -> None:
    """Put the recipe into the folder of its run, and those that it builds upon beside it.

    Args:
        sources: files of recipes that are as they were read.

    Raises:
        HarnessError: the disk is full.
    """
    for name, recipe in graph.recipes.items():
        source = sources.get(name)
        data = as_yaml(recipe).encode() if source is None else source.read_bytes()
        path = folder / (RECIPE if name == graph.asked[-1] else f"{name}.yaml")
        write_atomically(path, lambda file, data=data: file.write(data))  # type: ignore[misc]


def _leads_to(graph: RecipeGraph, id_: str) -> str:
    """The model that a stage makes, or, where that is a step on the way, the first checkpoint that comes from it."""
    pending = [id_]
    for current in pending:  # grows
        if graph.nodes[current].stage.checkpoint:
            return model_name(graph.nodes[current])
        pending += [node.id for node in graph if current in node.parents and node.id not in pending]
    return model_name(graph.nodes[id_])

"""The training rows of a run's stages, each stage's made once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

from harness import HarnessError
from harness.cli.progress import open_progress
from harness.plugins import PluginManager
from harness.progress import Progress

from ..data import Prepared
from ..recipes import Node
from . import stage_data
from .asked import check_same
from .models import Models
from .plan import Plan, StagePlan


class Rows:
    """Makes the rows that a plan's stages are trained on.

    Args:
        told: is given a line for each thing that people want to know of them.
    """

    def __init__(
        self, plan: Plan, models: Models, plugins: PluginManager, told: Callable[[str], None], *, quiet: bool
    ) -> None:
        self._plan, self._models, self._plugins = plan, models, plugins
        self._told, self._quiet = told, quiet
        self._made: dict[str, Prepared] = {}

    def make_early(self) -> None:
        """Make those that need no model to sample them: what is wrong with them shows before hours of training.

        Raises:
            HarnessError: a stage's rows cannot be had.
        """
        for stage in self._plan.stages:
            if stage.state == "done" or stage.trainer.needs is None:
                continue
            if stage.data is not None and stage.data.problem is not None:
                raise HarnessError(f"stage {stage.node.id} waits for data: {stage.data.problem}")
            if stage.node.stage.samples_from is None and self._model_is_known(stage.node):
                self.make(stage)

    def make(self, stage: StagePlan) -> Prepared | None:
        """A stage's rows; None where it has none.

        Raises:
            HarnessError: they cannot be had, or are others than those that the stage was begun with.
            Interrupted: while chains were sampled.
        """
        node = stage.node
        if stage.trainer.needs is None:
            return None
        if node.id not in self._made:
            self._models.fetch_base(node)
            model = self._plan.rows_model(node)
            with nullcontext(Progress()) if self._quiet else open_progress() as progress:
                made = stage_data.make(node, stage.trainer, self._plan.layout, model, self._plugins, progress)
            self._made[node.id] = made
            check_same(node, stage.found, stage.asked, self._plan.layout, made.digest)
            self._tell(node, made)
        return self._made[node.id]

    def _model_is_known(self, node: Node) -> bool:
        """Whether the model whose tokenizer counts is the one that will be there when the stage's turn comes."""
        root = self._plan.root
        return root is None or root.node.id == node.id or self._plan.layout.out(root.node).is_dir()

    def _tell(self, node: Node, made: Prepared) -> None:
        for note in made.notes:
            self._told(f"{node.id}: {note}")
        learnt = made.completion_tokens
        tokens = "" if learnt is None else f", {learnt:,.0f} tokens to learn each"
        self._told(f"{node.id}: {made.rows:,} training rows{tokens}")

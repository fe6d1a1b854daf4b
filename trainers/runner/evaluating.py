"""The evaluations of a run: which model under which flags, and when training waits for them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

from harness.plugins import PluginManager

from ..recipes import BASE, Node
from ..watching.evaluations import Evaluations, Failure
from .plan import Plan

When = Literal["beside", "between", "never"]
WHEN: Final[tuple[When, ...]] = ("beside", "between", "never")


class Evaluating:
    """Evaluates what a run makes; nothing that goes wrong here stops training.

    Args:
        when: "beside" training, in processes of their own; "between" stages, so that both have the machine to
            themselves; "never".
        devices: CUDA_VISIBLE_DEVICES of evaluations; None: as here.
        told: is given a line for each thing that happens.
        after_each: is called after each evaluation, in another thread.
    """

    def __init__(
        self,
        plan: Plan,
        results: Path,
        when: When,
        plugins: PluginManager,
        told: Callable[[str], None],
        after_each: Callable[[], None],
        devices: str | None = None,
    ) -> None:
        self._plan, self._when = plan, when
        self._failures: list[Failure] = []
        self._evaluations: Evaluations | None = None
        if when != "never":
            self._evaluations = Evaluations(
                results, devices=devices, told=told, after_each=after_each, plugins=plugins
            )

    def base(self, folder: Path, text: str) -> None:
        """Have a base model evaluated in every way in which those that come from it are.

        Args:
            text: the base as recipes name it.
        """
        if self._evaluations is None:
            return
        ways: dict[str, dict[str, Any]] = {}
        for stage in self._plan.stages:
            evaluate = stage.node.evaluate
            if evaluate is not None and self._base_of(stage.node) == text:
                flags = evaluate.flags()
                ways.setdefault(json.dumps(flags, sort_keys=True), flags)
        for flags in ways.values():
            self._evaluations.submit(folder, flags)

    def checkpoint(self, node: Node, folder: Path) -> None:
        """Have a checkpoint of a stage evaluated as its recipe says."""
        if self._evaluations is not None and (evaluate := node.evaluate) is not None:
            self._evaluations.submit(folder, evaluate.flags())

    def before_training(self) -> None:
        """Wait, where training and evaluations take turns."""
        if self._when == "between":
            self._wait()

    @property
    def pending(self) -> int:
        """How many evaluations are going on or waiting."""
        return 0 if self._evaluations is None else self._evaluations.pending

    def finish(self) -> list[Failure]:
        """Wait for all that is left. Returns what could not be evaluated."""
        self._wait()
        return self._failures

    def close(self, cancel: bool = False) -> None:
        if self._evaluations is not None:
            self._evaluations.close(cancel=cancel)

    def _wait(self) -> None:
        if self._evaluations is not None:
            self._failures += self._evaluations.wait()

    def _base_of(self, node: Node) -> str | None:
        lineage = self._plan.graph.lineage(node.id)
        return next((each.recipe.base for each in lineage if BASE in each.stage.init_from), None)

"""Checkpoints that a stage passes on its way: which are evaluated, and how they outlive its states."""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from harness import HarnessError
from harness.models import folder_problem

from ..recipes import Node
from ..watching.aside import put_aside
from ..watching.complete import is_adapter
from .curves import read_log
from .layout import RunLayout, model_name, of_stage, on_the_way

_HALF: Final = re.compile(r"\.saving-.+-checkpoint-[0-9]+\.[0-9]+")
"""As `put_aside` calls what it is making."""
_WHOLE: Final = 1e-6
"""How far from a whole number the epoch may be, at the end of one: it is logged in as many digits."""


class OnTheWay:
    """Keeps checkpoints as models of their own, by links to the files of the states: those are soon removed.

    Args:
        told: is given a line for each that cannot be kept.
    """

    def __init__(self, layout: RunLayout, told: Callable[[str], None]) -> None:
        self._layout, self._told = layout, told
        self._said: set[str] = set()

    def clear(self) -> None:
        """Remove what a killed command has left half kept: its links hold the files of a state that is long gone."""
        for path in self._layout.models.iterdir():
            if _HALF.fullmatch(path.name):
                shutil.rmtree(path, ignore_errors=True)

    def keep(self, node: Node, step: int, state: Path) -> Path | None:
        """Keep a state, where the recipe has it evaluated. Returns the model's folder, or None where it is not kept."""
        if node.evaluate is None or not node.evaluate.saves:
            return None
        if not is_wanted(node.stage.parameters, step, read_log(self._layout.work(node))):
            return None
        if is_adapter(state):
            self._say_once(f"{node.id}: the checkpoints on the way hold adapters alone and are not evaluated")
            return None
        if folder_problem(state) is not None:
            return None  # whatever else a trainer saves
        try:
            return put_aside(state, on_the_way(node, step), self._layout.models)
        except HarnessError as error:
            self._say_once(f"{node.id}: the checkpoint of step {step:,} is not evaluated: {error}")
            return None

    def kept(self, node: Node) -> list[Path]:
        """Those of a stage that were kept, by step."""
        found = {of_stage(path.name): path for path in self._layout.models.iterdir() if path.is_dir()}
        name = model_name(node)
        return [found[key] for key in sorted(key for key in found if key[0] == name and key[1] is not None)]

    def _say_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._told(text)


def is_wanted(parameters: Mapping[str, Any], step: int, log: list[dict[str, Any]]) -> bool:
    """Whether a state is one that the parameters ask for: others are only there to go on from.

    What is saved between them, or because somebody asked the stage to stop, depends on the machine and the day. Where
    the parameters say nothing, all count.

    Args:
        log: of the stage.
    """
    strategy, every = parameters.get("save_strategy"), parameters.get("save_steps")
    if strategy == "no":
        return False
    if strategy == "epoch":
        entry = next((entry for entry in log if entry["step"] == step), {})
        epoch = entry.get("epoch")
        if not isinstance(epoch, int | float) or not math.isfinite(epoch):
            return True
        return abs(epoch - round(epoch)) < _WHOLE
    if isinstance(every, bool) or not isinstance(every, int | float) or every <= 0:
        return True
    if every < 1:  # a share of all steps
        steps = log[-1].get("steps") if log else None
        if not isinstance(steps, int):
            return True
        every = math.ceil(steps * every)
    return step % int(every) == 0

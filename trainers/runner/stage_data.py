"""The training rows of a recipe's stages: how many there will be, and making them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness import HarnessError, Trainer
from harness.plugins import PluginManager
from harness.progress import Progress

from ..data import DataSize, Prepared, describe, prepare
from ..recipes import Data, Node
from .layout import RunLayout

_PROTOCOL: Final = "deepseek-r1"
_GIVE: Final = "give rows with --data {}=FILE"


@dataclass(frozen=True, slots=True)
class StageData:
    """What is known of a stage's rows before they are made."""

    size: DataSize | None
    problem: str | None
    """Why they cannot be had, with how to mend it."""


def look(
    node: Node, trainer: Trainer, layout: RunLayout, model: Path | None, plugins: PluginManager
) -> StageData:
    """
    Args:
        model: folder of the model that samples the rows, or whose tokenizer counts them; None: it is not there yet.
    """
    how = _GIVE.format(node.id)
    if node.stage.data is None or not node.stage.data.source:
        return StageData(None, f"the recipe names no data: {how}")
    try:
        size = describe(
            node.stage.data,
            needs=trainer.needs or "chains",
            folder=layout.data,
            name=rows_name(node),
            model=model,
            plugins=plugins,
            protocol=_protocol(node),
        )
    except HarnessError as error:
        return StageData(None, f"{error} ({how})")
    return StageData(size, None)


def make(
    node: Node,
    trainer: Trainer,
    layout: RunLayout,
    model: Path | None,
    plugins: PluginManager,
    progress: Progress | None,
) -> Prepared:
    """Arguments as those of `look`.

    Raises:
        HarnessError: the rows cannot be had; names the stage.
        Interrupted: while chains were sampled.
    """
    data = node.stage.data
    if data is None:
        raise HarnessError(f"stage {node.id}: the recipe names no data: {_GIVE.format(node.id)}")
    try:
        return prepare(
            data,
            needs=trainer.needs or "chains",
            folder=layout.data,
            name=rows_name(node),
            model=model,
            plugins=plugins,
            protocol=_protocol(node),
            progress=progress,
        )
    except HarnessError as error:
        if error.exit_code != HarnessError.exit_code:
            raise
        raise HarnessError(f"stage {node.id}: {error} ({_GIVE.format(node.id)})") from None


def shown_source(data: Data | None) -> str:
    """Where rows come from, for people."""
    return ", ".join(data.source) if data is not None and data.source else ""


def rows_name(node: Node) -> str:
    return f"{node.recipe.name}.{node.name}"


def _protocol(node: Node) -> str:
    """Problems are put to the model as they are when it is evaluated."""
    ways = (node.stage.evaluate, node.recipe.evaluate)
    return next((way.protocol for way in ways if way is not None and way.protocol), _PROTOCOL)

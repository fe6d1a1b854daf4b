"""Where things lie in the folder of a recipe's run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness import HarnessError
from harness.files import safe_name

from ..recipes import Node

RECIPE: Final = "recipe.yaml"
JOB: Final = "job.json"
DONE: Final = "done.json"
LOG: Final = "log.jsonl"
OUTPUT: Final = "output.log"
"""What a stage's processes have printed."""

STATE: Final = "state"
"""Folder of a stage's saved states."""

_CHECKPOINT: Final = re.compile(r"checkpoint-([0-9]{1,12})")
_ON_THE_WAY: Final = re.compile(r"(.+)-checkpoint-([0-9]{1,12})")


@dataclass(frozen=True, slots=True)
class RunLayout:
    """A run folder's places."""

    folder: Path

    @property
    def recipe(self) -> Path:
        return self.folder / RECIPE

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def models(self) -> Path:
        return self.folder / "models"

    @property
    def base(self) -> Path:
        """Where a base model goes that must be converted."""
        return self.folder / "base"

    def work(self, node: Node) -> Path:
        return self.folder / "stages" / f"{node.recipe.name}.{node.name}"

    def out(self, node: Node) -> Path:
        return self.models / model_name(node)


def model_name(node: Node) -> str:
    """The name of a stage's model in results, which is that of its folder."""
    return safe_name(node.title)


def on_the_way(node: Node, step: int) -> str:
    """The name of a checkpoint that a stage passes."""
    return f"{model_name(node)}-checkpoint-{step}"


def of_stage(name: str) -> tuple[str, int | None]:
    """The name of a stage's model, and at which step it was such, out of the name of either; None: at the end."""
    match = _ON_THE_WAY.fullmatch(name)
    return (name, None) if match is None else (match[1], int(match[2]))


def check_names(nodes: Iterable[Node]) -> None:
    """
    Raises:
        HarnessError: two stages would write one folder, or a stage one that would be called something else in results.
    """
    by_name: dict[str, Node] = {}
    for node in nodes:
        first = by_name.setdefault(model_name(node).lower(), node)  # some disks know no capitals
        if first is not node:
            raise HarnessError(
                f"{first.id} and {node.id} would both make models/{model_name(node)}: give one another title"
            )
    for node in by_name.values():
        name = model_name(node)
        if _CHECKPOINT.fullmatch(name) or of_stage(name.lower())[0] in by_name.keys() - {name.lower()}:
            raise HarnessError(
                f"{node.id} would make models/{name}, which is what a checkpoint on the way is called: give it "
                "another title"
            )


def states(work: Path) -> Mapping[int, Path]:
    """Saved states of a stage by step, rising."""
    folder = work / STATE
    try:
        found = {
            int(match[1]): entry for entry in folder.iterdir() if (match := _CHECKPOINT.fullmatch(entry.name))
        }
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise HarnessError(f"cannot read {folder}: {error.strerror or error}") from None
    return dict(sorted(found.items()))

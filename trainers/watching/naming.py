"""What a checkpoint's folder is called in results, and which folders are checkpoints."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.checkpoints import checkpoint_of
from harness.models import folder_name

_TEMPORARY: Final = re.compile(
    r"\..*|tmp[-_.].*|.*\.(?:tmp|part|partial|incomplete)|.*[-_.]tmp", re.IGNORECASE
)
_MODEL: Final = ("config.json", "adapter_config.json", "openvino_model.xml")
_INNER: Final = ("huggingface", "actor/huggingface", "hf", "model")
"""Where programs that save more than a model keep the model: verl has `global_step_N/actor/huggingface`."""


@dataclass(frozen=True, slots=True)
class Found:
    """A folder that is, or is becoming, a checkpoint."""

    folder: Path
    """Of the model itself."""
    name: str
    """In results."""
    step: int | None
    """None: of no particular step, such as the finished model."""


def is_temporary(name: str) -> bool:
    """Whether a folder's name says that it is still being written: `.saving-...`, `tmp-...`, `....tmp`."""
    return _TEMPORARY.fullmatch(name) is not None


def name_of(folder: Path) -> str:
    """What the core calls a folder's model in results."""
    return folder_name(folder.resolve())


def checkpoints_in(folder: Path, run: str | None = None) -> list[Found]:
    """The checkpoints of a training program's folder, whole or not: by step, the folder's own model last.

    By step because a curve grows from its left end, and because the oldest are the first to be removed where only so
    many are kept.

    Args:
        run: what the training run is called in results; None: as its folder.

    Raises:
        OSError: the folder cannot be read.
    """
    folder = folder.resolve()
    called = folder.name if run is None else run
    found = []
    for entry in folder.iterdir():
        if is_temporary(entry.name) or not entry.is_dir() or _is_second_name(entry):
            continue
        at = checkpoint_of(entry.name)
        model = _model_in(entry)
        if model is None and at is None:
            continue
        only_a_step = at is not None and not at.series  # "checkpoint-100" alone says nothing in a table
        name = f"{called}-{entry.name}" if only_a_step or run is not None else entry.name
        found.append(Found(model or entry, name, None if at is None else at.step))
    found.sort(key=lambda each: (each.step is None, each.step or 0, each.name))
    if any((folder / file).is_file() for file in _MODEL):
        found.append(Found(folder, called, None))
    return found


def _is_second_name(entry: Path) -> bool:
    """Whether it is a link to another folder beside it, such as `latest`: that one is evaluated by its own name."""
    return entry.is_symlink() and entry.resolve().parent == entry.parent


def _model_in(folder: Path) -> Path | None:
    for inner in (folder, *(folder / part for part in _INNER)):
        # os.path: a folder that may not be looked into, such as lost+found, is no checkpoint and no error.
        if any(os.path.isfile(inner / file) for file in _MODEL):
            return inner
    return None

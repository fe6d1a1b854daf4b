"""Is a checkpoint whole, or is somebody still writing it?"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.models import folder_problem

from .naming import is_temporary

SETTLE_SECONDS: Final = 2.0

_SHARD: Final = re.compile(r"(?P<stem>.+)-(?P<part>\d{5})-of-(?P<parts>\d{5})\.safetensors")
_OF_TRAINER: Final = re.compile(r"checkpoint-\d+")
_STEMS: Final = (
    "config",
    "generation_config",
    "model",
    "tokenizer",
    "special_tokens",
    "added_tokens",
    "vocab",
    "merges",
)
_STEMS_OF_OTHERS: Final = ("chat_template", "preprocessor", "adapter", "openvino", "pytorch_model")
_MOST_JSON: Final = 64 << 20
_INDEX: Final = "model.safetensors.index.json"

Signature = tuple[tuple[str, int, int], ...]
"""Name, size and time of change (ns) of each file of a folder."""


def problem(folder: Path) -> str | None:
    """Why a folder is no whole model, as a clause; None if everything is there, as far as it can be seen at once."""
    if is_temporary(folder.name):
        return "its name says that it is still being written"
    return (
        folder_problem(folder) or _shards_problem(folder) or _state_problem(folder) or _json_problem(folder)
    )


def is_adapter(folder: Path) -> bool:
    """Whether it holds a LoRA adapter, which no engine here can use without its base model."""
    return (folder / "adapter_config.json").is_file() and not (folder / "config.json").is_file()


def signature(folder: Path, *, model_only: bool = False) -> Signature | None:
    """What changes as long as somebody writes to a folder; None where it cannot be read.

    Args:
        model_only: only of the files that make a model; logs may grow beside it for ever.
    """
    found = []
    try:
        for entry in folder.iterdir():
            if entry.is_file() and (_is_of_model(entry.name) or not model_only):
                status = entry.stat()
                found.append((entry.name, status.st_size, status.st_mtime_ns))
    except OSError:
        return None
    return tuple(sorted(found))


def whole(folder: Path, settle: float = SETTLE_SECONDS) -> str | None:
    """Why a folder is no whole model, looked at twice.

    Args:
        settle: seconds between the looks; 0 where it appeared by a rename.
    """
    before = signature(folder)
    found = problem(folder)
    if found is not None or settle <= 0:
        return found
    time.sleep(settle)
    return problem(folder) if signature(folder) == before else "it is still being written"


@dataclass(slots=True)
class _Seen:
    signature: Signature | None
    since: float
    """When it was first seen to be as it is, by this process's own clock: those of a file server may differ."""


class Looks:
    """Remembers how folders looked, so that many can settle at the same time.

    Args:
        root: the watched folder itself, in which other files than the model's come and go.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._seen: dict[Path, _Seen] = {}

    def quiet_for(self, folder: Path) -> float:
        """Look at a folder. Returns for how many seconds it is known to be as it is; -1 where it cannot be read."""
        now, current = time.monotonic(), signature(folder, model_only=folder == self._root)
        seen = self._seen.get(folder)
        if seen is None or seen.signature != current:
            seen = self._seen[folder] = _Seen(current, now)
        return -1.0 if current is None else now - seen.since


def _is_of_model(name: str) -> bool:
    if name.endswith((".safetensors", ".gguf", ".model", ".tiktoken", ".jinja", ".xml")):
        return True
    return name.startswith(_STEMS + _STEMS_OF_OTHERS) and name.endswith((".json", ".txt", ".bin"))


def _json_problem(folder: Path) -> str | None:
    """A file that was being written when its writer was killed stays as it is: only its content tells."""
    try:
        files = sorted(file for file in folder.glob("*.json") if _is_of_model(file.name))
        for file in files:
            if file.stat().st_size <= _MOST_JSON:
                json.loads(file.read_bytes())
    except OSError as error:
        return f"it cannot be read ({error.strerror or error})"
    except (ValueError, RecursionError):
        return f"its {file.name} is cut off or damaged"
    return None


def _state_problem(folder: Path) -> str | None:
    """A Trainer of transformers writes the model, then its arguments, the optimiser's state, and at last its own state.

    One that was killed in between resumes from an earlier checkpoint and makes this one again.
    """
    if not _OF_TRAINER.fullmatch(folder.name) or not (folder / "training_args.bin").is_file():
        return None
    if (folder / "trainer_state.json").is_file():
        return None
    return (
        "its trainer_state.json, which transformers writes last, is not there "
        "(take training_args.bin away if nothing more is to come)"
    )


def _shards_problem(folder: Path) -> str | None:
    """Shards say how many there are; the index, by which the core knows what is missing, is written after them."""
    try:
        names = {entry.name for entry in folder.iterdir()}
    except OSError as error:
        return f"it cannot be read ({error.strerror or error})"
    if _INDEX in names or "model.safetensors" in names:
        return None
    if any(_SHARD.fullmatch(name) for name in names):
        return f"its weights are in parts, and {_INDEX} is not there yet"
    return None

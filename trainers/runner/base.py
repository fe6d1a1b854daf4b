"""The model that a recipe starts from: from its name to a folder of safetensors."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from harness import GGUFFile, HarnessError, Model, hub
from harness.files import safe_name
from harness.models import ResolvedModel, folder_problem, resolve_model
from harness.plugins import PluginManager
from harness.safetensors import read_headers, read_object

_BILLION: Final = 1e9
_DEQUANTISE: Final = "harness_trainers.runner.dequantise"


@dataclass(frozen=True, slots=True)
class Base:
    """A base model, looked at and not fetched."""

    text: str
    """As the recipe names it."""
    model: ResolvedModel
    identity: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.model.name

    def folder(self, below: Path) -> Path | None:
        """Its safetensors where they are at hand: a folder, in the Hub's cache, or converted before.

        Args:
            below: where converted models go.
        """
        if self.model.folder is not None:
            return self.model.folder
        if (made := _converted(self.model, below)).is_dir():
            return made
        cached = None if self.model.repo is None else _in_hub_cache(self.model.repo, self.model.revision)
        return None if cached is None else cached.parent

    def config(self, below: Path) -> Mapping[str, Any] | None:
        """Its config.json where it is at hand."""
        folder = self.folder(below)
        return None if folder is None else read_object(folder / "config.json")

    @property
    def weights(self) -> float | None:
        """How many it has, where that is known without fetching it."""
        if self.model.folder is not None:
            try:
                return float(
                    sum(math.prod(stored.shape) for stored in read_headers(self.model.folder).values())
                )
            except HarnessError:
                return None
        known = self.model.known
        return None if known is None or known.parameters is None else known.parameters * _BILLION


def find_base(text: str, known: Iterable[Model]) -> Base:
    """
    Raises:
        HarnessError: nothing is called so, or a folder that is no model.
    """
    model = resolve_model(text, known)
    if model.has_openvino_ir:
        raise HarnessError(
            f"base {text}: OpenVINO IR cannot be trained: name the model that it was made from"
        )
    return Base(text, model, model.identity())


def folder_of(base: Base, below: Path, plugins: PluginManager, told: Callable[[str], None]) -> Path:
    """The folder of a base model's safetensors; fetched, or converted from GGUF, if it must be.

    Args:
        below: where a converted model goes, as a folder of the model's name.
        told: is given a line before something that takes long.

    Raises:
        HarnessError: it cannot be had, or cannot be converted.
    """
    model = base.model
    if model.folder is not None:
        return model.folder
    out = _converted(model, below)
    if out.is_dir() and folder_problem(out) is None:
        return out
    if model.file is not None:
        return _convert(model.file, out, told)
    assert model.repo is not None
    try:
        return hub.snapshot(model.repo, model.revision)
    except HarnessError:
        if model.known is None or model.known.gguf is None:
            raise
    return _convert(_gguf(model, model.known.gguf, plugins, told), out, told)


def _converted(model: ResolvedModel, below: Path) -> Path:
    return below / safe_name(model.name)


def _in_hub_cache(repo: str, revision: str | None) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    try:
        found = try_to_load_from_cache(repo, "config.json", revision=revision)
    except ValueError:
        return None
    return Path(found) if isinstance(found, str) else None


def _gguf(model: ResolvedModel, gguf: GGUFFile, plugins: PluginManager, told: Callable[[str], None]) -> Path:
    """The GGUF file of a known model: from the Hub, or as a sampler that knows another way has prepared it."""
    if (ready := _prepared(gguf)) is not None:
        return ready
    try:
        return hub.file(gguf.repo, gguf.filename)
    except HarnessError as error:
        told(f"{gguf.repo} cannot be had from the Hub: a sampler fetches {model.name} its own way")
        no_hub = error
    _have_a_sampler_fetch(model, plugins)
    if (ready := _prepared(gguf)) is None:
        raise HarnessError(
            f"base {model.name} cannot be had: {no_hub}; if you have {gguf.filename}, name it with --base FILE"
        )
    return ready


def _prepared(gguf: GGUFFile) -> Path | None:
    """What a sampler has left in the harness's cache (FATHOM_CACHE) of that very file."""
    if own := os.environ.get("FATHOM_CACHE"):
        cache = Path(own).expanduser()
    else:
        home = os.environ.get("XDG_CACHE_HOME")
        cache = (Path(home).expanduser() if home else Path.home() / ".cache") / "fathom-harness"
    names = f"{Path(gguf.filename).stem}-{gguf.sha256[:12]}-v*.gguf"
    found = sorted((cache / "models").glob(names))
    return found[-1] if found else None


def _have_a_sampler_fetch(model: ResolvedModel, plugins: PluginManager) -> None:
    from harness import SamplingSettings
    from harness.config import EngineConfig
    from harness.selection import select

    chosen = select(EngineConfig(model=model.known.name if model.known else model.name), plugins)
    settings = SamplingSettings(temperature=0, top_p=1, max_tokens=1)
    with chosen.sampler.open(chosen.model, settings, chosen.options):
        pass  # what it needs lies in the cache now


def _convert(file: Path, out: Path, told: Callable[[str], None]) -> Path:
    """In a process of its own: it needs torch, and more memory than who waits for it should keep."""
    told(f"converting {file.name} to safetensors, in {out}")
    out.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-P", "-m", _DEQUANTISE, str(file), str(out)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode or not out.is_dir():
        lines = [line.strip() for line in done.stderr.split("\n") if line.strip()]
        said = [line for line in lines if line.startswith("harness: ")]
        text = (said or lines or ["it said nothing"])[-1].removeprefix("harness: ")
        raise HarnessError(f"{file} cannot be converted to safetensors: {text[:300]}")
    return out

"""What checkpoints are to be evaluated on, looked at before the first one is there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.config import load_config
from harness.models import resolve_model
from harness.plugins import PluginManager


def checked_flags(
    config: Path | None, flags: Mapping[str, Any], plugins: PluginManager
) -> tuple[Path, dict[str, Any]]:
    """Where results go, and the flags of `harness run` for each checkpoint.

    Raises:
        HarnessError: a value out of range, or a benchmark, protocol or sampler that is not known.
    """
    asked = load_config(config, flags)
    for name in asked.bench:
        plugins.benchmark(name)
    plugins.protocol(asked.protocol)
    if asked.sampler != "auto":
        plugins.sampler(asked.sampler.partition(":")[0])
    wanted = asked.model_dump(mode="json", exclude_unset=True, exclude={"model", "results"})
    for path in ("data", "prices", "chains"):
        if wanted.get(path) is not None:
            wanted[path] = str(Path(wanted[path]).absolute())
    return asked.results.absolute(), wanted


def base_of(base: str | Path | None, plugins: PluginManager) -> tuple[str | Path | None, str | None]:
    """The model that training started from, and what it is called in results.

    Raises:
        HarnessError: there is no such model.
    """
    if base is None:
        return None, None
    found = resolve_model(str(base), plugins.models.values())
    return found.folder or str(base), found.name

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.imports import ImportConfig, import_chains
from harness.plugins import PluginManager

Importing = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def importing(plugins: PluginManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Importing:
    """Imports paths into `tmp_path/results`, as the command does."""
    monkeypatch.delenv("HARNESS_DATA", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def run(importer: str, *paths: Path, **settings: Any) -> list[dict[str, Any]]:
        config = ImportConfig(paths=paths, importer=importer, results=tmp_path / "results", **settings)
        return import_chains(config, plugins)

    return run

"""Shared parts of the tests of training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.plugins import PluginManager
from harness_trainers.data import Prepared, prepare
from harness_trainers.recipes import Data
from tests.samplers.tiny import make_tiny_model

from . import sums
from .prepared import Make, write
from .watched import Moody


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a hundred thousand random weights; not to be changed."""
    return make_tiny_model(tmp_path_factory.mktemp("tiny") / "model", seed=1)


@pytest.fixture
def moody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Moody:
    """The sampler `moody`, found by this test's processes."""
    made = Moody(tmp_path / "moody")
    monkeypatch.setenv("PYTHONPATH", made.path)
    return made


@pytest.fixture(scope="session")
def summing() -> PluginManager:
    """The plugins, with the benchmarks and samplers of `sums` among them."""
    return sums.plugins()


@pytest.fixture
def make(tmp_path: Path, summing: PluginManager) -> Make:
    """Prepares data of which a recipe says so much."""

    def run(source: object = None, needs: Any = "chains", model: Path | None = None, **said: Any) -> Prepared:
        if isinstance(source, list) and source and isinstance(source[0], dict):
            source = str(write(tmp_path / "rows.jsonl", source))
        known = {key: said.pop(key) for key in ("name", "data_folder", "protocol") if key in said}
        data = Data.model_validate({"source": str(source) if isinstance(source, Path) else source, **said})
        usual = {"name": "stage", **known}
        return prepare(data, needs=needs, folder=tmp_path / "out", model=model, plugins=summing, **usual)

    return run

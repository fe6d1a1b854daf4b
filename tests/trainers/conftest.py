"""Shared parts of the tests of training."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.samplers.tiny import make_tiny_model

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

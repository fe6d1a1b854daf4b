"""The model that a recipe starts from, however it is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness import GGUFFile, HarnessError, Model
from harness.models import folder_problem
from harness.plugins import PluginManager
from harness.safetensors import opened
from harness_trainers.runner.base import find_base, folder_of

GGUF = GGUFFile("org/tiny-GGUF", "tiny.gguf", 1, "ab" * 32)


def test_a_folder_is_taken_as_it_is(tiny: Path, tmp_path: Path, plugins: PluginManager) -> None:
    base = find_base(str(tiny), [])
    assert folder_of(base, tmp_path, plugins, print) == tiny
    assert base.name == "model"
    assert base.weights is not None
    assert base.weights > 50_000
    config = base.config(tmp_path)
    assert config is not None
    assert config["model_type"] == "qwen2"


def test_a_known_model_that_only_has_gguf_is_converted_once(
    tiny: Path, tmp_path: Path, plugins: PluginManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a sampler has left it in the cache, where there is no Hub."""
    pytest.importorskip("transformers")
    pytest.importorskip("gguf")
    from harness_plugins.samplers.weights._safetensors_gguf import convert

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("FATHOM_CACHE", str(tmp_path))
    prepared = tmp_path / "models" / f"tiny-{GGUF.sha256[:12]}-v2.gguf"
    prepared.parent.mkdir()
    convert(tiny, prepared, "f16", lambda done, total: None)
    known = Model("tiny", "org/tiny", gguf=GGUF, parameters=0.1)
    said: list[str] = []
    base = find_base("tiny", [known])
    assert (base.weights, base.config(tmp_path / "base")) == (0.1e9, None)
    folder = folder_of(base, tmp_path / "base", plugins, said.append)
    assert (folder.name, folder_problem(folder)) == ("tiny", None)
    assert len(said) == 1
    with opened(tiny) as before, opened(folder) as after:
        assert set(before.tensors) == set(after.tensors)
        for name, stored in before.tensors.items():
            a = next(iter(before.pieces(stored)))
            b = next(iter(after.pieces(after.tensors[name])))
            np.testing.assert_allclose(a, b, rtol=2**-7, atol=1e-6)
    assert folder_of(find_base("tiny", [known]), tmp_path / "base", plugins, said.append) == folder
    assert len(said) == 1
    assert base.config(tmp_path / "base") is not None


def test_a_damaged_gguf_is_one_line(tmp_path: Path, plugins: PluginManager) -> None:
    file = tmp_path / "broken.gguf"
    file.write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(HarnessError, match="cannot be converted to safetensors") as caught:
        folder_of(find_base(str(file), []), tmp_path / "base", plugins, print)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "base").iterdir())


def test_a_model_that_cannot_be_had_is_one_line(
    tmp_path: Path, plugins: PluginManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(HarnessError, match="org/none is not on this machine"):
        folder_of(find_base("org/none", []), tmp_path, plugins, print)

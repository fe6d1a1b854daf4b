"""Merges: what comes out, that it is all there or not at all, and that it is the same every time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import HarnessError
from harness.plugins import PluginManager
from harness_trainers.merge.merging import merge
from harness_trainers.merge.settings import MergeSettings, Part

from ..conftest import Command, one_line_error
from .checkpoints import TOKENIZER, made, numbers, read, stored, write

DTYPES = {"float32": "float32", "float16": "float16", "uint16": "bfloat16"}
STEP = {"float32": 2.0**-23, "float16": 2.0**-10, "uint16": 2.0**-7}
"""Distance of neighbouring numbers, relative to the lower one of a power of two."""


def linear(folders: list[Path], weights: list[float], **others: Any) -> MergeSettings:
    parts = tuple(Part(str(folder), weight) for folder, weight in zip(folders, weights, strict=True))
    return MergeSettings(parts, **others)


def pair(tmp_path: Path, dtype: str = "float32", **options: Any) -> list[Path]:
    return [write(tmp_path / name, made(seed, dtype), **options) for seed, name in enumerate("AB")]


# -- what comes out --------------------------------------------------------------------------------


@pytest.mark.parametrize("out", DTYPES)
@pytest.mark.parametrize("kinds", [("float32", "float32"), ("uint16", "uint16"), ("float16", "uint16")])
@pytest.mark.parametrize(
    ("weights", "normalize"),
    [((0.5, 0.5), True), ((0.7, 0.4), True), ((1.5, -0.25), True), ((0.3, -0.9), False)],
)
def test_a_linear_merge_is_the_weighted_mean(
    tmp_path: Path, kinds: tuple[str, str], out: str, weights: tuple[float, float], normalize: bool
) -> None:
    models = [made(seed, kind) for seed, kind in enumerate(kinds)]
    folders = [write(tmp_path / f"m{i}", model, files=1 + i) for i, model in enumerate(models)]
    merged = merge(
        linear(folders, list(weights), dtype=DTYPES[out], normalize=normalize), tmp_path / "out", threads=2
    )
    assert merged.done
    found = read(tmp_path / "out")
    total = sum(weights) if normalize else 1.0
    for name in models[0]:
        exact = sum(w * numbers(model[name]) for w, model in zip(weights, models, strict=True)) / total
        size = sum(abs(w * numbers(model[name])) for w, model in zip(weights, models, strict=True)) / abs(
            total
        )
        rounding = 0.5 * STEP[out] * np.maximum(np.abs(exact), 6.2e-5)
        assert found[name].dtype.name == out
        assert found[name].shape == models[0][name].shape
        assert (np.abs(numbers(found[name]) - exact) <= rounding + 3e-7 * size).all(), name


def test_halves_are_exact_to_the_last_bit(tmp_path: Path) -> None:
    models = [made(seed, "uint16") for seed in (0, 1)]
    folders = [write(tmp_path / f"m{i}", model) for i, model in enumerate(models)]
    merge(linear(folders, [0.5, 0.5]), tmp_path / "out")
    for name, values in read(tmp_path / "out").items():
        mean = np.asarray((numbers(models[0][name]) + numbers(models[1][name])) / 2)
        assert (values == stored(mean, "uint16")).all()


@pytest.mark.parametrize("out", DTYPES)
def test_a_linear_merge_is_that_of_mergekit_to_the_last_bit(tmp_path: Path, out: str) -> None:
    """Its arithmetic is torch's addcmul, which does not round a product before it is added."""
    torch = pytest.importorskip("torch")
    weights = [0.7, 0.4, -0.35]
    models = [made(seed, out) for seed in range(3)]
    folders = [write(tmp_path / f"m{i}", model) for i, model in enumerate(models)]
    merge(linear(folders, weights), tmp_path / "out")
    coefficients = torch.tensor(weights)
    for name, values in read(tmp_path / "out").items():
        result = torch.zeros(values.shape)
        for model, weight in zip(models, coefficients, strict=True):
            result.addcmul_(torch.tensor(numbers(model[name]), dtype=torch.float32), weight)
        result = (result / coefficients.sum()).to(getattr(torch, DTYPES[out]))
        bits = result.view(torch.int32 if out == "float32" else torch.int16).numpy()
        assert (bits == values.view(bits.dtype)).all(), name


def test_each_tensor_keeps_its_type_unless_told_otherwise(tmp_path: Path) -> None:
    mixed = made(0) | {"norm.weight": stored(np.ones(13), "uint16")}
    folders = [write(tmp_path / "A", mixed), write(tmp_path / "B", made(1))]
    merge(linear(folders, [1, 1]), tmp_path / "out")
    assert read(tmp_path / "out")["norm.weight"].dtype == np.uint16
    assert read(tmp_path / "out")["odd.weight"].dtype == np.float32
    assert json.loads((tmp_path / "out" / "config.json").read_text())["torch_dtype"] == "float32"
    merge(linear(folders, [1, 1], dtype="bfloat16"), tmp_path / "all")
    assert {values.dtype.name for values in read(tmp_path / "all").values()} == {"uint16"}
    assert json.loads((tmp_path / "all" / "config.json").read_text())["torch_dtype"] == "bfloat16"


def test_what_is_no_weight_comes_from_the_first_model_or_the_base(tmp_path: Path) -> None:
    folders = pair(tmp_path)
    for folder in folders:
        (folder / "chat_template.jinja").write_text(f"template of {folder.name}")
        (folder / "generation_config.json").write_text("{}")
        (folder / "optimizer.pt").write_bytes(b"large")
    merge(linear(folders, [1, 1]), tmp_path / "out")
    assert (tmp_path / "out" / "chat_template.jinja").read_text() == "template of A"
    merge(linear(folders, [1, 1], base=str(folders[1])), tmp_path / "based")
    assert (tmp_path / "based" / "chat_template.jinja").read_text() == "template of B"
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "merge.json",
        "model.safetensors",
        "tokenizer.json",
    }


def test_files_hold_no_more_than_asked(tmp_path: Path) -> None:
    folders = pair(tmp_path)
    merge(linear(folders, [1, 1], shard_bytes=1000), tmp_path / "out")
    index = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text())
    assert index["metadata"] == {
        "total_parameters": 397 * 401 + 105 + 13 + 1,
        "total_size": 4 * (397 * 401 + 105 + 13 + 1),
    }
    assert index["weight_map"]["big.weight"] == "model-00001-of-00002.safetensors"
    assert index["weight_map"]["odd.weight"] == "model-00002-of-00002.safetensors"
    merge(linear(folders, [1, 1]), tmp_path / "whole")
    one, several = read(tmp_path / "whole"), read(tmp_path / "out")
    assert one.keys() == several.keys()
    assert all((one[name] == several[name]).all() for name in one)


def test_files_are_those_that_the_safetensors_library_writes(tmp_path: Path) -> None:
    library = pytest.importorskip("safetensors.torch")
    mixed = made(0) | {"norm.weight": stored(np.ones(13), "uint16"), "z": stored(np.ones(3), "float16")}
    folders = [write(tmp_path / name, mixed) for name in "AB"]
    merge(linear(folders, [1, 1]), tmp_path / "out")
    loaded = library.load_file(tmp_path / "out" / "model.safetensors")
    library.save_file(loaded, tmp_path / "theirs", metadata={"format": "pt"})
    assert (tmp_path / "theirs").read_bytes() == (tmp_path / "out" / "model.safetensors").read_bytes()


@pytest.mark.parametrize("shard_bytes", [5_000_000_000, 20_000])
def test_transformers_loads_the_mean_of_two_models(tmp_path: Path, shard_bytes: int) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    config = transformers.Qwen2Config(
        vocab_size=67,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    )
    models = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        models.append(transformers.Qwen2ForCausalLM(config).eval())
        models[-1].save_pretrained(tmp_path / f"m{seed}")
    settings = linear([tmp_path / "m0", tmp_path / "m1"], [0.25, 0.75], shard_bytes=shard_bytes)
    merge(settings, tmp_path / "out")
    loaded, info = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "out", output_loading_info=True
    )
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    with torch.no_grad():
        for own, other in zip(models[0].parameters(), models[1].parameters(), strict=True):
            own.mul_(0.25).add_(other, alpha=0.75)
        tokens = torch.arange(20)[None]
        torch.testing.assert_close(loaded(tokens).logits, models[0](tokens).logits)


# -- all there or not at all -----------------------------------------------------------------------


def test_the_same_merge_again_has_nothing_to_do(tmp_path: Path, harness: Command) -> None:
    pair(tmp_path)
    arguments = ("merge", "../A", "../B", "-o", "out")
    done = harness(*arguments)
    assert done.returncode == 0, done.stderr
    assert "159,316 weights by linear" in done.stdout
    before = (harness.folder / "out" / "model.safetensors").stat().st_mtime_ns
    again = harness(*arguments)
    assert (again.returncode, again.stderr) == (
        0,
        "harness: out holds this very merge already: nothing to do\n",
    )
    assert (harness.folder / "out" / "model.safetensors").stat().st_mtime_ns == before
    other = harness(*arguments, "--weights", "1,2")
    assert other.returncode == 1
    assert "out holds another merge" in one_line_error(other)
    (tmp_path / "A" / "model.safetensors").write_bytes((tmp_path / "B" / "model.safetensors").read_bytes())
    assert "out holds another merge" in one_line_error(harness(*arguments))


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    folders = pair(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    with pytest.raises(HarnessError, match="is there already and holds no merge"):
        merge(linear(folders, [1, 1]), tmp_path / "out")
    with pytest.raises(HarnessError, match="is there already and is no folder"):
        merge(linear(folders, [1, 1]), tmp_path / "out" / "thesis.tex")
    (tmp_path / "empty").mkdir()
    assert merge(linear(folders, [1, 1]), tmp_path / "empty").done


def test_two_merges_of_the_same_make_the_same_folder(tmp_path: Path) -> None:
    folders = pair(tmp_path)
    for out, threads in (("one", 1), ("two", 4)):
        merge(linear(folders, [0.7, 0.4], shard_bytes=1000), tmp_path / out, threads=threads)
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


def interrupted(folder: Path, how: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`harness merge` in a process that gets a signal when it has begun to write the weights."""
    code = f"""
import os, signal, sys, time
write, count = os.pwrite, 0
def pwrite(*arguments):
    global count
    count += 1
    if count == 2:
        os.kill(os.getpid(), signal.{how})
        time.sleep(0.2)
    return write(*arguments)
os.pwrite = pwrite
from harness.cli import main
main({list(arguments)!r})
"""
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )


def test_a_killed_merge_leaves_no_result_and_is_finished_by_the_same_command(tmp_path: Path) -> None:
    pair(tmp_path)
    arguments = ("merge", "A", "B", "-o", "out")
    assert interrupted(tmp_path, "SIGKILL", *arguments).returncode == -9
    assert {entry.name for entry in tmp_path.iterdir()} == {"A", "B", ".out.merging"}
    (tmp_path / ".out.merging" / "left-over.safetensors").write_bytes(b"half of it")
    assert Command(tmp_path)(*arguments).returncode == 0
    assert {entry.name for entry in tmp_path.iterdir()} == {"A", "B", "out"}
    assert "left-over.safetensors" not in {entry.name for entry in (tmp_path / "out").iterdir()}
    assert not list((tmp_path / "out").glob(".*"))


@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM"])
def test_an_interrupted_merge_leaves_nothing(tmp_path: Path, how: str) -> None:
    pair(tmp_path)
    done = interrupted(tmp_path, how, "merge", "A", "B", "-o", "out")
    assert done.returncode == 130
    assert done.stderr.endswith("harness: interrupted\n")
    assert {entry.name for entry in tmp_path.iterdir()} == {"A", "B"}


def test_only_one_process_at_a_time_merges_into_a_folder(tmp_path: Path) -> None:
    from harness.files import lock

    folders = pair(tmp_path)
    (tmp_path / ".out.merging").mkdir()
    with lock(tmp_path / ".out.merging"), pytest.raises(HarnessError, match="is being written by process"):
        merge(linear(folders, [1, 1]), tmp_path / "out")
    assert merge(linear(folders, [1, 1]), tmp_path / "out").done


def test_a_full_disk_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = pair(tmp_path)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10**9, 10**9, 1000))
    with pytest.raises(HarnessError, match=r"has 0\.0 GB free and the merged model takes 0\.0 GB"):
        merge(linear(folders, [1, 1]), tmp_path / "out")
    assert {entry.name for entry in tmp_path.iterdir()} == {"A", "B"}


def test_a_disk_that_fills_up_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno
    import os

    def full(*arguments: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    folders = pair(tmp_path)
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(HarnessError, match=r"no space left for .*out: nothing is kept of it"):
        merge(linear(folders, [1, 1]), tmp_path / "out")
    assert {entry.name for entry in tmp_path.iterdir()} == {"A", "B"}


def test_memory_does_not_grow_with_the_tensors(tmp_path: Path) -> None:
    """Tensors of 100 MB, of which nothing is kept: two models in less than one of them takes."""
    for name in "AB":
        write(tmp_path / name, {"w": np.zeros((25_000, 1000), np.float32)})
    code = f"""
import resource
from harness_trainers.merge.merging import merge
from harness_trainers.merge.settings import MergeSettings, Part
from pathlib import Path
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
folder = Path({str(tmp_path)!r})
parts = (Part(str(folder / "A")), Part(str(folder / "B")))
for settings in (MergeSettings(parts), MergeSettings(parts[1:], "ties", str(folder / "A"))):
    merge(settings, folder / settings.method, threads=2)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 60


# -- for others ------------------------------------------------------------------------------------


def test_merge_json_says_what_was_merged(tmp_path: Path) -> None:
    folders = pair(tmp_path)
    merge(linear(folders, [0.7, 0.4], dtype="bfloat16"), tmp_path / "out")
    note = json.loads((tmp_path / "out" / "merge.json").read_text())
    assert note["method"] == "linear"
    assert [model["weight"] for model in note["models"]] == [0.7, 0.4]
    assert [model["folder"] for model in note["models"]] == [str(folder) for folder in folders]
    assert all(model["content"].startswith("sha256-sampled:") for model in note["models"])
    assert note["parameters"] == {"dtype": "bfloat16", "shard_bytes": 5_000_000_000, "normalize": True}
    assert note["versions"].keys() == {"harness", "numpy"}
    assert note["carried_over"] == ["tokenizer.json"]


def test_merge_is_a_trainer_and_a_command(plugins: PluginManager) -> None:
    """Found through harness_trainers and harness_commands like a stranger's."""
    assert "merge" in plugins.trainers
    assert "merge" in plugins.commands()


def test_a_model_of_the_hub_can_be_merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness import hub

    folders = pair(tmp_path, tokenizer=TOKENIZER)
    asked = []
    monkeypatch.setattr(hub, "snapshot", lambda repo, revision: asked.append((repo, revision)) or folders[1])
    settings = MergeSettings((Part(str(folders[0])), Part("someone/model@abc")))
    assert merge(settings, tmp_path / "out").done
    assert asked == [("someone/model", "abc")]

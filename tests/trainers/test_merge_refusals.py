"""Models that cannot be merged, flags and files that make no sense: one clear line each, and nothing is written."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import HarnessError
from harness_trainers.merge.mergekit import read_settings
from harness_trainers.merge.merging import merge
from harness_trainers.merge.settings import MergeSettings, Part

from ..conftest import Command, one_line_error
from .checkpoints import TOKENIZER, encoded, made, stored, write


def refused(tmp_path: Path, *models: str, **settings: Any) -> str:
    models = models or ("A", "B")
    parts = tuple(Part(str(tmp_path / model)) for model in models)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(HarnessError) as caught:
        merge(MergeSettings(parts, **settings), tmp_path / "out")
    assert sorted(tmp_path.iterdir()) == before
    text = str(caught.value)
    assert "\n" not in text
    return text.replace(f"{tmp_path}/", "")


# -- models that do not go together ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "llama"}, "A and B cannot be merged: model_type is qwen2 and llama"),
        ({"hidden_size": 9}, "A and B cannot be merged: hidden_size is 8 and 9"),
        ({"tie_word_embeddings": False}, "A and B cannot be merged: tie_word_embeddings is True and False"),
        ({"vocab_size": 12}, "A and B cannot be merged: vocab_size is 11 and 12"),
        ({"rope_parameters": {"rope_theta": 10}, "rope_theta": None}, "rope_theta is 1000000.0 and 10"),
        ({"quantization_config": {"bits": 4}}, "B: its weights are quantised"),
    ],
)
def test_other_architectures(tmp_path: Path, config: dict[str, Any], message: str) -> None:
    write(tmp_path / "A", made(0), rope_theta=1000000.0)
    write(tmp_path / "B", made(1), **{"rope_theta": 1000000.0, **config})
    assert message in refused(tmp_path)


def test_other_vocabularies(tmp_path: Path) -> None:
    write(tmp_path / "A", made(0))
    added = [{"id": 2, "content": "<think>"}, {"id": 3, "content": "<tool>"}]
    write(tmp_path / "B", made(1), tokenizer={**TOKENIZER, "added_tokens": added})
    message = "A and B have different vocabularies: 1 tokens differ, such as '<tool>' (none and 3)"
    assert refused(tmp_path) == message


def test_a_tokenizer_in_another_format_is_the_same_vocabulary(tmp_path: Path) -> None:
    folders = [write(tmp_path / "A", made(0)), write(tmp_path / "B", made(1), tokenizer=None)]
    (folders[1] / "vocab.json").write_text('{"a": 0, "b": 1}')
    (folders[1] / "added_tokens.json").write_text('{"<think>": 2}')
    parts = tuple(Part(str(folder)) for folder in folders)
    assert merge(MergeSettings(parts), tmp_path / "out").done


@pytest.mark.parametrize("content", ["[]", "{", '{"model": 3}', '{"model": {"vocab": {"a": "b"}}}'])
def test_a_damaged_tokenizer(tmp_path: Path, content: str) -> None:
    write(tmp_path / "A", made(0))
    (write(tmp_path / "B", made(1)) / "tokenizer.json").write_text(content)
    assert "B/tokenizer.json" in refused(tmp_path)


def test_a_tensor_that_one_model_lacks(tmp_path: Path) -> None:
    found = made(0)
    write(tmp_path / "A", found)
    write(tmp_path / "B", {name: values for name, values in found.items() if name != "odd.weight"})
    assert refused(tmp_path) == "B lacks tensor odd.weight, which A has"
    assert refused(tmp_path, "B", "A") == "B lacks tensor odd.weight, which A has"


def test_an_output_layer_that_only_one_of_two_tied_models_stores(tmp_path: Path) -> None:
    write(tmp_path / "A", made(0))
    write(tmp_path / "B", made(0) | {"lm_head.weight": np.zeros((4, 4), np.float32)})
    message = "A lacks tensor lm_head.weight, which B has; it is the embedding in both: save B again"
    assert message in refused(tmp_path)


def test_other_shapes(tmp_path: Path) -> None:
    write(tmp_path / "A", made(0))
    write(tmp_path / "B", made(0) | {"norm.weight": np.zeros(14, np.float32)})
    assert refused(tmp_path) == "tensor norm.weight is [13] in A and [14] in B"


# -- weights that are none -------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint16"])
@pytest.mark.parametrize("method", ["linear", "slerp", "ties", "dare_ties"])
def test_values_that_are_no_numbers_are_named(tmp_path: Path, value: float, dtype: str, method: str) -> None:
    write(tmp_path / "A", made(0, dtype), files=2)
    found = made(1, dtype)
    bits = np.float32(value).view(np.uint32) >> 16
    found["big.weight"][200, 300] = bits if dtype == "uint16" else value
    write(tmp_path / "B", found, files=2)
    parts = (Part(str(tmp_path / "A")), Part(str(tmp_path / "B"), density=0.5))
    base = None if method == "linear" else str(tmp_path / "A")
    settings = MergeSettings(parts if base is None else parts[1:], method, base)
    with pytest.raises(HarnessError) as caught:
        merge(settings, tmp_path / "out")
    message = "part-0.safetensors: tensor big.weight holds values that are not numbers (NaN or Inf)"
    assert str(caught.value) == f"{tmp_path / 'B'}/{message}"
    assert {entry.name for entry in tmp_path.iterdir()} == {"A", "B"}


def test_a_weight_of_0_does_not_hide_them(tmp_path: Path) -> None:
    write(tmp_path / "A", made(0))
    write(tmp_path / "B", made(1) | {"scale": np.float32(np.nan).reshape(())})
    parts = (Part(str(tmp_path / "A")), Part(str(tmp_path / "B"), 0.0))
    with pytest.raises(HarnessError, match="tensor scale holds values that are not numbers"):
        merge(MergeSettings(parts), tmp_path / "out")


@pytest.mark.parametrize(("value", "fits"), [(65519, True), (65520, False), (-70000, False)])
def test_values_too_large_for_the_type(tmp_path: Path, value: float, fits: bool) -> None:
    for name in "AB":
        write(tmp_path / name, made(0) | {"scale": np.float32(value).reshape(())})
    if fits:
        parts = (Part(str(tmp_path / "A")), Part(str(tmp_path / "B")))
        assert merge(MergeSettings(parts, dtype="float16"), tmp_path / "out").done
        return
    message = refused(tmp_path, dtype="float16")
    assert message.startswith("merged values of tensor scale are up to")
    assert message.endswith("too large for float16: write another dtype, such as --dtype bfloat16")


# -- files that lie --------------------------------------------------------------------------------


def header(table: Any, data: bytes = b"\0" * 64) -> bytes:
    text = table if isinstance(table, bytes) else json.dumps(table).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(name: str = "w", **parts: Any) -> dict[str, Any]:
    return {name: {"dtype": "F32", "shape": [4, 4], "data_offsets": [0, 64], **parts}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is cut off"),
        (struct.pack("<Q", 1 << 60) + b"{}", "its header is cut off"),
        (header(b"[" * 100_000), "is not a sound safetensors file"),
        (header(entry(shape=[-4, -4])), "tensor w has no sensible shape"),
        (header(entry(shape=[1 << 62, 1 << 62])), "tensor w is not as large as its shape"),
        (header(entry(data_offsets=[4, 68])), "it is cut off: "),
        (header(entry(dtype=["F32"])), "is not a sound safetensors file"),
        (header(entry("\ud800")), "a tensor has a name that is no text"),
        (header(entry(dtype="I32")), "tensor w is of type I32: only F32, F16, BF16 can be merged"),
    ],
)
def test_damaged_weights(tmp_path: Path, content: bytes, message: str) -> None:
    for name in "AB":
        write(tmp_path / name, made(0))
        (tmp_path / name / "model.safetensors").write_bytes(content)
    assert message in refused(tmp_path)


def test_a_file_that_is_cut_off(tmp_path: Path) -> None:
    for name in "AB":
        write(tmp_path / name, made(0))
    file = tmp_path / "B" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    assert "B/model.safetensors is not a sound safetensors file: it is cut off" in refused(tmp_path)


def test_pickled_weights(tmp_path: Path) -> None:
    for name in "AB":
        write(tmp_path / name, made(0))
    (tmp_path / "B" / "model.safetensors").rename(tmp_path / "B" / "pytorch_model.bin")
    message = refused(tmp_path)
    assert message.startswith("B: its weights are pickled (pytorch_model.bin), which can run code")
    assert "save_pretrained('B-safetensors')" in message


def test_folders_that_are_no_models(tmp_path: Path) -> None:
    write(tmp_path / "A", made(0))
    (tmp_path / "B").mkdir()
    assert "B/config.json is missing" in refused(tmp_path)
    (tmp_path / "B" / "adapter_config.json").write_text("{}")
    assert refused(tmp_path).startswith("B holds a LoRA adapter, not a model")
    shutil.rmtree(tmp_path / "B")
    assert "there is no such file or folder" in refused(tmp_path)
    (tmp_path / "B").mkdir()
    (tmp_path / "B" / "config.json").write_text("{}")
    assert refused(tmp_path) == "B has no weights (*.safetensors)"


def test_two_files_with_a_tensor_of_one_name(tmp_path: Path) -> None:
    for name in "AB":
        folder = write(tmp_path / name, made(0))
        (folder / "model.safetensors").rename(folder / "a.safetensors")
    norm = {"norm.weight": stored(np.ones(13), "float32")}
    (tmp_path / "B" / "b.safetensors").write_bytes(encoded(norm, ["norm.weight"]))
    assert refused(tmp_path) == "B: two files hold a tensor norm.weight"


# -- flags -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["../A"], 1, "a merge takes at least two models"),
        (["../A", "../B", "--method", "linaer"], 1, "no method is called 'linaer': did you mean linear?"),
        (["../A", "../B", "--dtype", "float17"], 1, "no dtype is called 'float17'"),
        (["../A", "../B", "--weights", "1"], 2, "--weights has 1 numbers for 2 models"),
        (["../A", "../B", "--weights", "1;2"], 2, "--weights: '1;2' is not numbers with commas between"),
        (["../A", "../B", "--weights", "1,nan"], 1, "../B: weight nan is not a number"),
        (["../A", "../B", "--weights", "1,-1"], 1, "the weights add up to 0"),
        (["../A", "../B", "--t", "0.5"], 2, "--t is for slerp, not for linear"),
        (["../A", "../B", "--density", "0.5"], 2, "--density and --lambda are for ties and dare_ties"),
        (["../A", "../B", "--method", "slerp", "--t", "2"], 1, "t is 2.0: it is to be between 0 and 1"),
        (["../A", "../B", "../A", "--method", "slerp", "--base", "../C"], 1, "slerp goes from one model"),
        (["../A", "../B", "--method", "ties"], 1, "name the base model they started from"),
        (["../A", "../B", "--base", "../C"], 1, "linear merges models as they are: name ../C among them"),
        (["../A", "--base", "../B", "--method", "ties", "--density", "0"], 1, "density 0.0 is not above 0"),
        (["../A", "../B", "--shard-size", "5 apples"], 2, "is not a size such as 5GB"),
        (["../A", "no-such-model"], 1, "unknown model 'no-such-model'"),
    ],
)
def test_flags_that_make_no_sense(
    tmp_path: Path, harness: Command, arguments: list[str], code: int, message: str
) -> None:
    for name in "AB":
        write(tmp_path / name, made(0))
    done = harness("merge", *arguments, "-o", "out")
    assert done.returncode == code
    assert message in one_line_error(done)
    assert list(harness.folder.iterdir()) == []


# -- mergekit's YAML -------------------------------------------------------------------------------

LINEAR = """
merge_method: linear
models:
  - model: A
    parameters: {weight: 0.7}
  - model: B
    parameters: {weight: 4e-1}
parameters: {normalize: false}
dtype: float32
out_dtype: bfloat16
tokenizer_source: base
"""
TIES = """
merge_method: ties
base_model: M
models:
  - model: M
  - model: A
    parameters: {weight: 0.7, density: 0.5}
  - model: B
parameters: {weight: 1, density: 0.25, lambda: 0.8, int8_mask: true}
"""


def yaml(tmp_path: Path, text: str) -> MergeSettings:
    (tmp_path / "merge.yml").write_text(text)
    return read_settings(tmp_path / "merge.yml")


def test_mergekits_files_are_read(tmp_path: Path) -> None:
    found = yaml(tmp_path, LINEAR)
    assert found.parts == (Part("A", 0.7), Part("B", 0.4))
    assert (found.method, found.normalize, found.dtype) == ("linear", False, "bfloat16")
    found = yaml(tmp_path, TIES)
    assert found.parts == (Part("A", 0.7, 0.5), Part("B", 1.0, 0.25))
    assert (found.base, found.scale, found.normalize, found.dtype) == ("M", 0.8, True, None)
    found = yaml(
        tmp_path,
        "{merge_method: slerp, base_model: A, models: [{model: A}, {model: B}], parameters: {t: 0.3}}",
    )
    assert (found.base, found.parts, found.t) == ("A", (Part("B"),), 0.3)
    found = yaml(tmp_path, TIES.replace("ties", "dare_ties").replace("lambda: 0.8", "rescale: false"))
    assert (found.normalize, found.rescale) == (False, False)


def test_a_file_and_flags_say_the_same(tmp_path: Path, harness: Command) -> None:
    for seed, name in enumerate("ABM"):
        write(harness.folder / name, made(seed))
    (harness.folder / "merge.yml").write_text(TIES)
    flags = (
        "--method",
        "ties",
        "--base",
        "M",
        "--weights",
        "0.7,1",
        "--density",
        "0.5,0.25",
        "--lambda",
        "0.8",
    )
    assert harness("merge", "merge.yml", "-o", "one").returncode == 0
    assert harness("merge", "M", "A", "B", *flags, "-o", "two").returncode == 0
    files = [(harness.folder / out / "model.safetensors").read_bytes() for out in ("one", "two")]
    assert files[0] == files[1]
    done = harness("merge", "merge.yml", "--t", "0.5", "-o", "three")
    assert (done.returncode, one_line_error(done)) == (
        2,
        "harness: --t is for models on the command line: merge.yml says it",
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("merge_method: linear", "merge_method: passthrough", "merge_method 'passthrough' is not supported"),
        ("models:", "slices: []\nmodels:", "slices are not supported: name whole models"),
        ("tokenizer_source: base", "tokenizer_source: B", "the tokenizer is that of A"),
        ("tokenizer_source: base", "chat_template: chatml", "'chat_template' is not supported"),
        ("{weight: 0.7}", "{weight: [0.1, 0.9]}", "weight is [0.1, 0.9], not one number"),
        ("{weight: 0.7}", "{weight: 0.7, density: 0.5}", "A: parameters: 'density' is not supported"),
        ("{weight: 0.7}", "{}", "A: its weight is missing"),
        ("{weight: 0.7}", "3", "A: parameters is a int, not names with values"),
        ("model: A", "model: A+adapter", "A+adapter: adapters are not supported"),
        ("model: A", "modle: A", "an entry of models is {'modle': 'A'"),
        ("normalize: false", "normalize: maybe", "normalize is 'maybe', not true or false"),
        ("normalize: false", "t: 0.5", "parameters: 't' is not supported: known: normalize, weight"),
        ("dtype: float32", "dtype: 32", "dtype is 32, not a name"),
        ("bfloat16", "float8", "no dtype is called 'float8'"),
        (LINEAR, "- a list", "it is to be a mapping"),
        (LINEAR, "merge_method: linear", "models is missing"),
        (LINEAR, "{merge_method: slerp, base_model: A, models: [{model: B}]}", "t is missing"),
    ],
)
def test_what_would_be_done_otherwise_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in LINEAR
    with pytest.raises(HarnessError) as caught:
        yaml(tmp_path, LINEAR.replace(old, new, 1))
    assert str(caught.value).startswith(str(tmp_path / "merge.yml"))
    assert message in str(caught.value)

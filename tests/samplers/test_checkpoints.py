"""Checkpoints of safetensors: what becomes of them, which are refused, and what is kept."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections import namedtuple
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy", reason="needs the cpu extra")
pytest.importorskip("openvino_genai", reason="needs the cpu extra")

from harness import (  # noqa: E402
    Chain,
    ChainKey,
    Engine,
    HarnessError,
    Message,
    Prompt,
    Request,
    SamplingSettings,
    hub,
)
from harness.models import ResolvedModel, resolve_model  # noqa: E402
from harness.safetensors import opened as opened_checkpoint  # noqa: E402
from harness_plugins.samplers.openvino import OpenVINO  # noqa: E402
from harness_plugins.samplers.weights import _safetensors_gguf  # noqa: E402
from harness_plugins.samplers.weights._checkpoints import Weights, converted  # noqa: E402
from harness_plugins.samplers.weights._gguf import KeptArrays, read_header  # noqa: E402

from . import handmade  # noqa: E402

GREEDY = SamplingSettings(0.0, 1.0, 24, longest_prompt=60)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FATHOM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@contextmanager
def opened(folder: Path, settings: SamplingSettings = GREEDY, **options: str) -> Iterator[Engine]:
    options = {"cache_gb": "0.05", "precision": "f32", "threads": "1", **options}
    with OpenVINO().open(resolve_model(str(folder), []), settings, options) as engine:
        yield engine


def ask(engine: Engine, text: str) -> Chain:
    request = Request(ChainKey("made-up", "p", 0), Prompt((Message("user", text),)), seed=1)
    return next(iter(engine.sample([request])))


# -- what comes out --------------------------------------------------------------------------------


def test_a_checkpoint_is_converted_once_and_sampled(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = handmade.write(tmp_path / "step-100")
    texts = []
    for _ in range(2):
        with opened(folder) as engine:
            texts.append(ask(engine, "hello").text)
    assert texts[0] == texts[1]
    assert capfd.readouterr().err.count("converting step-100 for OpenVINO") == 1


@pytest.mark.parametrize("weights", ["auto", "q8_0"])
def test_the_cache_goes_by_content(tmp_path: Path, weights: Weights) -> None:
    folder = handmade.write(tmp_path / "a")
    first = converted(folder, "m", weights)
    shutil.copytree(folder, tmp_path / "b")
    os.utime(tmp_path / "b" / "model.safetensors", (0, 0))
    assert converted(tmp_path / "b", "m", weights) == first
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-2] ^= 1  # one bit of one weight
    (folder / "model.safetensors").write_bytes(data)
    assert converted(folder, "m", weights) != first


def test_a_spoilt_cache_entry_is_made_again(tmp_path: Path) -> None:
    folder = handmade.write(tmp_path / "a")
    made = converted(folder, "m", "auto")
    weights = made / "openvino_model.bin"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-100])
    assert (converted(folder, "m", "auto") / "openvino_model.bin").read_bytes() == whole


def test_weights_in_own_types_are_kept_bit_by_bit(tmp_path: Path) -> None:
    found = handmade.tensors()
    made = converted(handmade.write(tmp_path / "a", found), "m", "auto")
    stored = (made / "openvino_model.bin").read_bytes()
    assert all(values.tobytes() in stored for values in found.values())


def test_a_gguf_file_holds_the_model_and_its_tokenizer(tmp_path: Path) -> None:
    """Read by the gguf package, which is none of ours."""
    package = pytest.importorskip("gguf", reason="needs the cpu extra")
    found = handmade.tensors()
    folder = handmade.write(tmp_path / "a", found)
    reader = package.GGUFReader(str(converted(folder, "m", "f16")))
    values = {tensor.name: tensor.data for tensor in reader.tensors}
    assert (
        values["blk.1.ffn_up.weight"] == found["model.layers.1.mlp.up_proj.weight"].astype(np.float16)
    ).all()
    assert (values["output_norm.weight"] == found["model.norm.weight"]).all()
    # The halves of a Llama head are interleaved: row 1 of a head of 8 is its row 4.
    query = found["model.layers.0.self_attn.q_proj.weight"].astype(np.float16)
    assert (values["blk.0.attn_q.weight"][[0, 1, 2, 3, 8, 9]] == query[[0, 4, 1, 5, 8, 12]]).all()
    metadata = {name: field.contents() for name, field in reader.fields.items()}
    assert metadata["general.architecture"] == "llama"
    assert metadata["llama.attention.head_count_kv"] == 2
    assert metadata["llama.rope.freq_base"] == 10000
    tokens, types = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"]
    assert len(tokens) == len(types) == 300
    assert (tokens[257], types[257], tokens[260], types[260]) == ("<|im_end|>", 3, "<think>", 4)
    assert (tokens[299], types[299]) == ("[PAD299]", 5)
    assert metadata["tokenizer.ggml.merges"] == ["t h"]
    assert metadata["tokenizer.ggml.eos_token_id"] == 257
    assert metadata["tokenizer.chat_template"].startswith("{% for m in messages")


def test_both_ways_of_writing_merges_are_read(tmp_path: Path) -> None:
    folder = handmade.write(tmp_path / "a")
    (folder / "tokenizer.json").write_text(json.dumps(handmade.tokenizer(pairs=False)))
    header = read_header(converted(folder, "m", "f16"), KeptArrays.ALL)
    assert header.metadata["tokenizer.ggml.merges"] == ["t h"]


def test_eight_bits_are_as_fine_as_they_can_be() -> None:
    package = pytest.importorskip("gguf", reason="needs the cpu extra")
    values = np.random.default_rng(0).standard_normal((5, 64)).astype(np.float32)
    values[2, :32] = 0
    raw = np.frombuffer(_safetensors_gguf.quantised(values), np.uint8).reshape(5, -1)
    back = package.quants.dequantize(raw, package.GGMLQuantizationType.Q8_0)
    steps = np.abs(values).reshape(5, 2, 32).max(axis=2, keepdims=True) / 127
    assert (np.abs(back - values).reshape(5, 2, 32) <= 0.51 * steps + 1e-3 * steps * 127).all()
    assert (back[2, :32] == 0).all()


def test_a_checkpoint_in_several_files(tmp_path: Path) -> None:
    found = handmade.tensors()
    with opened(handmade.write(tmp_path / "a", found)) as engine:
        expected = ask(engine, "hello")
    folder = handmade.write(tmp_path / "b", {})
    (folder / "model.safetensors").unlink()
    names = list(found)
    shards = {"x-1.safetensors": names[:7], "x-2.safetensors": names[7:]}
    for file, part in shards.items():
        (folder / file).write_bytes(handmade.safetensors({name: found[name] for name in part}))
    weight_map = {name: file for file, part in shards.items() for name in part}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    with opened(folder) as engine:
        assert ask(engine, "hello") == expected


def test_a_checkpoint_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = handmade.write(tmp_path / "snapshot")
    asked = []
    monkeypatch.setattr(hub, "snapshot", lambda repo, revision: asked.append((repo, revision)) or folder)
    model = ResolvedModel(name="m", repo="someone/m", revision="abc")
    with OpenVINO().open(model, GREEDY, {"cache_gb": "0.05", "precision": "f32"}) as engine:
        assert ask(engine, "hello").completion_tokens
    assert asked == [("someone/m", "abc")]


# -- what is refused -------------------------------------------------------------------------------


def refused(folder: Path, weights: Weights = "auto") -> str:
    with pytest.raises(HarnessError) as caught:
        converted(folder, "m", weights)
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"model_type": "mamba"},
            "a mamba model; the openvino sampler converts llama, qwen2, qwen3; use --sampler",
        ),
        ({"quantization_config": {"bits": 4}}, "its weights are quantised"),
        ({"hidden_act": "gelu"}, "its activation is gelu, not silu"),
        ({"use_sliding_window": True, "sliding_window": 64}, "its attention slides over a window"),
        (
            {"rope_scaling": {"type": "dynamic", "factor": 2}},
            "scaled in a way that is not known here (dynamic)",
        ),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 2}}, "lacks a sensible low_freq_factor"),
        ({"partial_rotary_factor": 0.5}, "it rotates a part of each head only"),
        ({"num_hidden_layers": "two"}, "num_hidden_layers is two, not a number above 0"),
        ({"num_hidden_layers": 3}, "lacks the tensor blk.2.attn_k.weight and 8 more"),
        (
            {"num_hidden_layers": 1},
            "tensor model.layers.1.self_attn.q_proj.weight is no part of a llama model of 1 layers",
        ),
        ({"intermediate_size": 65}, "has the shape [64, 32], and by config.json it is [65, 32]"),
        ({"tie_word_embeddings": False}, "lacks the tensor output.weight"),
        ({"num_key_value_heads": 3}, "its heads do not add up"),
        ({"model_type": "qwen2"}, "lacks the tensor blk.0.attn_k.bias and 5 more"),
        ({"model_type": "qwen3", "head_dim": 8}, "lacks the tensor blk.0.attn_k_norm.weight and 3 more"),
    ],
)
def test_what_would_be_computed_wrongly_is_refused(
    tmp_path: Path, config: dict[str, Any], message: str
) -> None:
    assert message in refused(handmade.write(tmp_path / "m", **config))


def test_a_bias_that_the_model_does_not_have(tmp_path: Path) -> None:
    """transformers would leave it out; the engine would not."""
    found = handmade.tensors()
    found["model.layers.0.self_attn.q_proj.bias"] = np.ones(32, np.float32)
    name = "model.layers.0.self_attn.q_proj.bias"
    assert f"tensor {name} is no part of a llama model" in refused(handmade.write(tmp_path / "m", found))


def test_a_window_as_long_as_the_context_does_not_matter(tmp_path: Path) -> None:
    config = {"use_sliding_window": True, "sliding_window": 128}
    assert converted(handmade.write(tmp_path / "m", **config), "m", "auto").is_dir()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("weights", ["auto", "f16", "q8_0"])
def test_weights_that_are_not_numbers_are_named(
    tmp_path: Path, own_cache: Path, value: float, weights: Weights
) -> None:
    found = handmade.tensors()
    found["model.layers.1.mlp.up_proj.weight"][3, 4] = value
    message = refused(handmade.write(tmp_path / "m", found), weights)
    assert "model.layers.1.mlp.up_proj.weight holds values that are not numbers (NaN or Inf)" in message
    left = [file for file in own_cache.rglob("*") if file.is_file() and file.suffix != ".lock"]
    assert left == []


def test_values_too_large_for_half_precision(tmp_path: Path) -> None:
    found = handmade.tensors()
    found["model.layers.1.mlp.up_proj.weight"][3, 4] = 1e5
    folder = handmade.write(tmp_path / "m", found)
    assert "has values that f16 does not hold" in refused(folder, "f16")
    assert converted(folder, "m", "auto").is_dir()


def test_scaled_positions_are_not_left_out_silently(tmp_path: Path) -> None:
    scaling = {"rope_type": "linear", "factor": 4.0}
    folder = handmade.write(tmp_path / "m", rope_scaling=scaling)
    assert "GGUF reader does not scale positions" in refused(folder, "q8_0")
    assert converted(folder, "m", "auto").is_dir()


def test_adapters_and_pickles_are_refused(tmp_path: Path) -> None:
    folder = handmade.write(tmp_path / "m")
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04")
    assert "its weights are pickled (.bin, .pt), which can run code: save them as safetensors" in refused(
        folder
    )
    (folder / "pytorch_model.bin").unlink()
    (folder / "config.json").unlink()
    (folder / "adapter_config.json").write_text("{}")
    assert "it holds a LoRA adapter, not a model" in refused(folder)
    found = handmade.tensors()
    found["base_model.model.layers.0.q_proj.lora_A.weight"] = np.zeros((2, 32), np.float32)
    assert "LoRA adapter, not a model: merge it" in refused(handmade.write(tmp_path / "n", found))


def test_a_model_without_a_usable_tokenizer(tmp_path: Path) -> None:
    folder = handmade.write(tmp_path / "m")
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"type": "Unigram", "vocab": []}}))
    assert "holds a Unigram tokenizer, not BPE: use --sampler transformers" in refused(folder)
    (folder / "tokenizer.json").rename(folder / "tokenizer.model")
    assert "has no tokenizer.json: save its tokenizer with transformers" in refused(folder)


def test_a_full_disk_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = handmade.write(tmp_path / "m")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9, 1000))
    for weights in ("auto", "q8_0"):
        assert "GB free and" in refused(folder, weights)


# -- files that lie --------------------------------------------------------------------------------


def damaged(header: Any, data: bytes = b"\0" * 64) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def tensor(**parts: Any) -> dict[str, Any]:
    return {"w": {"dtype": "F32", "shape": [4, 4], "data_offsets": [0, 64], **parts}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\1", "it is cut off"),
        (struct.pack("<Q", 1 << 60) + b"{}", "its header is cut off"),
        (damaged([]), "its header is not a JSON object"),
        (damaged(b"{nonsense"), "not a sound safetensors file"),
        (damaged(b"[" * 100_000), "not a sound safetensors file"),
        (damaged({"w": 3}), "not a sound safetensors file"),
        (damaged(tensor(shape=[-4, -4])), "tensor w has no sensible shape"),
        (damaged(tensor(shape=[4.0, 4])), "tensor w has no sensible shape"),
        (damaged(tensor(shape=[1] * 99)), "tensor w has no sensible shape"),
        (damaged(tensor(shape=[1 << 62, 1 << 62])), "tensor w is not as large as its shape"),
        (damaged(tensor(data_offsets=[64, 0])), "tensor w is not as large as its shape"),
        (damaged(tensor(data_offsets=[1, 65])), r"it is cut off: \d+ of \d+ bytes"),
        (damaged(tensor(dtype="Q99")), "tensor w is of type Q99, which is not known"),
    ],
)
def test_damaged_weights_are_one_clear_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(HarnessError, match=message), opened_checkpoint(tmp_path):
        pass


def test_an_index_that_leads_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret.safetensors").write_bytes(handmade.safetensors(handmade.tensors()))
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"w": "../secret.safetensors"}})
    )
    with pytest.raises(HarnessError, match="which is not a file beside it"), opened_checkpoint(folder):
        pass


def test_conversion_needs_little_memory(tmp_path: Path) -> None:
    """Tensor by tensor: what is handed on at once does not grow with the model."""
    found = handmade.tensors()
    found["model.embed_tokens.weight"] = np.zeros((200_000, 32), np.float32)
    folder = handmade.write(tmp_path / "m", found, vocab_size=200_000)
    with opened_checkpoint(folder) as checkpoint:
        stored = checkpoint.tensors["model.embed_tokens.weight"]
        pieces = [piece.nbytes for piece in checkpoint.pieces(stored)]
    assert max(pieces) <= 16 << 20
    assert sum(pieces) == 200_000 * 32 * 4

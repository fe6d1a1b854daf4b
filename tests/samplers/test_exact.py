"""In full precision the openvino sampler writes what transformers writes in float32, token for token."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the transformers extra")
transformers = pytest.importorskip("transformers", reason="needs the transformers extra")
pytest.importorskip("openvino_genai", reason="needs the cpu extra")

from harness import ChainKey, HarnessError, Message, Prompt, Request, SamplingSettings  # noqa: E402
from harness.models import resolve_model  # noqa: E402
from harness_plugins.models import harness_models  # noqa: E402
from harness_plugins.samplers.openvino import OpenVINO  # noqa: E402
from harness_plugins.samplers.weights import openvino_gguf  # noqa: E402
from harness_plugins.samplers.weights._codec import codec_of_folder, codec_of_gguf  # noqa: E402

from .awkward import TEXTS  # noqa: E402
from .tiny import make_tiny_model  # noqa: E402

ROPE = {"rope_theta": 10_000.0}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
CASES: dict[str, dict[str, Any]] = {
    "qwen2": {},
    "qwen2 in bf16": {"dtype": "bfloat16"},
    "qwen2, more rows than tokens": {"vocab_size": 384},
    "qwen2, yarn": {
        "rope_parameters": {
            "rope_type": "yarn",
            "factor": 4.0,
            "original_max_position_embeddings": 64,
            **ROPE,
        }
    },
    "qwen3, heads wider than the model": {"family": "qwen3", "head_dim": 32},
    "qwen3, tied, in float16": {"family": "qwen3", "dtype": "float16", "tie_word_embeddings": True},
    "llama, in several files": {"family": "llama", "shard": "60KB"},
    "llama, tied": {"family": "llama", "tie_word_embeddings": True},
    "llama with biases": {"family": "llama", "attention_bias": True, "mlp_bias": True},
    "llama, a key for each query": {"family": "llama", "num_key_value_heads": 4},
    "llama 3.1": {
        "family": "llama",
        "rope_parameters": {**LLAMA3, "original_max_position_embeddings": 64, **ROPE},
    },
    "llama, linear": {"family": "llama", "rope_parameters": {"rope_type": "linear", "factor": 4.0, **ROPE}},
}
QUESTIONS = ["What is 3 + 6?", "Hello   world ∑ 数学\n", "x" * 90]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FATHOM_CACHE", str(tmp_path / "cache"))


def by_transformers(folder: Path, questions: list[str], tokens: int) -> Iterator[tuple[int, int, str]]:
    """Tokens of the prompt, tokens of the answer, and the answer: greedy and in float32."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    ends = model.generation_config.eos_token_id
    ends = set(ends) if isinstance(ends, list) else {ends}
    for question in questions:
        chat = [{"role": "user", "content": question}]
        prompt = tokenizer.apply_chat_template(
            chat, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        with torch.no_grad():
            whole = model.generate(**prompt, max_new_tokens=tokens, do_sample=False)[0].tolist()
        length = prompt["input_ids"].shape[1]
        answer = whole[length:]
        text = tokenizer.decode(answer[:-1] if answer[-1] in ends else answer, skip_special_tokens=True)
        yield length, len(answer), text


def by_openvino(
    folder: Path, questions: list[str], tokens: int, **options: str
) -> Iterator[tuple[int | None, int | None, str]]:
    options = {"precision": "f32", "cache_gb": "0.3", **options}
    requests = [
        Request(ChainKey("made-up", str(i), 0), Prompt((Message("user", question),)), seed=1)
        for i, question in enumerate(questions)
    ]
    settings = SamplingSettings(0.0, 1.0, tokens)
    with OpenVINO().open(resolve_model(str(folder), []), settings, options) as engine:
        chains = {chain.problem_id: chain for chain in engine.sample(requests)}
    for i in range(len(questions)):
        chain = chains[str(i)]
        yield chain.prompt_tokens, chain.completion_tokens, chain.text


@pytest.mark.parametrize("case", CASES)
def test_every_family_gives_the_text_of_transformers(tmp_path: Path, case: str) -> None:
    folder = make_tiny_model(tmp_path / "model", seed=3, **CASES[case])
    expected = list(by_transformers(folder, QUESTIONS, 48))
    assert list(by_openvino(folder, QUESTIONS, 48)) == expected
    assert len({text for _, _, text in expected}) == len(QUESTIONS)


@pytest.mark.parametrize("case", ["qwen2 in bf16", "qwen3, tied, in float16", "llama with biases"])
def test_half_precision_gguf_is_the_same_network(tmp_path: Path, case: str) -> None:
    """Weights that float16 holds lose nothing on the way through a GGUF file."""
    folder = make_tiny_model(tmp_path / "model", seed=3, **{**CASES[case], "dtype": "float16"})
    assert list(by_openvino(folder, QUESTIONS, 48, weights="f16")) == list(by_openvino(folder, QUESTIONS, 48))


def test_a_real_model_gives_the_text_of_transformers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """SmolLM2 with its 135 million weights, saved as a training run would save it."""
    monkeypatch.delenv("FATHOM_CACHE")  # the published file
    try:
        gguf = openvino_gguf(resolve_model("smollm2-135m", harness_models()))
    except HarnessError as error:
        pytest.skip(f"smollm2-135m cannot be had here: {error}")
    monkeypatch.setenv("FATHOM_CACHE", str(tmp_path / "cache"))
    folder = unpacked(gguf, tmp_path / "step-1000")
    questions = [
        "What is 13 + 22?\nPlease reason step by step, and put your final answer within \\boxed{}.",
        "Write a haiku about rain.",
        "def fib(n):",
    ]
    assert list(by_openvino(folder, questions, 40)) == list(by_transformers(folder, questions, 40))


def unpacked(gguf: Path, folder: Path) -> Path:
    """The weights of a GGUF file as safetensors in bf16, with the tokenizer's files."""
    source = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    tokenizer = transformers.AutoTokenizer.from_pretrained(**source)
    packed = transformers.AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
    config = packed.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    config._name_or_path = ""
    model = type(packed)._from_config(config, dtype=torch.float32)
    model.load_state_dict(packed.state_dict())
    model.tie_weights()
    model.generation_config = transformers.GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_awkward_texts_become_the_tokens_of_transformers(tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / "model")
    reference = transformers.AutoTokenizer.from_pretrained(folder)
    codec = codec_of_folder(folder)
    for text in TEXTS:
        ids = codec.encode(Prompt((), text=text))
        assert ids == reference(text)["input_ids"]
        assert codec.decode(ids) == reference.decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )


def test_chats_are_rendered_as_transformers_renders_them(tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / "model")
    template = (
        "{{ bos_token or '' }}{%- for m in messages %}\n"
        "  {%- if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}\n"
        "{{ '<|im_start|>' ~ m.role }} {{ m | tojson }} {% generation %}{{ m.content | trim }}{% endgeneration %}\n"
        "  {%- if loop.last %}{% break %}{% endif %}\n"
        "{%- endfor %}{% if add_generation_prompt %}{{ eos_token }}<think>\n{% endif %}"
    )
    (folder / "chat_template.jinja").write_text(template)
    reference = transformers.AutoTokenizer.from_pretrained(folder)
    codec = codec_of_folder(folder)
    for text in TEXTS:
        expected = reference.apply_chat_template(
            [{"role": "user", "content": text}], add_generation_prompt=True, return_dict=True
        )["input_ids"]
        assert codec.encode(Prompt((Message("user", text),))) == expected
    with pytest.raises(HarnessError, match="the model's chat template fails: no system"):
        codec.encode(Prompt((Message("system", "x"),)))


def test_a_gguf_file_splits_text_as_its_checkpoint_does(tmp_path: Path) -> None:
    """Through the metadata of a converted file and back."""
    from harness_plugins.samplers.weights._checkpoints import converted

    folder = make_tiny_model(tmp_path / "model")
    ours, theirs = codec_of_folder(folder), codec_of_gguf(converted(folder, "m", "f16"))
    assert theirs is not None
    for text in TEXTS:
        prompt = Prompt((), text=text)
        assert theirs.encode(prompt) == ours.encode(prompt)
    chat = Prompt((Message("user", "hi"),))
    assert theirs.encode(chat) == ours.encode(chat)

"""What the measurements of samplers share: prompts as `harness run` asks them, and models as engines want them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from harness import ChainKey, Request
from harness.config import RunConfig
from harness.data import DataSource
from harness.models import ResolvedModel, resolve_model
from harness.plugins import load_plugins
from harness.protocol import chain_seed
from harness.task import load_task

TEMPERATURE, TOP_P = 0.6, 0.95


def requests(problems: int, chains: int) -> list[Request]:
    """Arithmetic problems under the default protocol's prompt, all chains of a problem together."""
    plugins = load_plugins()
    config = RunConfig(model="x", bench=[f"fresh:level=1,size={problems}"])
    benchmark = plugins.benchmark(config.bench[0])
    task = load_task(benchmark, plugins.protocol(config.protocol), DataSource(None), None)
    wanted = []
    for problem, prompt in zip(task.problems, task.prompts, strict=True):
        for index in range(chains):
            key = ChainKey(benchmark.label, problem.id, index)
            wanted.append(Request(key, prompt, chain_seed(0, key), problem.text))
    return wanted


def weights(name: str) -> tuple[ResolvedModel, Path]:
    """A known small model, and its GGUF file: the same weights for every engine."""
    from harness_plugins.samplers.weights import openvino_gguf

    model = resolve_model(name, load_plugins().models.values())
    return model, openvino_gguf(model)


def safetensors_of(gguf: Path) -> Path:
    """A folder with the weights of a GGUF file as safetensors in bfloat16, and its tokenizer; made once."""
    from harness_plugins.samplers.weights._cache import cache_folder

    folder: Path = cache_folder() / "perf" / f"{gguf.stem}-safetensors"
    if not (folder / "made").exists():
        print(f"unpacking {gguf.name} into {folder}", file=sys.stderr)
        folder.mkdir(parents=True, exist_ok=True)
        _unpack(gguf, folder)
        (folder / "made").touch()
    return folder


def _unpack(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    options = {"gguf_file": gguf.name, "local_files_only": True}
    tokenizer = AutoTokenizer.from_pretrained(str(gguf.parent), **options)
    packed = AutoModelForCausalLM.from_pretrained(str(gguf.parent), dtype=torch.float32, **options)
    config = packed.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    config.pad_token_id, config.dtype = tokenizer.pad_token_id, torch.bfloat16
    # A model that was read from a GGUF file cannot be saved: its weights go into a fresh one.
    model = type(packed)._from_config(config, dtype=torch.float32)
    model.load_state_dict(packed.state_dict())
    model.tie_weights()
    end, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
    model.generation_config = GenerationConfig(
        bos_token_id=config.bos_token_id, eos_token_id=end, pad_token_id=pad
    )
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


_SHAPES: dict[str, dict[str, Any]] = {
    "1.5b": {
        "hidden_size": 1536,
        "intermediate_size": 8960,
        "num_hidden_layers": 28,
        "num_attention_heads": 12,
        "num_key_value_heads": 2,
        "vocab_size": 151_936,
    },
    "tiny": {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 1000,
    },
}
SIZES = tuple(_SHAPES)


def random_qwen2(size: str, folder: Path) -> Path:
    """A Qwen2 model of random weights in bfloat16, which never ends a chain, with a tokenizer of bytes."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([*alphabet, "<|im_start|>", "<|im_end|>"])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|im_end|>")
    fast.chat_template = (
        "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )
    torch.manual_seed(0)
    config = Qwen2Config(
        **_SHAPES[size],
        max_position_embeddings=32_768,
        tie_word_embeddings=True,
        eos_token_id=fast.eos_token_id,
        pad_token_id=fast.pad_token_id,
        bos_token_id=None,
        dtype=torch.bfloat16,
    )
    Qwen2ForCausalLM._from_config(config, dtype=torch.bfloat16).save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder

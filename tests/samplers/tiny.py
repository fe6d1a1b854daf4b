"""A model of a hundred thousand random weights, made on the spot: real files, real tokenizer, no meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

TEMPLATE = (
    "{%- for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{%- endif %}"
)

SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def make_tiny_model(
    folder: Path,
    *,
    seed: int = 0,
    context: int = 512,
    family: str = "qwen2",
    dtype: str = "float32",
    shard: str = "5GB",
    **settings: Any,
) -> Path:
    """Write a model that ends about one chain in thirty at each token.

    Args:
        family: model_type: "qwen2", "qwen3" or "llama".
        dtype: type of the stored weights, as torch calls it.
        shard: size of a file of weights.
        settings: of config.json, beside or instead of those here.
    """
    import torch
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    # As Qwen2 has it: transformers gives models of that type this way of splitting, whatever tokenizer.json says.
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((f"What is {a} + {a + 3}? It is {2 * a + 3}." for a in range(99)), trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    fast.chat_template = TEMPLATE
    torch.manual_seed(seed)
    usual = {
        "vocab_size": len(fast),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": context,
        "initializer_range": 0.2,
        "eos_token_id": fast.eos_token_id,
        "pad_token_id": fast.pad_token_id,
        "bos_token_id": None,
        "tie_word_embeddings": False,
    }
    config = AutoConfig.for_model(family, **{**usual, **settings})
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():  # biases and norms begin as zeros and ones, which would hide where they belong
        for parameter in model.parameters():
            if seed and parameter.dim() == 1:
                parameter.add_(0.2 * torch.randn_like(parameter))
    model.to(getattr(torch, dtype))
    model.generation_config.eos_token_id = [fast.eos_token_id, *range(200, 210)]
    model.save_pretrained(folder, max_shard_size=shard)
    fast.save_pretrained(folder)
    return folder

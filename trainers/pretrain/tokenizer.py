"""A byte-level BPE tokenizer out of texts, split the way that Qwen2's is, with a plain ChatML template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

END: Final = "<|im_end|>"
PAD: Final = "<|endoftext|>"
SPECIAL: Final = (PAD, "<|im_start|>", END)

TEMPLATE: Final = (
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
"""No system prompt and no conditions, so that every engine renders it alike."""

# The expression that Qwen2's tokenizer splits by; transformers uses it for this family whatever the file says.
_SPLIT: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def train_tokenizer(rows: Sequence[Mapping[str, Any]], size: int) -> Any:
    """A tokenizer of at most `size` tokens; each byte and each digit is one of them.

    Returns:
        a transformers tokenizer.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(rows), trainer)
    made = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=PAD)
    made.chat_template = TEMPLATE
    return made


def _texts(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for row in rows:
        for message in row["prompt"]:
            yield message["role"]
            yield message["content"]
        if row["prompt"]:
            yield "assistant"
        yield row["completion"]

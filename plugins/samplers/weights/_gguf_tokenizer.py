"""The tokenizer that a GGUF file holds, as a tokenizer.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_CONTROL, _USER_DEFINED = 3, 4  # types of tokens, as llama.cpp numbers them

# How text is split before it is merged, by llama.cpp's names. The expressions are those of the models' tokenizer.json.
_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_SPLITS = {
    "qwen2": _CONTRACTIONS + r"\p{N}" + _REST,
    "deepseek-r1-qwen": _CONTRACTIONS + r"\p{N}" + _REST,
    "llama-bpe": _CONTRACTIONS + r"\p{N}{1,3}" + _REST,
    "llama3": _CONTRACTIONS + r"\p{N}{1,3}" + _REST,
}
_COMPOSES = frozenset({"qwen2"})  # characters are composed (NFC) first
_PREFERS_WHOLE = frozenset({"llama-bpe", "llama3"})  # a word that is a token is not merged from its parts


def tokenizer_json(metadata: Mapping[str, Any]) -> str | None:
    """The text of a tokenizer.json that does what a GGUF file's metadata say.

    Returns:
        None where the file holds no byte-level BPE tokenizer, or splits text in a way that is not known here.
    """
    tokens, merges = metadata.get("tokenizer.ggml.tokens"), metadata.get("tokenizer.ggml.merges")
    types, pre = metadata.get("tokenizer.ggml.token_type"), metadata.get("tokenizer.ggml.pre")
    steps = _steps(pre)
    if metadata.get("tokenizer.ggml.model") != "gpt2" or steps is None:
        return None
    if not isinstance(tokens, list) or not isinstance(merges, list) or not isinstance(types, list):
        return None
    if len(types) != len(tokens) or len(set(tokens)) != len(tokens):
        return None
    pairs = [merge.split(" ") for merge in merges]
    if not all(len(pair) == 2 for pair in pairs):
        return None
    added = [
        {
            "id": id_,
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": kind == _CONTROL,
        }
        for id_, (token, kind) in enumerate(zip(tokens, types, strict=True))
        if kind in (_CONTROL, _USER_DEFINED)
    ]
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": pre in _PREFERS_WHOLE,
        "vocab": {token: id_ for id_, token in enumerate(tokens)},
        "merges": pairs,
    }
    return json.dumps(
        {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": added,
            "normalizer": {"type": "NFC"} if pre in _COMPOSES else None,
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": steps},
            "post_processor": None,
            "decoder": _byte_level(use_regex=True),
            "model": model,
        }
    )


def _steps(pre: Any) -> list[dict[str, Any]] | None:
    if pre in _SPLITS:
        split = {"type": "Split", "pattern": {"Regex": _SPLITS[pre]}, "behavior": "Isolated", "invert": False}
        return [split, _byte_level(use_regex=False)]
    if pre == "smollm":
        return [{"type": "Digits", "individual_digits": True}, _byte_level(use_regex=True)]
    return [_byte_level(use_regex=True)] if pre == "gpt-2" else None


def _byte_level(*, use_regex: bool) -> dict[str, Any]:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}

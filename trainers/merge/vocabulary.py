"""Which token has which number, and whether two models agree on it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from harness import HarnessError
from harness.safetensors import read_object


def check_same_vocabulary(first: Path, other: Path) -> None:
    """
    Raises:
        HarnessError: a token has another number, or none, in the other model. A model without a tokenizer passes.
    """
    ours, theirs = vocabulary(first), vocabulary(other)
    if not ours or not theirs or ours == theirs:
        return
    apart = sorted({token for token, _ in ours.items() ^ theirs.items()})
    example = apart[0]
    raise HarnessError(
        f"{first} and {other} have different vocabularies: {len(apart):,} tokens differ, such as {example!r:.60} "
        f"({ours.get(example, 'none')} and {theirs.get(example, 'none')})"
    )


def vocabulary(folder: Path) -> Mapping[str, int | str]:
    """Number of every token, added ones included; empty where a folder has no tokenizer.

    Of a tokenizer that only its own library can read, a digest of its file.

    Raises:
        HarnessError: a tokenizer's file cannot be read.
    """
    if (file := folder / "tokenizer.json").is_file():
        return _of_tokenizers(file)
    if (file := folder / "vocab.json").is_file():
        tokens = _numbered(file, read_object(file))
        added = folder / "added_tokens.json"
        return {**tokens, **(_numbered(added, read_object(added)) if added.is_file() else {})}
    if (file := folder / "tokenizer.model").is_file():
        try:
            return {"tokenizer.model": hashlib.sha256(file.read_bytes()).hexdigest()}
        except OSError as error:
            raise HarnessError(f"{file} cannot be read: {error.strerror or error}") from None
    return {}


def _of_tokenizers(file: Path) -> dict[str, int]:
    content = read_object(file)
    model = content.get("model") if content else None
    if not content or not isinstance(model, dict):
        raise HarnessError(f"{file} is not a tokenizer")
    listed = model.get("vocab")
    if isinstance(listed, list):  # Unigram: tokens with their scores
        listed = {
            entry[0]: i for i, entry in enumerate(listed) if isinstance(entry, list) and entry and entry[0]
        }
    tokens = _numbered(file, listed)
    added = content.get("added_tokens") or []
    if not isinstance(added, list) or not all(isinstance(token, dict) for token in added):
        raise HarnessError(f"{file}: its added tokens are not readable")
    return {**tokens, **_numbered(file, {token.get("content"): token.get("id") for token in added})}


def _numbered(file: Path, tokens: object) -> dict[str, int]:
    if not isinstance(tokens, dict) or not all(
        isinstance(token, str) and type(number) is int for token, number in tokens.items()
    ):
        raise HarnessError(f"{file}: its vocabulary is not readable")
    return tokens

"""Counts tokens by a model's own tokenizer.json, without loading anything else of the model."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness import Message


class TokenCounter:
    """Counts the tokens of texts. Chat templates are not counted."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    @classmethod
    def of(cls, model: Path | None) -> TokenCounter | None:
        """By the tokenizer of a model's folder; None where there is none that can be read."""
        file = None if model is None else model / "tokenizer.json"
        if file is None or not file.is_file():
            return None
        try:
            from tokenizers import Tokenizer

            tokenizer = Tokenizer.from_file(str(file))
            tokenizer.no_truncation()
            tokenizer.no_padding()
            return cls(tokenizer)
        except Exception:  # noqa: BLE001 - not installed, or a damaged file: then nothing is counted
            return None

    def text(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def messages(self, messages: Iterable[Message]) -> int:
        return sum(self.text(message.content) for message in messages)

"""A tokenizer for pipelines that need none: OpenVINO GenAI insists on one, and is given and asked for tokens only."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from ..weights._gguf_write import Metadata, write_gguf

_NORMAL, _CONTROL = 1, 3  # types of tokens, as llama.cpp numbers them


def placeholder_tokenizer() -> Any:
    """A tokenizer of three tokens, made in a moment. That of a real vocabulary takes OpenVINO seconds."""
    import openvino_genai

    metadata = Metadata()
    metadata.text("general.architecture", "llama")
    metadata.text("tokenizer.ggml.model", "gpt2")
    metadata.text("tokenizer.ggml.pre", "gpt-2")
    metadata.texts("tokenizer.ggml.tokens", ["a", "b", "<end>"])
    metadata.numbers("tokenizer.ggml.token_type", [_NORMAL, _NORMAL, _CONTROL])
    metadata.texts("tokenizer.ggml.merges", ["a b"])
    with tempfile.TemporaryDirectory(prefix="fathom-") as folder:
        file = Path(folder) / "tokenizer.gguf"
        write_gguf(file, metadata.encoded(), metadata.count, [])
        return openvino_genai.Tokenizer(str(file))

"""What is not weights: tokenizer, chat template and settings come from one of the models, config.json is adjusted."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from harness.files import write_json

TOKENIZER: Final = (
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "*.tiktoken",
    "chat_template.jinja",
    "chat_template.json",
    "additional_chat_templates/*.jinja",
)
"""Files of a tokenizer and of its chat template."""
_CARRIED: Final = (*TOKENIZER, "generation_config.json")


def carry_over(donor: Path, folder: Path, patterns: Iterable[str] = _CARRIED) -> list[str]:
    """Copy the files that go with the weights.

    Args:
        patterns: of their names.

    Returns:
        Their names.
    """
    names = []
    for pattern in patterns:
        for file in sorted(donor.glob(pattern)):
            if file.is_file():
                target = folder / file.relative_to(donor)
                target.parent.mkdir(exist_ok=True)
                shutil.copyfile(file, target)
                names.append(str(file.relative_to(donor)))
    return names


def write_config(config: Mapping[str, Any], dtype: str, folder: Path) -> None:
    """config.json with the type that the weights have now, under the names that it has been saved with."""
    names = [name for name in ("dtype", "torch_dtype") if name in config] or ["dtype", "torch_dtype"]
    write_json(folder / "config.json", {**config, **dict.fromkeys(names, dtype)})

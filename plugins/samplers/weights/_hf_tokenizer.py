"""The tokenizer files of a checkpoint: what they say, and what a GGUF file keeps of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import HarnessError
from harness.safetensors import read_object

from ._gguf_write import Metadata
from ._hf_config import OTHERWISE

TOKENIZER = "tokenizer.json"

_NORMAL, _CONTROL, _USER_DEFINED, _UNUSED = 1, 3, 4, 5  # types of tokens, as llama.cpp numbers them
_MOST_TOKENS = 4_000_000

# The pre-tokenizers that the reader knows, by what only their regular expression has.
_PRE = {
    r"\p{N}{1,3}": "llama-bpe",
    r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|": "qwen2",
    r"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}|": "qwen35",
}


@dataclass(frozen=True, slots=True)
class TokenizerFiles:
    """What lies in a model's folder."""

    folder: Path
    tokenizer: Mapping[str, Any]
    """tokenizer.json."""
    settings: Mapping[str, Any]
    """tokenizer_config.json."""
    generation: Mapping[str, Any]
    """generation_config.json."""
    config: Mapping[str, Any]
    """config.json."""
    template: str | None
    """The chat template."""

    def special(self, name: str) -> str | None:
        """The text of a special token such as "eos_token"."""
        value = self.settings.get(name)
        if isinstance(value, dict):  # a token with its properties
            value = value.get("content")
        return value if isinstance(value, str) else None

    def special_texts(self) -> dict[str, str]:
        """All special tokens that have a name, as chat templates see them."""
        names = ("bos_token", "eos_token", "pad_token", "unk_token", "sep_token", "cls_token", "mask_token")
        return {name: text for name in names if (text := self.special(name)) is not None}

    def id_of(self, name: str) -> int | None:
        """The id of a special token such as "eos_token"; of several, the tokenizer's own or the first."""
        text = self.special(name)
        if text is not None and (id_ := self.vocabulary().get(text)) is not None:
            return id_
        return next(iter(self._ids(f"{name}_id")), None)

    def end_ids(self) -> set[int]:
        """Ids that end an answer, by the generation settings, the configuration and the tokenizer."""
        found = set(self._ids("eos_token_id"))
        own = self.special("eos_token")
        if own is not None and (id_ := self.vocabulary().get(own)) is not None:
            found.add(id_)
        return found

    def vocabulary(self) -> dict[str, int]:
        """Token -> id, added tokens included."""
        vocabulary = dict(self.tokenizer["model"]["vocab"])
        vocabulary.update(
            {token["content"]: token["id"] for token in self.tokenizer.get("added_tokens") or ()}
        )
        return vocabulary

    def _ids(self, key: str) -> Iterator[int]:
        for source in (self.generation, self.config):
            value = source.get(key)
            for id_ in value if isinstance(value, list) else [value]:
                if type(id_) is int and id_ >= 0:
                    yield id_


def read_tokenizer(folder: Path) -> TokenizerFiles:
    """The tokenizer's files, checked for what is used of them.

    Raises:
        HarnessError: there is no tokenizer.json, or it does not hold a BPE tokenizer.
    """
    file = folder / TOKENIZER
    if not file.is_file():
        raise HarnessError(
            f"{folder} has no {TOKENIZER}: save its tokenizer with transformers, or {OTHERWISE}"
        )
    tokenizer = read_object(file)
    if tokenizer is None or not isinstance(tokenizer.get("model"), dict):
        raise HarnessError(f"{file} is not a tokenizer")
    kind = tokenizer["model"].get("type", "BPE")
    if kind != "BPE":
        raise HarnessError(f"{file} holds a {str(kind)[:40]} tokenizer, not BPE: {OTHERWISE}")
    vocabulary, added = tokenizer["model"].get("vocab"), tokenizer.get("added_tokens") or []
    if not isinstance(vocabulary, dict) or not all(_is_id(id_) for id_ in vocabulary.values()):
        raise HarnessError(f"{file} has no vocabulary")
    if not isinstance(added, list) or not all(_is_added(token) for token in added):
        raise HarnessError(f"{file}: its added tokens are not readable")
    settings = read_object(folder / "tokenizer_config.json") or {}
    return TokenizerFiles(
        folder,
        tokenizer,
        settings,
        read_object(folder / "generation_config.json") or {},
        read_object(folder / "config.json") or {},
        _template(folder, settings),
    )


def write_tokenizer(files: TokenizerFiles, rows: int, metadata: Metadata) -> None:
    """Add the tokenizer to a GGUF file's metadata.

    Args:
        rows: tokens that the model knows; those without a name are called [PAD...].
    """
    tokens: list[str | None] = [None] * rows
    types = [_UNUSED] * rows
    for text, id_ in files.tokenizer["model"]["vocab"].items():
        if id_ < rows:
            tokens[id_], types[id_] = text, _NORMAL
    for token in files.tokenizer.get("added_tokens") or ():
        if token["id"] < rows:
            tokens[token["id"]] = token["content"]
            types[token["id"]] = _CONTROL if token.get("special") else _USER_DEFINED
    metadata.text("tokenizer.ggml.model", "gpt2")
    metadata.text("tokenizer.ggml.pre", pre_tokenizer(files.tokenizer))
    metadata.texts("tokenizer.ggml.tokens", [f"[PAD{i}]" if t is None else t for i, t in enumerate(tokens)])
    metadata.numbers("tokenizer.ggml.token_type", types)
    metadata.texts("tokenizer.ggml.merges", list(_merges(files)))
    named = {"eos": "eos_token", "bos": "bos_token", "padding": "pad_token", "unknown": "unk_token"}
    for name, special in named.items():
        if (found := files.id_of(special)) is not None and found < rows:
            metadata.number(f"tokenizer.ggml.{name}_token_id", found)
    metadata.flag("tokenizer.ggml.add_bos_token", _adds_bos(files))
    if files.template is not None:
        metadata.text("tokenizer.chat_template", files.template)


def pre_tokenizer(tokenizer: Mapping[str, Any]) -> str:
    """llama.cpp's name for the way in which text is split before it is merged; "default" where it has none."""
    steps = list(_steps(tokenizer.get("pre_tokenizer")))
    for step in steps:
        pattern = step.get("pattern")
        expression = pattern.get("Regex") if isinstance(pattern, dict) else None
        if isinstance(expression, str):
            return next((name for telling, name in _PRE.items() if telling in expression), "default")
    kinds = [step.get("type") for step in steps]
    if kinds == ["Digits", "ByteLevel"] and steps[0].get("individual_digits"):
        return "smollm"
    return "gpt-2" if kinds == ["ByteLevel"] else "default"


def _steps(step: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(step, dict):
        parts = step.get("pretokenizers")
        if isinstance(parts, list):
            for part in parts:
                if isinstance(part, dict):
                    yield part
        else:
            yield step


def _merges(files: TokenizerFiles) -> Iterator[str]:
    """Merges as "left right", whichever of the two ways the file writes them."""
    merges = files.tokenizer["model"].get("merges")
    if not isinstance(merges, list):
        raise HarnessError(f"{files.folder / TOKENIZER} has no merges")
    for merge in merges:
        pair: Sequence[Any] = merge.split(" ") if isinstance(merge, str) else merge
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
            raise HarnessError(
                f"{files.folder / TOKENIZER}: {str(merge)[:40]!r} is not a merge of two tokens"
            )
        yield f"{pair[0]} {pair[1]}"


def _adds_bos(files: TokenizerFiles) -> bool:
    """Whether a raw text gets a first token."""
    bos, processor = files.special("bos_token"), files.tokenizer.get("post_processor")
    return bos is not None and processor is not None and bos in str(processor)


def _template(folder: Path, settings: Mapping[str, Any]) -> str | None:
    """The chat template: a file of its own, or part of the tokenizer's settings, or the default of several there."""
    file = folder / "chat_template.jinja"
    if file.is_file():
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise HarnessError(f"{file} cannot be read: {error}") from None
    found = settings.get("chat_template")
    if isinstance(found, list):
        named = {t.get("name"): t.get("template") for t in found if isinstance(t, dict)}
        found = named.get("default")
    return found if isinstance(found, str) else None


def _is_id(value: Any) -> bool:
    return type(value) is int and 0 <= value < _MOST_TOKENS


def _is_added(token: Any) -> bool:
    return isinstance(token, dict) and isinstance(token.get("content"), str) and _is_id(token.get("id"))

"""Between texts and tokens: the model's own tokenizer and chat template.

OpenVINO's reader makes a tokenizer of a GGUF file by itself, but it knows three ways of splitting text only, keeps
the last 8,192 tokens of a longer prompt without a word, and drops bytes that are not UTF-8.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from harness import HarnessError, Message, Prompt

from . import _chat_template
from ._gguf import KeptArrays, read_header
from ._gguf_tokenizer import tokenizer_json
from ._hf_tokenizer import TOKENIZER, read_tokenizer

# Models mark the end of an answer with any of their end tokens, and a GGUF file names only one.
END_TOKENS = ("<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<｜end▁of▁sentence｜>")

_THINK = "<think>"


class Codec(Protocol):
    """Turns prompts into tokens and tokens into text."""

    @property
    def end_ids(self) -> frozenset[int]:
        """Tokens that end an answer."""

    def encode(self, prompt: Prompt) -> list[int]:
        """The tokens of a prompt: of its messages in the model's chat template, or of its text as it stands."""

    def decode(self, ids: Sequence[int]) -> str:
        """The text of some tokens; what is not UTF-8 is U+FFFD."""


class OwnCodec:
    """The tokenizer that lies beside or in the weights, run by the library that it was made with.

    Args:
        tokenizer: a `tokenizers.Tokenizer`.
        template: the chat template, if there is one.
        specials: special tokens by name, for the template.
        first: a token that raw texts begin with, where the tokenizer does not say so itself.
    """

    def __init__(
        self,
        tokenizer: Any,
        end_ids: Iterable[int],
        template: str | None,
        specials: Mapping[str, str],
        first: int | None = None,
    ) -> None:
        self.end_ids = frozenset(end_ids)
        self._tokenizer = tokenizer
        self._template = template
        self._specials = specials
        self._first = first
        # Think tags must stay in the text; where a model calls them special, nothing special is left out.
        tag = tokenizer.token_to_id(_THINK)
        self._hides_special = tag is None or _THINK in tokenizer.decode([tag], skip_special_tokens=True)

    def encode(self, prompt: Prompt) -> list[int]:
        if prompt.text is None:
            if self._template is None:
                raise HarnessError("the model has no chat template: add chat_template.jinja to its folder")
            text = _chat_template.render(self._template, prompt.messages, self._specials)
            return list(self._tokenizer.encode(text, add_special_tokens=False).ids)
        ids = list(self._tokenizer.encode(prompt.text, add_special_tokens=True).ids)
        return ids if self._first is None or ids[:1] == [self._first] else [self._first, *ids]

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=self._hides_special))


class PipelineCodec:
    """The tokenizer that OpenVINO has made of the model's files."""

    def __init__(self, pipeline: Any) -> None:
        self._tokenizer = pipeline.get_tokenizer()
        self.end_ids = frozenset(self._end_ids(pipeline))
        tags = self._tokenizer.encode(_THINK, add_special_tokens=False).input_ids.data[0].tolist()
        self._hides_special = _THINK in self._tokenizer.decode(tags, skip_special_tokens=True)

    def encode(self, prompt: Prompt) -> list[int]:
        if prompt.text is not None:
            return self._ids(prompt.text, special=True)
        return self._ids(self._render(prompt.messages), special=False)

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=self._hides_special)) if ids else ""

    def _render(self, messages: Sequence[Message]) -> str:
        chat = [{"role": m.role, "content": m.content} for m in messages]
        try:
            return str(self._tokenizer.apply_chat_template(chat, True))
        except RuntimeError as error:
            line = str(error).strip().rpartition("\n")[2][:200]
            raise HarnessError(f"the model's chat template fails: {line}") from None

    def _ids(self, text: str, *, special: bool) -> list[int]:
        ids = self._tokenizer.encode(text, add_special_tokens=special).input_ids.data
        return list(ids[0].tolist()) if ids.size else []

    def _end_ids(self, pipeline: Any) -> set[int]:
        ids = set(pipeline.get_config().stop_token_ids)
        ids.add(self._tokenizer.get_eos_token_id())
        for token in END_TOKENS:
            if len(found := self._ids(token, special=False)) == 1:
                ids.update(found)
        return {id_ for id_ in ids if id_ >= 0}


def codec_of_folder(folder: Path) -> OwnCodec:
    """The tokenizer that lies in a checkpoint's folder.

    Raises:
        HarnessError: it has none, or one that cannot be used here.
    """
    files = read_tokenizer(folder)
    tokenizer = _loaded((folder / TOKENIZER).read_text(encoding="utf-8"), str(folder / TOKENIZER))
    return OwnCodec(tokenizer, files.end_ids(), files.template, files.special_texts())


def codec_of_gguf(file: Path) -> OwnCodec | None:
    """The tokenizer that a GGUF file holds; None if it splits text in a way that is not known here."""
    metadata = read_header(file, KeptArrays.ALL).metadata
    made = tokenizer_json(metadata)
    if made is None:
        return None
    tokenizer = _loaded(made, str(file))
    tokens: list[str] = metadata["tokenizer.ggml.tokens"]

    def id_of(name: str) -> int | None:
        id_ = metadata.get(f"tokenizer.ggml.{name}_token_id")
        return id_ if isinstance(id_, int) and 0 <= id_ < len(tokens) else None

    named = {"bos_token": "bos", "eos_token": "eos", "pad_token": "padding", "unk_token": "unknown"}
    specials = {name: tokens[id_] for name, key in named.items() if (id_ := id_of(key)) is not None}
    ends = {id_of("eos"), id_of("eot"), *(tokenizer.token_to_id(token) for token in END_TOKENS)}
    template = metadata.get("tokenizer.chat_template")
    return OwnCodec(
        tokenizer,
        (id_ for id_ in ends if id_ is not None),
        template if isinstance(template, str) else None,
        specials,
        first=id_of("bos") if metadata.get("tokenizer.ggml.add_bos_token") is True else None,
    )


def _loaded(text: str, where: str) -> Any:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_str(text)
    except Exception as error:  # noqa: BLE001 - the library raises nothing more telling
        raise HarnessError(
            f"{where} is not a usable tokenizer: {' '.join(str(error).split())[:200]}"
        ) from None
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer

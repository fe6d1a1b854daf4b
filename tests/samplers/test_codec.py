"""Tokenizers and chat templates that come with a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tokenizers", reason="needs the cpu extra")
pytest.importorskip("jinja2", reason="needs the cpu extra")

from harness import HarnessError, Message, Prompt
from harness_plugins.samplers.weights._chat_template import render
from harness_plugins.samplers.weights._codec import OwnCodec, codec_of_folder, codec_of_gguf
from harness_plugins.samplers.weights._gguf_write import Metadata, write_gguf

from . import handmade
from .awkward import TEXTS

USER = (Message("user", "hi"),)


def folder(path: Path, **settings: Any) -> Path:
    path.mkdir(exist_ok=True)
    (path / "tokenizer.json").write_text(json.dumps(handmade.tokenizer()))
    (path / "config.json").write_text(json.dumps(handmade.CONFIG))
    (path / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|im_end|>", **settings}))
    return path


def gguf(path: Path, pre: str, **more: Any) -> OwnCodec | None:
    letters = handmade.byte_letters()
    metadata = Metadata()
    metadata.text("general.architecture", "llama")
    metadata.text("tokenizer.ggml.model", "gpt2")
    metadata.text("tokenizer.ggml.pre", pre)
    metadata.texts("tokenizer.ggml.tokens", [*letters, "<|im_end|>", "<think>", "12", "<s>"])
    metadata.numbers("tokenizer.ggml.token_type", [1] * 256 + [3, 4, 1, 3])
    metadata.texts("tokenizer.ggml.merges", ["1 2"])
    metadata.number("tokenizer.ggml.eos_token_id", 256)
    metadata.number("tokenizer.ggml.bos_token_id", 259)
    for key, value in more.items():
        metadata.flag(f"tokenizer.ggml.{key}", value)
    write_gguf(path, metadata.encoded(), metadata.count, [])
    return codec_of_gguf(path)


def test_texts_come_back_as_they_were(tmp_path: Path) -> None:
    codec = codec_of_folder(folder(tmp_path / "m"))
    for text in TEXTS:
        if "<|" not in text:
            assert codec.decode(codec.encode(Prompt((), text=text))) == text


def test_bytes_that_are_no_text_are_shown_as_such(tmp_path: Path) -> None:
    codec = codec_of_folder(folder(tmp_path / "m"))
    assert codec.decode([*"né".encode()[:2], 33]) == "n\ufffd!"


def test_special_tokens_are_hidden_and_think_tags_are_not(tmp_path: Path) -> None:
    codec = codec_of_folder(folder(tmp_path / "m"))
    ids = codec.encode(Prompt((), text="<|im_start|><think>a<|endoftext|>"))
    assert ids == [258, 260, 97, 259]
    assert codec.decode(ids) == "<think>a"
    made = handmade.tokenizer()
    made["added_tokens"][3]["special"] = True
    (tmp_path / "m" / "tokenizer.json").write_text(json.dumps(made))
    assert codec_of_folder(tmp_path / "m").decode([260, 97]) == "<think>a"


@pytest.mark.parametrize(
    ("generation", "config", "ends"),
    [
        ({}, {}, {257}),
        ({"eos_token_id": [258, 259]}, {}, {257, 258, 259}),
        ({"eos_token_id": 259}, {"eos_token_id": [257, 258]}, {257, 258, 259}),
    ],
)
def test_an_answer_ends_at_any_of_the_end_tokens(
    tmp_path: Path, generation: dict[str, Any], config: dict[str, Any], ends: set[int]
) -> None:
    path = folder(tmp_path / "m")
    (path / "generation_config.json").write_text(json.dumps(generation))
    (path / "config.json").write_text(json.dumps({**handmade.CONFIG, **config}))
    assert codec_of_folder(path).end_ids == ends


def test_the_template_of_a_file_goes_before_that_of_the_settings(tmp_path: Path) -> None:
    path = folder(tmp_path / "m", chat_template="S{{ messages[0].content }}")
    chat = Prompt(USER)
    assert codec_of_folder(path).encode(chat) == [*b"Shi"]
    (path / "chat_template.jinja").write_text("F{{ messages[0].content }}")
    assert codec_of_folder(path).encode(chat) == [*b"Fhi"]
    several = [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "D"}]
    assert codec_of_folder(folder(tmp_path / "n", chat_template=several)).encode(chat) == [*b"D"]


def test_a_model_without_a_template_cannot_chat(tmp_path: Path) -> None:
    codec = codec_of_folder(folder(tmp_path / "m"))
    with pytest.raises(HarnessError, match=r"no chat template: add chat_template\.jinja"):
        codec.encode(Prompt(USER))
    assert codec.encode(Prompt((), text="hi")) == [*b"hi"]


@pytest.mark.parametrize(
    "template",
    [
        "{{ messages.__class__.__mro__ }}",
        "{{ ''.__class__.__base__.__subclasses__() }}",
        "{% set x = messages.append(1) %}",
        "{{ raise_exception('no') }}",
        "{{ nothing.at.all }}",
        "{% for %}",
        "{{ 1 / 0 }}",
    ],
)
def test_a_template_can_do_no_harm(template: str) -> None:
    with pytest.raises(HarnessError, match="the model's chat template fails: ") as caught:
        render(template, USER, {})
    assert "\n" not in str(caught.value)


def test_a_template_that_reaches_for_what_is_hidden_gets_nothing() -> None:
    assert render("{{ messages[0].__class__ }}{{ self.__init__ }}", USER, {}) == ""


def test_digits_are_split_as_the_file_says(tmp_path: Path) -> None:
    def ids(pre: str) -> list[int]:
        codec = gguf(tmp_path / f"{pre}.gguf", pre)
        assert codec is not None
        return codec.encode(Prompt((), text="1212"))

    assert ids("gpt-2") == [258, 258]
    assert ids("qwen2") == ids("deepseek-r1-qwen") == ids("smollm") == [*b"1212"]
    assert ids("llama-bpe") == [258, *b"1", *b"2"]
    assert gguf(tmp_path / "x.gguf", "something-new") is None  # OpenVINO's own is used


def test_a_raw_text_begins_as_the_file_says(tmp_path: Path) -> None:
    plain = gguf(tmp_path / "a.gguf", "qwen2", add_bos_token=False)
    marked = gguf(tmp_path / "b.gguf", "qwen2", add_bos_token=True)
    assert plain is not None
    assert marked is not None
    assert plain.encode(Prompt((), text="hi")) == [*b"hi"]
    assert marked.encode(Prompt((), text="hi")) == [259, *b"hi"]
    assert marked.end_ids == {256}


def test_a_long_prompt_is_not_cut(tmp_path: Path) -> None:
    codec = gguf(tmp_path / "a.gguf", "qwen2")
    assert codec is not None
    assert len(codec.encode(Prompt((), text="word " * 20_000))) == 100_000


def test_a_nonsense_tokenizer_is_one_clear_line(tmp_path: Path) -> None:
    path = folder(tmp_path / "m")
    made = handmade.tokenizer()
    made["model"]["merges"] = [["no", "such"]]
    (path / "tokenizer.json").write_text(json.dumps(made))
    with pytest.raises(HarnessError, match="is not a usable tokenizer") as caught:
        codec_of_folder(path)
    assert "\n" not in str(caught.value)

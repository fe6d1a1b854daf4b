"""Rows in: what a model is to learn of them, which are left out, and what is said of bad ones."""

from __future__ import annotations

import json

import pytest

from harness import HarnessError
from harness_trainers.loop import rows as loop_rows

from .tiny_training import base_model, stage, sums, write_rows


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(base_model(tmp_path_factory.mktemp("base")))


def test_only_the_completion_and_its_end_are_learnt(tokenizer):
    row = sums(1)[0]
    encoded = loop_rows.encode_row(tokenizer, row)
    item = loop_rows.RowSet([encoded], True, 0)[0]
    learnt = [i for i, label in zip(item["input_ids"], item["labels"], strict=True) if label != -100]
    masked = [i for i, label in zip(item["input_ids"], item["labels"], strict=True) if label == -100]
    assert tokenizer.decode(learnt) == row["completion"] + tokenizer.eos_token
    assert tokenizer.decode(masked) == (
        f"<|im_start|>user\n{row['prompt'][0]['content']}<|im_end|>\n<|im_start|>assistant\n"
    )
    assert all(label in (-100, i) for i, label in zip(item["input_ids"], item["labels"], strict=True))
    whole = loop_rows.RowSet([encoded], False, 0)[0]
    assert (whole["labels"] == whole["input_ids"]).all()


def test_a_think_tag_that_the_prompt_ends_with_is_not_learnt_twice(tokenizer):
    plain = tokenizer.chat_template
    tokenizer.chat_template = plain.replace("assistant\n'", "assistant\n<think>\n'")
    try:
        encoded = loop_rows.encode_row(tokenizer, sums(1)[0])
    finally:
        tokenizer.chat_template = plain
    text = tokenizer.decode(encoded.ids)
    assert text.count("<think>") == 1
    assert "<think>\n\n" not in text


def test_an_end_that_is_there_already_is_not_doubled_and_no_prompt_is_no_prompt(tokenizer):
    encoded = loop_rows.encode_row(tokenizer, {"prompt": [], "completion": "It is." + tokenizer.eos_token})
    assert encoded.prompt == 0
    assert tokenizer.decode(encoded.ids) == "It is." + tokenizer.eos_token


def test_without_a_chat_template_a_prompt_stands_as_it_is(tokenizer):
    plain, tokenizer.chat_template = tokenizer.chat_template, None
    try:
        messages = [{"role": "system", "content": "Sums."}, {"role": "user", "content": "1 + 1"}]
        assert loop_rows.prompt_ids(tokenizer, messages)[1] == "Sums.\n\n1 + 1"
    finally:
        tokenizer.chat_template = plain


def test_rows_over_the_limit_are_dropped_cut_or_refused_and_counted(tokenizer, tmp_path, capsys):
    rows = sums(6)
    rows[2]["completion"] *= 3
    long = len(loop_rows.encode_row(tokenizer, rows[2]))
    job = stage(tmp_path / "drop", None, rows)
    assert len(loop_rows.load_rows(job, tokenizer, 96)) == 5
    counts = json.loads((job.work / "rows.json").read_text())
    assert (counts["rows"], counts["dropped"], counts["cut"], counts["longest"]) == (5, 1, 0, long)
    assert counts["tokens"] == counts["prompt_tokens"] + counts["completion_tokens"]
    said = capsys.readouterr().err
    assert "of 6 rows 1 left out" in said
    assert said.count("\n") == 1

    job = stage(tmp_path / "cut", None, rows, too_long="cut")
    kept = loop_rows.load_rows(job, tokenizer, 96)
    assert (len(kept), len(kept[2])) == (6, 96)
    assert kept[2].ids[-1] != tokenizer.eos_token_id, "a chain that was cut must not teach where to end"
    assert "1 cut at their end" in capsys.readouterr().err

    with pytest.raises(HarnessError, match=rf"row 'sum-2' has {long} tokens and max_length is 96"):
        loop_rows.load_rows(stage(tmp_path / "error", None, rows, too_long="error"), tokenizer, 96)
    with pytest.raises(HarnessError, match="none of 6 rows is left: all have more than max_length=20"):
        loop_rows.load_rows(job, tokenizer, 20)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"prompt": [{"role": "user", "content": "1"}]}', "line 2: column 'completion' is missing"),
        ('{"prompt": "1 + 1", "completion": "2"}', "line 2: column 'prompt' is not a list of messages"),
        ('{"prompt": [{"role": "user"}], "completion": "2"}', "line 2: column 'prompt' is not a list of"),
        ('{"prompt": [], "completion": null}', "line 2: column 'completion' is a NoneType, not a text"),
        ("[1, 2]", "line 2: a list, not an object"),
        ('{"prompt": ', "line 2: not JSON"),
        ("[" * 100_000, "line 2: not JSON"),
    ],
)
def test_a_bad_row_is_named_by_file_line_and_column(tmp_path, line, message):
    path = write_rows(tmp_path / "rows.jsonl", sums(1))
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(HarnessError) as caught:
        loop_rows.read_rows(path)
    assert f"{path} {message}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_rows_a_missing_file_and_an_endless_line_are_refused(tmp_path, monkeypatch):
    with pytest.raises(HarnessError, match="has no rows"):
        loop_rows.read_rows(write_rows(tmp_path / "none.jsonl", []))
    with pytest.raises(HarnessError, match="cannot be read"):
        loop_rows.read_rows(tmp_path / "missing.jsonl")
    monkeypatch.setattr(loop_rows, "LONGEST_LINE", 1 << 20)
    endless = tmp_path / "endless.jsonl"
    endless.write_bytes(b" " * (3 << 20))
    with pytest.raises(HarnessError, match="line 1: longer than 1 MiB"):
        loop_rows.read_rows(endless)

"""Pre-training makes, out of rows alone, a model that every sampler reads alike."""

from __future__ import annotations

import json

import pytest

from harness import Message, Prompt
from harness.models import folder_problem
from harness_plugins.samplers.weights._checkpoints import convertible
from harness_plugins.samplers.weights._codec import codec_of_folder
from harness_trainers.loop.rows import prompt_ids
from harness_trainers.pretrain import Pretrain

from .tiny_training import logged, same_weights, stage, sums

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
PARAMETERS = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": 320,
    "num_train_epochs": 3,
    "per_device_train_batch_size": 8,
    "learning_rate": 1e-2,
    "threads": 1,
    "seed": 3,
    "save_strategy": "no",
}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    job = stage(tmp_path_factory.mktemp("pretrain"), None, sums(48), **PARAMETERS)
    Pretrain().train(job)
    return job


def test_a_model_is_made_of_nothing_and_learns(done):
    assert folder_problem(done.out) is None
    assert convertible(done.out) is None
    config = json.loads((done.out / "config.json").read_text())
    assert (config["model_type"], config["hidden_size"], config["tie_word_embeddings"]) == ("qwen2", 32, True)
    log = logged(done)
    assert len(log) == 18
    assert log[-1]["loss"] < 0.7 * log[0]["loss"]


def test_all_tokens_count_unless_it_is_told_otherwise(done):
    counts = json.loads((done.work / "rows.json").read_text())
    assert logged(done)[-1]["tokens"] >= 3 * counts["tokens"]


def test_samplers_and_the_trainer_see_a_prompt_alike_and_numbers_as_digits(done):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(done.out)
    codec = codec_of_folder(done.out)
    messages = [
        {"role": "system", "content": "Add."},
        {"role": "user", "content": "What is 1234 + 99?\n<think>it's é 它</think>"},
    ]
    ids, text = prompt_ids(tokenizer, messages)
    assert text == (
        "<|im_start|>system\nAdd.<|im_end|>\n<|im_start|>user\nWhat is 1234 + 99?\n"
        "<think>it's é 它</think><|im_end|>\n<|im_start|>assistant\n"
    )
    assert codec.encode(Prompt(messages=tuple(Message(**message) for message in messages))) == ids
    assert tokenizer.decode(ids) == text
    assert [token for token in tokenizer.convert_ids_to_tokens(ids) if token.isdigit()] == list("123499")
    assert tokenizer.eos_token_id in codec.end_ids


def test_the_seed_decides_what_it_begins_with(done, tmp_path):
    again = stage(tmp_path / "again", None, done.data, **{**PARAMETERS, "max_steps": 1})
    Pretrain().train(again)
    assert same_weights(again.work / "start", done.work / "start")
    other = stage(tmp_path / "other", None, done.data, **{**PARAMETERS, "max_steps": 1, "seed": 4})
    Pretrain().train(other)
    assert not same_weights(other.work / "start", done.work / "start")

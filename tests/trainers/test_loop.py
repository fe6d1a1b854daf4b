"""What all trainers share: parameters, order of rows, the log, what loads and what does not."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest

from harness import HarnessError
from harness_trainers.loop import arguments, names, process
from harness_trainers.loop.loading import check_folder, lora
from harness_trainers.pretrain import Pretrain
from harness_trainers.sft import SFT

from .tiny_training import SUMS, base_model

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return base_model(tmp_path_factory.mktemp("loop") / "base")


def test_the_table_of_parameters_is_that_of_trl_and_transformers():
    from trl import GRPOConfig, SFTConfig

    for kind, config in (("sft", SFTConfig), ("grpo", GRPOConfig)):
        real = {field.name for field in dataclasses.fields(config)}
        old = {"gradient_checkpointing", "gradient_checkpointing_kwargs"}
        assert set(names.TRL[kind]) - old <= real
        assert len(set(names.TRL[kind])) == len(names.TRL[kind])
        assert not set(arguments.OWN) & real, "a name of ours that TRL has as well"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"learning_rat": 1e-5},
            "unknown parameter learning_rat of trainer sft: did you mean learning_rate?",
        ),
        ({"warmup_ratio": 0.1}, "warmup_steps below 1 is a share"),
        ({"max_seq_length": 512}, "it is called max_length"),
        ({"max_length": "long"}, "parameter max_length is 'long', not a whole number"),
        ({"per_device_train_batch_size": 0}, "not a whole number from 1 on"),
        ({"learning_rate": math.nan}, "parameter learning_rate is nan"),
        ({"learning_rate": True}, "parameter learning_rate is True"),
        ({"packing": "yes"}, "parameter packing is 'yes', neither true nor false"),
        ({"too_long": "ignore"}, "not one of drop, cut, error"),
        ({"packing": True, "train_sampling_strategy": "sequential"}, "packing reorders the rows"),
        ({"lora": {"rank": 8}}, "unknown parameter lora.rank"),
        ({"lora": {"r": 0}}, "lora.r is 0"),
        ({"lora": 8}, "lora is 8: it holds r, alpha, dropout and target_modules"),
        ({"num_train_epochs": 0}, "nothing would be learnt"),
    ],
)
def test_a_parameter_that_cannot_be_is_named_before_anything_runs(parameters, message):
    with pytest.raises(HarnessError) as caught:
        SFT().check(parameters, 1)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_stages_start_from_one_model_or_from_none():
    SFT().check(SUMS, 1)
    with pytest.raises(HarnessError, match="starts from one model, not from 2"):
        SFT().check({}, 2)
    Pretrain().check({"hidden_size": 64, "num_train_epochs": 2}, 0)
    with pytest.raises(HarnessError, match="starts from nothing"):
        Pretrain().check({}, 1)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"hidden_size": 100, "num_attention_heads": 3}, "hidden_size 100"),
        ({"num_attention_heads": 4, "num_key_value_heads": 3}, "cannot share 3"),
        ({"vocab_size": 100}, "below 259"),
        ({"num_hidden_layers": 0}, "num_hidden_layers is 0"),
        ({"digits": False}, "split numbers into digits"),
        ({"lora": {"r": 8}}, "lora is for models that exist"),
        ({"hidden_sise": 64}, "did you mean hidden_size"),
    ],
)
def test_a_model_that_cannot_be_made_is_refused(parameters, message):
    with pytest.raises(HarnessError, match=message):
        Pretrain().check(parameters, 0)


def test_checking_parameters_imports_nothing_heavy():
    code = (
        "import sys; from harness_trainers.sft import SFT; from harness_trainers.pretrain import Pretrain\n"
        "SFT().check({'lora': {'r': 4}}, 1); Pretrain().check({}, 0)\n"
        "print([m for m in ('torch', 'transformers', 'trl', 'datasets', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_adapters_have_sensible_settings_of_their_own():
    assert lora({}) is None
    assert lora({"lora": True}).target_modules == "all-linear"
    assert lora({"lora": {"r": 4, "target_modules": ["q_proj"]}}).r == 4


def test_pickled_weights_are_refused_unless_asked_for(base, tmp_path):
    folder = tmp_path / "pickled"
    shutil.copytree(base, folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(HarnessError, match=r"pickled.*allow_pickle: true"):
        check_folder(folder)
    check_folder(folder, pickle=True)


def test_truncated_weights_a_missing_tokenizer_and_nan_are_told_apart(base, tmp_path):
    from safetensors.torch import load_file, save_file

    cut = tmp_path / "cut"
    shutil.copytree(base, cut)
    os.truncate(cut / "model.safetensors", (cut / "model.safetensors").stat().st_size - 100)
    with pytest.raises(HarnessError, match=r"cannot be trained: model.safetensors is cut off"):
        check_folder(cut)

    bare = tmp_path / "bare"
    shutil.copytree(base, bare)
    (bare / "tokenizer.json").unlink()
    with pytest.raises(HarnessError, match="it has no tokenizer"):
        check_folder(bare)

    sick = tmp_path / "sick"
    shutil.copytree(base, sick)
    tensors = load_file(sick / "model.safetensors")
    tensors["model.norm.weight"][3] = math.nan
    save_file(tensors, sick / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(HarnessError, match=r"tensor model.norm.weight holds values that are not numbers"):
        check_folder(sick)
    with pytest.raises(HarnessError, match="is not there"):
        check_folder(tmp_path / "nowhere")


def test_rows_come_in_order_at_random_or_by_length_as_the_seed_and_the_epoch_say():
    from harness_trainers.loop.order import RowOrder

    lengths = [(7 * i) % 100 + 1 for i in range(100)]
    sequential = RowOrder(lengths, "sequential", 1, 4)
    assert list(sequential) == list(range(100))
    random_, again, other = (RowOrder(lengths, "random", seed, 4) for seed in (1, 1, 2))
    assert sorted(random_) == list(range(100))
    assert list(random_) == list(again) != list(other)
    again.set_epoch(1)
    assert list(random_) != list(again)

    grouped = RowOrder(lengths, "group_by_length", 1, 4)
    order = list(grouped)
    assert sorted(order) == list(range(100))
    spread = [max(b) - min(b) for b in ([lengths[i] for i in order[s : s + 4]] for s in range(0, 100, 4))]
    assert max(spread) < 10
    assert order != sorted(order, key=lambda i: lengths[i]), "batches come in no order of length"


def test_several_processes_are_dealt_equally_many_batches_with_empty_rows_at_the_end():
    from harness_trainers.loop.order import RowOrder

    dealt = list(RowOrder([1] * 9, "sequential", 0, 2, processes=2))
    assert dealt == [*range(9), 9, 9, 9]
    assert len(RowOrder([1] * 9, "sequential", 0, 2, processes=2)) == 12


def test_the_log_goes_on_from_a_step_and_has_no_torn_lines_or_infinities(tmp_path):
    from harness_trainers.loop.log import LogCallback, StageLog

    log = StageLog(tmp_path)
    for step in range(1, 6):
        log.add({"step": step, "seconds": 2.0 * step, "tokens": 10 * step, "loss": 1.0, "kl": math.inf})
    with log.path.open("ab") as file:
        file.write(b'{"step": 6, "se')
    assert [entry["step"] for entry in log.entries()] == [1, 2, 3, 4, 5]
    assert log.entries()[0]["kl"] is None

    callback = LogCallback(log, "tiny:sft", 3)
    assert (callback.seconds, callback.tokens) == (6.0, 30)
    state = SimpleNamespace(global_step=4, max_steps=8, epoch=0.5)
    said = {"loss": 0.5, "num_tokens": 44, "completions/mean_length": 7.0, "completions/clipped_ratio": 0.25}
    callback.on_log(None, state, None, logs=said)
    callback.on_log(None, state, None, logs={"train_runtime": 3.0})
    assert [entry["step"] for entry in log.entries()] == [1, 2, 3, 4]
    last = log.entries()[-1]
    assert (last["steps"], last["tokens"], last["mean_tokens"], last["truncated"]) == (8, 44, 7.0, 0.25)
    assert last["seconds"] >= 6.0
    assert all(json.loads(line) for line in log.path.read_text().split("\n") if line)


def test_a_loss_that_is_no_number_stops_the_stage(tmp_path):
    from harness_trainers.loop.log import LogCallback, StageLog

    callback = LogCallback(StageLog(tmp_path), "tiny:sft")
    state = SimpleNamespace(global_step=4, max_steps=8, epoch=0.5)
    with pytest.raises(HarnessError, match="tiny:sft: the loss is nan at step 4"):
        callback.on_log(None, state, None, logs={"loss": math.nan})
    # The weights are lost already, though only the next loss would show it.
    with pytest.raises(HarnessError, match="tiny:sft: the norm of the gradient is inf at step 4"):
        callback.on_log(None, state, None, logs={"loss": 2.0, "grad_norm": math.inf})
    scaled = SimpleNamespace(fp16=True)  # the scaler leaves the step out
    callback.on_log(scaled, state, None, logs={"loss": 2.0, "grad_norm": math.inf})


def test_processes_know_which_of_them_they_are(monkeypatch):
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert (process.rank(), process.world_size(), process.only_first()) == (3, 4, False)
    monkeypatch.setenv("RANK", "x")
    assert process.only_first()


@pytest.mark.parametrize("bias", [True, False])
def test_products_and_their_gradients_are_those_of_torch(bias):
    import torch

    from harness_trainers.loop.products import _Linear, speed_up

    torch.manual_seed(0)
    plain = torch.nn.Linear(48, 80, bias=bias)
    fast = torch.nn.Sequential(torch.nn.Linear(48, 80, bias=bias))
    fast[0].load_state_dict(plain.state_dict())
    speed_up(fast)
    if not torch.cuda.is_available() and torch.backends.mkldnn.is_available():
        assert type(fast[0]) is _Linear
    x = torch.randn(3, 5, 48)
    one, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    target = torch.randn(3, 5, 80)
    (plain(one) * target).sum().backward()
    (fast(other) * target).sum().backward()
    torch.testing.assert_close(fast(x), plain(x))
    torch.testing.assert_close(other.grad, one.grad)
    for name, value in plain.named_parameters():
        torch.testing.assert_close(fast[0].get_parameter(name).grad, value.grad)

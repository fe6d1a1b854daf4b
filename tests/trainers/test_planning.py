"""Plans: what a stage will take, by arithmetic that is held against real models."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness import Estimate, StageSize
from harness_trainers.planning import (
    Layout,
    Shape,
    device_of,
    estimate_grpo,
    estimate_sft,
    training_flops,
    training_memory,
)
from harness_trainers.planning.compute import decoding
from harness_trainers.planning.memory import layer_bytes, logits_bytes
from harness_trainers.planning.shape import FAMILIES
from harness_trainers.recipes import load_recipe

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

GB = 10**9


def qwen(
    hidden: int, intermediate: int, layers: int, heads: int, kv_heads: int, **more: Any
) -> dict[str, Any]:
    return {
        "model_type": "qwen2",
        "vocab_size": 152_064,
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        **more,
    }


QWEN_14B = qwen(5120, 13_824, 48, 40, 8)
QWEN_7B = qwen(3584, 18_944, 28, 28, 4)
QWEN_05B = qwen(896, 4864, 24, 14, 2, vocab_size=151_936, tie_word_embeddings=True)
LLAMA_8B = {
    **qwen(4096, 14_336, 32, 32, 8, vocab_size=128_256),
    "model_type": "llama",
    "max_position_embeddings": 131_072,
}


def shape(config: dict[str, Any]) -> Shape:
    found = Shape.of(config)
    assert found is not None
    return found


def size(config: dict[str, Any] | None, parameters: dict[str, Any], **more: Any) -> StageSize:
    values: dict[str, Any] = {
        "weights": None,
        "rows": 5000,
        "prompt_tokens": 200.0,
        "completion_tokens": 10_000.0,
        "device": "H100",
        "devices": 8,
    }
    return StageSize(parameters=parameters, config=config, **{**values, **more})


def told(estimate: Estimate) -> str:
    return "\n".join(estimate.notes)


# -- weights ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "published"),
    [
        (QWEN_14B, 14_770_033_664),
        (QWEN_7B, 7_615_616_512),
        (QWEN_05B, 494_032_768),
        (LLAMA_8B, 8_030_261_248),
    ],
    ids=["Qwen2.5-14B", "Qwen2.5-7B", "Qwen2.5-0.5B", "Llama-3.1-8B"],
)
def test_well_known_models_have_as_many_weights_as_their_makers_say(
    config: dict[str, Any], published: int
) -> None:
    assert shape(config).weights == published


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_has_as_many_weights_as_torch_counts(family: str, tied: bool) -> None:
    for more in ({}, {"attention_bias": True, "mlp_bias": True, "head_dim": 24}):
        if family in ("qwen2", "mistral") and more:
            continue
        model = real_model(family, tie_word_embeddings=tied, **more)
        assert shape(model.config.to_dict()).weights == sum(p.numel() for p in model.parameters())


def test_low_rank_adapters_have_as_many_weights_as_peft_gives_them() -> None:
    peft = pytest.importorskip("peft")
    for targets in ("all-linear", ["q_proj", "down_proj"]):
        model = real_model("qwen2")
        found = shape(model.config.to_dict())
        adapted = peft.get_peft_model(
            model, peft.LoraConfig(r=4, target_modules=targets, task_type="CAUSAL_LM")
        )
        assert found.adapters(4, targets) == sum(p.numel() for p in adapted.parameters() if p.requires_grad)


def test_a_token_in_the_cache_takes_its_keys_and_values() -> None:
    assert shape(QWEN_14B).kv_bytes() == 2 * 48 * 8 * 128 * 2 == 196_608


def test_a_config_of_another_family_or_of_nonsense_is_not_guessed_at() -> None:
    assert Shape.of(None) is None
    assert Shape.of({"model_type": "mamba"}) is None
    for wrong in (
        {"hidden_size": "many"},
        {"num_hidden_layers": -1},
        {"vocab_size": True},
        {"head_dim": 10**12},
    ):
        assert Shape.of({**QWEN_14B, **wrong}) is None


def test_without_its_config_a_model_is_known_by_its_count() -> None:
    found = Shape.near(14.8e9)
    assert found is not None
    assert found == shape(QWEN_14B)
    assert Shape.near(0.49e9) == shape(QWEN_05B)
    assert Shape.near(5e9) is None
    assert Shape.near(None) is None
    estimate = estimate_sft(size(None, {}, weights=14.8e9))
    assert estimate.memory_bytes is not None
    assert "config.json is not at hand" in told(estimate)


# -- memory ----------------------------------------------------------------------------------------


def test_weights_gradients_and_optimiser_take_what_torch_takes_for_them() -> None:
    torch = pytest.importorskip("torch")
    model = real_model("qwen2")
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model(input_ids=tokens(1, 16), labels=tokens(1, 16)).loss.backward()
    optimiser.step()
    states = [v for state in optimiser.state.values() for v in state.values() if v.dim()]
    memory = training_memory(shape(model.config.to_dict()), Layout(bf16=False, gpu=False), 1, 16)
    assert memory.weights == sum(p.numel() * p.element_size() for p in model.parameters())
    assert memory.gradients == sum(p.grad.numel() * p.grad.element_size() for p in model.parameters())
    assert memory.optimiser == sum(v.numel() * v.element_size() for v in states)


@pytest.mark.parametrize("family", ["qwen2", "qwen3"])
@pytest.mark.parametrize("how", ["float32", "policy", "autocast"])
def test_a_layer_keeps_what_torch_keeps_of_it(family: str, how: str) -> None:
    """Counted by what autograd saves, once with one layer and once with three."""
    torch = pytest.importorskip("torch")
    dtype = torch.bfloat16 if how == "policy" else torch.float32
    kept = []
    for layers in (1, 3):
        model = real_model(family, num_hidden_layers=layers).to(dtype).train()
        found = shape(model.config.to_dict())
        with saved_bytes(model) as saved, torch.autocast("cpu", torch.bfloat16, enabled=how == "autocast"):
            model.model(input_ids=tokens(2, 64))
        kept.append(sum(saved.values()))
    layout = Layout(devices=2, sharded=how == "policy", bf16=how != "float32")
    # Autocast also keeps what it has cast of the matrices, which `gathered` counts.
    cast = 2 * sum(inner * outer for inner, outer in found.linears.values()) if how == "autocast" else 0
    measured = (kept[1] - kept[0]) / 2 - cast
    assert layer_bytes(found, layout) * 2 * 64 == pytest.approx(measured, rel=0.02)


def test_checkpointing_keeps_the_input_of_each_layer() -> None:
    found = shape(QWEN_14B)
    layout = Layout(devices=8, sharded=True)
    memory = training_memory(found, layout, 1, 16_384)
    assert memory.kept == 48 * 16_384 * 5120 * 2
    without = training_memory(found, replace(layout, checkpointing=False), 1, 16_384)
    assert without.kept > 20 * memory.kept


def test_sharing_out_divides_what_is_held_and_not_what_is_computed() -> None:
    found = shape(QWEN_14B)
    alone = training_memory(found, Layout(), 1, 4096)
    shared = training_memory(found, Layout(devices=8, sharded=True), 1, 4096)
    whole = training_memory(found, Layout(devices=8), 1, 4096)
    for part in ("weights", "gradients", "optimiser"):
        assert getattr(shared, part) * 8 == getattr(alone, part) == getattr(whole, part)
    assert alone.weights + alone.gradients + alone.optimiser == 16 * found.weights
    assert shared.kept > 0.4 * alone.kept


def test_adapters_leave_only_the_frozen_weights_and_their_own_states() -> None:
    found = shape(QWEN_14B)
    adapters = found.adapters(16)
    memory = training_memory(found, Layout(adapters=adapters), 1, 4096)
    assert memory.weights == 2 * found.weights + 4 * adapters
    assert memory.gradients == 4 * adapters
    assert memory.total < training_memory(found, Layout(), 1, 4096).total / 4


def test_the_logits_of_a_long_chain_would_be_larger_than_a_share_of_the_model() -> None:
    assert logits_bytes(shape(QWEN_14B), 16_384) == 16_384 * 152_064 * 4 == 9_965_666_304
    estimate = estimate_sft(size(QWEN_14B, {"max_length": 16_384, "per_device_train_batch_size": 1}))
    assert "the logits of 16,384 tokens and 152,064 words at once would be 10.0 GB" in told(estimate)


@pytest.mark.parametrize("name", ["fathom-r1-14b-v0.6", "fathom-r1-14b-v0.4", "fathom-r1-14b-v0.4-rs"])
def test_supervised_stages_of_the_published_recipes_fit_on_eight_h100(name: str) -> None:
    node = load_recipe(name).nodes[f"{name}:sft"]
    assert (node.hardware.device, node.hardware.devices) == ("H100", 8)
    estimate = estimate_sft(size(QWEN_14B, dict(node.stage.parameters)))
    assert estimate.memory_bytes is not None
    assert 40 * GB < estimate.memory_bytes < 64 * GB
    assert "does not fit" not in told(estimate)


def test_what_does_not_fit_is_told_with_ways_out() -> None:
    alone = estimate_sft(size(QWEN_14B, {"max_length": 16_384, "per_device_train_batch_size": 1}, devices=1))
    assert "does not fit on one H100 of 80 GB" in told(alone)
    assert "more devices, lora: true" in told(alone)
    kept = {"max_length": 16_384, "per_device_train_batch_size": 1, "activation_checkpointing": False}
    assert "activation_checkpointing: true" in told(estimate_sft(size(QWEN_14B, kept)))


# -- GRPO ------------------------------------------------------------------------------------------

RL = {
    "max_completion_length": 6144,
    "max_steps": 49,
    "num_generations": 8,
    "per_device_train_batch_size": 1,
    "gradient_accumulation_steps": 128,
    "beta": 0.001,
    "use_vllm": True,
    "vllm_mode": "colocate",
    "vllm_tensor_parallel_size": 4,
    "vllm_gpu_memory_utilization": 0.35,
    "vllm_enable_sleep_mode": True,
}


def test_reinforcement_beside_vllm_fits_where_the_engine_is_shared_out_and_sleeps() -> None:
    estimate = estimate_grpo(size(QWEN_14B, RL, rows=7700, completion_tokens=4930.0))
    assert "does not fit" not in told(estimate)
    assert estimate.memory_bytes is not None
    assert estimate.memory_bytes < 72 * GB
    assert (estimate.steps, estimate.sampled_tokens) == (49, 49 * 1024 * 4930)
    assert estimate.trained_tokens == 49 * 1024 * 5130
    assert estimate.device_hours is not None


def test_an_engine_without_room_for_the_weights_is_told_and_not_timed() -> None:
    alone = {**RL, "vllm_tensor_parallel_size": 1}
    estimate = estimate_grpo(size(QWEN_14B, alone, rows=7700))
    assert "vLLM's share of 35% of a H100 is 28.0 GB" in told(estimate)
    assert "raise vllm_tensor_parallel_size" in told(estimate)
    assert estimate.device_hours is None


def test_a_sleeping_engine_leaves_its_share_to_training() -> None:
    def memory(**more: Any) -> float:
        found = estimate_grpo(size(QWEN_14B, {**RL, **more}, rows=7700)).memory_bytes
        assert found is not None
        return found

    awake = memory(vllm_enable_sleep_mode=False)
    assert awake > memory() + 10 * GB
    assert memory(vllm_enable_sleep_mode=False, use_vllm=False) == pytest.approx(awake - 0.35 * 80 * GB)
    reference = memory(vllm_enable_sleep_mode=False) - memory(vllm_enable_sleep_mode=False, beta=0.0)
    assert reference == pytest.approx(4 * shape(QWEN_14B).weights / 8)


def test_chains_of_unknown_length_are_taken_from_the_limit_and_that_is_said() -> None:
    estimate = estimate_grpo(size(QWEN_14B, RL, rows=7700, completion_tokens=None))
    assert estimate.sampled_tokens == pytest.approx(49 * 1024 * 0.8 * 6144)
    assert "taken to have 4,915 tokens" in told(estimate)


def test_problems_are_gone_through_once_in_steps_of_whole_groups() -> None:
    parameters = {**RL, "max_steps": -1, "num_train_epochs": 1}
    # 128 problems at a time; the 20 that are left over are not sampled.
    assert estimate_grpo(size(QWEN_14B, parameters, rows=7700)).steps == 7700 // 128 == 60
    twice = estimate_grpo(size(QWEN_14B, {**parameters, "num_iterations": 2}, rows=7700))
    once = estimate_grpo(size(QWEN_14B, parameters, rows=7700))
    assert twice.steps is not None
    assert once.steps is not None
    assert twice.steps == 2 * once.steps
    assert twice.sampled_tokens == once.sampled_tokens
    # 256 problems are sampled for two steps.
    large = {**parameters, "steps_per_generation": 256}
    assert estimate_grpo(size(QWEN_14B, large, rows=7700)).steps == 2 * (7700 // 256)
    whole = {**parameters, "generation_batch_size": 2048}
    assert estimate_grpo(size(QWEN_14B, whole, rows=7700)).steps == 2 * (7700 // 256)


# -- steps, tokens and hours -----------------------------------------------------------------------


def test_steps_and_tokens_of_a_supervised_stage() -> None:
    parameters = {
        "max_length": 16_384,
        "num_train_epochs": 8,
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": 8,
    }
    estimate = estimate_sft(size(QWEN_14B, parameters))
    assert estimate.steps == 8 * math.ceil(5000 / 64) == 632
    assert estimate.trained_tokens == 8 * 5000 * 10_200
    packed = estimate_sft(size(QWEN_14B, {**parameters, "packing": True}))
    assert packed.steps == 8 * math.ceil(math.ceil(5000 * 10_200 / 16_384) / 64)
    assert packed.trained_tokens == pytest.approx(estimate.trained_tokens, rel=0.001)
    few = estimate_sft(size(QWEN_14B, {**parameters, "max_steps": 10}))
    assert (few.steps, few.trained_tokens) == (10, 640 * 10_200)
    cut = estimate_sft(size(QWEN_14B, {**parameters, "max_length": 4096}))
    assert cut.trained_tokens == 8 * 5000 * 4096


def test_a_plan_takes_for_granted_what_the_trainers_do(tmp_path: Path) -> None:
    """Where a stage says little: one row at a time, one epoch, as long as the model can read."""
    pytest.importorskip("trl")
    from harness import StageJob
    from harness_trainers.loop.arguments import build
    from harness_trainers.planning.reading import Reading
    from harness_trainers.sft.training import MAX_LENGTH

    for kind in ("sft", "grpo"):
        built = build(StageJob("r:s", (), None, {}, tmp_path / "out", tmp_path), kind)
        reading = Reading({}, gpu=not built["use_cpu"])
        assert reading.micro_batch == built["per_device_train_batch_size"]
        assert reading.epochs == built["num_train_epochs"]
        assert reading.checkpointing == built["activation_checkpointing"]
    estimate = estimate_sft(size({**QWEN_14B, "max_position_embeddings": 131_072}, {}, devices=1))
    assert (estimate.steps, estimate.trained_tokens) == (5000, 5000 * 10_200)
    assert estimate_sft(size(QWEN_14B, {})) == estimate_sft(size(QWEN_14B, {"max_length": MAX_LENGTH}))
    short = estimate_sft(size({**QWEN_14B, "max_position_embeddings": 4096}, {}))
    assert short.trained_tokens == 5000 * 4096
    on_cores = estimate_sft(size(QWEN_05B, {"max_length": 512}, device="2 CPU cores", devices=1))
    kept = {"max_length": 512, "activation_checkpointing": False}
    assert on_cores == estimate_sft(size(QWEN_05B, kept, device="2 CPU cores", devices=1))


def test_before_the_data_is_there_a_plan_has_an_upper_bound() -> None:
    parameters = {"max_length": 4096, "num_train_epochs": 2, "per_device_train_batch_size": 1}
    unknown = estimate_sft(size(QWEN_05B, parameters, completion_tokens=None, prompt_tokens=None))
    assert unknown.device_hours is None
    assert unknown.trained_tokens is None
    longest = estimate_sft(size(QWEN_05B, parameters, completion_tokens=5000.0)).device_hours
    assert f"at most {longest:.3g} device hours, if all rows had 4,096 tokens" in told(unknown)


def test_transformers_takes_as_many_steps_as_planned(tmp_path: Any) -> None:
    """By its own arithmetic, on rows that do not divide evenly."""
    transformers = pytest.importorskip("transformers")
    rows = [{"input_ids": [1, 2, 3], "labels": [1, 2, 3]}] * 21
    parameters = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4, "num_train_epochs": 3}
    args = transformers.TrainingArguments(
        str(tmp_path),
        use_cpu=True,
        report_to="none",
        save_strategy="no",
        learning_rate=0.0,
        disable_tqdm=True,
        **parameters,
    )
    trainer = transformers.Trainer(
        real_model("qwen2", num_hidden_layers=1, vocab_size=16), args, train_dataset=rows
    )
    trainer.train()
    planned = estimate_sft(size(None, dict(parameters), rows=21, devices=1)).steps
    assert planned == trainer.state.global_step == 9


def test_operations_are_six_a_weight_and_eight_with_checkpointing() -> None:
    found = shape(QWEN_14B)
    kept = training_flops(found, 1000, 1, recomputed=False)
    assert kept == pytest.approx(6 * (found.weights - found.embedding) * 1000, rel=0.001)
    assert training_flops(found, 1000, 1, recomputed=True) == pytest.approx(kept * 4 / 3)
    long = training_flops(found, 1000, 16_384, recomputed=False)
    assert long - kept == pytest.approx(6 * 48 * 5120 * 16_384 * 1000, rel=0.001)


def test_hours_of_the_published_stages_come_out_in_their_size() -> None:
    """48 and 128 H100 hours are published, at lengths and epochs that are not: the same order, no more."""
    for name, rows, published in (("fathom-r1-14b-v0.6", 5000, 48), ("fathom-r1-14b-v0.4", 9500, 128)):
        parameters = dict(load_recipe(name).nodes[f"{name}:sft"].stage.parameters)
        hours = estimate_sft(size(QWEN_14B, parameters, rows=rows)).device_hours
        assert hours is not None
        assert published / 3 < hours < published * 3


def test_more_devices_take_the_same_hours_together() -> None:
    parameters = {"max_length": 4096, "per_device_train_batch_size": 1}
    one, eight = (estimate_sft(size(QWEN_05B, parameters, devices=n)).device_hours for n in (1, 8))
    assert one is not None
    assert one == eight


def test_writing_is_bound_by_memory_until_there_are_many_chains() -> None:
    found, h100 = shape(QWEN_05B), device_of("H100")
    assert h100 is not None
    rates = [
        decoding(found, h100, devices=1, cache_bytes=60 * GB, length=1000, chains=n).tokens_per_second
        for n in (1, 8, 64, 4096)
    ]
    assert rates[1] > 7 * rates[0]
    assert rates[3] < 64 * rates[2]
    few = decoding(found, h100, devices=1, cache_bytes=found.kv_bytes() * 1000 * 3, length=1000, chains=64)
    assert few.chains == 3
    # So many chains that arithmetic binds: two operations for each weight, and four for each of the 1,000 tokens that a
    # token of a chain of 2,000 looks back at on average, in every layer and for every value of its query.
    operations = 2 * found.weights + 4 * 24 * 896 * 1000
    fast = decoding(
        found, replace(h100, bandwidth=1e18), devices=1, cache_bytes=1e18, length=2000, chains=10**6
    )
    assert fast.tokens_per_second == pytest.approx(0.4 * h100.flops / operations)


@pytest.mark.parametrize(
    ("name", "teraflops"),
    [
        ("H100", 989),
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA L40S", 362),
        ("NVIDIA L4", 121),
        ("NVIDIA GeForce RTX 4090", 165),
    ],
)
def test_devices_are_known_by_the_names_that_drivers_give_them(name: str, teraflops: float) -> None:
    found = device_of(name)
    assert found is not None
    assert found.flops == teraflops * 1e12


def test_a_device_that_nobody_knows_has_memory_and_no_hours() -> None:
    assert device_of("TPU v5e") is device_of(None) is None
    estimate = estimate_sft(size(QWEN_14B, {}, device="Abacus 3000"))
    assert estimate.device_hours is None
    assert estimate.memory_bytes
    assert "'Abacus 3000' is not in the table" in told(estimate)


def test_processors_are_counted_by_their_cores() -> None:
    one, two = device_of("CPU core"), device_of("2 CPU cores")
    assert one is not None
    assert two is not None
    assert not one.gpu
    assert two.flops == 2 * one.flops
    estimate = estimate_sft(size(QWEN_05B, {"max_length": 512}, device="2 CPU cores", devices=1))
    assert "may be off severalfold" in told(estimate)
    assert "does not fit" not in told(estimate)


@pytest.mark.parametrize("estimate", [estimate_sft, estimate_grpo])
def test_nothing_known_gives_nothing_but_notes(estimate: Any) -> None:
    found = estimate(
        StageSize(
            {}, None, None, rows=None, prompt_tokens=None, completion_tokens=None, device=None, devices=1
        )
    )
    assert (found.steps, found.trained_tokens, found.device_hours, found.memory_bytes) == (None,) * 4
    assert "hours and memory are not known" in told(found)


@pytest.mark.parametrize("estimate", [estimate_sft, estimate_grpo])
@pytest.mark.parametrize("value", ["many", None, True, -3, 0, float("nan"), [], {}, 10**30])
def test_parameters_that_the_trainer_will_refuse_do_not_stop_the_plan(estimate: Any, value: Any) -> None:
    names = (
        "max_length",
        "max_completion_length",
        "per_device_train_batch_size",
        "gradient_accumulation_steps",
    )
    names += ("num_train_epochs", "max_steps", "num_generations", "num_iterations", "lora", "dtype", "optim")
    names += ("activation_checkpointing", "bf16", "packing", "beta", "use_vllm", "vllm_tensor_parallel_size")
    for name in names:
        estimate(size(QWEN_05B, {name: value}))


def test_a_plan_imports_nothing_heavy() -> None:
    code = (
        "import sys, harness_trainers.planning, harness_trainers.launch\n"
        "print([m for m in ('torch', 'transformers', 'trl', 'numpy', 'accelerate') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_the_page_on_hardware_tells_what_the_arithmetic_gives() -> None:
    page = (Path(__file__).parents[2] / "docs" / "hardware.md").read_text(encoding="utf-8")
    sft = dict(load_recipe("fathom-r1-14b-v0.6").nodes["fathom-r1-14b-v0.6:sft"].stage.parameters)

    def memory(parameters: dict[str, Any], config: dict[str, Any] = QWEN_14B, **more: Any) -> str:
        found = estimate_sft(size(config, {**sft, **parameters}, **more)).memory_bytes
        assert found is not None
        return f"{found / GB:.1f}"

    assert f"| **sum** | | **{memory({})}** |" in page
    assert f"Two chains at a time take {memory({'per_device_train_batch_size': 2})} GB" in page
    assert f"On 4 GPUs it is {memory({}, devices=4)} GB" in page
    assert f"on 16 it is {memory({}, devices=16)}" in page
    assert f"single H100: {memory({'lora': True}, devices=1)} GB" in page
    for longest in (2048, 16_384):
        row = next(line for line in page.split("\n") if line.startswith(f"| {longest:,} | "))
        for lora in (False, True):
            assert memory({"max_length": longest, "lora": lora}, QWEN_05B, devices=1) in row
    hours = [
        estimate_sft(size(QWEN_14B, sft)).device_hours,
        estimate_sft(size(QWEN_14B, sft, rows=9500)).device_hours,
        estimate_grpo(size(QWEN_14B, RL, rows=7700, completion_tokens=4930.0)).device_hours,
    ]
    for published, value in zip((48, 128, 165), hours, strict=True):
        assert f"| {published} | {value:.1f}" in page
    in_training = estimate_grpo(size(QWEN_14B, {**RL, "use_vllm": False}, rows=7700)).memory_bytes
    assert in_training is not None
    assert f"{in_training / GB:.1f} while training" in page


# -- helpers ---------------------------------------------------------------------------------------


def real_model(family: str, **settings: Any) -> Any:
    """A model of random weights, without files."""
    transformers = pytest.importorskip("transformers")
    usual = {
        "vocab_size": 320,
        "hidden_size": 64,
        "intermediate_size": 176,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 512,
        "tie_word_embeddings": False,
    }
    config = transformers.AutoConfig.for_model(family, **{**usual, **settings})
    return transformers.AutoModelForCausalLM.from_config(config)


def tokens(rows: int, length: int) -> Any:
    import torch

    torch.set_num_threads(1)
    return torch.randint(0, 16, (rows, length))


@contextmanager
def saved_bytes(model: Any) -> Iterator[dict[int, int]]:
    """Storages that autograd holds on to, by address, those of the model's own weights left out."""
    import torch

    own = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    saved: dict[int, int] = {}
    alive = []

    def pack(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield saved

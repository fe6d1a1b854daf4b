"""Estimates of reinforcement learning: chains are written, scored, and trained on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from harness import Estimate, StageSize

from .compute import decoding, scoring_flops, seconds_of, training_flops
from .devices import GB, Device, device_of
from .memory import Layout, Memory, training_memory
from .reading import Reading, steps_of
from .sft import layout_of, shape_of, told_compute, told_logits, told_memory, told_missing
from .shape import Shape

_LONGEST: Final = 6144
_LONGEST_PROMPT: Final = 1024
"""The trainer's max_completion_length and max_prompt_length, where the stage says none."""
_SHARE: Final = 0.8
"""Of the limit that a chain takes on average, where nobody knows: the published curve goes from 5,430 to 4,430 tokens
of 6,144."""
_PROMPT: Final = 256.0
_UTILISATION: Final = 0.3
"""TRL's share of a GPU for vLLM beside the trainer."""
_VLLM_STEP: Final = 0.005
_GENERATE_STEP: Final = 0.03
"""Seconds that writing one token of every chain takes at least, for Python's sake. Assumed."""
_ENGINE_OVERHEAD: Final = 2 * GB
"""Of vLLM's share: activations and graphs of its own. Assumed."""


@dataclass(frozen=True, slots=True)
class _Engine:
    """Where chains are written."""

    vllm: bool
    colocated: bool
    sleeps: bool
    utilisation: float
    devices: int
    """That share one copy of the weights."""

    @classmethod
    def of(cls, reading: Reading, devices: int) -> _Engine:
        vllm = reading.flag("use_vllm", False)
        colocated = vllm and reading.values.get("vllm_mode", "colocate") == "colocate"
        return cls(
            vllm,
            colocated,
            reading.flag("vllm_enable_sleep_mode", False),
            min(1.0, max(0.0, reading.number("vllm_gpu_memory_utilization", _UTILISATION))),
            min(devices, max(1, reading.whole("vllm_tensor_parallel_size", 1))) if vllm else 1,
        )

    def cache(self, shape: Shape, device: Device, beside: float) -> float:
        """Bytes for keys and values on all devices that share a copy of the weights; below 0: not even these fit.

        Args:
            beside: what the trainer takes of a device, where the model itself writes the chains.
        """
        if not self.vllm:
            return max(0.0, device.memory - beside)
        share = self.utilisation if self.colocated else 0.9
        return self.devices * (share * device.memory - _ENGINE_OVERHEAD) - 2.0 * shape.weights


def estimate_grpo(size: StageSize) -> Estimate:
    """What a stage of GRPO is likely to take. Nothing is run, and nothing heavy imported."""
    shape, device = shape_of(size), device_of(size.device, size.devices)
    reading = Reading(size.parameters, gpu=device is None or device.gpu)
    longest = reading.whole("max_completion_length", _LONGEST) or _LONGEST
    notes = []
    mean = size.completion_tokens
    if mean is None:
        mean = _SHARE * longest
        notes.append(f"chains are taken to have {mean:,.0f} tokens on average, {_SHARE:.0%} of the limit")
    mean = min(mean, float(longest))
    prompt = size.prompt_tokens if size.prompt_tokens is not None else _PROMPT
    a_step = reading.micro_batch * reading.accumulation * size.devices
    # Each chain is trained on num_iterations times, before others are written.
    iterations = max(1, reading.whole("num_iterations", 1))
    steps = steps_of(reading, _batches(reading, size.rows, size.devices)) if size.rows else reading.max_steps
    sampled = trained = hours = None
    if steps:
        trained = steps * a_step * (prompt + mean)
        sampled = steps * a_step * mean / iterations
    engine = _Engine.of(reading, size.devices)
    memory = None
    if shape is not None:
        layout = layout_of(reading, shape, device, size.devices)
        longest_prompt = reading.whole("max_prompt_length", _LONGEST_PROMPT)
        memory = _memory(reading, shape, layout, engine, device, longest_prompt + longest)
        too_small = device is not None and engine.vllm and engine.cache(shape, device, 0) <= 0
        if steps and device is not None and not too_small:
            writing, training, told = _seconds(
                reading, shape, layout, engine, device, size.devices, steps, prompt, mean, memory
            )
            hours = (writing + training) / 3600
            notes += told
        notes += told_memory(memory, layout, device)
        if device is not None and too_small:
            notes.append(_too_small(shape, engine, device))
        notes += told_logits(shape, reading.micro_batch * (longest_prompt + longest))
    notes += told_missing(replace(size, completion_tokens=mean), shape, device)
    return Estimate(steps, trained, sampled, hours, memory.total if memory else None, tuple(notes))


def _batches(reading: Reading, rows: int, devices: int) -> int:
    """Batches of an epoch: problems that are too few to be sampled with the others are left out of it."""
    at_once = reading.micro_batch * devices
    times = reading.whole("steps_per_generation", 0) or reading.accumulation
    if chains := reading.whole("generation_batch_size", 0):
        times = max(1, chains // at_once)
    problems = max(1, at_once * times // max(1, reading.whole("num_generations", 8)))
    return rows // problems * times * max(1, reading.whole("num_iterations", 1))


def _memory(
    reading: Reading, shape: Shape, layout: Layout, engine: _Engine, device: Device | None, length: float
) -> Memory:
    """At the fullest moment: of training, or of writing chains where vLLM wakes up for that alone."""
    memory = training_memory(shape, layout, reading.micro_batch, length)
    share = layout.devices if layout.sharded else 1
    if reading.number("beta", 0.0) > 0 and layout.adapters is None:
        memory = replace(memory, reference=4.0 * shape.weights / share)
    if not engine.colocated or device is None:
        return memory
    aside = engine.utilisation * device.memory
    if not engine.sleeps:
        return replace(memory, engine=aside)
    writing = replace(memory, kept=0.0, working=0.0, gathered=0.0, engine=aside)
    return max(memory, writing, key=lambda moment: moment.total)


def _seconds(
    reading: Reading,
    shape: Shape,
    layout: Layout,
    engine: _Engine,
    device: Device,
    devices: int,
    steps: int,
    prompt: float,
    mean: float,
    memory: Memory,
) -> tuple[float, float, list[str]]:
    """Device-seconds of writing chains and of training on them."""
    iterations = max(1, reading.whole("num_iterations", 1))
    chains = steps * reading.micro_batch * reading.accumulation * devices / iterations
    tokens = chains * (prompt + mean)
    flops = training_flops(shape, tokens * iterations, prompt + mean, recomputed=layout.checkpointing)
    passes = int(reading.number("beta", 0.0) > 0) + int(engine.vllm or iterations > 1)
    flops += passes * scoring_flops(shape, tokens, prompt + mean)
    training = seconds_of(flops, device)
    copies = max(1, devices // engine.devices)
    speed = decoding(
        shape,
        device,
        devices=engine.devices,
        cache_bytes=engine.cache(shape, device, memory.total) if device.gpu else 8.0 * GB,
        length=prompt + mean,
        chains=max(1, int(chains / steps * iterations / copies)),
        bytes_per_weight=2 if engine.vllm else layout.master_bytes,
        least_seconds=_VLLM_STEP if engine.vllm else _GENERATE_STEP,
    )
    writing = chains * mean / speed.tokens_per_second * engine.devices
    shown = f"{speed.chains:,} chains at once on {engine.devices} device{'s' if engine.devices > 1 else ''}"
    return (
        writing,
        training,
        [
            f"writing {writing / 3600:.3g} device hours ({shown}, {speed.tokens_per_second:,.0f} tokens a second, "
            f"waiting for the longest chain not counted), training and scoring {training / 3600:.3g}",
            told_compute(flops, device),
        ],
    )


def _too_small(shape: Shape, engine: _Engine, device: Device) -> str:
    share = engine.utilisation if engine.colocated else 0.9
    return (
        f"does not fit: vLLM's share of {share:.0%} of a {device.name} is {share * device.memory / GB:.1f} GB, and the "
        f"weights alone are {2 * shape.weights / engine.devices / GB:.1f} GB on each of {engine.devices}: raise "
        "vllm_tensor_parallel_size, or vllm_gpu_memory_utilization"
    )

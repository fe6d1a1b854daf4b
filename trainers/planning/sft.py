"""Estimates of supervised training."""

from __future__ import annotations

import math

from harness import Estimate, StageSize

from .compute import CPU_UTILISATION, UTILISATION, seconds_of, training_flops
from .devices import GB, Device, device_of
from .memory import Layout, Memory, fits, logits_bytes, training_memory
from .reading import Reading, steps_of
from .shape import Shape

_LONGEST = 16_384
"""The trainer's max_length, where the stage says none and the model's context is no shorter."""


def estimate_sft(size: StageSize) -> Estimate:
    """What a stage of supervised training is likely to take. Nothing is run, and nothing heavy imported."""
    shape, device = shape_of(size), device_of(size.device, size.devices)
    reading = Reading(size.parameters, gpu=device is None or device.gpu)
    longest = _longest(reading, size)
    mean = None
    if size.completion_tokens is not None:
        mean = min(float(longest), (size.prompt_tokens or 0.0) + size.completion_tokens)
    rows = float(size.rows) if size.rows is not None else None
    if rows is not None and mean and reading.flag("packing", False):
        rows, mean = math.ceil(rows * mean / longest), float(longest)
    steps = (
        steps_of(reading, math.ceil(rows / (reading.micro_batch * size.devices)))
        if rows
        else reading.max_steps
    )
    tokens = _tokens(reading, size.devices, rows, mean, steps)
    notes = []
    hours = None
    if shape is not None and device is not None and tokens and mean:
        flops = training_flops(shape, tokens, mean, recomputed=reading.checkpointing)
        hours = seconds_of(flops, device) / 3600
        notes.append(told_compute(flops, device))
    elif shape is not None and device is not None and steps:
        most = steps * reading.micro_batch * reading.accumulation * size.devices * float(longest)
        flops = training_flops(shape, most, longest, recomputed=reading.checkpointing)
        notes.append(
            f"at most {seconds_of(flops, device) / 3600:.3g} device hours, if all rows had {longest:,} tokens"
        )
        notes.append(told_compute(flops, device))
    memory = None
    if shape is not None:
        layout = layout_of(reading, shape, device, size.devices)
        memory = training_memory(shape, layout, reading.micro_batch, longest)
        notes += told_memory(memory, layout, device)
        notes += told_logits(shape, reading.micro_batch * longest)
    notes += told_missing(size, shape, device)
    return Estimate(
        steps=steps,
        trained_tokens=tokens,
        device_hours=hours,
        memory_bytes=memory.total if memory else None,
        notes=tuple(notes),
    )


def shape_of(size: StageSize) -> Shape | None:
    """By config.json, else that of a well-known model of as many weights."""
    return Shape.of(size.config) or Shape.near(size.weights)


def _longest(reading: Reading, size: StageSize) -> int:
    """Most tokens of a row: longer ones are left out or cut."""
    longest = reading.whole("max_length", _LONGEST) or _LONGEST
    context = (size.config or {}).get("max_position_embeddings")
    return min(longest, context) if isinstance(context, int) and context > 0 else longest


def _tokens(
    reading: Reading, devices: int, rows: float | None, mean: float | None, steps: int | None
) -> float | None:
    if mean is None:
        return None
    if reading.max_steps is not None and steps:
        return steps * reading.micro_batch * reading.accumulation * devices * mean
    return rows * reading.epochs * mean if rows is not None else None


def layout_of(reading: Reading, shape: Shape, device: Device | None, devices: int) -> Layout:
    """The layout that `command` chooses: one device holds everything, several GPUs share it out."""
    gpu = device is None or device.gpu
    adapters = reading.adapters
    return Layout(
        devices=devices,
        sharded=gpu and devices > 1,
        bf16=gpu and reading.bf16,
        checkpointing=reading.checkpointing,
        master_bytes=reading.master_bytes,
        optimiser_bytes=reading.optimiser_bytes,
        frozen_bytes=2 if gpu else 4,
        adapters=shape.adapters(*adapters) if adapters else None,
        gpu=gpu,
    )


def told_compute(flops: float, device: Device) -> str:
    """What the hours rest on."""
    if not device.gpu:
        rate = device.flops * CPU_UTILISATION / 1e9
        return f"{flops:.3g} operations at {rate:.0f} GFLOPS ({device.source}): may be off severalfold"
    return (
        f"{flops:.3g} operations at {UTILISATION:.0%} of {device.flops / 1e12:.0f} TFLOPS ({device.source}): "
        "an estimate, nobody measured it here"
    )


def told_memory(memory: Memory, layout: Layout, device: Device | None) -> list[str]:
    """The parts of the memory, and whether it fits."""
    where = f"one of {layout.devices} devices" if layout.devices > 1 else "the device"
    notes = [f"memory of {where}: {memory.told()}, an estimate"]
    if device is not None and not fits(memory, device):
        notes.append(
            f"does not fit on one {device.name} of {device.memory / GB:.0f} GB: it takes {memory.total / GB:.1f} GB; "
            f"{_ways_out(memory, layout)}"
        )
    elif device is not None and device.memory and memory.total > 0.9 * device.memory:
        notes.append(
            f"tight: {memory.total / device.memory:.0%} of the {device.memory / GB:.0f} GB of a {device.name}"
        )
    return notes


def _ways_out(memory: Memory, layout: Layout) -> str:
    ways = []
    if not layout.checkpointing:
        ways.append("activation_checkpointing: true")
    states = memory.weights + memory.gradients + memory.optimiser + memory.reference
    if memory.engine > 0.15 * memory.total:
        ways.append("vllm_enable_sleep_mode: true, or a lower vllm_gpu_memory_utilization")
    if memory.kept + memory.working > 0.3 * memory.total:
        ways.append("a smaller per_device_train_batch_size or max_length")
    if states > 0.3 * memory.total:
        ways.append("more devices")
        if layout.adapters is None:
            ways.append("lora: true")
    return ", ".join(ways) or "more devices"


def told_logits(shape: Shape, tokens: float) -> list[str]:
    """Why the output layer is computed in tiles, where that matters."""
    if (whole := logits_bytes(shape, tokens)) < 4 * GB:
        return []
    return [
        f"counted with TRL's loss in tiles: the logits of {tokens:,.0f} tokens and {shape.vocabulary:,} words at once "
        f"would be {whole / GB:.1f} GB, and their gradient as much again"
    ]


def told_missing(size: StageSize, shape: Shape | None, device: Device | None) -> list[str]:
    """What is not known, so that figures are missing."""
    notes = []
    if shape is None:
        notes.append("hours and memory are not known: there is no config.json of a family that is counted")
    elif Shape.of(size.config) is None:
        notes.append(
            f"config.json is not at hand: taken to be that of a {shape.family} with {shape.weights / 1e9:.3g} billion "
            "weights"
        )
    if shape is not None and device is None:
        said = f"{size.device!r:.60} is not in the table" if size.device else "no device is named"
        notes.append(f"hours are not known: {said}")
    if size.rows is None or size.completion_tokens is None:
        notes.append("tokens are not known before the data is there")
    return notes

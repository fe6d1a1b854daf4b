"""Parameters of this trainer that TRL has not, and what the others must be like together. Imports nothing heavy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from harness import HarnessError

from ..loop import arguments

DEFAULTS: Final[Mapping[str, Any]] = {
    "loss_type": "grpo",
    "mask_truncated_completions": False,
    "max_completion_length": 6144,
    "num_generations": 8,
    "scale_rewards": "group",
    "shuffle_dataset": False,
}
"""Where TRL's own default is another one, or it matters. Rows are seen in the order that they have."""

OWN: Final[Mapping[str, Any]] = {
    "format_reward": 0.0,
    "grading_deadline": 5.0,
    "length_penalty": 0.0,
    "max_prompt_length": 1024,
}
"""Parameters of this trainer alone, with their defaults: see `reward.shaped`; seconds that the comparison of two
answers may take; and most tokens of a prompt."""

_RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "format_reward": (0, 1),
    "grading_deadline": (0.1, 3600),
    "length_penalty": (0, 1),
    "temperature": (0.01, 100),
    "top_p": (1e-6, 1),
}
_CHOICES: Final[Mapping[str, tuple[Any, ...]]] = {
    "importance_sampling_level": ("token", "sequence"),
    "loss_type": ("grpo", "dapo", "bnpo", "dr_grpo", "cispo", "sapo", "luspo", "vespo"),
    "scale_rewards": ("group", "batch", "none", True, False),
    "vllm_mode": ("colocate", "server"),
}
_WHOLE: Final = ("generation_batch_size", "max_prompt_length", "steps_per_generation")

_REFUSED: Final = {
    "chat_template_kwargs": "checkpoints are evaluated without them, so they are trained without them",
    "reward_weights": "there is one reward: see length_penalty and format_reward",
    "sync_ref_model": "a stage that goes on after it was stopped would have another reference model",
}


def own(parameters: Mapping[str, Any], name: str) -> Any:
    """One of the parameters of `OWN`."""
    return parameters.get(name, OWN[name])


def check(parameters: Mapping[str, Any], models: int) -> None:
    """
    Raises:
        HarnessError: a parameter that does not exist or is out of its range, parameters that exclude each other,
            not exactly one model.
    """
    if models != 1:
        raise HarnessError(f"trainer grpo starts from one model, not from {models}")
    for name, reason in _REFUSED.items():
        if parameters.get(name):
            raise HarnessError(f"parameter {name} is not for trainer grpo: {reason}")
    arguments.check(parameters, "grpo", OWN)
    for name, value in parameters.items():
        _check_value(name, value)
    if parameters.get("generation_batch_size") and parameters.get("steps_per_generation"):
        raise HarnessError("generation_batch_size and steps_per_generation say the same: set one of them")
    every = parameters.get("save_steps")
    if every and every >= 1 and "generation_batch_size" not in parameters and every % block_steps(parameters):
        raise HarnessError(
            f"save_steps is {every}: chains are sampled for {block_steps(parameters)} steps at a time, and only "
            "between them can a stage go on as if it had not been stopped: set a multiple of that"
        )


def _check_value(name: str, value: Any) -> None:
    if name in _RANGES:
        low, high = _RANGES[name]
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not low <= value <= high:
            raise HarnessError(f"parameter {name} is {value!r:.60}, not a number from {low:g} to {high:g}")
    elif name in _CHOICES and value not in _CHOICES[name]:
        known = ", ".join(str(choice) for choice in _CHOICES[name])
        raise HarnessError(f"parameter {name} is {value!r:.60}, not one of {known}")
    elif name in _WHOLE and value is not None and (type(value) is not int or value < 1):
        raise HarnessError(f"parameter {name} is {value!r:.60}, not a whole number from 1 on")


def _merged(parameters: Mapping[str, Any]) -> dict[str, Any]:
    usual = {"gradient_accumulation_steps": 1, "num_iterations": 1, "per_device_train_batch_size": 1}
    return {**usual, **DEFAULTS, **parameters}


def generation_batch(parameters: Mapping[str, Any], devices: int) -> int:
    """Chains that are sampled at a time, on all devices together.

    Raises:
        HarnessError: they cannot be shared out into whole groups, or over the devices.
    """
    given = _merged(parameters)
    at_once = given["per_device_train_batch_size"] * devices
    group = given["num_generations"]
    chains = given.get("generation_batch_size")
    if chains is None:
        chains = at_once * (given.get("steps_per_generation") or given["gradient_accumulation_steps"])
    elif chains % at_once:
        raise HarnessError(
            f"generation_batch_size is {chains}: not a multiple of the {at_once} chains that {devices} x "
            f"per_device_train_batch_size hold"
        )
    if chains % group:
        raise HarnessError(
            f"{chains} chains are sampled at a time (per_device_train_batch_size x gradient_accumulation_steps x "
            f"{devices} devices), which is not a multiple of num_generations, {group}"
        )
    if own(parameters, "length_penalty") and (chains // devices) % group:
        raise HarnessError(
            f"length_penalty compares the {group} chains of a problem, and a device samples {chains // devices} at a "
            f"time: make that a multiple of num_generations"
        )
    return int(chains)


def block_steps(parameters: Mapping[str, Any], devices: int = 1) -> int:
    """Steps of the optimiser from one time that chains are sampled to the next that also begins with a step."""
    given = _merged(parameters)
    every = given.get("steps_per_generation") or given["gradient_accumulation_steps"]
    if given.get("generation_batch_size"):
        every = max(1, given["generation_batch_size"] // (given["per_device_train_batch_size"] * devices))
    micro = every * given["num_iterations"]
    accumulated = given["gradient_accumulation_steps"]
    return int(math.lcm(micro, accumulated) // accumulated)

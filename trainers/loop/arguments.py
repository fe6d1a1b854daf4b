"""A stage's parameters: looked at before anything runs, then made into TRL's own settings."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final

from harness import HarnessError, StageJob, closest
from harness.errors import one_line

from .loading import ATTENTION, DTYPES, lora
from .names import TRL, Kind

OWN: Final = (
    "allow_pickle",
    "attn_implementation",
    "dtype",
    "lora",
    "threads",
    "too_long",
)
"""Parameters of every trainer here that TRL has not."""

_INSTEAD: Final = {
    "warmup_ratio": "warmup_steps below 1 is a share of all steps",
    "max_seq_length": "it is called max_length",
    "max_prompt_length": "leave longer problems out of the data",
    "group_by_length": "set train_sampling_strategy: group_by_length",
    "evaluation_strategy": "checkpoints are evaluated by the recipe's `evaluate`",
    "eval_strategy": "checkpoints are evaluated by the recipe's `evaluate`",
    "no_cuda": "a GPU is used where there is one",
    "use_cpu": "a GPU is used where there is one",
    "output_dir": "`harness train --out` says where everything goes",
    "deepspeed": "the accelerate configuration of the launch says it",
    "fsdp": "the accelerate configuration of the launch says it",
    "fsdp_config": "the accelerate configuration of the launch says it",
    "peft_config": "set lora: {r, alpha, dropout, target_modules}",
}

_WHOLE: Final = {
    "gradient_accumulation_steps": 1,
    "logging_steps": 1,
    "max_completion_length": 1,
    "max_length": 2,
    "num_generations": 2,
    "num_iterations": 1,
    "per_device_train_batch_size": 1,
    "save_total_limit": 1,
    "seed": 0,
    "data_seed": 0,
    "threads": 1,
}
"""Whole numbers, with the least that each may be."""
_REAL: Final = {
    "learning_rate": 0.0,
    "weight_decay": 0.0,
    "max_grad_norm": 0.0,
    "num_train_epochs": 0.0,
    "warmup_steps": 0.0,
    "save_steps": 0.0,
    "temperature": 0.0,
    "beta": 0.0,
    "epsilon": 0.0,
}
_CHOICES: Final[Mapping[str, Collection[Any]]] = {
    "attn_implementation": ATTENTION,
    "dtype": DTYPES,
    "packing_strategy": ("bfd",),
    "save_strategy": ("steps", "epoch", "no"),
    "too_long": ("drop", "cut", "error"),
    "train_sampling_strategy": ("random", "sequential", "group_by_length"),
}
_FLAGS: Final = (
    "activation_checkpointing",
    "allow_pickle",
    "bf16",
    "completion_only_loss",
    "packing",
    "use_vllm",
)
_MOST: Final = 2**62


def check(parameters: Mapping[str, Any], kind: Kind, own: Iterable[str] = ()) -> None:
    """Look at a stage's parameters. Imports nothing heavy.

    Args:
        own: names of the trainer's own parameters, beside those of `OWN`.

    Raises:
        HarnessError: a parameter does not exist, or is out of its range.
    """
    known = {*TRL[kind], *OWN, *own}
    for name, value in parameters.items():
        if name not in known:
            hint = _INSTEAD.get(name) or closest(name, known)
            raise HarnessError(f"unknown parameter {name!s:.80} of trainer {kind}: {hint}")
        _check_value(name, value)
    lora(parameters)
    if parameters.get("packing") and parameters.get("train_sampling_strategy") == "sequential":
        raise HarnessError(
            "packing reorders the rows and train_sampling_strategy: sequential keeps their order: set packing: false"
        )
    if parameters.get("packing") and parameters.get("train_sampling_strategy") == "group_by_length":
        raise HarnessError(
            "packed rows are all of one length: leave out train_sampling_strategy: group_by_length"
        )
    steps, epochs = parameters.get("max_steps"), parameters.get("num_train_epochs", 1)
    if epochs == 0 and (steps is None or steps <= 0):
        raise HarnessError("num_train_epochs is 0: nothing would be learnt")


def _check_value(name: str, value: Any) -> None:
    if name in _WHOLE:
        if type(value) is not int or not _WHOLE[name] <= value < _MOST:
            raise HarnessError(
                f"parameter {name} is {value!r:.60}, not a whole number from {_WHOLE[name]} on"
            )
    elif name in _REAL:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value < _REAL[name]:
            raise HarnessError(f"parameter {name} is {value!r:.60}, not a number from {_REAL[name]:g} on")
    elif name in _CHOICES and value not in _CHOICES[name]:
        raise HarnessError(f"parameter {name} is {value!r:.60}, not one of {', '.join(_CHOICES[name])}")
    elif name in _FLAGS and not isinstance(value, bool):
        raise HarnessError(f"parameter {name} is {value!r:.60}, neither true nor false")


def build(job: StageJob, kind: Kind, **defaults: Any) -> dict[str, Any]:
    """Keyword arguments for SFTConfig or GRPOConfig.

    Args:
        defaults: of the trainer, which the stage's parameters override.

    Raises:
        HarnessError: a combination that this machine does not allow.
    """
    import torch

    from .loading import wants_bf16

    gpu = torch.cuda.is_available()
    given = {name: value for name, value in job.parameters.items() if name in TRL[kind]}
    if "gradient_checkpointing" in given:  # what activation_checkpointing was called until transformers 5
        given.setdefault("activation_checkpointing", given.pop("gradient_checkpointing"))
    if "gradient_checkpointing_kwargs" in given:
        given.setdefault("activation_checkpointing_kwargs", given.pop("gradient_checkpointing_kwargs"))
    if given.get("fp16") and not gpu:
        raise HarnessError("fp16: true needs a GPU")
    seed = given.get("seed", 0)
    settings: dict[str, Any] = {
        "activation_checkpointing": gpu,
        "logging_steps": 1,
        "num_train_epochs": 1,
        "per_device_train_batch_size": 1,
        "data_seed": seed,
        "seed": seed,
        **defaults,
        **given,
    }
    settings.pop("save_total_limit", None)  # saving.py removes states: whole ones, and never the one in use
    return {
        **settings,
        "bf16": wants_bf16(settings) and not settings.get("fp16"),
        "dataloader_pin_memory": bool(settings.get("dataloader_pin_memory", gpu)) and gpu,
        "disable_tqdm": True,
        "logging_nan_inf_filter": False,  # a loss that is no number must be seen
        "logging_strategy": "steps",
        "output_dir": str(job.work / "state"),
        "push_to_hub": False,
        "report_to": "none",
        "save_steps": settings.get("save_steps", 10**9),  # else saving.py sets it when the steps are known
        "save_strategy": settings.get("save_strategy", "steps"),
        "use_cpu": not gpu,
    }


def settings_of(kind: Callable[..., Any], job: StageJob, arguments: Mapping[str, Any]) -> Any:
    """
    Args:
        kind: TRL's SFTConfig or GRPOConfig.
        arguments: as `build` makes them.

    Raises:
        HarnessError: TRL or transformers will not have them.
    """
    try:
        return kind(**arguments)
    except (ValueError, TypeError, NotImplementedError, ImportError) as error:
        raise HarnessError(f"{job.stage}: TRL refuses its parameters: {one_line(error)}") from None

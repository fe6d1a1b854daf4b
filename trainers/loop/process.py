"""The process that a stage runs in: which of several it is, how many threads it has, what it prints."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from typing import Any, Final

from harness import HarnessError, StageJob

_NEEDED: Final = "training needs {}: pip install 'fathom-harness[train]'"

# Of libraries that train as they should and say so at length.
_HARMLESS: Final = (
    r".*`torch_dtype` is deprecated.*",
    r".*pin_memory.*no accelerator is found.*",
    r".*does not support the `logits_to_keep`.*",
    r".*use_reentrant parameter should be passed explicitly.*",
    r".*was not found in the saved adapter.*",
    r".*No device id is provided via `init_process_group`.*",
    r".*is_gradient_checkpointing. is deprecated.*",
)


def rank() -> int:
    """Which of the stage's processes this is, from 0."""
    return _number("RANK", 0)


def world_size() -> int:
    """How many processes share the stage, on all machines together."""
    return max(1, _number("WORLD_SIZE", 1))


def only_first() -> bool:
    """Whether this is the process that writes what is to be written once: messages, the log, the finished model."""
    return rank() == 0


def wait_for_all() -> None:
    """Come back when every process has come here."""
    import torch.distributed as dist

    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        dist.barrier()


def any_process(flag: bool) -> bool:
    """Whether the flag is set in any of the processes; all must ask."""
    import torch
    import torch.distributed as dist

    if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
        return flag
    on_gpu = dist.get_backend() == "nccl"
    value = torch.tensor(int(flag), device=torch.cuda.current_device() if on_gpu else "cpu")
    dist.all_reduce(value, op=dist.ReduceOp.MAX)
    return bool(value.item())


def check_devices(job: StageJob) -> None:
    """
    Raises:
        HarnessError: other than `job.devices` processes share the stage, so that its batches would have another size.
    """
    if job.devices != world_size():
        raise HarnessError(
            f"stage {job.stage} is for {job.devices} processes and {world_size()} of it run: start it with `harness "
            "train`, or with an accelerate configuration that starts as many"
        )


def prepare(parameters: Mapping[str, Any]) -> None:
    """Set up this process for training: quiet libraries, and as many threads as the parameter `threads` says.

    Raises:
        HarnessError: the packages that training needs are not installed.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # the data loader may fork
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    for pattern in _HARMLESS:
        warnings.filterwarnings("ignore", message=pattern)
    try:
        import accelerate  # noqa: F401
        import datasets
        import torch
        import transformers
        import trl  # noqa: F401  # only its name; what is heavy in it is loaded when it is used
    except ModuleNotFoundError as error:
        raise HarnessError(_NEEDED.format(error.name)) from None
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    threads = parameters.get("threads")
    if threads is not None:
        torch.set_num_threads(int(threads))


def _number(name: str, default: int) -> int:
    try:
        return int(os.environ.get(name, default))
    except ValueError:
        return default

"""Pre-training: a small model and its tokenizer made out of nothing but training rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from harness import Estimate, HarnessError, StageJob, StageSize, Trainer, hookimpl

from ..loop import arguments
from .shape import NAMES, Shape

OWN: Final = (*NAMES, "digits", "vocab_size")
_NOT: Final = ("allow_pickle", "lora", "dtype")


class Pretrain(Trainer):
    name = "pretrain"
    description = "Trains a tokenizer and a small Qwen2 from random weights."

    def check(self, parameters: Mapping[str, Any], models: int) -> None:
        if models:
            raise HarnessError(
                "trainer pretrain starts from nothing: leave init_from out, or use trainer sft"
            )
        for name in _NOT:
            if parameters.get(name):
                raise HarnessError(f"parameter {name} is for models that exist: trainer pretrain makes one")
        arguments.check(parameters, "sft", OWN)
        Shape.of(parameters)

    def estimate(self, size: StageSize) -> Estimate:
        from ..planning import estimate_sft

        return estimate_sft(size)

    def train(self, job: StageJob) -> None:
        from ..loop import process

        self.check(job.parameters, len(job.starts_from))
        process.check_devices(job)
        process.prepare(job.parameters)
        from ..sft.training import train
        from .start import load_start

        shape = Shape.of(job.parameters)
        train(
            job,
            lambda: load_start(job, shape),
            max_length=shape.max_position_embeddings,
            completion_only_loss=False,
            train_sampling_strategy="random" if job.parameters.get("packing") else "group_by_length",
        )


@hookimpl
def harness_trainers() -> Sequence[Trainer]:
    return [Pretrain()]

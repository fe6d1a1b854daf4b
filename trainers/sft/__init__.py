"""Supervised fine-tuning: a model learns to write the completions of its training rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness import Estimate, HarnessError, StageJob, StageSize, Trainer, hookimpl

from ..loop import arguments


class SFT(Trainer):
    name = "sft"
    description = (
        "Supervised fine-tuning on completions, with all weights or LoRA; keeps the rows' order if asked to."
    )

    def check(self, parameters: Mapping[str, Any], models: int) -> None:
        if models != 1:
            raise HarnessError(f"trainer sft starts from one model, not from {models}")
        arguments.check(parameters, "sft")

    def estimate(self, size: StageSize) -> Estimate:
        from ..planning import estimate_sft

        return estimate_sft(size)

    def train(self, job: StageJob) -> None:
        from ..loop import process

        self.check(job.parameters, len(job.starts_from))
        process.check_devices(job)
        process.prepare(job.parameters)
        from ..loop.loading import load_model
        from .training import train

        train(job, lambda: load_model(job))


@hookimpl
def harness_trainers() -> Sequence[Trainer]:
    return [SFT()]

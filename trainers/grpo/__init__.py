"""Group relative policy optimisation, with the harness's own grader as the reward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness import Estimate, StageJob, StageSize, Trainer, hookimpl

from . import settings


class GRPO(Trainer):
    name = "grpo"
    description = "Reinforcement learning (GRPO) on chains that are sampled, and graded as in an evaluation."
    needs = "golds"

    def check(self, parameters: Mapping[str, Any], models: int) -> None:
        settings.check(parameters, models)

    def estimate(self, size: StageSize) -> Estimate:
        from ..planning import estimate_grpo

        settings.generation_batch(size.parameters, size.devices)
        return estimate_grpo(size)

    def train(self, job: StageJob) -> None:
        from ..loop import process

        settings.check(job.parameters, len(job.starts_from))
        settings.generation_batch(job.parameters, job.devices)
        process.check_devices(job)
        process.prepare(job.parameters)
        from .training import train

        train(job)


@hookimpl
def harness_trainers() -> Sequence[Trainer]:
    return [GRPO()]

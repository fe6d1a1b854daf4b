"""Weights & Biases: one W&B run a curve, figures over the checkpoint's step. WANDB_MODE=offline is honoured."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from harness import hookimpl

from ._logger import SETTINGS, Logger, Point, safe


class WeightsAndBiases(Logger):
    name = "wandb"
    package = "wandb"
    target = "project, or entity/project"

    def put(self, target: str, curves: Mapping[str, Sequence[Point]]) -> str:
        import wandb

        entity, _, project = target.rpartition("/")
        where = ""
        for curve, points in curves.items():
            # The id makes the same curve the same run: what is logged later goes on where it stood.
            run = wandb.init(
                entity=entity or None,
                project=project,
                id=hashlib.sha256(curve.encode("utf-8", "replace")).hexdigest()[:16],
                name=curve[:128],
                group=points[0].series[:128],
                job_type="evaluation",
                resume=None if wandb.setup().settings.mode == "offline" else "allow",
                reinit="create_new",  # beside a run of the user's own, not in its place
                config={name: points[0].result.get(name) for name in SETTINGS},
                settings=wandb.Settings(silent=True, console="off", disable_git=True, login_timeout=30),
            )
            run.define_metric("step")
            run.define_metric("*", step_metric="step")
            for point in points:
                run.log({"step": point.step, **{safe(name): value for name, value in point.figures.items()}})
            run.finish()
            where = f"wandb sync {run.settings.sync_dir}" if run.offline else str(run.url)
        return where


LOGGER = WeightsAndBiases()


@hookimpl
def harness_run_started() -> None:
    LOGGER.started()


@hookimpl
def harness_run_finished(result: dict[str, object]) -> None:
    LOGGER.finished(result)

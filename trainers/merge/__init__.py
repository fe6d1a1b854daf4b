"""`harness merge`: several models of one architecture become one, without torch and in little memory."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click

from harness import Estimate, HarnessError, StageJob, StageSize, Trainer, hookimpl
from harness.errors import UsageError

_OF_YAML: Final = (".yaml", ".yml")


class Merge(Trainer):
    name = "merge"
    description = "Merges checkpoints: linear, slerp, ties or dare_ties, on any processor."
    apart = False
    needs = None

    def check(self, parameters: Mapping[str, Any], models: int) -> None:
        from .stage import settings_of_stage

        settings_of_stage(parameters, [f"model {number + 1}" for number in range(models)])

    def estimate(self, size: StageSize) -> Estimate:
        # Read and written piece by piece: next to nothing on the bill.
        return Estimate(device_hours=0.0)

    def train(self, job: StageJob) -> None:
        from .stage import settings_of_stage

        settings = settings_of_stage(job.parameters, [str(folder) for folder in job.starts_from])
        try:
            from .merging import merge
        except ModuleNotFoundError as error:
            raise HarnessError(f"{error.name} is needed to merge: pip install {error.name}") from None
        merge(settings, job.out)


@click.command("merge")
@click.argument("models", nargs=-1, required=True, metavar="A B [C...] | CONFIG.yaml")
@click.option(
    "-o",
    "--output",
    "out",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder of the merged model.",
)
@click.option("--method", help="linear (default), slerp, ties or dare_ties.")
@click.option("--weights", help="One a model, such as 0.5,0.5; equal ones if not given.")
@click.option(
    "--base", help="Model that the others were trained from (ties, dare_ties), or that t = 0 is (slerp)."
)
@click.option("--dtype", help="float32, float16 or bfloat16; as in the first model if not given.")
@click.option("--t", type=float, help="slerp: from 0 (base, else the first model) to 1 (the other); 0.5.")
@click.option("--density", help="ties, dare_ties: share of the changes that is kept; one, or one a model.")
@click.option("--lambda", "scale", type=float, help="ties, dare_ties: factor of the merged changes; 1.")
@click.option("--no-normalize", is_flag=True, help="Do not divide by the sum of the weights.")
@click.option("--seed", type=click.IntRange(min=0), help="dare_ties: which changes are dropped; 0.")
@click.option("--shard-size", help="Most bytes of weights in a file, such as 5GB (default).")
@click.pass_context
def command(
    ctx: click.Context,
    models: tuple[str, ...],
    out: Path,
    method: str | None,
    weights: str | None,
    base: str | None,
    dtype: str | None,
    t: float | None,
    density: str | None,
    scale: float | None,
    no_normalize: bool,
    seed: int | None,
    shard_size: str | None,
) -> int:
    """Merge models of one architecture and vocabulary (folders, Hub ids or known names) into one.

    CONFIG.yaml is a file as mergekit reads it.
    """
    from dataclasses import replace

    from harness.cli import plugins_of, say

    from ._progress import progress
    from .flags import bytes_of, settings_of
    from .mergekit import read_settings

    if len(models) == 1 and models[0].lower().endswith(_OF_YAML):
        given = {"--method": method, "--weights": weights, "--base": base, "--t": t, "--density": density}
        given |= {"--lambda": scale, "--no-normalize": no_normalize or None}
        for flag, value in given.items():
            if value is not None:
                raise UsageError(f"{flag} is for models on the command line: {models[0]} says it")
        settings = read_settings(Path(models[0]))
    else:
        given = {"t": t, "scale": scale, "normalize": False if no_normalize else None}
        settings = settings_of(models, method or "linear", base, weights, density, given)
    if shard_size is not None:
        settings = replace(settings, shard_bytes=bytes_of(shard_size))
    settings = replace(settings, dtype=dtype or settings.dtype, seed=seed or settings.seed)
    try:
        from .merging import merge
    except ModuleNotFoundError as error:
        raise HarnessError(f"{error.name} is needed to merge: pip install {error.name}") from None

    began = time.monotonic()
    with progress(f"merging into {out}") as update:
        merged = merge(settings, out, known=plugins_of(ctx).models.values(), progress=update)
    if not merged.done:
        say(f"{out} holds this very merge already: nothing to do")
        return 0
    seconds = time.monotonic() - began
    click.echo(
        f"{out}: {merged.values:,} weights by {settings.method}, {merged.bytes / 1e9:.2f} GB in {seconds:.1f} s"
    )
    return 0


@hookimpl
def harness_commands() -> Sequence[click.Command]:
    return [command]


@hookimpl
def harness_trainers() -> Sequence[Trainer]:
    return [Merge()]

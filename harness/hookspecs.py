"""Every hook of the harness, in the order in which a run calls them.

A plugin is any module or object with functions of these names marked `@harness.hookimpl`. Functions may leave
out arguments that they do not use.
"""

# Hook specifications have no bodies: pluggy never calls them.
# mypy: disable-error-code="empty-body"

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pluggy

from .components import (
    Benchmark,
    Cluster,
    Importer,
    Metric,
    Model,
    Normalizer,
    Protocol,
    Reporter,
    Sampler,
)
from .trainer import Trainer

if TYPE_CHECKING:
    import click

    from .evaluation import RunInfo
    from .records import Chain, Grade, Published

hookspec = pluggy.HookspecMarker("harness")
hookimpl = pluggy.HookimplMarker("harness")

# --------------------------------------------------------------------------------------------------
# What a plugin provides. Each hook is called once, when the first component of its kind is looked up.
# Two components of one name are an error that names both plugins.
# --------------------------------------------------------------------------------------------------


@hookspec
def harness_models() -> Sequence[Model]:
    """Known models: short names for repositories, with what is known of them."""


@hookspec
def harness_benchmarks() -> Sequence[Benchmark]:
    """Benchmarks: named sets of problems with golds."""


@hookspec
def harness_protocols() -> Sequence[Protocol]:
    """Protocols: how many chains, how they are drawn, how the model is asked."""


@hookspec
def harness_normalizers() -> Sequence[Normalizer]:
    """Normalizers: the text of a chain -> its answer; two answers -> same or not."""


@hookspec
def harness_samplers() -> Sequence[Sampler]:
    """Samplers: engines that turn requests into chains."""


@hookspec
def harness_clusters() -> Sequence[Cluster]:
    """Clusters: spread a run over several engines (`--replicas`)."""


@hookspec
def harness_metrics() -> Sequence[Metric]:
    """Metrics: grades -> scores."""


@hookspec
def harness_trainers() -> Sequence[Trainer]:
    """Trainers: run the stages of a recipe."""


@hookspec
def harness_reporters() -> Sequence[Reporter]:
    """Report formats."""


@hookspec
def harness_published() -> Sequence[Published]:
    """Published figures of other people's models, for reports that show them beside measured ones."""


@hookspec
def harness_importers() -> Sequence[Importer]:
    """Importers: read the chains that another evaluation program has left (`harness import --from NAME`)."""


@hookspec
def harness_commands() -> Sequence[click.Command]:
    """Extra subcommands of `harness`."""


# --------------------------------------------------------------------------------------------------
# What a plugin hears. An exception in one of these is reported and does not stop the run.
# --------------------------------------------------------------------------------------------------


@hookspec
def harness_run_started(run: RunInfo, pending: int) -> None:
    """A run folder is open and `pending` chains are about to be sampled (0: all are stored)."""


@hookspec
def harness_chain_graded(run: RunInfo, chain: Chain, grade: Grade) -> None:
    """A chain is stored and graded. Called in the order in which grades arrive."""


@hookspec
def harness_run_finished(run: RunInfo, result: dict[str, object]) -> None:
    """All chains of a run are stored and graded; `result` is what `harness run --json` prints for it."""


@hookspec
def harness_checkpoint_saved(path: str, stage: str, step: int) -> None:
    """A trainer has saved a checkpoint: folder, stage of the recipe, optimiser step."""

"""`harness log`: finished runs into TensorBoard, Weights & Biases or MLflow, after the fact."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from harness import HarnessError, closest, hookimpl

from . import mlflow, tensorboard, wandb
from ._logger import VARIABLE, Logger, asked

_LOGGERS: Final[dict[str, Logger]] = {
    module.LOGGER.name: module.LOGGER for module in (tensorboard, wandb, mlflow)
}


@click.command("log")
@click.argument("results", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--to",
    "targets",
    nargs=2,
    type=str,
    multiple=True,
    required=True,
    metavar="LOGGER TARGET",
    help="tensorboard DIR, wandb PROJECT or mlflow URI (may be repeated).",
)
def command(results: tuple[Path, ...], targets: Sequence[tuple[str, str]]) -> None:
    """Log the finished runs below RESULTS (default: results), checkpoints of one training run as one curve."""
    from harness.results import finished_below

    loggers = [(_logger(name), target) for name, target in targets]
    for logger, _ in loggers:
        logger.check()
    found = finished_below(results)
    for line in found.left_out:
        click.echo(f"harness: {line}", err=True)
    if not found.results:
        raise HarnessError("no run is finished: there is nothing to log")
    count = len(found.results)
    for logger, target in loggers:
        where = logger.write(target, found.results)
        click.echo(f"{count} {'run' if count == 1 else 'runs'} -> {logger.name}: {where}")
    found.complain()


def _logger(name: str) -> Logger:
    if name.lower() not in _LOGGERS:
        raise HarnessError(f"no logger is called {name!r}: {closest(name, _LOGGERS)}")
    return _LOGGERS[name.lower()]


@hookimpl
def harness_commands() -> Sequence[click.Command]:
    return [command]


@hookimpl
def harness_run_started() -> None:
    """A name in HARNESS_LOG that no logger answers to must not go unnoticed."""
    for name in asked():
        if name not in _LOGGERS:
            raise HarnessError(f"{VARIABLE}: no logger is called {name!r}: {closest(name, _LOGGERS)}")

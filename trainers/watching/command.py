"""`harness watch`"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.cli import plugins_of, say, say_problems
from harness.cli.engine_options import engine_options, sampling_options


@click.command("watch")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@engine_options
@sampling_options
@click.option("--bench", "-b", help="Benchmarks, separated by commas; parameters as in fresh:level=2,seed=7.")
@click.option("--n", type=click.IntRange(1, 100_000), help="Chains per problem.")
@click.option("--limit", type=click.IntRange(1), metavar="K", help="Only the first K problems.")
@click.option("--data", type=click.Path(path_type=Path), help="Folder with data files; else the Hub.")
@click.option("--results", type=click.Path(path_type=Path), help="Where run folders go.  [default: results]")
@click.option("--config", type=click.Path(path_type=Path), metavar="RUN.yaml", help="Read flags from a file.")
@click.option("--once", is_flag=True, help="Evaluate the whole checkpoints that are there, and exit.")
@click.option("--base", metavar="MODEL", help="Evaluate this model first, and compare all others with it.")
@click.option(
    "--name", metavar="RUN", help="What the training run is called in results.  [default: DIR's name]"
)
@click.option("--keep", is_flag=True, help="Hold checkpoints by hard links in DIR/.harness until evaluated.")
@click.option("--interval", type=click.FloatRange(0.1, 86_400), default=10.0, show_default=True, metavar="S")
@click.option(
    "--settle",
    type=click.FloatRange(0, 86_400),
    default=2.0,
    show_default=True,
    metavar="S",
    help="Seconds for which a checkpoint must be unchanged.",
)
@click.option(
    "--report",
    "stem",
    type=click.Path(path_type=Path),
    metavar="STEM",
    help="Rewrite STEM.md and STEM.html after each evaluation.  [default: RESULTS/report]",
)
@click.option("--no-report", is_flag=True, help="Write no report.")
@click.option(
    "--where",
    type=click.Choice(["subprocess", "process", "ray"]),
    default="subprocess",
    show_default=True,
    help="What evaluates: a process for each checkpoint, this one, or replicas on a Ray cluster.",
)
@click.option("--devices", metavar="IDS", help="CUDA_VISIBLE_DEVICES of the evaluating process.")
@click.option("--replicas", type=click.IntRange(1), metavar="N", help="Spread each run over N engines (Ray).")
@click.option("--ray-address", metavar="ADDR", help="A Ray cluster that runs already, or auto.")
@click.option("--attempts", type=click.IntRange(1, 100), default=3, show_default=True)
@click.pass_context
def command(
    ctx: click.Context,
    /,
    folder: Path,
    config: Path | None,
    once: bool,
    base: str | None,
    name: str | None,
    keep: bool,
    interval: float,
    settle: float,
    stem: Path | None,
    no_report: bool,
    where: Any,
    devices: str | None,
    attempts: int,
    **flags: Any,
) -> int:
    """Evaluate every checkpoint that a training program saves into DIR, as soon as it is whole.

    The report of all results is rewritten after each. What is evaluated already is not evaluated again: stop and start
    this as you like.
    """
    from harness.errors import HarnessError

    from .evaluations import Evaluations
    from .holding import HIDDEN
    from .report import Watched, write_report
    from .watch import Watch
    from .wishes import base_of, checked_flags

    plugins = plugins_of(ctx)
    say_problems(plugins)
    results, wanted = checked_flags(config, flags, plugins)
    first, baseline = base_of(base, plugins)
    if once and not folder.is_dir():
        raise HarnessError(f"{folder} is not a folder: name the one that checkpoints are saved into")
    aside = folder.resolve() / HIDDEN / "watch"

    watched = Watched(results)

    def report() -> None:
        if no_report or not watched.is_due(more=evaluations.pending > 1):
            return
        problem = write_report(results, stem or results / "report", plugins=plugins, baseline=baseline)
        if problem is not None:
            say(problem)

    with Evaluations(
        results, where=where, devices=devices, attempts=attempts, told=say, after_each=report, plugins=plugins
    ) as evaluations:
        if first is not None:
            evaluations.submit(first, wanted)
        evaluations.submit_left(aside, wanted)
        watch = Watch(
            folder,
            lambda found: evaluations.submit(
                found.folder, wanted, found.name, aside=aside if keep else None, below=aside
            ),
            say,
            run=name,
            settle=settle,
        )
        if not once:
            say(f"watching {folder} (Ctrl-C ends it)")
            watch.forever(interval)
        count = watch.once()
        failures = evaluations.wait()
    if not count:
        raise HarnessError(f"{folder} holds no whole checkpoint")
    return 1 if failures else 0


command.params = [parameter for parameter in command.params if parameter.name != "model"]  # DIR says which

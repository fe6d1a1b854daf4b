"""`harness train`: a recipe from its plan to its checkpoints, evaluations and bill."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness import HarnessError, hookimpl
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.plugins import PluginManager

    from .plan import Plan
    from .running import Options


@click.command("train")
@click.argument("recipe", required=False)
@click.option("--stage", metavar="S", help="Only this stage (name, RECIPE:STAGE or title) and what it needs.")
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Where evaluations go.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the run  [default: trained/RECIPE]")
@click.option("--dry-run", is_flag=True, help="Print the plan and do nothing.")
@click.option("--base", metavar="MODEL", help="Start from this model instead of the recipe's.")
@click.option(
    "--data", multiple=True, metavar="STAGE=SOURCE", help="Train a stage on this file, folder or data set."
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="STAGE.KEY=VALUE",
    help="Change a parameter; data.KEY, hardware.KEY and evaluate.KEY change those.",
)
@click.option(
    "--devices", type=click.IntRange(1, 100_000), help="Processes that share a stage, one a device."
)
@click.option(
    "--accelerate", metavar="NAME|FILE", help="Accelerate configuration: ddp, fsdp, zero3, ... or a file."
)
@click.option(
    "--evaluate",
    type=click.Choice(["beside", "between", "never"]),
    help="While later stages train, or in turns with them  [default: beside where devices are left]",
)
@click.option("--evaluate-devices", metavar="IDS", help="Devices for evaluations alone, such as 6,7.")
@click.option(
    "--usd-per-hour", type=click.FloatRange(0, 1e9, max_open=True), help="Price of a device for an hour."
)
@click.option("--published/--no-published", default=True, help="Published figures beside the measured ones.")
@click.option(
    "--format",
    "-f",
    "form",
    type=click.Choice(["markdown", "json"]),
    default="markdown",
    help="Of --dry-run.",
)
@click.option("--quiet", "-q", is_flag=True, help="No plan and no progress on standard error.")
@click.pass_context
def command(ctx: click.Context, /, recipe: str | None, **flags: Any) -> int:
    """Train what a recipe says: show the plan, run its stages, evaluate every checkpoint, add up the bill.

    RECIPE is the name of one that comes with the harness, or a YAML file. The same command goes on at the last saved
    step of the unfinished stage.
    """
    from harness.cli import plugins_of, say_problems
    from harness.cli.streams import show_warnings

    from ..recipes import shipped

    if not recipe:
        raise UsageError(f"name a recipe: {', '.join(shipped())}; or a YAML file")
    plugins = plugins_of(ctx)
    say_problems(plugins)
    show_warnings()
    return _train(recipe, plugins, _Flags(**flags))


@dataclass(frozen=True, slots=True)
class _Flags:
    stage: str | None
    results: Path
    out: Path | None
    dry_run: bool
    base: str | None
    data: tuple[str, ...]
    settings: tuple[str, ...]
    devices: int | None
    accelerate: str | None
    evaluate: Any
    evaluate_devices: str | None
    usd_per_hour: float | None
    published: bool
    form: str
    quiet: bool


def _train(recipe: str, plugins: PluginManager, flags: _Flags) -> int:
    import json

    from harness.cli import say
    from harness.files import lock
    from harness.text import printable

    from ..recipes import load_recipe, recipe_files
    from .changes import changed, find_stage
    from .layout import RunLayout
    from .machine import devices_left, this_machine
    from .plan import Machine, Wishes, make_plan
    from .record import write_recipes
    from .show import as_json, as_markdown

    read = load_recipe(recipe)
    graph = changed(read, flags.base, flags.data, flags.settings)
    target = None if flags.stage is None else find_stage(graph, flags.stage, "--stage")
    layout = RunLayout(flags.out or Path("trained") / graph.asked[-1])
    if layout.folder.exists() and not layout.folder.is_dir():
        raise UsageError(f"--out: {layout.folder} is no folder")
    machine = Machine(None, None) if flags.dry_run else this_machine(flags.evaluate_devices)
    plan = make_plan(graph, target, layout, plugins, machine, Wishes(flags.devices, flags.usd_per_hour))
    if flags.dry_run:
        shown = json.dumps(as_json(plan), indent=2) + "\n" if flags.form == "json" else as_markdown(plan)
        click.echo(printable(shown), nl=False)
        return 0
    if not flags.quiet:
        click.echo(printable(as_markdown(plan)), err=True)

    evaluate, evaluate_devices = flags.evaluate, flags.evaluate_devices
    if evaluate_devices is None and evaluate != "never" and not machine.is_cpu:
        evaluate_devices = devices_left(max(stage.devices for stage in plan.stages))
    if evaluate is None:
        evaluate = "between" if evaluate_devices is None else "beside"
    from .running import Options

    options = Options(
        results=flags.results,
        accelerate=flags.accelerate,
        evaluate=evaluate,
        evaluate_devices=evaluate_devices,
        usd_per_hour=flags.usd_per_hour,
        published=flags.published,
        quiet=flags.quiet,
    )
    layout.folder.mkdir(parents=True, exist_ok=True)
    with lock(layout.folder):
        write_recipes(graph, layout.folder, dict(recipe_files(recipe)) if graph is read else {})
        failed = _run(plan, options, plugins)
    if failed:
        names = ", ".join(dict.fromkeys(failed))
        say(f"everything is trained, and not everything is evaluated ({names}): the same command tries again")
        return HarnessError.exit_code
    return 0


def _run(plan: Plan, options: Options, plugins: PluginManager) -> list[str]:
    """Run the plan and print what came of it. Returns names of models that could not be evaluated."""
    from harness.cli.streams import stdout_kept_clean
    from harness.text import printable

    from .results import tables
    from .running import Runner

    runner = Runner(plan, options, plugins)
    with stdout_kept_clean():
        failures = runner.run()
    click.echo(printable(tables(runner.record, plugins)), nl=False)
    return [failure.name for failure in failures]


@hookimpl
def harness_commands() -> Sequence[click.Command]:
    return [command]

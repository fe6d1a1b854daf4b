"""`harness cost`: what the checkpoints of a recipe cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from harness import HarnessError, hookimpl
from harness.errors import UsageError

if TYPE_CHECKING:
    from .ledger import Entry
    from .recipes import RecipeGraph

RECIPE_FILE: Final = "recipe.yaml"
"""The recipe that a run folder was made by, beside its ledger."""


@click.command("cost")
@click.argument("recipe", required=False)
@click.option(
    "--usd-per-hour",
    type=click.FloatRange(0, 1e9, max_open=True),
    help="Price of a device for an hour  [default: what was paid, else the recipe's, else 2.8355]",
)
@click.option(
    "--format",
    "-f",
    "form",
    type=click.Choice(["markdown", "json"]),
    default="markdown",
    show_default=True,
    help="As the published table, or for programs.",
)
def command(recipe: str | None, usd_per_hour: float | None, form: str) -> None:
    """Show device hours and USD of a recipe's checkpoints and of all that they come from.

    RECIPE is the name of one that comes with the harness, a YAML file, or a folder with a ledger: what was measured
    there counts, and figures that were not are marked as what they are.
    """
    import json
    import math

    from harness.cli import say
    from harness.text import printable

    from .ledger import bill
    from .ledger.table import as_json, as_markdown
    from .recipes import shipped

    if not recipe:
        raise UsageError(
            f"name a recipe: {', '.join(shipped())}; or a YAML file, or a folder with a ledger.jsonl"
        )
    if usd_per_hour is not None and not math.isfinite(usd_per_hour):
        raise UsageError("--usd-per-hour is not a number")
    graph, entries = _read(recipe)
    found = bill(graph, entries, usd_per_hour)
    if found.strangers:
        shown = ", ".join(found.strangers[:5]) + (" ..." if len(found.strangers) > 5 else "")
        say(f"the ledger has stages that are not in the recipe and on no bill: {shown}")
    if form == "json":
        click.echo(json.dumps(as_json(found), indent=2))
    else:
        click.echo(printable(as_markdown(found)), nl=False)


def _read(recipe: str) -> tuple[RecipeGraph, list[Entry]]:
    """The recipe of that name, file or run folder, and what the folder's ledger says."""
    from harness.cli import say

    from .ledger import FILE, Ledger
    from .recipes import load_recipe, load_recipes, shipped

    folder = Path(recipe)
    if recipe in shipped() or not folder.is_dir():
        return load_recipe(recipe), []
    ledger = Ledger(folder)
    if not ledger.path.is_file():
        raise HarnessError(f"{folder} has no {FILE}: name the folder of a recipe's run, or a recipe")
    entries = ledger.entries()
    if ledger.damaged:
        lines = ", ".join(map(str, ledger.damaged[:5]))
        say(f"{ledger.path}: no entry can be read in line {lines}: what it stood for is on no bill")
    if (own := folder / RECIPE_FILE).is_file():
        return load_recipe(own), entries
    names = list(dict.fromkeys(entry.stage.split(":", 1)[0] for entry in entries))
    known = [name for name in names if name in shipped()]
    if not known:
        raise HarnessError(
            f"{folder}: no {RECIPE_FILE} is beside the ledger, and it names no recipe that comes with the harness"
        )
    return load_recipes(known), entries


@hookimpl
def harness_commands() -> Sequence[click.Command]:
    return [command]

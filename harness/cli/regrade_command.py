"""`harness regrade`"""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import HarnessError
from . import plugins_of, say


@click.command("regrade")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the scores as JSON.")
@click.option(
    "--grading-deadline", type=click.FloatRange(0, 3600, min_open=True), default=5.0, show_default=True
)
@click.pass_context
def command(ctx: click.Context, runs: tuple[Path, ...], as_json: bool, grading_deadline: float) -> None:
    """Grade the stored chains of RUNS (run folders, or folders of them) again; no model is needed."""
    from ..grading import open_pool
    from ..regrade import regrade
    from ..results import find_runs

    plugins = plugins_of(ctx)
    pool = open_pool(plugins, grading_deadline)
    try:
        results, failed = [], 0
        for path in find_runs(runs):
            if not (path / "scores.json").exists():
                say(f"{path} is not finished and left out")
                continue
            try:
                result, changed = regrade(path, plugins, pool, say)
            except HarnessError as error:
                say(str(error))
                failed += 1
                continue
            say(f"{path}: {changed} of {sum(result['counts'].values())} grades changed")
            results.append(result)
    finally:
        pool.close()
    click.echo(plugins.reporter("json" if as_json else "markdown").render(results), nl=False)
    if failed:
        raise HarnessError(f"{failed} runs could not be graded again, see above")

"""`harness report`"""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import HarnessError
from . import plugins_of, say


@click.command("report")
@click.argument("results", nargs=-1, type=click.Path(path_type=Path))
@click.option("--format", "-f", "form", default="markdown", show_default=True, help="harness list reporters")
@click.option("--output", "-o", type=click.Path(path_type=Path), help="Write to a file.")
@click.pass_context
def command(ctx: click.Context, results: tuple[Path, ...], form: str, output: Path | None) -> None:
    """Print the results of finished runs below RESULTS (default: results) as one table."""
    from ..results import find_runs, finished_results

    reporter = plugins_of(ctx).reporter(form)
    runs = find_runs(results or [Path("results")])
    found = sorted(finished_results(runs), key=lambda r: (r["benchmark"], r["model"], r["protocol"]))
    if unfinished := len(runs) - len(found):
        say(f"{unfinished} of {len(runs)} runs are not finished and left out")
    text = reporter.render(found)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise HarnessError(f"cannot write {output}: {error.strerror or error}") from None

"""`harness report`"""

from __future__ import annotations

from pathlib import Path

import click

from ..files import disk_error, write_atomically
from ..text import printable
from . import plugins_of, say, say_problems


@click.command("report")
@click.argument("results", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--format", "-f", "form", help="harness list reporters  [default: by the ending of -o, else markdown]"
)
@click.option("--output", "-o", type=click.Path(path_type=Path), help="Write to a file.")
@click.option("--baseline", metavar="MODEL", help="Compare every model with this one.")
@click.option("--published", is_flag=True, help="Put published figures beside the measured ones.")
@click.option(
    "--charts",
    type=click.Choice(["svg", "png", "none"]),
    default="svg",
    show_default=True,
    help="Format of the charts beside a report that is written to a file.",
)
@click.pass_context
def command(
    ctx: click.Context,
    results: tuple[Path, ...],
    form: str | None,
    output: Path | None,
    baseline: str | None,
    published: bool,
    charts: str,
) -> None:
    """Compare the finished runs below RESULTS (default: results): tables, tests, charts."""
    from ..report import Report
    from ..results import find_runs, finished_results

    plugins = plugins_of(ctx)
    say_problems(plugins)
    reporter = plugins.reporter(form or _format_of(output))
    # Published figures make a report of their own where nothing was measured.
    nothing_yet = published and not results and not Path("results").exists()
    runs = [] if nothing_yet else find_runs(results or [Path("results")])
    found = list(finished_results(runs))
    if unfinished := len(runs) - len(found):
        say(f"{unfinished} of {len(runs)} runs are not finished and left out")
    report = Report(
        found,
        baseline=baseline,
        published=plugins.published if published else (),
        charts=None if charts == "none" else charts,
    )
    if output is None:
        click.echo(reporter.render(report), nl=False)
        return
    text, beside = reporter.render_file(report, output)
    for name, data in beside.items():
        _write(output.parent / name, data)
    _write(output, printable(text).encode())


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():  # a pipe, /dev/stdout
            path.write_bytes(data)
            return
    except OSError as error:
        raise disk_error(error, path) from None
    # Renamed into place: whoever looks at a report that is written again and again sees a whole one.
    write_atomically(path, lambda file: file.write(data))


def _format_of(output: Path | None) -> str:
    endings = {".html": "html", ".htm": "html", ".tex": "latex", ".csv": "csv", ".json": "json"}
    return "markdown" if output is None else endings.get(output.suffix.lower(), "markdown")

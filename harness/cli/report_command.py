"""`harness report`"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import UsageError
from ..files import write_output
from ..text import printable
from . import plugins_of, say, say_problems

if TYPE_CHECKING:
    from ..components import Reporter
    from ..report import Report
    from ..training import Training


@click.command("report")
@click.argument("results", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--format", "-f", "form", help="harness list reporters  [default: by the ending of -o, else markdown]"
)
@click.option("--output", "-o", type=click.Path(path_type=Path), help="Write to a file.")
@click.option("--baseline", metavar="MODEL", help="Compare every model with this one.")
@click.option("--published", is_flag=True, help="Put published figures beside the measured ones.")
@click.option(
    "--training",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Show what a recipe's run cost and how it learnt: the folder of harness train. May be given several times.",
)
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
    training: tuple[Path, ...],
    charts: str,
) -> None:
    """Compare the finished runs below RESULTS (default: results): tables, tests, charts."""
    from ..report import Report
    from ..results import Finished, finished_below

    plugins = plugins_of(ctx)
    say_problems(plugins)
    reporter = plugins.reporter(form or _format_of(output, plugins.reporters))
    trained = _trained(training)
    # Published figures make a report of their own where nothing was measured, and so does training.
    nothing_yet = (published or trained) and not results and not Path("results").exists()
    found = Finished([]) if nothing_yet else finished_below(results)
    for line in found.left_out:
        say(line)
    report = Report(
        found.results,
        baseline=baseline,
        published=plugins.published if published else (),
        charts=None if charts == "none" else charts,
        training=trained,
    )
    if output is None:
        click.echo(reporter.render(report), nl=False)
    else:
        _write_all(reporter, report, output)
    found.complain()


def _trained(folders: Sequence[Path]) -> list[Training]:
    if not folders:
        return []
    from ..training import read_training

    return [read_training(folder) for folder in dict.fromkeys(folders)]


def _write_all(reporter: Reporter, report: Report, output: Path) -> None:
    if not output.name or output.is_dir():
        raise UsageError(f"-o takes a file, and {str(output)!r} is a folder: name the report in it")
    text, beside = reporter.render_file(report, output)
    for name, data in beside.items():
        _write(output.parent / name, data)
    _write(output, printable(text).encode())  # last: where it stands, what it refers to does too


def _write(path: Path, data: bytes) -> None:
    write_output(path, lambda file: file.write(data))


def _format_of(output: Path | None, reporters: Mapping[str, Reporter]) -> str:
    if output is None or not output.suffix:
        return "markdown"
    endings = {ending: name for name, reporter in reporters.items() for ending in reporter.endings}
    if (form := endings.get(output.suffix.lower())) is None:
        known = ", ".join(sorted(endings))
        raise UsageError(
            f"-o {output}: no format has the ending {output.suffix}: use one of {known}, or add --format"
        )
    return form

"""`harness export`"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import HarnessError, UsageError
from . import plugins_of, say, say_problems

if TYPE_CHECKING:
    from ..exports import Export

_ENDINGS = {".jsonl": "jsonl", ".jsonl.gz": "jsonl", ".parquet": "parquet"}


@click.command("export")
@click.argument("results", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--to",
    "form",
    type=click.Choice(["jsonl", "parquet", "hub"]),
    help="[default: by the ending of -o, else jsonl]",
)
@click.option(
    "--output", "-o", metavar="OUT", help="File to write; - is standard output. With hub: USER/NAME."
)
@click.option("--no-text", is_flag=True, help="Leave out what benchmarks and models wrote.")
@click.option(
    "--include-hidden-text",
    is_flag=True,
    help="Also the chains of benchmarks whose authors ask that they not be posted.",
)
@click.option("--public", is_flag=True, help="With hub: everybody may read the data set.")
@click.pass_context
def command(
    ctx: click.Context,
    results: tuple[Path, ...],
    form: str | None,
    output: str | None,
    no_text: bool,
    include_hidden_text: bool,
    public: bool,
) -> None:
    """Write the chains of the finished runs below RESULTS (default: results), one row each.

    `harness run --sampler replay --chains FILE` and `harness import --from jsonl FILE` read them back.
    """
    from ..exports import Export
    from ..results import finished_below

    form = form or _form_of(output)
    if public and form != "hub":
        raise UsageError("--public is for --to hub")
    if output is None and form != "jsonl":
        raise UsageError(f"--to {form} needs -o {'USER/NAME' if form == 'hub' else 'FILE'}")
    if include_hidden_text and no_text:
        raise UsageError("--no-text and --include-hidden-text contradict each other: leave one out")
    plugins = plugins_of(ctx)
    say_problems(plugins)
    found = finished_below(results)
    for line in found.left_out:
        say(line)
    if not found.results:
        raise HarnessError("no run is finished: there is nothing to export")
    export = Export(found.results, plugins, texts=not no_text, include_hidden_text=include_hidden_text)
    if export.withheld:
        say(
            f"{', '.join(export.withheld)}: its authors ask that it not be posted, and chains quote the questions: "
            "texts are left out (--include-hidden-text puts them in)"
        )
    if form == "hub":
        from ..exports.hub import push

        where = push(export, plugins, str(output), public=public, note=say)
    else:
        where = _write(export, form, output)
    say(
        f"{export.rows:,} chains of {len(export.runs)} {'run' if len(export.runs) == 1 else 'runs'} -> {where}"
    )
    found.complain()


def _write(export: Export, form: str, output: str | None) -> str:
    if output in (None, "-"):
        stream = sys.stdout.buffer
        if form == "jsonl":
            export.write_jsonl(stream)
        else:
            export.write_parquet(stream)
        stream.flush()
        return "standard output"
    export.write(Path(str(output)), form)
    return str(output)


def _form_of(output: str | None) -> str:
    """By the ending of the file; on standard output lines, which pipes can read."""
    if output in (None, "-"):
        return "jsonl"
    for ending, form in _ENDINGS.items():
        if output.lower().endswith(ending):
            return form
    raise UsageError(f"-o {output}: which format? End it in .jsonl, .jsonl.gz or .parquet, or say --to")

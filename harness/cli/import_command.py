"""`harness import`"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ..errors import UsageError
from ..plugins import PluginManager
from . import plugins_of, say, say_problems
from .results import print_results
from .streams import show_warnings, stdout_kept_clean

if TYPE_CHECKING:
    from ..imports import ImportConfig

_SHOWN: Final = 3
"""Chains that are named where two graders disagree."""


@click.command("import")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--from", "importer", metavar="NAME", help="Which program's files; `harness list importers`.")
@click.option("--bench", "-b", metavar="NAME", help="Which benchmark; else what the files call it.")
@click.option("--task", metavar="NAME", help="Of several benchmarks in the files, what these call this one.")
@click.option(
    "--model", "-m", metavar="NAME", help="Of several models in the files, this one; else the name."
)
@click.option("--results", type=click.Path(path_type=Path), default=Path("results"), show_default=True)
@click.option("--data", type=click.Path(path_type=Path), help="Folder with data files; else the Hub.")
@click.option("--n", type=click.IntRange(1, 100_000), help="Chains per problem that are taken.")
@click.option("--protocol", metavar="NAME", help="The protocol that the chains were sampled under.")
@click.option("--temperature", "-t", type=click.FloatRange(0, 10), help="How they were sampled.")
@click.option("--top-p", type=click.FloatRange(0, 1, min_open=True))
@click.option("--max-tokens", type=click.IntRange(1, 10_000_000))
@click.option(
    "--normalizer", metavar="NAME", help="Of a benchmark that the harness does not know.  [default: math]"
)
@click.option("--skip-unmatched", is_flag=True, help="Leave out problems that are not the benchmark's.")
@click.option(
    "--renumber", is_flag=True, help="Number each problem's chains anew, in the order of the files."
)
@click.option("--allow-modified-data", is_flag=True, help="Warn of rows that differ from the known ones.")
@click.option(
    "--grading-deadline",
    type=click.FloatRange(0, 3600, min_open=True),
    default=5.0,
    show_default=True,
    help="Seconds per comparison.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the scores as JSON.")
@click.option("--quiet", "-q", is_flag=True, help="No progress on standard error.")
@click.pass_context
def command(ctx: click.Context, /, paths: tuple[Path, ...], as_json: bool, quiet: bool, **flags: Any) -> None:
    """Turn the chains in PATHS, files or folders of another program, into run folders, graded here.

    One run folder for each model and benchmark; `harness regrade`, `report` and `view` work on them as on any
    other. Where the files bring the verdicts of another grader, these are kept and compared. The same files
    imported again change nothing.
    """
    from ..imports import import_chains
    from ..progress import Progress
    from .progress import open_progress

    plugins = plugins_of(ctx)
    say_problems(plugins)
    show_warnings()
    config = _config(paths, flags, plugins)
    with stdout_kept_clean(), nullcontext(Progress()) if quiet else open_progress() as progress:
        results = import_chains(config, plugins, progress)
    for result in results:
        _say_differences(result, plugins)
    print_results(results, plugins, as_json=as_json)


def _config(paths: Sequence[Path], flags: Mapping[str, Any], plugins: PluginManager) -> ImportConfig:
    from ..imports import ImportConfig
    from ..imports.sources import Filter

    known = ", ".join(plugins.importers)
    if flags["importer"] is None:
        raise UsageError(f"--from is missing: say which program's files these are ({known})")
    if not paths:
        raise UsageError("name the files or folders to import")
    named = {name: flags[name] for name in ImportConfig.__dataclass_fields__ if name in flags}
    named["results"] = named["results"].expanduser()
    return ImportConfig(
        paths=[path.expanduser() for path in paths],
        chosen=Filter(flags["model"], flags["task"], flags["renumber"]),
        **named,
    )


def _say_differences(result: Mapping[str, Any], plugins: PluginManager) -> None:
    from ..imports import differences
    from ..imports.placing import sounds_hidden

    foreign = result.get("foreign")
    if not foreign or not foreign["differs"]:
        return
    path = Path(result["path"])
    shows = not sounds_hidden(str(result["benchmark"]), plugins)
    found = differences(path, result["n"])
    shown = "; ".join(
        f"{key[0]} number {key[1]}: theirs {theirs:g}, ours {ours.status}"
        + (f" ({ours.answer[:40]})" if shows and ours.answer is not None else "")
        for key, theirs, ours in found[:_SHOWN]
    )
    more = f"; the others are told by score in chains.parquet and correct in grades.parquet of {path}"
    say(
        f"{result['model']} on {result['benchmark']}: {foreign['differs']} of {foreign['chains']} chains are judged "
        f"differently than in the files: {shown}{more if len(found) > _SHOWN else ''}"
    )

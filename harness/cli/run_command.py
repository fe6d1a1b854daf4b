"""`harness run`"""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from . import plugins_of, say_problems
from .engine_options import engine_options, sampling_options
from .results import print_results
from .streams import show_warnings, stdout_kept_clean


@click.command("run")
@engine_options
@sampling_options
@click.option("--bench", "-b", help="Benchmarks, separated by commas; parameters as in fresh:level=2,seed=7.")
@click.option("--n", type=click.IntRange(1, 100_000), help="Chains per problem.")
@click.option("--replicas", type=click.IntRange(1), metavar="N", help="Spread the run over N engines (Ray).")
@click.option("--ray-address", metavar="ADDR", help="A Ray cluster that runs already, or auto.")
@click.option(
    "--stop-when-decided",
    is_flag=True,
    default=None,
    help="Stop sampling a problem once its majority cannot change any more.",
)
@click.option("--usd-per-hour", type=click.FloatRange(0), help="Price of a device for an hour.")
@click.option("--usd-per-mtok", metavar="IN,OUT", help="Price of a million prompt and completion tokens.")
@click.option(
    "--prices", type=click.Path(path_type=Path), metavar="FILE", help="Prices by device and model (YAML)."
)
@click.option("--data", type=click.Path(path_type=Path), help="Folder with data files; else the Hub.")
@click.option("--limit", type=click.IntRange(1), metavar="K", help="Only the first K problems.")
@click.option("--results", type=click.Path(path_type=Path), help="Where run folders go.")
@click.option(
    "--allow-modified-data", is_flag=True, default=None, help="Warn of rows that differ from the known ones."
)
@click.option(
    "--grading-deadline", type=click.FloatRange(0, 3600, min_open=True), help="Seconds per comparison."
)
@click.option("--config", type=click.Path(path_type=Path), metavar="RUN.yaml", help="Read flags from a file.")
@click.option("--json", "as_json", is_flag=True, help="Print the scores as JSON.")
@click.option("--quiet", "-q", is_flag=True, help="No progress on standard error.")
@click.pass_context
def command(ctx: click.Context, /, config: Path | None, as_json: bool, quiet: bool, **flags: Any) -> None:
    """Sample chains, grade them, and print pass@1 and cons@n as a table that says how sure it is.

    Without flags of its own a run follows the DeepSeek-R1 protocol: 64 chains, temperature 0.6, top_p 0.95,
    16,384 tokens. The same command goes on where it stopped; a larger --n samples only what is missing.
    """
    from ..config import load_config
    from ..evaluation import evaluate
    from ..progress import Progress
    from .progress import open_progress

    plugins = plugins_of(ctx)
    say_problems(plugins)
    show_warnings()
    run_config = load_config(config, flags)
    with stdout_kept_clean(), nullcontext(Progress()) if quiet else open_progress() as progress:
        results = evaluate(run_config, plugins, progress)
    print_results(results, plugins, as_json=as_json)

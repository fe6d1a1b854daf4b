"""`harness run`"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import click

from ..plugins import PluginProblem
from . import plugins_of, say


def _sampler_options(
    ctx: click.Context, param: click.Parameter, values: Sequence[str]
) -> dict[str, str] | None:
    options = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals:
            raise click.BadParameter(f"{value!r} is not NAME=VALUE", ctx, param)
        options[name] = text
    return options or None


def _say_problem(problem: PluginProblem) -> None:
    say(f"plugin {problem.name} ({problem.distribution}) has a problem: {problem.reason}")


@contextmanager
def _stdout_kept_clean() -> Iterator[None]:
    """What engines and plugins print goes to standard error, so that standard output holds the result alone."""
    sys.stdout.flush()
    try:
        result = os.dup(1)
    except OSError:  # standard output is closed
        yield
        return
    try:
        os.dup2(2, 1)
        yield
    finally:
        sys.stdout.flush()
        os.dup2(result, 1)
        os.close(result)


class _ToStderr(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())


@click.command("run")
@click.option(
    "--model", "-m", help="A folder, a .gguf file, a Hub id, or a known name (harness list models)."
)
@click.option("--bench", "-b", help="Benchmarks, separated by commas; parameters as in fresh:level=2,seed=7.")
@click.option("--n", type=click.IntRange(1, 100_000), help="Chains per problem.")
@click.option("--temperature", type=click.FloatRange(0, 10), help="0 is greedy.")
@click.option("--top-p", type=click.FloatRange(0, 1, min_open=True), help="Nucleus sampling.")
@click.option("--max-tokens", type=click.IntRange(1), help="Token budget of a chain.")
@click.option("--seed", type=click.IntRange(0), help="Seed of the run; every chain gets its own from it.")
@click.option("--sampler", help="Engine (harness list samplers); auto picks one and says why.")
@click.option(
    "--sampler-option",
    "sampler_options",
    multiple=True,
    callback=_sampler_options,
    metavar="NAME=VALUE",
    help="An option of the sampler (may be repeated).",
)
@click.option(
    "--base-url", metavar="URL", help="With --sampler openai: the server, as in http://host:8000/v1."
)
@click.option("--model-args", metavar="K=V,...", help="With --sampler lm-eval:NAME: arguments of its model.")
@click.option("--max-in-flight", type=click.IntRange(1), metavar="N", help="Most chains at once.")
@click.option("--device", help="Where the model runs: cpu, cuda, cuda:1 ...")
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
@click.option("--chains", type=click.Path(path_type=Path), help="With --sampler replay: the file of chains.")
@click.option("--protocol", help="How the model is asked and sampled (harness list protocols).")
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
    from ..progress import Progress
    from ..run import evaluate
    from .progress import open_progress

    plugins = plugins_of(ctx)
    plugins.on_problem = _say_problem
    for problem in plugins.problems:
        _say_problem(problem)
    logging.getLogger("harness").addHandler(_ToStderr())
    run_config = load_config(config, flags)
    reporter = plugins.reporter("json" if as_json else "markdown")
    with _stdout_kept_clean(), nullcontext(Progress()) if quiet else open_progress() as progress:
        results = evaluate(run_config, plugins, progress)
    click.echo(reporter.render(results), nl=False)

"""The flags that say which model answers, and on what engine: shared by the commands that sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

AnyCallable = TypeVar("AnyCallable", bound=Callable[..., Any])


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


_OPTIONS = (
    click.option(
        "--model", "-m", help="A folder, a .gguf file, a Hub id, or a known name (harness list models)."
    ),
    click.option("--sampler", help="Engine (harness list samplers); auto picks one and says why."),
    click.option(
        "--sampler-option",
        "sampler_options",
        multiple=True,
        callback=_sampler_options,
        metavar="NAME=VALUE",
        help="An option of the sampler (may be repeated).",
    ),
    click.option(
        "--base-url", metavar="URL", help="With --sampler openai: the server, as in http://host:8000/v1."
    ),
    click.option("--max-in-flight", type=click.IntRange(1), metavar="N", help="Most chains at once."),
    click.option(
        "--model-args", metavar="K=V,...", help="With --sampler lm-eval:NAME: arguments of its model."
    ),
    click.option("--device", help="Where the model runs: cpu, cuda, cuda:1 ..."),
    click.option(
        "--chains", type=click.Path(path_type=Path), help="With --sampler replay: the file of chains."
    ),
)


_SAMPLING = (
    click.option("--protocol", help="How the model is asked and sampled (harness list protocols)."),
    click.option("--temperature", type=click.FloatRange(0, 10), help="0 is greedy."),
    click.option("--top-p", type=click.FloatRange(0, 1, min_open=True), help="Nucleus sampling."),
    click.option("--max-tokens", type=click.IntRange(1), help="Token budget of a chain."),
    click.option("--seed", type=click.IntRange(0), help="Seed of the run; every chain gets its own from it."),
)


def engine_options(command: AnyCallable) -> AnyCallable:
    """Adds the flags whose values `harness.config.EngineConfig` holds."""
    return _with(_OPTIONS, command)


def sampling_options(command: AnyCallable) -> AnyCallable:
    """Adds the flags whose values `harness.config.SamplingConfig` holds besides."""
    return _with(_SAMPLING, command)


def _with(options: Sequence[Callable[[AnyCallable], AnyCallable]], command: AnyCallable) -> AnyCallable:
    for option in reversed(options):
        command = option(command)
    return command

"""`harness show`"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import click

from ..components import Benchmark
from ..errors import HarnessError, closest
from ..plugins import PluginManager
from . import plugins_of
from .list_command import KINDS


@click.command("show")
@click.argument("name")
@click.option("--protocol", default="deepseek-r1", show_default=True)
@click.option("--data", type=click.Path(path_type=Path), help="Folder with data files; else the Hub.")
@click.option(
    "--problem", type=click.IntRange(1), default=1, show_default=True, help="Which problem to show."
)
@click.option("--reveal", is_flag=True, help="Show the prompt of a benchmark that asks not to be posted.")
@click.option("--allow-modified-data", is_flag=True)
@click.pass_context
def command(
    ctx: click.Context,
    name: str,
    protocol: str,
    data: Path | None,
    problem: int,
    reveal: bool,
    allow_modified_data: bool,
) -> None:
    """Show the component NAME; for a benchmark also its fingerprint and one prompt as the model gets it."""
    from ..data import DataSource

    plugins = plugins_of(ctx)
    found = _other_component(plugins, name)
    if found is not None:
        for line in _facts(found):
            click.echo(line)
        return
    benchmark = _benchmark(plugins, name)
    folder = data or (Path(os.environ["HARNESS_DATA"]) if os.environ.get("HARNESS_DATA") else None)
    source = DataSource(folder, allow_modified=allow_modified_data)
    for line in _benchmark_lines(plugins, benchmark, protocol, source, problem, reveal):
        click.echo(line)


def _other_component(plugins: PluginManager, name: str) -> Any | None:
    for kind, components in KINDS.items():
        if kind != "benchmarks":
            for component in components(plugins):
                names = (component.name, *getattr(component, "aliases", ()))
                if name.lower() in map(str.lower, names):
                    return component
    return None


def _benchmark(plugins: PluginManager, name: str) -> Benchmark:
    bare = name.partition(":")[0].lower()
    known = {n.lower() for b in plugins.benchmarks.values() for n in (b.name, *b.aliases)}
    if bare not in known:
        everything = [c.name for components in KINDS.values() for c in components(plugins)]
        raise HarnessError(f"nothing is called {name!r}: {closest(name, everything)}")
    return plugins.benchmark(name)


def _benchmark_lines(
    plugins: PluginManager, benchmark: Benchmark, protocol_name: str, data: Any, number: int, reveal: bool
) -> Iterator[str]:
    from ..protocol import data_fingerprint
    from ..task import load_task

    protocol = plugins.protocol(protocol_name)
    task = load_task(benchmark, protocol, data, None)
    yield f"benchmark    {benchmark.label}"
    yield f"description  {benchmark.description}"
    yield f"source       {task.origin}"
    yield f"problems     {len(task.problems)}"
    yield f"fingerprint  {data_fingerprint(task.problems, task.prompts)[:16]}"
    yield f"normalizer   {protocol.normalizer or benchmark.normalizer}"
    yield (
        f"protocol     {protocol.name}: n {protocol.n}, T {protocol.temperature:g}, top_p {protocol.top_p:g}, "
        f"{protocol.max_tokens:,} tokens"
    )
    for key, value in task.notes.items():
        yield f"{key.ljust(12)} {value}"
    if number > len(task.problems):
        raise HarnessError(f"--problem {number}: {benchmark.label} has {len(task.problems)} problems")
    problem, prompt = task.problems[number - 1], task.prompts[number - 1]
    if benchmark.hidden and not reveal:
        yield f"prompt       of {problem.id} is hidden: the authors ask not to post it; --reveal shows it"
        return
    yield f"prompt       of {problem.id}, gold {problem.gold}:"
    for message in prompt.messages:
        yield f"--- {message.role}"
        yield message.content
    if prompt.text is not None:
        yield "--- as it stands, without a chat template"
        yield prompt.text
    if prompt.stop:
        yield f"--- ends at {', '.join(map(repr, prompt.stop))}"


def _facts(component: Any) -> Iterator[str]:
    if is_dataclass(component):
        values = {f.name: getattr(component, f.name) for f in fields(component)}
    else:
        names = ("name", "description", "version", "options")
        values = {n: getattr(component, n) for n in names if getattr(component, n, None)}
    for key, value in values.items():
        if value not in (None, "", (), {}):
            yield f"{key.ljust(12)} {value}"

"""`harness list`"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import click

from ..plugins import PluginManager
from . import plugins_of

KINDS: Final[dict[str, Callable[[PluginManager], Iterable[Any]]]] = {
    "benchmarks": lambda plugins: plugins.benchmarks.values(),
    "models": lambda plugins: plugins.models.values(),
    "samplers": lambda plugins: plugins.samplers.values(),
    "clusters": lambda plugins: plugins.clusters.values(),
    "protocols": lambda plugins: plugins.protocols.values(),
    "normalizers": lambda plugins: plugins.normalizers.values(),
    "metrics": lambda plugins: plugins.metrics.values(),
    "reporters": lambda plugins: plugins.reporters.values(),
    "importers": lambda plugins: plugins.importers.values(),
    "trainers": lambda plugins: plugins.trainers.values(),
}


@click.command("list")
@click.argument("kind", type=click.Choice(list(KINDS)), required=False)
@click.pass_context
def command(ctx: click.Context, kind: str | None) -> None:
    """List the components of a KIND, or of every kind."""
    plugins = plugins_of(ctx)
    for shown in [kind] if kind else KINDS:
        components = list(KINDS[shown](plugins))
        if not kind:
            click.echo(f"\n{shown}:" if components else f"\n{shown}: none")
        width = max((len(c.name) for c in components), default=0)
        for component in components:
            click.echo(f"  {component.name.ljust(width)}  {_line(component)}".rstrip())


def _line(component: Any) -> str:
    """What is worth knowing of a component, in a line."""
    parts = [getattr(component, "description", "") or getattr(component, "repo", "")]
    if aliases := getattr(component, "aliases", ()):
        parts.append(f"also {', '.join(aliases)}")
    if source := getattr(component, "source", ""):
        parts.append(f"from {source}")
    if notes := getattr(component, "notes", None):
        parts.append(notes if isinstance(notes, str) else "")
    return "; ".join(filter(None, parts))

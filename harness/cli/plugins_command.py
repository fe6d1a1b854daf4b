"""`harness plugins`"""

from __future__ import annotations

import click

from . import plugins_of


@click.command("plugins")
@click.pass_context
def command(ctx: click.Context) -> None:
    """Show which plugin provides what, where it comes from, and which were skipped and why."""
    from ..errors import HarnessError
    from .list_command import KINDS

    plugins = plugins_of(ctx)
    for components in KINDS.values():  # looking them up finds the problems that a plugin hides in its hooks
        components(plugins)
    for plugin in plugins.plugins:
        origin = "built in" if plugin.built_in else f"{plugin.distribution} {plugin.version}".strip()
        hooks = ", ".join(hook.removeprefix("harness_") for hook in plugin.hooks)
        click.echo(f"{plugin.name.ljust(22)} {hooks.ljust(14)} {plugin.module} ({origin})")
    for problem in plugins.problems:
        click.echo(f"{problem.name.ljust(22)} SKIPPED: {problem.reason} ({problem.distribution})")
    if plugins.problems:
        raise HarnessError(
            f"plugins have {len(plugins.problems)} problems, see above; --no-plugin NAME leaves one out"
        )

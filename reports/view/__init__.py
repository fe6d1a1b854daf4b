"""`harness view [RESULTS]`: a page in the browser to look into every run, problem and chain.

This module is imported by every command; what serves the pages is imported when they are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import click

from harness import HarnessError, hookimpl

_NEEDED: Final = ("starlette", "uvicorn", "jinja2", "latex2mathml")
_HERE: Final = ("127.0.0.1", "localhost", "::1")


@click.command("view")
@click.argument("results", type=click.Path(path_type=Path), default=Path("results"))
@click.option(
    "--port", "-p", type=click.IntRange(0, 65535), default=8642, show_default=True, help="0: any free port."
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen at; others than this machine's own let the network read the results.",
)
@click.option("--no-browser", is_flag=True, help="Do not open a browser.")
@click.pass_context
def command(ctx: click.Context, results: Path, port: int, host: str, no_browser: bool) -> int:
    """Look into the runs below RESULTS in the browser: scores, problems, votes, every chain.

    Reads only; a run that is being written is shown as it grows. Ctrl-C ends it.
    """
    from harness.cli import plugins_of, say, say_problems

    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        raise HarnessError(
            f'harness view needs {", ".join(missing)}: python -m pip install "fathom-harness[view]"'
        )
    if not results.is_dir():
        what = "is not a folder" if results.exists() else "does not exist"
        raise HarnessError(f"{results} {what}: name the folder that `harness run` writes its results to")
    if host not in _HERE:
        say(f"listening at {host}: whoever reaches this machine there can read {results}")
    from .server import serve

    plugins = plugins_of(ctx)
    say_problems(plugins)
    serve(results, plugins, host=host, port=port, browser=not no_browser)
    return 0


@hookimpl
def harness_commands() -> Sequence[click.Command]:
    return [command]

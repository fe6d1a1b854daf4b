"""The `harness` command. Each subcommand is a module of its own, imported when it is called."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

import click

from .. import __version__
from ..errors import HarnessError
from ..plugins import PluginManager, PluginProblem, load_plugins
from ..text import one_row

COMMANDS: Final = {
    "run": "Sample, grade and score a model on benchmarks.",
    "ask": "Ask a model one question and watch it answer.",
    "report": "Print the results of finished runs as one table.",
    "import": "Turn another program's chains into runs that can be regraded and compared.",
    "grade": "Grade texts against a gold: JSON lines in, JSON lines out.",
    "regrade": "Grade stored chains again; needs no model.",
    "export": "Write the chains of finished runs as jsonl, parquet or a data set on the Hub.",
    "list": "List benchmarks, models, samplers and other components.",
    "show": "Show a component: for a benchmark its source, protocol and a prompt.",
    "plugins": "Show which plugin provides what, and which were skipped.",
    "doctor": "Check versions, devices, the Hub and the plugins.",
}


class HarnessGroup(click.Group):
    """Finds built-in commands by name without importing the others, and those of plugins through their hook."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS, *(name for name in self._from_plugins(ctx) if name not in COMMANDS)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS:
            module = import_module(f".{cmd_name}_command", __name__)
            command: click.Command = module.command
            return command
        return self._from_plugins(ctx).get(cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = list(COMMANDS.items())
        rows += [
            (name, command.get_short_help_str())
            for name, command in self._from_plugins(ctx).items()
            if name not in COMMANDS
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    @staticmethod
    def _from_plugins(ctx: click.Context) -> dict[str, click.Command]:
        return plugins_of(ctx).commands()


def plugins_of(ctx: click.Context) -> PluginManager:
    """The plugins of this invocation, loaded once, narrowed by `--no-plugin`."""
    root = ctx.find_root()
    if root.obj is None:
        root.obj = load_plugins(root.params.get("no_plugin") or ())
    plugins: PluginManager = root.obj
    return plugins


@click.group(
    cls=HarnessGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(__version__, prog_name="harness")
@click.option("--no-plugin", multiple=True, metavar="NAME", help="Do not load this plugin (may be repeated).")
def group(no_plugin: Sequence[str]) -> None:
    """Evaluate reasoning models: sample many chains, grade them, and say how sure the score is."""


def say(text: str) -> None:
    """One line to standard error, with control characters taken out: it may quote a file or a model."""
    click.echo(f"harness: {one_row(text)}", err=True)


def say_problems(plugins: PluginManager) -> None:
    """Tell of the plugins that were skipped, and of those that are found wanting from now on."""

    def tell(problem: PluginProblem) -> None:
        say(f"plugin {problem.name} ({problem.distribution}) has a problem: {problem.reason}")

    plugins.on_problem = tell
    for problem in plugins.problems:
        tell(problem)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: exit codes are 0 done, 1 failed, 2 usage, 130 interrupted and resumable."""
    sys.exit(_main(sys.argv[1:] if arguments is None else arguments))


def _main(arguments: Sequence[str]) -> int:
    signal.signal(signal.SIGTERM, _as_interrupt)
    _mend_streams()
    try:
        outcome: Any = group.main(list(arguments), prog_name="harness", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return error.exit_code
    except click.UsageError as error:
        name = error.ctx.command_path if error.ctx else "harness"
        say(f"{error.format_message()} (see {name} --help)")
        return error.exit_code
    except click.ClickException as error:
        say(error.format_message())
        return error.exit_code
    except HarnessError as error:
        say(str(error))
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        say("interrupted")
        return 130
    except BrokenPipeError:
        # The reader of our output went away (`harness report | head`): nothing more to say to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        say(f"{error.filename or 'output'}: {error.strerror or error}")
        return 1
    except Exception as error:
        if os.environ.get("HARNESS_DEBUG"):
            raise
        say(
            f"internal error, please report it: {type(error).__name__}: {error} (HARNESS_DEBUG=1 shows where)"
        )
        return 1
    return outcome if isinstance(outcome, int) else 0


def _mend_streams() -> None:
    """Closed streams swallow what is written, and no character stops a table from being printed."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _as_interrupt(signum: int, frame: object) -> None:
    # Clusters end jobs with SIGTERM: same care as for Ctrl-C.
    raise KeyboardInterrupt

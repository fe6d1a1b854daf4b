"""Checkpoints are evaluated as they are saved, and the report is rewritten after each."""

from __future__ import annotations

from collections.abc import Sequence

import click

from harness import hookimpl


@hookimpl
def harness_commands() -> Sequence[click.Command]:
    from .command import command

    return [command]

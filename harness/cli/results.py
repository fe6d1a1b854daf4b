"""Results as `harness run` and `harness regrade` print them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

from ..plugins import PluginManager


def print_results(results: Sequence[Mapping[str, Any]], plugins: PluginManager, *, as_json: bool) -> None:
    """One row a run: a table for people, or a list of objects with every figure."""
    from ..report import Report

    if as_json:
        click.echo(json.dumps(list(results), indent=2, ensure_ascii=False))
    else:
        click.echo(plugins.reporter("runs").render(Report(results)), nl=False)

"""`harness regrade`"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import HarnessError, UsageError
from ..plugins import PluginManager
from ..text import one_row, printable
from . import plugins_of, say
from .results import print_results

if TYPE_CHECKING:
    from ..changes import Comparison


@click.command("regrade")
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--compare",
    nargs=2,
    type=click.Path(path_type=Path),
    metavar="OLD NEW",
    help="Only list the chains that two gradings judge differently: run folders or grades.parquet files.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--grading-deadline", type=click.FloatRange(0, 3600, min_open=True), default=5.0, show_default=True
)
@click.pass_context
def command(
    ctx: click.Context,
    runs: tuple[Path, ...],
    compare: tuple[Path, Path] | None,
    as_json: bool,
    grading_deadline: float,
) -> None:
    """Grade the stored chains of RUNS (run folders, or folders of them) again; no model is needed."""
    if compare is not None:
        if runs:
            raise UsageError("--compare takes its two gradings itself and grades nothing: leave RUNS out")
        from ..changes import compare_grades

        comparison = compare_grades(*compare)
        say(
            f"{len(comparison.changes)} of {comparison.compared} chains differ "
            f"({comparison.old_grader} -> {comparison.new_grader})"
        )
        for line in _json(comparison) if as_json else _table(comparison):
            click.echo(line)
        return
    if not runs:
        raise UsageError("name the runs to grade again: run folders, or a folder of them")
    _regrade(plugins_of(ctx), runs, as_json, grading_deadline)


def _regrade(plugins: PluginManager, runs: tuple[Path, ...], as_json: bool, grading_deadline: float) -> None:
    from ..grading import open_pool
    from ..regrade import regrade
    from ..results import find_runs

    pool = open_pool(plugins, grading_deadline)
    results, failed = [], 0
    try:
        for path in find_runs(runs):
            if not (path / "scores.json").exists():
                say(f"{path} is not finished and left out")
                continue
            try:
                result, changed = regrade(path, plugins, pool, say)
            except HarnessError as error:
                say(str(error))
                failed += 1
                continue
            say(f"{path}: {changed} of {sum(result['counts'].values())} grades changed")
            results.append(result)
    finally:
        pool.close()
    print_results(results, plugins, as_json=as_json)
    if failed:
        raise HarnessError(f"{failed} runs could not be graded again, see above")


def _table(comparison: Comparison) -> Iterator[str]:
    yield "| problem | chain | old | new |"
    yield "|---------|------:|-----|-----|"
    for (problem, index), old, new in comparison.changes:
        yield f"| {_cell(problem)} | {index} | {_verdict(old)} | {_verdict(new)} |"


def _verdict(grade: Any) -> str:
    answer = "no answer" if grade.answer is None else _cell(grade.answer[:60])
    return f"{grade.status}: {answer} ({_cell(grade.rule)})"


def _cell(text: str) -> str:
    return one_row(text).replace("|", "\\|").replace("<", "&lt;")


def _json(comparison: Comparison) -> Iterator[str]:
    for (problem, index), old, new in comparison.changes:
        row: dict[str, Any] = {"problem_id": problem, "index": index}
        for name, grade in (("old", old), ("new", new)):
            answer = None if grade.answer is None else printable(grade.answer)
            row[name] = {"status": grade.status, "answer": answer, "rule": grade.rule}
        yield json.dumps(row, ensure_ascii=False)

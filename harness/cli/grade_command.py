"""`harness grade`"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

import click

from ..errors import HarnessError
from ..text import printable
from . import plugins_of

_MAX_LINE: Final = 256 * 2**20  # bytes


@click.command("grade")
@click.argument("file", default="-", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--gold", help="The reference answer; without it every row gives its own as `gold`.")
@click.option("--kind", default="math", show_default=True, help="harness list normalizers")
@click.option(
    "--grading-deadline", type=click.FloatRange(0, 3600, min_open=True), default=5.0, show_default=True
)
@click.pass_context
def command(ctx: click.Context, file: Path, gold: str | None, kind: str, grading_deadline: float) -> None:
    """Grade the texts of FILE (default: standard input) against a gold.

    A row is a JSON object with `text` (or `generation`), `gold` unless --gold is given, and optionally `id` and
    `finish_reason`. Each gives one row, in the same order, with `status`, `correct`, `answer`, `answer_class` and
    `rule`, after the row's `id`.
    """
    from ..grading import Grader, open_pool
    from ..records import Grade

    plugins = plugins_of(ctx)
    pool = open_pool(plugins, grading_deadline)
    grader = Grader(plugins.normalizer(kind), pool)
    waiting: dict[int, tuple[dict[str, Any], Grade | None]] = {}
    written = 0

    def write_ready() -> None:
        nonlocal written
        while (entry := waiting.get(written)) is not None and entry[1] is not None:
            click.echo(json.dumps(_result(entry[0], entry[1]), ensure_ascii=False))
            del waiting[written]
            written += 1

    try:
        with click.open_file(str(file), "rb") as stream:
            for number, row in enumerate(
                _rows(stream, "standard input" if str(file) == "-" else str(file), gold)
            ):

                def graded(grade: Grade, number: int = number, row: dict[str, Any] = row) -> None:
                    waiting[number] = (row, grade)

                waiting[number] = (row, None)
                truncated = row.get("finish_reason") == "length"
                # Rows of one gold share their verdicts as the chains of one problem do.
                grader.submit(row["gold"], row["gold"], row["text"], graded, truncated=truncated)
                write_ready()
    except OSError as error:
        raise HarnessError(f"cannot read {file}: {error.strerror or error}") from None
    finally:
        if sys.exc_info()[0] not in (KeyboardInterrupt, BrokenPipeError):
            grader.finish()  # what was read before a bad row is still graded
            write_ready()
        pool.close()


def _rows(stream: IO[bytes], name: str, gold: str | None) -> Iterator[dict[str, Any]]:
    number = 0
    while line := stream.readline(_MAX_LINE):
        number += 1
        if len(line) == _MAX_LINE:
            raise HarnessError(f"{name}, row {number}: is longer than {_MAX_LINE:,} bytes")
        if line.isspace():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise HarnessError(f"{name}, row {number}: is not JSON ({error})") from None
        if not isinstance(row, dict):
            raise HarnessError(f"{name}, row {number}: is not a JSON object")
        text = row.get("text") if row.get("text") is not None else row.get("generation")
        if not isinstance(text, str):
            raise HarnessError(f"{name}, row {number}: has no text (or generation)")
        reference = gold if gold is not None else row.get("gold")
        if isinstance(reference, int) and not isinstance(reference, bool):
            reference = str(reference)
        if not isinstance(reference, str):
            raise HarnessError(f"{name}, row {number}: has no gold, and --gold is not given")
        yield {**row, "text": text, "gold": reference}


def _result(row: dict[str, Any], grade: Any) -> dict[str, Any]:
    head = {"id": row["id"]} if "id" in row else {}
    return {
        **head,
        "status": grade.status,
        "correct": grade.correct,
        "answer": None if grade.answer is None else printable(grade.answer),
        "answer_class": None if grade.answer_class is None else printable(grade.answer_class),
        "rule": grade.rule,
    }

"""The comparison report of a results folder, rewritten while evaluations go on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from harness.errors import HarnessError, one_line
from harness.files import write_output
from harness.plugins import PluginManager
from harness.report import Report
from harness.results import find_runs, finished_below
from harness.text import printable
from harness.training import FILE as TRAINING
from harness.training import Training, read_training

from .outcome import line

FORMS: Final = {"markdown": ".md", "html": ".html"}
"""Name of a reporter -> ending of its file."""


_APART_SECONDS: Final = 10.0


class Watched:
    """When a report is to be rewritten: it takes seconds, most of them for its charts.

    Args:
        training: as for write_report.
    """

    def __init__(self, results: Path, training: Path | None = None) -> None:
        self._results = results
        self._training = training
        self._written: tuple[list[tuple[str, int, int]], float] | None = None

    def is_due(self, *, more: bool) -> bool:
        """Whether what it is made of has changed since this was last true.

        Args:
            more: further evaluations wait. As long as they come faster than a report is read, some are passed over.
        """
        now, current = time.monotonic(), self._sources()
        if self._written is not None:
            sources, when = self._written
            if current == sources or (more and now - when < _APART_SECONDS):
                return False
        self._written = current, now
        return True

    def _sources(self) -> list[tuple[str, int, int]]:
        files = sorted(self._results.rglob("scores.json"))
        files += [] if self._training is None else [self._training / TRAINING]
        found = []
        for file in files:
            with suppress(OSError):
                status = file.stat()
                found.append((str(file), status.st_size, status.st_mtime_ns))
        return found


def write_report(
    results: Path,
    stem: Path,
    *,
    plugins: PluginManager,
    baseline: str | None = None,
    training: Path | None = None,
    published: bool = True,
    keep: Callable[[Mapping[str, Any]], bool] = lambda result: True,
) -> str | None:
    """Write `stem.md` and `stem.html`, each whole or not at all, charts before the text that shows them.

    Args:
        stem: `results/report` for `results/report.md` and `results/report.html`.
        baseline: model, by its name in results; left out as long as it has no finished run.
        training: folder of a recipe's run, with its training.json: costs and learning curves.
        published: put published figures on the measured benchmarks beside the measured ones.
        keep: whether a result is one that the report is of.

    Returns:
        In one line what went wrong; None where both were written, or nothing is measured yet. Never raises: a report
        can be written again, what is being trained or evaluated meanwhile cannot.
    """
    try:
        report = _report(results, plugins, baseline, training, published, keep)
    except Exception as error:  # noqa: BLE001
        return f"the report is not written: {_told(error)}"
    if report is None:
        return None
    problems = []
    for form, ending in FORMS.items():
        try:
            _write(report, stem.with_name(stem.name + ending), form, plugins)
        except Exception as error:  # noqa: BLE001 - one format that fails does not keep the other from being written
            problems.append(f"the {form} report is not written: {_told(error)}")
    return "; ".join(problems) or None


def _report(
    results: Path,
    plugins: PluginManager,
    baseline: str | None,
    training: Path | None,
    published: bool,
    keep: Callable[[Mapping[str, Any]], bool],
) -> Report | None:
    if not results.is_dir() or not _any_run(results):
        return None
    found = [result for result in finished_below([results]).results if keep(result)]
    if not found:
        return None
    models = {str(result["model"]) for result in found}
    benchmarks = {str(result["benchmark"]) for result in found}
    rows = [row for row in plugins.published if row.benchmark in benchmarks] if published else []
    return Report(
        found,
        baseline=baseline if baseline in models else None,
        published=rows,
        charts="svg",
        training=_training(training),
    )


def _training(folder: Path | None) -> list[Training]:
    try:
        return [] if folder is None else [read_training(folder)]
    except HarnessError:
        return []  # a recipe's first evaluation may come before its first figures


def _any_run(results: Path) -> bool:
    try:
        return bool(find_runs([results]))
    except HarnessError:
        return False


def _write(report: Report, path: Path, form: str, plugins: PluginManager) -> None:
    text, beside = plugins.reporter(form).render_file(report, path)
    for name, data in beside.items():
        write_output(path.parent / name, lambda file, data=data: file.write(data))  # type: ignore[misc]
    write_output(path, lambda file: file.write(printable(text).encode()))


def _told(error: Exception) -> str:
    return line(str(error) if isinstance(error, HarnessError) else one_line(error))

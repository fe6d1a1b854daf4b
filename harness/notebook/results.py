"""Finished runs in Python: their scores, grades and chains as pandas frames, themselves as a table."""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..errors import HarnessError, closest
from ..exports.table import ChainTable
from ..plugins import PluginManager, load_plugins
from ..report import Report, ReportRun, truncated_share
from ..results import finished_below
from .frames import GRADE_COLUMNS, chains_frame, runs_frame, scores_frame
from .tables import html_table, percent, text_table

if TYPE_CHECKING:
    import pandas as pd

    from .comparisons import Comparisons

CHAIN_COLUMNS: Final = (*GRADE_COLUMNS, "gold", "text", "reasoning")
"""Columns of `Results.chains` where none are named."""


def load(*paths: str | os.PathLike[str], reveal: bool = False) -> Results:
    """The finished runs at or below the given paths (none: "results").

    Args:
        reveal: show the texts also of benchmarks whose authors ask that they not be posted.

    Raises:
        HarnessError: a path does not exist or holds no run folder.

    A run whose files are damaged is left out with a warning.
    """
    found = finished_below([Path(path).expanduser() for path in paths])
    for line in found.damaged:
        warnings.warn(f"{line} (left out)", stacklevel=2)
    return Results(found.results, reveal=reveal, unfinished=found.unfinished)


class Results:
    """Finished runs: their scores, grades and chains as pandas frames.

    Args:
        results: each as `harness run --json` prints it.
        reveal: show the texts also of benchmarks whose authors ask that they not be posted.
        unfinished: how many runs were left out because they are not finished.
    """

    def __init__(
        self,
        results: Sequence[Mapping[str, Any]],
        *,
        reveal: bool = False,
        unfinished: int = 0,
        plugins: PluginManager | None = None,
    ) -> None:
        self.members: list[ReportRun] = Report(results).runs
        """The runs, by benchmark, then model, checkpoints by their steps."""
        self.unfinished = unfinished
        self._reveal = reveal
        self._plugins = plugins

    def __len__(self) -> int:
        return len(self.members)

    @property
    def results(self) -> list[Mapping[str, Any]]:
        """Every figure, as `harness run --json` prints it."""
        return [run.result for run in self.members]

    @property
    def models(self) -> list[str]:
        return Report(self.results).models

    @property
    def benchmarks(self) -> list[str]:
        return Report(self.results).benchmarks

    def select(self, **wanted: Any) -> Results:
        """The runs whose results have these values: select(model="m", max_tokens=[8192, 16384]).

        Raises:
            HarnessError: results have no such field, or no run has such a value.
        """
        found = self.results
        for name, value in wanted.items():
            there = {result[name] for result in found if _is_plain(result.get(name))}
            if found and not there:
                plain = {key for result in found for key, item in result.items() if _is_plain(item)}
                raise HarnessError(f"results have no field {name!r} to select by: {closest(name, plain)}")
            values = _values(value)
            if missing := [v for v in values if v not in there]:
                hint = closest(str(missing[0]), map(str, there))
                raise HarnessError(f"no run has {name} {missing[0]!r}: {hint}")
            found = [result for result in found if result.get(name) in values]
        return Results(found, reveal=self._reveal, plugins=self._plugins)

    # -- frames ----------------------------------------------------------------------------------

    @property
    def runs(self) -> pd.DataFrame:
        """One row a run, every figure in a column of its own."""
        return runs_frame(self.members)

    @property
    def scores(self) -> pd.DataFrame:
        """One row a run and metric: value, stderr, low, high."""
        return scores_frame(self.members)

    @cached_property
    def grades(self) -> pd.DataFrame:
        """One row a chain, without its text; read once.

        Raises:
            HarnessError: files of a run are missing or damaged.
        """
        return chains_frame(self._tables(self.members), GRADE_COLUMNS)

    def chains(
        self,
        *,
        model: str | Sequence[str] | None = None,
        benchmark: str | Sequence[str] | None = None,
        columns: Sequence[str] = CHAIN_COLUMNS,
        limit: int | None = None,
        **where: Any,
    ) -> pd.DataFrame:
        """One row a chain, with its text. Only what is asked for is read: runs hold gigabytes.

        Args:
            model, benchmark: of these runs; None is of all.
            columns: names out of `harness.exports.table.COLUMNS`.
            limit: the first so many.
            where: wanted values of columns, one or several: problem_id="p7", status=["timeout", "error"].

        Raises:
            HarnessError: no such model, benchmark or column, or files of a run are missing or damaged.
        """
        of = {
            name: value for name, value in (("model", model), ("benchmark", benchmark)) if value is not None
        }
        wanted = {name: _values(value) for name, value in where.items()}
        return chains_frame(self._tables(self.select(**of).members), columns, wanted, limit)

    def _tables(self, runs: Sequence[ReportRun]) -> list[ChainTable]:
        return [ChainTable(run, self._with_plugins, reveal=self._reveal) for run in runs]

    @cached_property
    def _with_plugins(self) -> PluginManager:
        return self._plugins or load_plugins()

    # -- more ------------------------------------------------------------------------------------

    def compare(self, a: str, b: str) -> Comparisons:
        """Two models of these results, see `harness.compare`."""
        from .comparisons import compare

        return compare(a, b, results=self)

    def report(
        self, form: str = "markdown", *, baseline: str | None = None, published: bool = False
    ) -> RenderedReport:
        """The report that `harness report` makes of these runs, shown as what it is.

        Args:
            form: name of a report format (`harness list reporters`).
            baseline: compare every model with this one.
            published: with published figures beside the measured ones.

        Raises:
            HarnessError: no such format or baseline, or files of a run are missing or damaged.
        """
        plugins = self._with_plugins
        rows = plugins.published if published else ()
        text = plugins.reporter(form).render(Report(self.results, baseline=baseline, published=rows))
        return RenderedReport(text, form)

    def __repr__(self) -> str:
        return text_table(*self._shown())

    def _repr_html_(self) -> str:
        return html_table(*self._shown())

    def _shown(self) -> tuple[Sequence[str], list[Sequence[str]], str, list[str]]:
        header = ("model", "benchmark", "n", "problems", "pass@1", "95 %", "cons@n", "truncated", "tokens")
        count = f"{len(self)} {'run' if len(self) == 1 else 'runs'}"
        notes = [f"{self.unfinished} not finished and left out"] if self.unfinished else []
        return header, [_row(run.result) for run in self.members], count, notes


def _is_plain(value: object) -> bool:
    return isinstance(value, (str, int, float))


def _values(value: Any) -> list[Any]:
    several = isinstance(value, Collection) and not isinstance(value, (str, bytes))
    return list(value) if several else [value]


def _row(result: Mapping[str, Any]) -> Sequence[str]:
    scores = result["scores"]
    pass1, cons = scores.get("pass@1", {}), scores.get("cons@k", {})
    truncated = truncated_share(result)
    ci95, tokens = pass1.get("ci95"), scores.get("mean_tokens", {}).get("value")
    return (
        str(result["model"]),
        str(result["benchmark"]),
        str(result["n"]),
        str(result["problems"]),
        percent(pass1.get("value"), pass1.get("stderr")),
        "" if ci95 is None else f"{100 * ci95[0]:.1f} – {100 * ci95[1]:.1f}",
        percent(cons.get("value"), cons.get("stderr")),
        "" if truncated is None else f"{100 * truncated:.1f} %",
        "" if tokens is None else f"{tokens:,.0f}",
    )


class RenderedReport(str):
    """A report as text, which a notebook shows as HTML or markdown."""

    __slots__ = ("form",)
    form: str

    def __new__(cls, text: str, form: str) -> RenderedReport:
        made = super().__new__(cls, text)
        made.form = form
        return made

    def __repr__(self) -> str:
        return str(self)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        shown = {"text/plain": str(self)}
        if self.form == "html":
            # A page of its own, with its own styles and scripts, that cannot reach into the notebook.
            frame = 'sandbox="allow-scripts" style="width:100%;height:40em;border:0"'
            shown["text/html"] = f'<iframe {frame} srcdoc="{escape(str(self))}"></iframe>'
        elif self.form in ("markdown", "runs"):
            shown["text/markdown"] = str(self)
        return shown

"""Charts of a report: one description each, drawn as a file or by a page."""

from __future__ import annotations

from collections.abc import Mapping

from harness.report import Report

from . import theme
from .chart import Chart, distinct
from .curves import budget_curves, pass_curves, vote_curves
from .differences import difference_charts
from .engine import drawn
from .figure import figures
from .learning import learning_charts
from .lengths import length_charts
from .problems import heat_maps
from .progress import progress_charts
from .subjects import subjects_of

__all__ = ["Chart", "chart_files", "charts"]


def charts(report: Report) -> list[Chart]:
    """All charts that the data can fill, in the order in which a reader wants them.

    Raises:
        HarnessError: Altair is not installed, or a run's files are missing or damaged.
    """
    subjects = subjects_of(report)
    parts = (
        figures,
        difference_charts,
        budget_curves,
        vote_curves,
        pass_curves,
        heat_maps,
        length_charts,
        progress_charts,
        learning_charts,
    )
    return distinct([chart for part in parts for chart in part(report, subjects)])


def chart_files(report: Report, form: str) -> Mapping[str, bytes]:
    """The charts as files: name -> bytes, in the order in which a reader wants them.

    Args:
        form: "svg" or "png".

    Raises:
        HarnessError: a library is not installed, or a run's files are missing or damaged.
    """
    config = theme.config()
    return {f"{chart.name}.{form}": drawn(chart.spec, config, form) for chart in charts(report)}

"""The tables of a comparison report, as data: every format writes down the same ones."""

from __future__ import annotations

from harness.report import Report

from .comparisons import comparisons_table
from .costs import training_tables
from .overview import overviews
from .runs import runs_table
from .table import Table

__all__ = ["all_tables", "comparisons_table", "overview", "overviews", "runs_table"]


def overview(report: Report) -> Table:
    """The overview of the report's only protocol, or of the first of several; see `overviews`."""
    found = overviews(report)
    return found[0] if found else Table("overview", "Overview", (), ())


def all_tables(report: Report) -> list[Table]:
    """Overviews, one for each protocol, comparisons, training, runs; tables without rows or notes are left out."""
    tables = overviews(report)
    if report.runs:
        tables.append(comparisons_table(report))
    tables += training_tables(report)
    if report.runs:
        tables.append(runs_table(report))
    return [table for table in tables if table.rows or table.notes]

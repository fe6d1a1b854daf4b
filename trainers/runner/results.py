"""What a finished run prints: how its checkpoints compare, and what they cost."""

from __future__ import annotations

from harness import HarnessError
from harness.plugins import PluginManager
from harness.report import Report
from harness.results import finished_below

from ..ledger import Ledger, bill
from ..ledger.table import as_markdown
from .record import Record


def tables(record: Record, plugins: PluginManager) -> str:
    """The report's tables, costs among them, for standard output; the costs alone where nothing is evaluated."""
    try:
        found = finished_below([record.results]).results if record.results.is_dir() else []
        results = [result for result in found if record.belongs(result)]
    except HarnessError:
        results = []  # none has been evaluated
    if not results:
        return as_markdown(bill(record.plan.graph, Ledger(record.plan.layout.folder).entries(), record.price))
    models = {str(result["model"]) for result in results}
    benchmarks = {str(result["benchmark"]) for result in results}
    report = Report(
        results,
        baseline=record.base if record.base in models else None,
        published=[row for row in plugins.published if record.published and row.benchmark in benchmarks],
        training=[record.training()],
    )
    return plugins.reporter("markdown").render(report)

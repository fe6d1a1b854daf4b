"""Reports as JSON: every figure, and every comparison."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from harness import Reporter, hookimpl
from harness.report import Report

from .tested import tested

if TYPE_CHECKING:
    from harness.training import Training


class Json(Reporter):
    name = "json"
    endings = (".json",)
    description = "rows as `harness run --json` prints them, comparisons, published figures; values in 0..1"

    def render(self, report: Report) -> str:
        found = tested(report)
        shown: dict[str, Any] = {
            "rows": report.results,
            "comparisons": [comparison.as_dict() for comparison in found.comparisons],
            "published": [asdict(row) for row in report.published],
        }
        if report.training:
            shown["training"] = [_training(training) for training in report.training]
        if found.left_out:
            shown["notes"] = found.left_out
        return json.dumps(_finite(shown), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _training(training: Training) -> dict[str, Any]:
    return {
        "recipe": training.recipe,
        "device": training.device,
        "base": training.base,
        "costs": [asdict(cost) for cost in training.costs],
        "curves": [
            {field.name: getattr(curve, field.name) for field in fields(curve)} for curve in training.curves
        ],
    }


def _finite(value: Any) -> Any:
    """The same with null for what JSON has no numbers for: a stranger's metric may give infinity in its details."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    return value


@hookimpl
def harness_reporters() -> Sequence[Reporter]:
    return [Json()]

"""Evaluate reasoning models: sample many chains, grade them, and say how sure the score is."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .components import (
    Benchmark,
    Cluster,
    Engine,
    Fit,
    GGUFFile,
    Importer,
    Metric,
    Model,
    Normalizer,
    Opening,
    Protocol,
    Reporter,
    Sampler,
    SamplingSettings,
)
from .errors import Busy, HarnessError, Interrupted, closest
from .grading import extract_answer, grade
from .hookspecs import hookimpl
from .records import (
    Chain,
    ChainKey,
    Extraction,
    ForeignChain,
    Grade,
    GradedChain,
    Message,
    Problem,
    Prompt,
    Published,
    Request,
    Score,
    Verdict,
)
from .trainer import Estimate, StageJob, StageSize, Trainer

if TYPE_CHECKING:
    from .notebook import Comparisons, Results, compare, load, run

__version__ = "0.1.0"

__all__ = [
    "Benchmark",
    "Busy",
    "Chain",
    "ChainKey",
    "Cluster",
    "Comparisons",
    "Engine",
    "Estimate",
    "Extraction",
    "Fit",
    "ForeignChain",
    "GGUFFile",
    "Grade",
    "GradedChain",
    "HarnessError",
    "Importer",
    "Interrupted",
    "Message",
    "Metric",
    "Model",
    "Normalizer",
    "Opening",
    "Problem",
    "Prompt",
    "Protocol",
    "Published",
    "Reporter",
    "Request",
    "Results",
    "Sampler",
    "SamplingSettings",
    "Score",
    "StageJob",
    "StageSize",
    "Trainer",
    "Verdict",
    "__version__",
    "closest",
    "compare",
    "extract_answer",
    "grade",
    "hookimpl",
    "load",
    "run",
]


def __getattr__(name: str) -> Any:
    """What notebooks need is loaded when it is first used."""
    if name in ("Comparisons", "Results", "compare", "load", "run"):
        return getattr(import_module(".notebook", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

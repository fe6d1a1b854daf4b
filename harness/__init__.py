"""Evaluate reasoning models: sample many chains, grade them, and say how sure the score is."""

from __future__ import annotations

from .components import (
    Benchmark,
    Cluster,
    Engine,
    Fit,
    GGUFFile,
    Metric,
    Model,
    Normalizer,
    Opening,
    Protocol,
    Reporter,
    Sampler,
    SamplingSettings,
    Trainer,
)
from .errors import HarnessError, Interrupted, closest
from .grading import extract_answer, grade
from .hookspecs import hookimpl
from .records import (
    Chain,
    ChainKey,
    Extraction,
    Grade,
    GradedChain,
    Message,
    Problem,
    Prompt,
    Request,
    Score,
    Verdict,
)

__version__ = "0.1.0"

__all__ = [
    "Benchmark",
    "Chain",
    "ChainKey",
    "Cluster",
    "Engine",
    "Extraction",
    "Fit",
    "GGUFFile",
    "Grade",
    "GradedChain",
    "HarnessError",
    "Interrupted",
    "Message",
    "Metric",
    "Model",
    "Normalizer",
    "Opening",
    "Problem",
    "Prompt",
    "Protocol",
    "Reporter",
    "Request",
    "Sampler",
    "SamplingSettings",
    "Score",
    "Trainer",
    "Verdict",
    "__version__",
    "closest",
    "extract_answer",
    "grade",
    "hookimpl",
]

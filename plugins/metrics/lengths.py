"""How long chains are and how they end: the figures that explain a score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain as chained
from statistics import fmean

from harness import GradedChain, Metric, Protocol, Score, hookimpl
from harness.statistics import percentile


class Lengths(Metric):
    name = "lengths"
    description = "mean and 95th percentile of completion tokens, over all chains"

    def compute(
        self, problems: Mapping[str, Sequence[GradedChain]], protocol: Protocol
    ) -> Mapping[str, Score]:
        tokens = [c.completion_tokens for c in chained(*problems.values()) if c.completion_tokens is not None]
        if not tokens:
            return {}
        return {"mean_tokens": Score(fmean(tokens)), "p95_tokens": Score(percentile(tokens, 0.95))}


@hookimpl
def harness_metrics() -> Sequence[Metric]:
    return [Lengths()]

"""pass@1 (mean over the n chains of a problem, then over problems) and pass@k (unbiased)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from harness import GradedChain, Metric, Protocol, Score, hookimpl
from harness.statistics import mean_over_problems, pass_at_k, powers_of_two, variance_parts


class PassAt1(Metric):
    name = "pass@1"
    description = "mean correctness over the n chains of a problem, averaged over problems"

    def compute(
        self, problems: Mapping[str, Sequence[GradedChain]], protocol: Protocol
    ) -> Mapping[str, Score]:
        correct = [sum(chain.grade.correct for chain in chains) for chains in problems.values()]
        counts = [len(chains) for chains in problems.values()]
        value, stderr, ci95 = mean_over_problems([c / n for c, n in zip(correct, counts, strict=True)])
        parts = variance_parts(correct, counts)
        details = {"stderr_sampling": parts.sampling, "stderr_questions": parts.questions}
        return {"pass@1": Score(value, stderr, ci95, details)}


class PassAtK(Metric):
    name = "pass@k"
    description = "probability that at least one of k chains is correct (unbiased estimate)"

    def compute(
        self, problems: Mapping[str, Sequence[GradedChain]], protocol: Protocol
    ) -> Mapping[str, Score]:
        counts = [(len(chains), sum(chain.grade.correct for chain in chains)) for chains in problems.values()]
        n = min(len(chains) for chains in problems.values())  # the most chains that every problem has

        def at(k: int) -> list[float]:
            return [pass_at_k(have, correct, k) for have, correct in counts]

        curve = {str(k): fmean(at(k)) for k in powers_of_two(n)}
        value, stderr, ci95 = mean_over_problems(at(n))
        return {"pass@k": Score(value, stderr, ci95, {"k": n, "curve": curve})}


@hookimpl
def harness_metrics() -> Sequence[Metric]:
    return [PassAt1(), PassAtK()]

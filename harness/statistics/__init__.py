"""Formulas, each with its source: means over problems, votes, subsets of chains, budgets, paired comparisons."""

from .bootstrap import bootstrap_interval, bootstrap_intervals
from .budgets import BudgetPoint, budget_curve
from .curves import Curve, CurvePoint, consensus_curve, consensus_points, passes_curve, powers_of_two
from .detectable import Spread, smallest_detectable, spread_of_pair, spread_of_run
from .means import (
    MeanEstimate,
    VarianceParts,
    degrees_of_freedom,
    mean_over_problems,
    parts_of_variance,
    percentile,
    variance_parts,
    wilson_interval,
)
from .paired import Paired, holm, paired, sign_flip_p
from .students_t import student_t_quantile
from .subsets import pass_at_k, pass_curve
from .votes import FreshVote, Tally, fresh_vote, tally, vote_curve

__all__ = [
    "BudgetPoint",
    "Curve",
    "CurvePoint",
    "FreshVote",
    "MeanEstimate",
    "Paired",
    "Spread",
    "Tally",
    "VarianceParts",
    "bootstrap_interval",
    "bootstrap_intervals",
    "budget_curve",
    "consensus_curve",
    "consensus_points",
    "degrees_of_freedom",
    "fresh_vote",
    "holm",
    "mean_over_problems",
    "paired",
    "parts_of_variance",
    "pass_at_k",
    "pass_curve",
    "passes_curve",
    "percentile",
    "powers_of_two",
    "sign_flip_p",
    "smallest_detectable",
    "spread_of_pair",
    "spread_of_run",
    "student_t_quantile",
    "tally",
    "variance_parts",
    "vote_curve",
    "wilson_interval",
]

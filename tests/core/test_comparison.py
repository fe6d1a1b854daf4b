"""Two runs on the same problems: what the difference is, and of how many chains."""

from __future__ import annotations

import json

import numpy as np
import pytest

from harness.comparison import (
    Comparison,
    Side,
    adjusted,
    compare_family,
    compare_sides,
    spread_between,
    votes_at,
)
from harness.statistics import bootstrap_interval, paired, smallest_detectable, vote_curve

from .test_outcomes import outcomes


def side(model: str, *problems: str, ties: str = "expected") -> Side:
    return Side(model, f"run of {model}", max(map(len, problems)), ties, outcomes(*problems))


def compare(metric: str, a: Side, b: Side) -> Comparison:
    found = compare_sides("bench", metric, a, b)  # type: ignore[arg-type]
    assert found is not None
    return found


A = side("a", "GGGa", "GGaa", "aaaa", "GaaG", "GGGG")
B = side("b", "Gaaa", "GaaG", "aaab", "aaaa", "aGGG")


def test_pass_at_1_is_compared_problem_by_problem() -> None:
    found = compare("pass@1", A, B)
    differences = np.array([0.5, 0, 0, 0.5, 0.25])
    expected = paired(differences, 4)
    assert (found.difference, found.stderr, found.ci95, found.p, found.smallest) == expected
    assert found.p == pytest.approx(2 / 8)
    assert found.ci95_bootstrap == bootstrap_interval(differences)
    assert (found.problems, found.k, found.a_run) == (5, 4, "run of a")


def test_the_other_way_round_is_the_same_with_the_other_sign() -> None:
    for metric in ("pass@1", "cons@k"):
        one, other = compare(metric, A, B), compare(metric, B, A)
        assert other.difference == -one.difference
        assert (other.p, other.smallest) == (one.p, one.smallest)
        assert one.ci95 is not None
        assert other.ci95 == pytest.approx((-one.ci95[1], -one.ci95[0]))


def test_votes_have_the_interval_of_votes() -> None:
    found = compare("cons@k", A, B)
    differences = np.array([1, 0, 0, 0.5, 0])
    assert found.ci95 == pytest.approx(paired(differences, 2, votes=True).ci95)
    assert found.ci95 != pytest.approx(paired(differences, 2).ci95)


def test_a_run_of_more_chains_votes_with_as_many_as_the_other() -> None:
    large, small = side("large", "GGGaaaab", "GGGGGaaa"), side("small", "Ga", "GG")
    found = compare("cons@k", large, small)
    assert found.k == 2
    expected = [vote_curve(3, [4, 1])[1] - 0.5, vote_curve(5, [3])[1] - 1]
    assert found.difference == pytest.approx(np.mean(expected))
    assert votes_at(large, 2) is votes_at(large, 2)  # computed once
    assert votes_at(large, 8).tolist() == [0, 1]


def test_a_problem_that_was_stopped_early_votes_with_what_it_has() -> None:
    early = side("early", "GGG", "GGGaaaaa")
    assert votes_at(early, 5).tolist() == pytest.approx([1, vote_curve(3, [5])[4]])


def test_only_problems_that_both_have_are_compared() -> None:
    from dataclasses import replace

    some = outcomes("GGGG", "aaaa")
    b = replace(B, outcomes=replace(some, problems=("p4", "p9")))
    found = compare("pass@1", A, b)
    assert (found.problems, found.difference) == (1, 0)
    assert (found.ci95, found.ci95_bootstrap) == (None, None)
    none = replace(B, outcomes=replace(some, problems=("x", "y")))
    assert compare_sides("bench", "pass@1", A, none) is None
    assert compare_family("bench", "cons@k", [(A, none)]) == []


def test_a_family_is_its_comparisons_corrected_for_their_number() -> None:
    short = side("short", "GG", "aa")
    pairs = [(A, B), (A, side("c", "aaaa", "aaaa", "aaaa", "aaaa", "aaaa")), (A, short), (B, short)]
    family = compare_family("bench", "pass@1", pairs)
    alone = [compare("pass@1", a, b) for a, b in pairs]
    assert family == adjusted(alone)
    assert [c.problems for c in family] == [5, 5, 2, 2]
    assert family[1].p_adjusted == pytest.approx(min(1, 4 * family[1].p))


def test_a_comparison_is_json() -> None:
    found = json.loads(json.dumps(compare("pass@1", A, B).as_dict()))
    assert found["ci95_bootstrap"][0] < found["difference"] < found["ci95_bootstrap"][1]


def test_single_chains_are_solved_or_not_as_votes_are() -> None:
    single = side("a", "G", "G", "a"), side("b", "a", "G", "a")
    voted = side("a", "GGG", "GGG", "aaa"), side("b", "aaa", "GGG", "aaa")
    assert compare("pass@1", *single).ci95 == compare("cons@k", *voted).ci95
    assert spread_between(*single) is None


def test_the_vote_of_single_chains_is_no_comparison_of_its_own() -> None:
    assert compare_sides("bench", "cons@k", side("a", "G", "a"), side("b", "a", "a")) is None


def test_how_much_more_chains_would_help() -> None:
    spread = spread_between(A, B)
    assert spread is not None
    four, many = (smallest_detectable(spread, 5, n) for n in (4, 1000))
    assert four == pytest.approx(compare("pass@1", A, B).smallest, rel=0.3)
    assert many is not None
    assert four is not None
    assert many < four

"""pass@1, pass@k and cons@k, with DeepSeek-R1's vote: abstentions, ties at their expected value."""

from __future__ import annotations

import itertools
import random
from statistics import fmean

import pytest

from harness import Grade, GradedChain, Metric, Protocol
from harness.plugins import PluginManager


def graded(*answers: str | None, gold: str = "G", tokens: int | None = None) -> list[GradedChain]:
    """Chains with these answers; None gives no answer."""
    chains = []
    for index, answer in enumerate(answers):
        status = "no_answer" if answer is None else "correct" if answer == gold else "incorrect"
        grade = Grade(status, answer, answer)  # type: ignore[arg-type]
        chains.append(GradedChain("p", index, grade, tokens, truncated=False))
    return chains


def protocol(n: int, ties: str = "expected") -> Protocol:
    return Protocol("test", n, 0.6, 0.95, 100, "Go.", ties=ties)  # type: ignore[arg-type]


@pytest.fixture
def cons(plugins: PluginManager) -> Metric:
    return plugins.metrics["cons@k"]


def vote(cons: Metric, *answers: str | None) -> float:
    return cons.compute({"p": graded(*answers)}, protocol(len(answers)))["cons@k"].value


def test_the_majority_wins_even_when_most_chains_are_wrong(cons: Metric) -> None:
    assert vote(cons, "G", "G", "a", "b", "c") == 1.0
    assert vote(cons, "G", "a", "a", "b", "c") == 0.0


def test_chains_without_an_answer_abstain(cons: Metric) -> None:
    assert vote(cons, "G", None, None, None) == 1.0
    assert vote(cons, None, None) == 0.0


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (("G", "a"), 1 / 2),
        (("G", "a", "b"), 1 / 3),
        (("G", "G", "a", "a", "b"), 1 / 2),
        (("a", "a", "b", "b", "G"), 0),
    ],
)
def test_a_tie_scores_its_expected_value(cons: Metric, answers: tuple[str, ...], expected: float) -> None:
    for order in itertools.permutations(answers):  # and does not depend on the order of the chains
        assert vote(cons, *order) == pytest.approx(expected)


def test_a_tie_by_brute_force_over_random_draws_of_a_winner(cons: Metric) -> None:
    draw = random.Random(7)
    for _ in range(200):
        answers = [draw.choice(["G", "a", "b", None]) for _ in range(7)]
        given = [a for a in answers if a is not None]
        most = max((given.count(a) for a in given), default=0)
        winners = sorted({a for a in given if given.count(a) == most})
        expected = fmean([w == "G" for w in winners]) if winners else 0.0
        assert vote(cons, *answers) == pytest.approx(expected)


def test_a_protocol_may_give_ties_to_the_answer_seen_first(cons: Metric) -> None:
    for answers, expected in (
        (("a", "G", "G", "a"), 0.0),
        (("G", "a", "a", "G"), 1.0),
        ((None, "a", "G"), 0.0),
    ):
        score = cons.compute({"p": graded(*answers)}, protocol(len(answers), ties="first"))["cons@k"]
        assert score.value == expected
        assert score.details["ties"] == 1


def test_ties_are_counted(cons: Metric) -> None:
    problems = {"p": graded("G", "a"), "q": graded("G", "G"), "r": graded(None, None)}
    assert cons.compute(problems, protocol(2))["cons@k"].details["ties"] == 1


def test_the_curve_is_the_vote_of_every_subset(cons: Metric) -> None:
    problems = {"p": graded("G", "a", "a", "G", "b"), "q": graded("G", "G", None, "a", "G")}
    curve = cons.compute(problems, protocol(5))["cons@k"].details["curve"]
    assert list(curve) == ["1", "2", "4", "5"]
    for k in (1, 2, 4, 5):
        votes = [
            vote(cons, *(chain.grade.answer for chain in subset))
            for chains in problems.values()
            for subset in itertools.combinations(chains, k)
        ]
        assert curve[str(k)] == pytest.approx(fmean(votes))
    assert curve["5"] == cons.compute(problems, protocol(5))["cons@k"].value


def test_the_error_of_a_vote_has_two_parts(cons: Metric) -> None:
    even, sure = graded("G", "a", "G", "a"), graded(*"GGGG")
    score = cons.compute({"p": even, "q": sure, "r": graded(*"aaaa")}, protocol(4))["cons@k"]
    # Four chains at even odds: right in 5/16, wrong in 5/16, and else a tie, worth the mean. Nothing else is in doubt.
    variance = (5 / 16 + 5 / 16) / 4
    assert score.details["stderr_sampling"] == pytest.approx((variance / 9) ** 0.5)
    assert score.stderr is not None
    parts = score.details["stderr_sampling"], score.details["stderr_questions"]
    assert parts[0] ** 2 + parts[1] ** 2 == pytest.approx(score.stderr**2)


def test_one_chain_does_not_tell_how_votes_would_differ(cons: Metric) -> None:
    details = cons.compute({"p": graded("G"), "q": graded("a")}, protocol(1))["cons@k"].details
    assert details["stderr_sampling"] is None
    assert details["stderr_questions"] is None
    assert details["curve"] == {"1": 0.5}


def test_ties_to_the_first_leave_no_curve_but_an_error(cons: Metric) -> None:
    score = cons.compute({"p": graded("a", "G"), "q": graded("G", "G")}, protocol(2, "first"))["cons@k"]
    assert "curve" not in score.details  # a subset has no order, so nobody is first
    # Two of two chains at even odds: right in half of all cases, whoever comes first in a tie.
    assert score.details["stderr_sampling"] == pytest.approx((0.25 / 4) ** 0.5)


def test_chains_that_were_stopped_early_give_a_vote_and_no_curve(cons: Metric) -> None:
    score = cons.compute({"p": graded("G", "G", "G"), "q": graded("G", "a", "a", "a")}, protocol(4))["cons@k"]
    assert score.value == 0.5
    assert score.details == {"k": 4, "ties": 0}


def test_votes_by_spelling_may_have_several_correct_classes(cons: Metric) -> None:
    half, point5 = Grade("correct", "1/2", "1/2"), Grade("correct", "0.5", "0.5")
    wrong = Grade("incorrect", "3", "3")
    chains = [
        GradedChain("p", i, grade, None, truncated=False)
        for i, grade in enumerate([half, half, point5, wrong, wrong])
    ]
    score = cons.compute({"p": chains}, protocol(5))["cons@k"]
    assert score.value == score.details["curve"]["5"] == pytest.approx(0.5)
    assert score.details["curve"]["1"] == pytest.approx(0.6)


def test_pass_at_1_is_the_mean_over_chains_and_then_over_problems(plugins: PluginManager) -> None:
    problems = {"p": graded("G", "a", "a", "a"), "q": graded("G", "G", "G", None)}
    score = plugins.metrics["pass@1"].compute(problems, protocol(4))["pass@1"]
    assert score.value == pytest.approx((0.25 + 0.75) / 2)
    assert score.stderr == pytest.approx(0.25)  # s = 0.3536 over 2 problems, / sqrt(2)


def test_pass_at_k_curve_ends_at_any_correct(plugins: PluginManager) -> None:
    problems = {"p": graded("G", "a", "a", "a"), "q": graded("a", "b", "c", "d")}
    score = plugins.metrics["pass@k"].compute(problems, protocol(4))["pass@k"]
    assert score.value == pytest.approx(0.5)
    assert score.details["curve"] == pytest.approx({"1": 0.125, "2": 0.25, "4": 0.5})


def test_lengths_leave_unknown_lengths_out(plugins: PluginManager) -> None:
    lengths = plugins.metrics["lengths"]
    problems = {"p": graded("G", tokens=100), "q": graded("G", tokens=None), "r": graded("G", tokens=300)}
    assert lengths.compute(problems, protocol(1))["mean_tokens"].value == 200
    assert lengths.compute({"p": graded("G")}, protocol(1)) == {}

"""The chains of a run as arrays: votes, and the curves that are made of them."""

from __future__ import annotations

import numpy as np
import pytest

from harness import Grade, GradedChain, Protocol
from harness.outcomes import Outcomes
from harness.plugins import PluginManager
from harness.records import STATUSES


def outcomes(*problems: str, tokens: list[int] | None = None) -> Outcomes:
    """Each problem is a text with a letter a chain: G is correct, "." no answer."""
    letters = [letter for problem in problems for letter in problem]
    codes = {letter: code for code, letter in enumerate(dict.fromkeys(letters))}
    status = ["correct" if x == "G" else "no_answer" if x == "." else "incorrect" for x in letters]
    return Outcomes(
        tuple(f"p{i}" for i in range(len(problems))),
        np.repeat(np.arange(len(problems)), [len(problem) for problem in problems]).astype(np.int32),
        np.array([i for problem in problems for i in range(len(problem))], dtype=np.int32),
        np.array([STATUSES.index(name) for name in status], dtype=np.int8),  # type: ignore[arg-type]
        np.array([-1 if letter == "." else codes[letter] for letter in letters], dtype=np.int32),
        np.array(tokens or [10] * len(letters), dtype=np.int64),
        np.zeros(len(letters), dtype=bool),
        np.full(len(letters), np.nan),
    )


def test_votes_are_counted_by_problem() -> None:
    assert outcomes("GGa.", "aab.", "....", "abG.").tallies == [
        ((2,), (1,), 1),
        ((), (1, 2), 1),
        ((), (), 4),
        ((1,), (1, 1), 1),
    ]


def test_votes_are_counted_once() -> None:
    run = outcomes("aG", "Ga")
    assert run.votes("first") is run.votes("first")
    assert run.votes("first").worth.tolist() == [0, 1]
    assert run.votes().worth.tolist() == [0.5, 0.5]


def test_the_curves_end_with_the_scores(plugins: PluginManager) -> None:
    texts = ["GGab.a", "aaGGb.", "GGGGGa", "......"]
    chains = {
        f"p{i}": [
            GradedChain(
                f"p{i}",
                j,
                Grade("correct" if x == "G" else "incorrect", x, None if x == "." else x),
                10,
                truncated=False,
            )
            for j, x in enumerate(text)
        ]
        for i, text in enumerate(texts)
    }
    protocol = Protocol("test", 6, 0.6, 0.95, 100, "Go.")
    run = outcomes(*texts)
    for name, curve in (("cons@k", run.consensus_curve()), ("pass@k", run.pass_curve())):
        score = plugins.metrics[name].compute(chains, protocol)[name]
        assert curve.values[-1] == pytest.approx(score.value)
        assert {str(point.k): point.value for point in curve.points} == pytest.approx(score.details["curve"])
        assert curve.points[-1].stderr == pytest.approx(score.stderr)
        assert curve.values[0] == pytest.approx(run.rates.mean())


def test_problems_with_fewer_chains_end_the_curve() -> None:
    assert len(outcomes("GGGG", "Ga").consensus_curve().values) == 2


def test_the_budget_curve_ends_with_the_scores() -> None:
    run = outcomes("GGa", "GaG", tokens=[10, 100, 20, 500, 40, 40])
    curve = run.budget_curve(own=512)
    assert curve is not None
    assert curve[-1].budget == 512
    assert curve[-1].pass_at_1.value == pytest.approx(run.rates.mean())
    assert curve[-1].consensus.value == pytest.approx(run.votes().worth.mean())
    assert [point.pass_at_1.value for point in curve] == pytest.approx(
        [1 / 6, 1 / 6, 2 / 6, 3 / 6, 3 / 6, 4 / 6]
    )
    assert outcomes("Ga", tokens=[10, -1]).budget_curve() is None

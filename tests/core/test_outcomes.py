"""The chains of a run as arrays: votes, and the curves that are made of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness import Grade, GradedChain, HarnessError, Protocol
from harness.outcomes import Outcomes, read_outcomes
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


def run_folder(folder: Path, **grades: object) -> Path:
    """Two chains of one problem with their grades; a column of None is left out."""
    keys = {"problem_id": ["p", "p"], "index": [0, 1]}
    judged = {**keys, "status": ["correct", "incorrect"], "answer_class": ["4", "5"], **grades}
    sampled = {**keys, "completion_tokens": [7, None], "finish_reason": ["stop", "length"]}
    for name, columns in (("grades", judged), ("chains", sampled)):
        table = pa.table({column: values for column, values in columns.items() if values is not None})
        pq.write_table(table, folder / f"{name}.parquet")
    return folder


def test_outcomes_are_read_from_the_tables_of_a_run(tmp_path: Path) -> None:
    run = read_outcomes(run_folder(tmp_path))
    assert run.rates.tolist() == [0.5]
    assert run.tokens.tolist() == [7, -1]
    assert run.truncated.tolist() == [False, True]
    assert np.isnan(run.foreign).all()  # a folder of before chains had scores


def test_a_chain_whose_status_is_not_said_is_none_of_the_known(tmp_path: Path) -> None:
    run = read_outcomes(run_folder(tmp_path, status=["correct", None]))
    assert run.status.tolist() == [0, -1]
    assert run.rates.tolist() == [0.5]


@pytest.mark.parametrize(
    "grades",
    [
        {"status": None},
        {"problem_id": ["p", None]},
        {"index": ["first", "second"]},
        {"index": [0, 2**40]},
        {"answer_class": [[1], [2]]},
    ],
)
def test_a_table_of_another_making_is_told_in_one_line(tmp_path: Path, grades: dict[str, object]) -> None:
    with pytest.raises(HarnessError, match=r"grades.parquet is damaged .*harness regrade") as told:
        read_outcomes(run_folder(tmp_path, **grades))
    assert "\n" not in str(told.value)

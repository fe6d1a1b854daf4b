"""A report compares the runs that can be compared, each with each or with a baseline, and says how sure it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness import HarnessError
from harness.plugins import PluginManager
from harness.report import Report
from harness.results import finished_below

from ..conftest import Command, one_line_error

BENCH = "fresh:level=1,size=12"


@pytest.fixture(scope="module")
def golds(plugins: PluginManager) -> dict[str, str]:
    from harness.data import DataSource

    return {p.id: p.gold for p in plugins.benchmark(BENCH).problems(DataSource(None))}


Evaluate = Callable[..., None]


@pytest.fixture
def evaluate(harness: Command, golds: dict[str, str], write_chains: Callable[..., Path]) -> Evaluate:
    """Makes a finished run of a model that solves the first so many problems with the given share of its chains."""

    def make(model: str, solved: int, share: Sequence[bool] = (True,) * 4, **flags: object) -> None:
        rows: list[Mapping[str, Any]] = [
            {
                "problem_id": id_,
                "index": index,
                "text": f"\\boxed{{{gold if place < solved and right else -7}}}",
                "completion_tokens": 10,
            }
            for place, (id_, gold) in enumerate(golds.items())
            for index, right in enumerate(share)
        ]
        file = write_chains(rows, f"{model.replace('/', '_')}{len(share)}.jsonl")
        asked = [item for name, value in flags.items() for item in (f"--{name.replace('_', '-')}", value)]
        done = harness(
            *("run", "--bench", BENCH, "--model", model, "--sampler", "replay", "--chains", file, "--quiet"),
            *asked,
        )
        assert done.returncode == 0, done.stderr

    return make


def report_of(harness: Command, **options: Any) -> Report:
    return Report(finished_below([harness.folder / "results"]).results, **options)


def test_two_models_are_compared_problem_by_problem(harness: Command, evaluate: Evaluate) -> None:
    evaluate("weak", 3)
    evaluate("strong", 9)
    found = {c.metric: c for c in report_of(harness).comparisons}
    assert found.keys() == {"pass@1", "cons@k"}
    passes = found["pass@1"]
    assert (passes.a, passes.b, passes.problems, passes.k) == ("strong", "weak", 12, 4)
    assert passes.difference == pytest.approx(0.5)
    # Six problems differ, all one way: 2 of 2^6 sign patterns are as extreme.
    assert passes.p == passes.p_adjusted == pytest.approx(2 / 64)
    assert passes.significant
    assert passes.ci95 is not None
    assert passes.ci95[0] < 0.5 < passes.ci95[1]


def test_models_that_do_alike_are_not_told_apart(harness: Command, evaluate: Evaluate) -> None:
    evaluate("one", 5)
    evaluate("other", 5)
    for comparison in report_of(harness).comparisons:
        assert comparison.difference == 0
        assert comparison.p == 1
        assert not comparison.significant


def test_the_more_comparisons_the_more_it_takes(harness: Command, evaluate: Evaluate) -> None:
    for model, solved in (("a", 3), ("b", 9), ("c", 5)):
        evaluate(model, solved)
    found = [c for c in report_of(harness).comparisons if c.metric == "pass@1"]
    assert [(c.a, c.b) for c in found] == [("a", "b"), ("a", "c"), ("b", "c")]
    by_pair = {(c.a, c.b): c for c in found}
    assert by_pair["a", "b"].p_adjusted == pytest.approx(3 * by_pair["a", "b"].p)
    assert not by_pair["a", "b"].significant  # 2 / 64 alone would be


def test_a_baseline_is_compared_with_everything_else(harness: Command, evaluate: Evaluate) -> None:
    for model, solved in (("base", 3), ("sft/checkpoint-20", 9), ("sft/checkpoint-100", 11)):
        evaluate(model, solved)
    found = [c for c in report_of(harness, baseline="base").comparisons if c.metric == "pass@1"]
    assert [(c.a, c.b) for c in found] == [("sft/checkpoint-20", "base"), ("sft/checkpoint-100", "base")]
    assert all(c.difference > 0 for c in found)


def test_an_unknown_baseline_is_told_with_the_closest_name(harness: Command, evaluate: Evaluate) -> None:
    evaluate("fathom", 3)
    with pytest.raises(HarnessError, match=r"no run is of a model called .fatom.: .*fathom"):
        report_of(harness, baseline="fatom")


def test_runs_of_two_protocols_are_not_compared(harness: Command, evaluate: Evaluate) -> None:
    evaluate("short", 3, max_tokens=1000)
    evaluate("long", 9)
    assert report_of(harness).comparisons == []


def test_votes_are_compared_at_the_smaller_number_of_chains(harness: Command, evaluate: Evaluate) -> None:
    evaluate("many", 12, (True, True, True, False, False))  # 3 of 5
    evaluate("few", 12, (True, False, False))  # 1 of 3: a vote that is lost
    (votes,) = [c for c in report_of(harness).comparisons if c.metric == "cons@k"]
    assert votes.k == 3
    # All ways to draw 3 of 5 chains: at least 2 of the 3 right ones in 7 of 10.
    by_model = {votes.a: votes.difference, votes.b: -votes.difference}
    assert by_model["many"] == pytest.approx(0.7)


def test_a_smaller_set_of_problems_is_compared_on_what_both_have(
    harness: Command, evaluate: Evaluate
) -> None:
    evaluate("all", 12)
    evaluate("first", 12, limit=5)
    assert {c.problems for c in report_of(harness).comparisons} == {5}


def test_json_holds_rows_comparisons_and_plain_numbers(harness: Command, evaluate: Evaluate) -> None:
    evaluate("weak", 3)
    evaluate("strong", 9)
    found = json.loads(
        harness("report", "results", "--format", "json").stdout, parse_constant=lambda name: pytest.fail(name)
    )
    assert [row["model"] for row in found["rows"]] == ["strong", "weak"]
    assert found["rows"][0]["scores"]["pass@1"]["value"] == 0.75
    wanted = {"benchmark", "metric", "a", "b", "difference", "ci95", "p", "p_adjusted"}
    assert all(wanted <= comparison.keys() for comparison in found["comparisons"])


def test_a_report_into_a_file_replaces_it_whole(harness: Command, evaluate: Evaluate) -> None:
    evaluate("m", 3)
    target = harness.folder / "new" / "report.json"
    assert harness("report", "-o", target).returncode == 0
    first = target.read_text()
    assert json.loads(first)["rows"]  # the ending says which format
    assert harness("report", "-o", target).returncode == 0
    assert target.read_text() == first
    assert [file.name for file in target.parent.iterdir()] == ["report.json"]


def test_a_report_can_go_into_a_pipe(harness: Command, evaluate: Evaluate) -> None:
    evaluate("m", 3)
    done = harness("report", "-o", "/dev/stdout", "--format", "json")
    assert json.loads(done.stdout)["rows"]


def test_lost_chains_are_told_in_one_line(harness: Command, evaluate: Evaluate) -> None:
    evaluate("a", 3)
    evaluate("b", 3)
    for file in (harness.folder / "results" / "a").rglob("grades.parquet"):
        file.write_bytes(b"not parquet")
    with pytest.raises(HarnessError, match=r"grades.parquet is damaged .*harness regrade"):
        _ = report_of(harness).comparisons


@pytest.mark.parametrize(
    "found", ['{"n": 4}', "[]", "4", '{"n": "4", "scores": []}', '{"model": 7, "scores": {"pass@1": 3}}']
)
def test_a_damaged_result_costs_its_own_row(harness: Command, evaluate: Evaluate, found: str) -> None:
    evaluate("broken", 3)
    (scores,) = (harness.folder / "results").rglob("scores.json")
    scores.write_text(found)
    evaluate("whole", 5)
    done = harness("report", "--format", "json")
    assert done.returncode == 1
    assert [row["model"] for row in json.loads(done.stdout)["rows"]] == ["whole"]
    assert "scores.json is damaged: run the same `harness run` command" in done.stderr
    assert one_line_error(done) == "harness: 1 run is damaged and left out, see above"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "."], "is a folder"),
        (["-o", ""], "is a folder"),
        (["-o", "report.xyz"], "no format has the ending .xyz"),
    ],
)
def test_a_report_that_has_no_place_leaves_nothing_behind(
    harness: Command, evaluate: Evaluate, arguments: list[str], said: str
) -> None:
    evaluate("m", 3)
    before = sorted(harness.folder.iterdir())
    done = harness("report", *arguments)
    assert done.returncode == 2
    assert said in one_line_error(done)
    assert sorted(harness.folder.iterdir()) == before

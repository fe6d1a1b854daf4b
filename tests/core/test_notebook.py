"""The harness in Python: runs, frames and comparisons as a notebook has them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import harness
from harness import HarnessError, Results
from harness.progress import Progress
from harness.report import Report
from harness.results import find_runs, finished_below

from ..loops import in_running_loop
from ..samplers.openai.badserver import Answers, BadServer
from .made_runs import BENCH, FIRST, LAST, ODD, SECRET, chains_of, make_run, two_checkpoints

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    two_checkpoints(folder)
    return folder


@pytest.fixture(scope="module")
def results(folder: Path) -> Results:
    return harness.load(folder / "results")


@pytest.fixture
def chains(tmp_path: Path) -> Path:
    path = tmp_path / "chains.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in chains_of(FIRST, 1, 0.4)))
    return path


def replay(chains: Path, **more: Any) -> Results:
    where = chains.parent / "out"
    return harness.run(bench=BENCH, sampler="replay", chains=chains, results=where, progress=False, **more)


# -- run ---------------------------------------------------------------------------------------------


def test_a_run_gives_what_the_command_gives(chains: Path, results: Results) -> None:
    ran = replay(chains)
    (expected,) = results.select(model=FIRST).results
    (result,) = ran.results
    assert {**result, "path": "", "fingerprint": ""} == {**expected, "path": "", "fingerprint": ""}
    assert len(ran.grades) == 24


def test_it_takes_the_flags_of_the_command_and_a_run_file(chains: Path) -> None:
    assert replay(chains, n=2, seed=7).runs[["n", "seed"]].to_numpy().tolist() == [[2, 7]]
    file = chains.parent / "run.yaml"
    file.write_text(f"bench: {BENCH}\nsampler: replay\nchains: {chains}\nn: 3\nresults: {chains.parent}/x\n")
    assert harness.run(config=file, progress=False).runs["n"].tolist() == [3]
    assert harness.run(config=file, n=2, progress=False).runs["n"].tolist() == [2]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({}, "needs a benchmark"),
        ({"bench": "aime25", "tempurature": 1}, "did you mean temperature?"),
        ({"bench": "aime52"}, "did you mean aime25"),
        ({"bench": "aime25", "n": 0}, "--n: "),
        ({"bench": "aime25", "model": "no/such/folder", "sampler": "nope"}, "no sampler is called"),
    ],
)
def test_what_the_user_can_mend_is_a_harness_error(flags: dict[str, Any], said: str) -> None:
    with pytest.raises(HarnessError, match=said) as caught:
        harness.run(progress=False, **flags)
    assert "\n" not in str(caught.value)


def test_it_runs_inside_a_running_event_loop(chains: Path) -> None:
    assert len(in_running_loop(lambda: replay(chains))) == 1


def test_a_server_is_asked_from_inside_a_running_event_loop(tmp_path: Path) -> None:
    with BadServer(Answers()) as server:
        flags: Any = {"sampler": "openai", "model": "made-up", "base_url": server.base_url, "n": 2}
        ran = in_running_loop(lambda: harness.run(bench=BENCH, results=tmp_path, progress=False, **flags))
        assert ran.runs["chains"].tolist() == [12]


def test_it_runs_in_threads_side_by_side(chains: Path) -> None:
    found: dict[int, Results] = {}

    def go(n: int) -> None:
        found[n] = replay(chains, n=n, seed=n)

    threads = [threading.Thread(target=go, args=(n,)) for n in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {n: ran.runs["n"].tolist() for n, ran in found.items()} == {1: [1], 2: [2], 3: [3]}


def test_whoever_watches_is_told(chains: Path) -> None:
    class Told(Progress):
        graded_chains = 0

        def graded(self, label: str, grade: harness.Grade) -> None:
            self.graded_chains += 1

    told = Told()
    where = chains.parent / "out"
    harness.run(bench=BENCH, sampler="replay", chains=chains, results=where, progress=told)
    assert told.graded_chains == 24


def test_importing_the_harness_loads_no_frames() -> None:
    code = "import sys, harness; harness.Results; print({'pandas', 'numpy', 'pyarrow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


# -- frames ------------------------------------------------------------------------------------------


def test_runs_and_scores_hold_every_figure(results: Results) -> None:
    runs, scores = results.runs, results.scores
    assert runs["model"].tolist() == [FIRST, LAST]  # step 21 before step 105
    assert runs["step"].tolist() == [21, 105]
    for result in results.results:
        row = runs[runs.model == result["model"]].iloc[0]
        mine = scores[scores.model == result["model"]].set_index("metric")
        assert set(mine.index) == set(result["scores"])
        for name, score in result["scores"].items():
            assert row[name] == mine.loc[name, "value"] == score["value"]
            if score["ci95"]:
                assert [row[f"{name}_low"], row[f"{name}_high"]] == score["ci95"]
                assert mine.loc[name, ["low", "high"]].tolist() == score["ci95"]
        assert row["chains_correct"] == result["counts"]["correct"]
        assert row["completion_tokens"] == result["cost"]["completion_tokens"]


def test_where_nobody_knows_of_a_budget_none_truncated_is_not_said(results: Results) -> None:
    (given, _) = results.results
    (row,) = Results([{**given, "max_tokens": None, "truncated": 0.0}]).runs.to_dict("records")
    assert row["truncated"] != row["truncated"] or row["truncated"] is None
    assert "0.0 %" in repr(Results([{**given, "truncated": 0.0}]))
    assert "0.0 %" not in repr(Results([{**given, "max_tokens": None, "truncated": 0.0}]))


def test_grades_are_those_of_the_files(results: Results) -> None:
    grades = results.grades
    assert len(grades) == 48
    for run in find_runs([Path(result["path"]) for result in results.results]):
        stored = pq.read_table(run / "grades.parquet").to_pylist()
        mine = grades[grades.fingerprint == run.name]
        for name in ("problem_id", "index", "status", "correct", "rule"):
            assert mine[name].tolist() == [row[name] for row in stored], name
        given = [None if answer != answer else answer for answer in mine["answer"].astype(object)]
        assert given == [row["answer"] for row in stored]
    assert grades.groupby("model", observed=True)["correct"].mean().to_dict() == pytest.approx(
        {r["model"]: r["scores"]["pass@1"]["value"] for r in results.results}
    )
    assert str(grades["completion_tokens"].dtype) == "Int64"
    assert {str(grades[name].dtype) for name in ("model", "problem_id", "status", "answer")} == {"category"}


def test_chains_come_with_their_texts_and_only_those_asked_for(results: Results) -> None:
    chains = results.chains(model=LAST, status=["correct"], index=0)
    assert set(chains["model"]) == {LAST}
    assert set(chains["status"]) == {"correct"}
    assert len(chains) == (results.grades.query("model == @LAST and status == 'correct'")["index"] == 0).sum()
    assert chains["text"].str.startswith(ODD).all()
    (problem, *_) = chains["problem_id"]
    one = results.chains(problem_id=problem, columns=["model", "index", "text"])
    assert list(one.columns) == ["model", "index", "text"]
    assert len(one) == 8
    assert len(results.chains(limit=5)) == 5
    assert results.chains(limit=5)["text"].tolist() == results.chains()["text"].tolist()[:5]
    assert results.chains(limit=0).empty
    with pytest.raises(HarnessError, match="limit=-1"):
        results.chains(limit=-1)
    assert len(results.chains(status="timeout")) == 0


def test_texts_of_chains_that_are_not_wanted_are_not_read(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[list[str]] = []
    original = pq.ParquetFile.read_row_group

    def watched(self: Any, group: int, columns: list[str]) -> Any:
        read.append(columns)
        return original(self, group, columns)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", watched)
    assert results.chains(problem_id="nowhere").empty
    assert read
    assert not any("text" in columns for columns in read)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"model": "sky"}, "no run has model 'sky'"),
        ({"benchmark": "aime"}, "no run has benchmark 'aime'"),
        ({"columns": ["texts"]}, "did you mean text?"),
        ({"statsu": "correct"}, "did you mean status?"),
        ({"index": "three"}, "index of a chain is a int32"),
    ],
)
def test_wishes_that_cannot_be_met_are_said(results: Results, wanted: dict[str, Any], said: str) -> None:
    with pytest.raises(HarnessError) as caught:
        results.chains(**wanted)
    assert said in str(caught.value)


def test_hidden_texts_are_shown_only_when_asked_for(tmp_path: Path) -> None:
    make_run(tmp_path, "m", 5, 0.5, "secret")
    shut, opened = harness.load(tmp_path / "results"), harness.load(tmp_path / "results", reveal=True)
    assert shut.chains(columns=["text", "problem", "reasoning"]).isna().all(axis=None)
    assert opened.chains()["text"].str.contains(SECRET, regex=False).all()
    assert SECRET not in shut.grades.to_string() + repr(shut) + shut._repr_html_()


def test_select_narrows(results: Results) -> None:
    assert results.select(model=LAST).models == [LAST]
    assert len(results.select(model=[FIRST, LAST], n=4)) == 2
    with pytest.raises(HarnessError, match="no run has n 5"):
        results.select(n=5)


def test_unfinished_runs_are_left_out_and_counted(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "results", tmp_path / "copy")
    next(iter(tmp_path.rglob("scores.json"))).unlink()
    found = harness.load(tmp_path / "copy")
    assert (len(found), found.unfinished) == (1, 1)
    assert "1 not finished and left out" in repr(found)


def test_no_results_at_all_are_empty_frames() -> None:
    nothing = Results([])
    assert nothing.runs.empty
    assert nothing.scores.empty
    assert nothing.grades.empty
    assert nothing.chains().empty
    assert repr(nothing).startswith("0 runs")


# -- compare -----------------------------------------------------------------------------------------


def test_compared_by_name_by_path_and_as_results_it_is_the_same(results: Results) -> None:
    expected = [c.as_dict() for c in Report(results.results).comparisons]
    first, last = (str(results.select(model=name).members[0].path) for name in (FIRST, LAST))
    for found in (
        harness.compare(results),
        results.compare(FIRST, LAST),
        harness.compare(FIRST, LAST, results=results),
        harness.compare(first, Path(last)),
        harness.compare(results.select(model=FIRST), last),
    ):
        assert [c.as_dict() for c in found] == expected
    assert len(expected) == 2
    frame = results.compare(FIRST, LAST).frame
    assert frame["metric"].tolist() == ["pass@1", "cons@k"]
    assert frame.loc[0, "difference"] == pytest.approx(
        results.runs["pass@1"].iloc[0] - results.runs["pass@1"].iloc[1]
    )
    assert frame[["low", "high"]].iloc[0].tolist() == expected[0]["ci95"]


def test_other_protocols_are_compared_with_a_warning(folder: Path, results: Results, chains: Path) -> None:
    short = replay(chains, max_tokens=8192)
    found = harness.compare(results.select(model=LAST), short)
    assert len(found) == 2
    assert "not sampled under the same protocol" in repr(found)
    assert "not sampled under the same protocol" in found._repr_html_()
    # Where one of the runs has the same protocol, only that is compared.
    assert not harness.compare(results.select(model=LAST), results).notes


def test_what_cannot_be_compared_is_said(results: Results, tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="give `results`"):
        harness.compare(FIRST, LAST)
    with pytest.raises(HarnessError, match="the same run"):
        results.compare(FIRST, FIRST)
    with pytest.raises(HarnessError, match="known: "):
        results.compare("moon", LAST)
    make_run(tmp_path, "m", 5, 0.5, "secret")
    with pytest.raises(HarnessError, match="nothing to compare"):
        harness.compare(results, tmp_path / "results")


# -- how they show themselves ------------------------------------------------------------------------


def test_tables_are_html_that_no_name_can_break(results: Results) -> None:
    evil = Results([{**results.results[0], "model": EVIL}, results.results[1]])
    for shown in (evil._repr_html_(), harness.compare(evil)._repr_html_()):
        assert shown.startswith("<table>")
        assert EVIL not in shown
        assert "&lt;img src=x" in shown
        assert LAST in shown
    assert EVIL in repr(evil)
    assert "\x1b" not in repr(Results([{**results.results[0], "model": "\x1b[31mred"}]))


def test_a_report_shows_itself_as_what_it_is(results: Results) -> None:
    text = results.report()
    assert FIRST in text
    assert text._repr_mimebundle_().keys() == {"text/plain", "text/markdown"}
    assert json.loads(results.report("json"))["rows"][0]["model"] == FIRST
    page = harness.notebook.RenderedReport(f"<html>{EVIL}</html>", "html")._repr_mimebundle_()["text/html"]
    assert page.startswith("<iframe sandbox=")
    assert EVIL not in page
    with pytest.raises(HarnessError, match="did you mean json"):
        results.report("jsn")


def test_a_notebook_runs_from_top_to_bottom(chains: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    cells = [
        "import harness",
        f"ran = harness.run(bench={BENCH!r}, sampler='replay', chains={str(chains)!r})",
        "ran",
        "harness.load('results').grades.groupby('status', observed=True).size()",
        "harness.compare(ran, harness.load())",
        "harness.run(bench='aime52')",
        "ran.report('runs')",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.cells[4].metadata["tags"] = notebook.cells[5].metadata["tags"] = ["raises-exception"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the notebook's own libraries
        client = nbclient.NotebookClient(
            notebook, timeout=120, resources={"metadata": {"path": str(chains.parent)}}
        )
        client.execute()
    outputs = [[dict(output) for output in cell.outputs] for cell in notebook.cells]
    shown = [output["data"] for output in outputs[1] if "data" in output]
    assert any("24/24 chains" in data["text/html"] for data in shown)
    assert all("<pre>" in data["text/html"] for data in shown)
    assert "<table>" in outputs[2][0]["data"]["text/html"]
    assert FIRST in outputs[2][0]["data"]["text/plain"]
    assert "correct" in outputs[3][0]["data"]["text/plain"]
    assert "the same run" in outputs[4][0]["evalue"]
    assert outputs[4][0]["ename"] == outputs[5][-1]["ename"] == "HarnessError"
    assert "aime25" in outputs[5][-1]["evalue"]
    assert "text/markdown" in outputs[6][0]["data"]


def test_load_of_what_is_not_there_is_a_harness_error(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="does not exist"):
        harness.load(tmp_path / "nowhere")
    with pytest.raises(HarnessError, match="holds no run folder"):
        harness.load(tmp_path)


def test_load_without_a_path_takes_the_results_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert len(harness.load()) == len(finished_below([Path("results")]).results) == 2

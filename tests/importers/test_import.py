"""Importing: what comes out, and what is refused."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from harness.checkpoints import checkpoint_of
from harness.data import DataSource
from harness.errors import HarnessError, UsageError
from harness.imports import differences
from harness.imports.sources import Filter
from harness.plugins import PluginManager
from harness.records import Problem
from harness.store import RunFolder

from ..conftest import Command, one_line_error
from . import layouts
from .conftest import Importing

BENCH = "fresh:level=1,size=6"


@pytest.fixture(scope="module")
def problems(plugins: PluginManager) -> list[Problem]:
    return list(plugins.benchmark(BENCH).problems(DataSource(None)))


def chains(problems: list[Problem], n: int = 2, **more: Any) -> list[dict[str, Any]]:
    """Rows about a known benchmark: every second chain is right."""
    return [
        {
            "problem": problem.text,
            "gold": problem.gold,
            "text": f"\\boxed{{{problem.gold if i % 2 == 0 else 'nothing'}}}",
            "model": "m/a",
            "score": float(i % 2 == 0),
            **more,
        }
        for problem in problems
        for i in range(n)
    ]


# -- what comes out ----------------------------------------------------------------------------------


def test_an_imported_run_is_complete_and_says_where_it_came_from(
    importing: Importing, problems: list[Problem], tmp_path: Path
) -> None:
    path = layouts.jsonl(tmp_path / "chains.jsonl", chains(problems))
    (result,) = importing("jsonl", path, bench=BENCH)
    folder = RunFolder.of(Path(result["path"]))
    assert sorted(p.name for p in folder.path.iterdir() if not p.name.startswith(".")) == [
        "chains.parquet",
        "grades.parquet",
        "problems.parquet",
        "run.json",
        "scores.json",
    ]
    info = folder.info()
    assert (info["status"], info["protocol"]["name"], info["seed"]) == ("complete", "imported", None)
    (session,) = info["sessions"]
    assert session["imported"]["importer"] == "jsonl"
    (source,) = session["imported"]["sources"]
    assert (source["path"], len(source["sha256"])) == (str(path), 64)
    assert [problem.id for problem in folder.problems()] == [problem.id for problem in problems]
    assert result["scores"]["pass@1"]["value"] == 0.5
    assert result["foreign"] == {"chains": 12, "score": 0.5, "differs": 0}
    assert {result[name] for name in ("temperature", "top_p", "max_tokens")} == {None}


def test_the_same_files_again_change_nothing(
    importing: Importing, problems: list[Problem], tmp_path: Path
) -> None:
    path = layouts.jsonl(tmp_path / "chains.jsonl", chains(problems))

    def state() -> dict[str, tuple[int, int]]:
        found = (tmp_path / "results").rglob("*")
        return {
            str(p): (p.stat().st_size, p.stat().st_mtime_ns)
            for p in found
            if p.is_file() and p.name != ".lock"
        }

    first, before = importing("jsonl", path, bench=BENCH), state()
    assert importing("jsonl", path, bench=BENCH) == first
    assert state() == before
    renamed = path.rename(tmp_path / "other.jsonl")
    assert importing("jsonl", renamed, bench=BENCH) == first
    assert state() == before


def test_a_killed_import_goes_on(harness: Command, problems: list[Problem], tmp_path: Path) -> None:
    rows = [{**row, "text": "pad " * 5000 + row["text"]} for row in chains(problems, 100)]
    path = layouts.jsonl(tmp_path / "chains.jsonl", rows)
    arguments = ("import", "--from", "jsonl", path, "--bench", BENCH)
    process = harness.start(*arguments)
    journals: list[Path] = []
    for _ in range(400):
        journals = list(harness.folder.rglob("chains.jsonl"))
        if process.poll() is not None or (journals and journals[0].stat().st_size > 300_000):
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert journals, "it was to be killed while it stored chains"
    (result,) = harness.json(*arguments)
    assert (result["chains"], result["scores"]["pass@1"]["value"]) == (600, 0.5)
    (again,) = harness.json(*arguments, "--results", "elsewhere")
    assert {**again, "path": ""} == {**result, "path": ""}


def test_regrade_and_report_work_on_what_was_imported(
    harness: Command, problems: list[Problem], tmp_path: Path
) -> None:
    path = layouts.jsonl(tmp_path / "chains.jsonl", chains(problems))
    done = harness("import", "--from", "jsonl", path, "--bench", BENCH, "--results", "r")
    assert done.returncode == 0, done.stderr
    assert "| m/a " in done.stdout
    regraded = harness("regrade", "r")
    assert "0 of 12 grades changed" in regraded.stderr
    assert regraded.stdout == done.stdout
    (row,) = json.loads(harness("report", "r", "--format", "json").stdout)["rows"]
    assert row["foreign"]["differs"] == 0


def test_verdicts_that_differ_are_told(harness: Command, problems: list[Problem], tmp_path: Path) -> None:
    rows = chains(problems)
    rows[1]["score"] = True
    path = layouts.jsonl(tmp_path / "chains.jsonl", rows)
    done = harness("import", "--from", "jsonl", path, "--bench", BENCH, "--quiet")
    assert done.returncode == 0, done.stderr
    assert "1 of 12 chains are judged differently than in the files: " in done.stderr
    assert f"{problems[0].id} number 1: theirs 1, ours incorrect (nothing)" in done.stderr
    (run,) = harness.folder.rglob("run.json")
    ((key, theirs, ours),) = differences(run.parent, 2)
    assert (key, theirs, ours.status) == ((problems[0].id, 1), 1.0, "incorrect")


def test_several_models_and_benchmarks_in_one_command(importing: Importing, tmp_path: Path) -> None:
    mixed = [
        *layouts.rows("m/checkpoint-2"),
        *layouts.rows("m/checkpoint-10"),
        *layouts.rows(benchmark="more sums"),
    ]
    one = layouts.jsonl(tmp_path / "mixed.jsonl", mixed)
    other = layouts.jsonl(tmp_path / "other.jsonl", layouts.rows("m/checkpoint-30"))
    results = importing("jsonl", one, other)
    assert [(result["model"], result["benchmark"]) for result in results] == [
        ("m/checkpoint-2", "sums"),
        ("m/checkpoint-10", "sums"),
        ("org/sums-7b", "more sums"),
        ("m/checkpoint-30", "sums"),
    ]
    assert {result["scores"]["pass@1"]["value"] for result in results} == {0.5}
    (chosen,) = importing("jsonl", one, other, chosen=Filter(model="m/checkpoint-30"))
    assert chosen == results[3]
    (task,) = importing("jsonl", one, chosen=Filter(task="more sums"))
    assert task == results[2]


def test_a_model_that_files_name_otherwise_or_not_at_all_gets_the_name_that_is_given(
    importing: Importing, tmp_path: Path
) -> None:
    rows = layouts.rows()
    nameless = [{key: value for key, value in row.items() if key != "model"} for row in rows]
    path = layouts.jsonl(tmp_path / "from-a-friend.v2.jsonl", nameless)
    assert importing("jsonl", path)[0]["model"] == "from-a-friend"
    assert importing("jsonl", path, chosen=Filter(model="ours"))[0]["model"] == "ours"
    halves = [layouts.jsonl(tmp_path / f"{i}.jsonl", nameless[i::2]) for i in (0, 1)]
    (both,) = importing("jsonl", *halves, chosen=Filter(model="both"))
    assert (both["model"], both["n"]) == ("both", 2)
    named = layouts.jsonl(tmp_path / "named.jsonl", rows)
    assert importing("jsonl", named, chosen=Filter(model="shorter"))[0]["model"] == "shorter"


def test_how_chains_were_sampled_is_taken_from_flags_files_and_protocol_in_this_order(
    importing: Importing, tmp_path: Path
) -> None:
    path = layouts.jsonl(tmp_path / "c.jsonl", layouts.rows(temperature=0.7, max_tokens=2048))

    def said(**flags: Any) -> tuple[Any, ...]:
        (result,) = importing("jsonl", path, **flags)
        return tuple(result[name] for name in ("protocol", "temperature", "top_p", "max_tokens"))

    assert said() == ("imported", 0.7, None, 2048)
    assert said(temperature=1.0) == ("imported", 1.0, None, 2048)
    assert said(protocol="deepseek-r1") == ("deepseek-r1", 0.7, 0.95, 2048)


def test_chains_that_were_sampled_differently_are_not_one_run(importing: Importing, tmp_path: Path) -> None:
    rows = layouts.rows(temperature=0.7)
    rows[3]["temperature"] = 1.0
    with pytest.raises(HarnessError, match=r"row 4: temperature is 1, and 0\.7 in .*row 1"):
        importing("jsonl", layouts.jsonl(tmp_path / "c.jsonl", rows))


def test_more_chains_are_added_to_the_run_that_has_the_first(
    importing: Importing, problems: list[Problem], tmp_path: Path
) -> None:
    path = layouts.jsonl(tmp_path / "chains.jsonl", chains(problems, 4))
    (one,) = importing("jsonl", path, bench=BENCH, n=1)
    (all_,) = importing("jsonl", path, bench=BENCH)
    assert (one["n"], all_["n"], one["path"]) == (1, 4, all_["path"])
    assert one["scores"]["pass@1"]["value"] == 1.0
    assert all_["scores"]["pass@1"]["value"] == 0.5


def test_a_file_with_some_of_the_problems_is_a_run_on_these(
    importing: Importing, problems: list[Problem], tmp_path: Path
) -> None:
    (result,) = importing("jsonl", layouts.jsonl(tmp_path / "c.jsonl", chains(problems[:4])), bench=BENCH)
    assert (result["problems"], result["chains"]) == (4, 8)
    assert f"only 4 of the 6 problems of {result['benchmark']}" in result["warnings"]


def test_numbers_that_files_give_are_the_order_of_chains(
    importing: Importing, problems: list[Problem], tmp_path: Path
) -> None:
    rows = chains(problems, 2)
    for i, row in enumerate(rows):
        row["index"] = 7 - i % 2  # the right one comes first in the file, and last by number
    (result,) = importing("jsonl", layouts.jsonl(tmp_path / "c.jsonl", rows), bench=BENCH, n=1)
    assert result["scores"]["pass@1"]["value"] == 0.0


# -- what is refused ---------------------------------------------------------------------------------


def test_uneven_numbers_of_chains_are_refused_with_the_number_that_there_is_of_all(
    importing: Importing, problems: list[Problem], tmp_path: Path
) -> None:
    path = layouts.jsonl(tmp_path / "c.jsonl", chains(problems, 3)[:-1])
    with pytest.raises(HarnessError, match="between 2 and 3 chains: --n 2 takes the first"):
        importing("jsonl", path, bench=BENCH)
    assert importing("jsonl", path, bench=BENCH, n=2)[0]["chains"] == 12
    with pytest.raises(HarnessError, match="has 2 chains, fewer than --n 3"):
        importing("jsonl", path, bench=BENCH, n=3)


def test_problems_of_another_benchmark_are_refused_or_left_out(
    importing: Importing, problems: list[Problem], tmp_path: Path
) -> None:
    stray = [{**row, "model": "m/a"} for row in layouts.rows(benchmark=None)]
    path = layouts.jsonl(tmp_path / "c.jsonl", chains(problems) + stray)
    with pytest.raises(HarnessError) as refused:
        importing("jsonl", path, bench=BENCH)
    assert "3 of 9 problems are none of" in str(refused.value)
    assert f"{path}, row 13; {path}, row 15" in str(refused.value)
    assert "marbles" not in str(refused.value)
    (result,) = importing("jsonl", path, bench=BENCH, skip_unmatched=True)
    assert result["problems"] == 6
    assert any("3 problems (6 chains) of the files are none of" in warning for warning in result["warnings"])
    with pytest.raises(HarnessError, match="3 of 3 problems are none"):
        importing("jsonl", layouts.jsonl(tmp_path / "s.jsonl", stray), bench=BENCH, skip_unmatched=True)


def test_the_same_run_twice_is_not_a_run_of_twice_as_many_chains(
    importing: Importing, tmp_path: Path
) -> None:
    first = layouts.jsonl(tmp_path / "a.jsonl", layouts.rows(index=0)[::2])
    second = layouts.jsonl(tmp_path / "b.jsonl", layouts.rows(index=0)[1::2])
    with pytest.raises(
        HarnessError, match="two chains of number 0: import different runs one by one, or --renumber"
    ):
        importing("jsonl", first, second)
    assert importing("jsonl", first, second, chosen=Filter(renumber=True))[0]["n"] == 2
    half = [{**row, "index": 0} if i % 2 else row for i, row in enumerate(layouts.rows())]
    with pytest.raises(HarnessError, match="some chains are numbered and some are not"):
        importing("jsonl", layouts.jsonl(tmp_path / "c.jsonl", half))


def test_a_copy_of_a_file_does_not_double_its_chains(importing: Importing, tmp_path: Path) -> None:
    first = layouts.jsonl(tmp_path / "a.jsonl", layouts.rows())
    copy = layouts.jsonl(tmp_path / "b.jsonl", layouts.rows())
    with pytest.raises(HarnessError, match=r"b\.jsonl is a copy of .*a\.jsonl"):
        importing("jsonl", first, copy)
    assert importing("jsonl", first, first)[0]["n"] == 2


def test_a_file_that_changes_while_it_is_read_makes_no_finished_run(tmp_path: Path) -> None:
    from harness.imports import ImportConfig, import_chains
    from harness.plugins import load_plugins
    from harness.progress import Progress

    path = layouts.jsonl(tmp_path / "a.jsonl", layouts.rows())

    class Meddling(Progress):
        def started(self, label: str, total: int, stored: int) -> None:
            layouts.jsonl(path, layouts.rows(score=False))

    config = ImportConfig(paths=[path], importer="jsonl", results=tmp_path / "results")
    with pytest.raises(HarnessError, match=r"changed while it was read: remove .*results"):
        import_chains(config, load_plugins(), Meddling())
    assert not list(tmp_path.rglob("scores.json"))


def test_files_that_say_no_benchmark_need_one(importing: Importing, tmp_path: Path) -> None:
    path = layouts.jsonl(tmp_path / "c.jsonl", layouts.rows(benchmark=None))
    with pytest.raises(UsageError, match="--bench"):
        importing("jsonl", path)
    with pytest.raises(HarnessError, match="did you mean aime25 or aime24"):
        importing("jsonl", path, bench="aime52")
    assert importing("jsonl", path, bench="my sums", normalizer="integer")[0]["benchmark"] == "my sums"


def test_several_models_of_which_none_is_the_one_asked_for(importing: Importing, tmp_path: Path) -> None:
    path = layouts.jsonl(tmp_path / "c.jsonl", layouts.rows("a") + layouts.rows("b"))
    with pytest.raises(HarnessError, match=r"several models \(a, b\), none of them 'c'"):
        importing("jsonl", path, chosen=Filter(model="c"))
    with pytest.raises(HarnessError, match="nothing here is called 'products', but sums"):
        importing("jsonl", path, chosen=Filter(task="products"))


# -- problems of the files' own ----------------------------------------------------------------------


def test_without_the_benchmarks_data_the_files_problems_and_golds_are_used_and_that_is_said(
    importing: Importing, tmp_path: Path
) -> None:
    rows = layouts.rows(benchmark="AIME-24")
    (result,) = importing("jsonl", layouts.jsonl(tmp_path / "c.jsonl", rows))
    assert result["benchmark"] == "aime24"
    assert result["grader"].startswith("integer ")
    (warning,) = result["warnings"]
    assert "problems and golds are the files' own" in warning
    ids = [problem.id for problem in RunFolder.of(Path(result["path"])).problems()]
    respaced = [{**row, "problem": row["problem"].replace(" ", "\n "), "model": "b"} for row in rows]
    (other,) = importing("jsonl", layouts.jsonl(tmp_path / "d.jsonl", respaced))
    assert [problem.id for problem in RunFolder.of(Path(other["path"])).problems()] == ids


def test_data_that_are_there_and_bad_are_not_passed_over(importing: Importing, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "aime24.jsonl").write_text('{"id": 1}\n')
    path = layouts.jsonl(tmp_path / "c.jsonl", layouts.rows(benchmark="aime24"))
    with pytest.raises(HarnessError, match=r"aime24\.jsonl"):
        importing("jsonl", path, data=tmp_path / "data")
    with pytest.raises(HarnessError, match="--data takes a folder"):
        importing("jsonl", path, data=tmp_path / "nowhere")


def test_own_problems_need_golds_and_one_each(importing: Importing, tmp_path: Path) -> None:
    rows = layouts.rows()
    del rows[2]["gold"]
    with pytest.raises(HarnessError, match="row 3: brings no gold"):
        importing("jsonl", layouts.jsonl(tmp_path / "c.jsonl", rows))
    rows[2]["gold"] = "109"
    with pytest.raises(HarnessError, match=r"row 4: problem \w+ has two golds"):
        importing("jsonl", layouts.jsonl(tmp_path / "d.jsonl", rows))


def test_texts_of_a_benchmark_that_is_not_to_be_posted_are_not_written(
    importing: Importing, tmp_path: Path
) -> None:
    rows = layouts.rows(benchmark="gpqa_diamond_cot")
    (result,) = importing("jsonl", layouts.jsonl(tmp_path / "c.jsonl", rows))
    assert {problem.text for problem in RunFolder.of(Path(result["path"])).problems()} == {""}


def test_letters_are_judged_by_the_golds_of_the_order_in_which_choices_were_shown(
    tmp_path: Path,
) -> None:
    from harness import Benchmark, hookimpl

    texts = [f"Which of these is the colour of thing number {i}, seen from afar?" for i in range(4)]

    class Choices(Benchmark):
        name = "colours"
        normalizer = "choice"

        def problems(self, data: DataSource) -> list[Problem]:
            return [Problem(f"c{i}", text, "A", ("red", "blue")) for i, text in enumerate(texts)]

    class Plugin:
        @hookimpl
        def harness_benchmarks(self) -> list[Benchmark]:
            return [Choices()]

    from harness.imports import ImportConfig, import_chains
    from harness.plugins import load_plugins

    own = load_plugins()
    own.register(Plugin(), "colours")
    rows = [
        {"problem": f"{text}\n(A) blue\n(B) red", "gold": "B", "text": "Answer: B", "model": "m"}
        for text in texts
    ]
    path = layouts.jsonl(tmp_path / "c.jsonl", rows)
    config = ImportConfig(paths=[path], importer="jsonl", bench="colours", results=tmp_path / "r")
    (result,) = import_chains(config, own)
    assert result["scores"]["pass@1"]["value"] == 1.0
    assert any("golds of 4 problems are the files' own" in warning for warning in result["warnings"])
    for row in rows:
        del row["gold"]
    layouts.jsonl(path, rows)
    with pytest.raises(HarnessError, match="a gold is needed"):
        import_chains(config, own)


# -- the command -------------------------------------------------------------------------------------


def test_the_command_says_what_is_missing(harness: Command) -> None:
    assert "--from is missing" in one_line_error(harness("import", "x"))
    assert "name the files" in one_line_error(harness("import", "--from", "jsonl"))
    assert "did you mean lm-eval" in one_line_error(harness("import", "--from", "lmeval", "x"))
    assert "cannot read" in one_line_error(
        harness("import", "--from", "jsonl", "nowhere.jsonl", "--bench", "aime24")
    )


def test_importers_are_listed(harness: Command) -> None:
    listed = harness("list", "importers").stdout
    names = {line.split()[0] for line in listed.split("\n") if line}
    assert names >= {"jsonl", "lm-eval", "inspect", "lighteval", "limo"}


def test_names_of_checkpoints_are_understood() -> None:
    found = checkpoint_of("icml_models/Sky-T1-math-correct-5K-32B-ckpts/checkpoint-105")
    assert found == ("icml_models/Sky-T1-math-correct-5K-32B", 105)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_at_once(importing: Importing, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(HarnessError, match="is not a file"):
        importing("jsonl", tmp_path / "pipe.jsonl", bench=BENCH)


def test_memory_does_not_grow_with_the_chains(
    harness: Command, problems: list[Problem], tmp_path: Path
) -> None:
    """600 chains of 160 kB, 96 MB of text, in well below that."""
    path = tmp_path / "long.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for row in chains(problems, 100):
            file.write(json.dumps({**row, "text": "think " * 27_000 + row["text"]}) + "\n")
    small = layouts.jsonl(tmp_path / "small.jsonl", chains(problems, 100))

    def most(file: Path) -> int:
        code = (
            "import resource, sys; from harness.cli import _main; code = _main(sys.argv[1:]); "
            "print('KB', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr); sys.exit(code)"
        )
        import subprocess
        import sys

        done = subprocess.run(
            [sys.executable, "-c", code, "import", "--from", "jsonl", file, "--bench", BENCH, "-q"],
            cwd=harness.folder,
            env=harness.environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        return int(done.stderr.split("KB ")[1])

    assert most(path) - most(small) < 60_000

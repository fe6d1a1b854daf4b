"""Chains leave as files that others read, and come back with the same grades; hidden texts stay at home."""

from __future__ import annotations

import gzip
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from harness import HarnessError
from harness.chainfile import ChainFile
from harness.config import load_config
from harness.evaluation import evaluate
from harness.exports import Export
from harness.exports.table import COLUMNS, TEXTS
from harness.results import find_runs, finished_below

from ..conftest import Command, one_line_error
from .made_runs import BENCH, FIRST, LAST, ODD, SECRET, make_run, two_checkpoints, with_secret
from .writable_hub import serve

REPO = "somebody/chains"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    two_checkpoints(folder)
    return folder


@pytest.fixture(scope="module")
def results(folder: Path) -> Path:
    return folder / "results"


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("secret")
    make_run(folder, "m", 5, 0.5, "secret")
    return folder / "results"


def lines(text: str | bytes) -> list[dict[str, Any]]:
    data = text.encode() if isinstance(text, str) else text
    return [json.loads(line) for line in data.split(b"\n") if line]


def exported(harness: Command, *arguments: object, **env: str) -> str:
    done = harness("export", *arguments, **env)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_one_row_a_chain_with_all_that_is_known(harness: Command, folder: Path, results: Path) -> None:
    rows = lines(harness("export", results).stdout)
    assert len(rows) == 2 * 6 * 4
    assert all(tuple(row) == COLUMNS for row in rows)
    row = next(r for r in rows if r["model"] == FIRST and r["index"] == 3)
    (given,) = [
        r
        for r in lines((folder / "sky_ckpts_checkpoint-21-fresh:.jsonl").read_bytes())
        if (r["problem_id"], r["index"]) == (row["problem_id"], 3)
    ]
    for name in ("text", "reasoning", "finish_reason", "completion_tokens", "problem_id"):
        assert row[name] == given[name], name
    assert row["problem"] in row["text"]
    assert (row["benchmark"], row["n"], row["max_tokens"], row["run_seed"]) == (BENCH, 4, 16384, 0)
    assert all(r["score"] == int(r["correct"]) == int(r["status"] == "correct") for r in rows)
    assert {r["answer"] == r["gold"] for r in rows if r["correct"]} == {True}
    assert {r["answer"] for r in rows if r["status"] == "truncated"} == {None}


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz", "out.parquet"])
def test_replayed_the_chains_get_the_same_grades(harness: Command, results: Path, name: str) -> None:
    exported(harness, results, "-o", name)
    flags = ("--bench", BENCH, "--sampler", "replay", "--chains", name, "--model", LAST)
    (again,) = harness.json("run", *flags, "--results", "again")
    (before,) = [r for r in finished_below([results]).results if r["model"] == LAST]
    for same in ("scores", "counts", "truncated", "no_answer", "chains"):
        assert again[same] == before[same], same
    texts = [sorted(r["text"] for r in lines(harness("export", where).stdout) if r["model"] == LAST)
             for where in (results, "again")]  # fmt: skip
    assert texts[0] == texts[1]


@pytest.mark.parametrize("name", ["out.jsonl", "out.parquet"])
def test_imported_the_chains_get_the_same_grades_and_our_verdict_is_the_foreign_one(
    harness: Command, results: Path, name: str
) -> None:
    exported(harness, results, "-o", name)
    done = harness("import", "--from", "jsonl", name, "--bench", BENCH, "--results", "again")
    assert done.returncode == 0, done.stderr
    before = {r["model"]: r for r in finished_below([results]).results}
    after = {r["model"]: r for r in finished_below([harness.folder / "again"]).results}
    assert after.keys() == before.keys()
    for model, result in after.items():
        for same in ("scores", "counts", "truncated", "temperature", "top_p", "max_tokens"):
            assert result[same] == before[model][same], same
        assert (result["foreign"]["chains"], result["foreign"]["differs"]) == (24, 0)


def test_the_formats_hold_the_same_rows(harness: Command, results: Path) -> None:
    for name in ("out.jsonl", "out.jsonl.gz", "out.parquet"):
        exported(harness, results, "-o", name)
    plain = lines((harness.folder / "out.jsonl").read_bytes())
    assert lines(gzip.decompress((harness.folder / "out.jsonl.gz").read_bytes())) == plain
    assert pq.read_table(harness.folder / "out.parquet").to_pylist() == plain


def test_the_same_export_is_the_same_bytes_and_leaves_no_scraps(harness: Command, results: Path) -> None:
    for name in ("a.jsonl.gz", "b.jsonl.gz", "a.parquet", "b.parquet"):
        exported(harness, results, "-o", name)
    for ending in ("jsonl.gz", "parquet"):
        assert (harness.folder / f"a.{ending}").read_bytes() == (harness.folder / f"b.{ending}").read_bytes()
    assert len(list(harness.folder.iterdir())) == 4


def test_an_export_that_fails_leaves_the_old_file(harness: Command, tmp_path: Path) -> None:
    results = two_checkpoints(tmp_path)
    (harness.folder / "out.jsonl").write_text("old")
    (first, *_) = sorted(results.rglob("chains.parquet"))
    first.write_bytes(first.read_bytes()[:-20])
    done = harness("export", results, "-o", "out.jsonl")
    assert done.returncode == 1
    assert "chains.parquet is damaged" in one_line_error(done)
    assert [file.name for file in harness.folder.iterdir()] == ["out.jsonl"]
    assert (harness.folder / "out.jsonl").read_text() == "old"


def test_without_texts_the_columns_are_not_there(harness: Command, results: Path) -> None:
    exported(harness, results, "--no-text", "-o", "out.parquet")
    table = pq.read_table(harness.folder / "out.parquet")
    assert table.num_rows == 48
    assert table.column_names == [name for name in COLUMNS if name not in TEXTS]


def test_long_chains_are_written_in_row_groups_of_bounded_size(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.exports._GROUP_BYTES", 2_000)
    file = io.BytesIO()
    Export(finished_below([results]).results, with_secret()).write_parquet(file)
    assert pq.ParquetFile(file).num_row_groups == 2  # each table that is read passes the bound


def test_only_the_chains_of_the_result_are_exported(harness: Command, folder: Path) -> None:
    """A run that is being topped up is what it was until it is complete."""
    import orjson

    results = folder / "topped"
    rows = lines((folder / "sky_ckpts_checkpoint-21-fresh:.jsonl").read_bytes())
    (folder / "all.jsonl").write_bytes(b"".join(orjson.dumps(r) + b"\n" for r in rows))
    flags = {
        "bench": BENCH,
        "sampler": "replay",
        "chains": str(folder / "all.jsonl"),
        "results": str(results),
    }
    evaluate(load_config(None, flags), with_secret())
    (scores,) = results.rglob("scores.json")
    scores.write_text(json.dumps({**json.loads(scores.read_text()), "n": 2}))
    assert {r["index"] for r in lines(harness("export", results).stdout)} == {0, 1}


def test_texts_of_a_hidden_benchmark_are_left_out_and_it_is_said(harness: Command, secret: Path) -> None:
    said = exported(harness, secret, "-o", "out.jsonl")
    data = (harness.folder / "out.jsonl").read_bytes()
    assert SECRET.encode() not in data
    assert "secret" in said
    assert "--include-hidden-text" in said
    rows = lines(data)
    assert len(rows) == 12
    assert {r["text"] for r in rows} == {r["problem"] for r in rows} == {None}
    assert {r["gold"] for r in rows} == {"B"}


def test_hidden_texts_are_there_when_asked_for(harness: Command, secret: Path) -> None:
    said = exported(harness, secret, "-o", "out.jsonl", "--include-hidden-text")
    assert "left out" not in said
    rows = lines((harness.folder / "out.jsonl").read_bytes())
    assert all(SECRET in row["text"] for row in rows)


def test_a_hidden_benchmark_s_long_answers_may_be_its_choices(secret: Path) -> None:
    (run,) = find_runs([secret])
    grades = pq.read_table(run / "grades.parquet")
    assert "B7" in grades["answer"].to_pylist()
    at = grades.column_names.index("answer")
    longer = pa.array(["the second of the choices" if a == "B7" else a for a in grades["answer"].to_pylist()])
    results = finished_below([run]).results
    plugins = with_secret()
    try:
        pq.write_table(grades.set_column(at, "answer", longer), run / "grades.parquet")
        file = io.BytesIO()
        Export(results, plugins, texts=False).write_jsonl(file)
    finally:
        pq.write_table(grades, run / "grades.parquet")
    assert {row["answer"] for row in lines(file.getvalue())} <= {"B", None}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "out.txt"], "which format"),
        (["--to", "parquet"], "needs -o FILE"),
        (["--to", "hub"], "needs -o USER/NAME"),
        (["-o", "x.jsonl", "--public"], "--to hub"),
        (["--no-text", "--include-hidden-text"], "contradict"),
        (["--to", "hub", "-o", "nameless"], "USER/NAME"),
        (["--to", "hub", "-o", "../x/y"], "USER/NAME"),
        (["--to", "jsonl", "-o", "."], "is a folder"),
    ],
)
def test_what_cannot_be_meant_is_said_in_one_line(
    harness: Command, results: Path, arguments: list[str], said: str
) -> None:
    done = harness("export", results, *arguments, HF_TOKEN="hf_good", HF_HUB_OFFLINE="1")
    assert done.returncode in (1, 2)
    assert said in one_line_error(done)


def test_nothing_is_written_where_no_run_is_finished(harness: Command, tmp_path: Path) -> None:
    results = two_checkpoints(tmp_path)
    for scores in results.rglob("scores.json"):
        scores.unlink()
    done = harness("export", results, "-o", "out.jsonl")
    assert done.returncode == 1
    assert "no run is finished" in done.stderr
    assert not list(harness.folder.iterdir())


# -- the Hub -----------------------------------------------------------------------------------------


def hub_environment(address: str, home: Path, token: str = "hf_good") -> dict[str, str]:
    return {"HF_ENDPOINT": address, "HF_TOKEN": token, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}


def test_a_data_set_on_the_hub_is_private_and_has_a_card(
    harness: Command, results: Path, tmp_path: Path
) -> None:
    with serve(REPO) as hub:
        said = exported(harness, results, "--to", "hub", "-o", REPO, **hub_environment(hub.address, tmp_path))
    assert f"{hub.address}/datasets/{REPO}" in said
    assert hub.private is True
    assert hub.commits == ["48 chains of 2 runs"]
    card = hub.files["README.md"].decode()
    head = yaml.safe_load(card.split("---")[1])
    (config,) = head["configs"]
    (split,) = config["data_files"]
    assert sorted(split["path"]) == sorted(name for name in hub.files if name != "README.md")
    assert FIRST in card
    assert str(results) not in card
    rows = [row for name in split["path"] for row in pq.read_table(io.BytesIO(hub.files[name])).to_pylist()]
    assert len(rows) == 48
    assert all(ODD in row["text"] for row in rows)


def test_the_data_set_can_be_loaded_with_the_usual_library(
    harness: Command, results: Path, tmp_path: Path
) -> None:
    datasets = pytest.importorskip("datasets")
    with serve(REPO) as hub:
        exported(harness, results, "--to", "hub", "-o", REPO, **hub_environment(hub.address, tmp_path))
    local = tmp_path / "local"
    for name, data in hub.files.items():
        (local / name).parent.mkdir(parents=True, exist_ok=True)
        (local / name).write_bytes(data)
    loaded = datasets.load_dataset(str(local), split="test", cache_dir=str(tmp_path / "cache"))
    assert loaded.num_rows == 48
    assert set(loaded["model"]) == {FIRST, LAST}


def test_everybody_may_read_it_only_where_that_is_asked_for(
    harness: Command, results: Path, tmp_path: Path
) -> None:
    with serve(REPO) as hub:
        environment = hub_environment(hub.address, tmp_path)
        exported(harness, results, "--to", "hub", "-o", REPO, "--public", **environment)
        assert hub.private is False
        hub.files.clear()
        refused = harness("export", results, "--to", "hub", "-o", REPO, **environment)
    assert "is public: say --public" in one_line_error(refused)
    assert not hub.files


def test_hidden_texts_are_never_pushed_where_everybody_reads_them(
    harness: Command, secret: Path, tmp_path: Path
) -> None:
    push = ("export", secret, "--to", "hub", "-o", REPO, "--include-hidden-text")
    with serve(REPO) as hub:
        refused = harness(*push, "--public", **hub_environment(hub.address, tmp_path))
        assert "never pushed" in one_line_error(refused)
        assert hub.private is None
        harness(*push, **hub_environment(hub.address, tmp_path))
        assert any(SECRET.encode() in row["text"].encode() for row in rows_of(hub.files))
    with serve(REPO, private=False) as hub:
        assert harness(*push, **hub_environment(hub.address, tmp_path)).returncode == 1
        assert not hub.files
        public = harness(*push[:-1], "--public", **hub_environment(hub.address, tmp_path))
    assert public.returncode == 0, public.stderr
    assert all(row["text"] is None for row in rows_of(hub.files))
    assert "left out" in hub.files["README.md"].decode()


def rows_of(files: dict[str, bytes]) -> list[dict[str, Any]]:
    tables = [pq.read_table(io.BytesIO(data)) for name, data in files.items() if name.endswith(".parquet")]
    return [row for table in tables for row in table.to_pylist()]


def test_without_a_token_or_with_a_wrong_one_it_refuses_in_one_line(
    harness: Command, results: Path, tmp_path: Path
) -> None:
    push = ("export", results, "--to", "hub", "-o", REPO)
    with serve(REPO) as hub:
        none = harness(*push, **{**hub_environment(hub.address, tmp_path), "HF_TOKEN": ""})
        wrong = harness(*push, **hub_environment(hub.address, tmp_path, token="hf_wrong"))
    assert "hf auth login" in one_line_error(none)
    assert "does not let this token write" in one_line_error(wrong)
    assert "hf_wrong" not in wrong.stderr
    gone = harness(*push, **hub_environment("http://127.0.0.1:9", tmp_path))
    assert "cannot be reached" in one_line_error(gone)


def test_a_grade_that_is_missing_is_null(results: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(results, tmp_path / "copy")
    (run, *_) = find_runs([copy])
    grades = pq.read_table(run / "grades.parquet")
    pq.write_table(grades.slice(1), run / "grades.parquet")
    file = io.BytesIO()
    Export(finished_below([run]).results, with_secret()).write_jsonl(file)
    rows = lines(file.getvalue())
    assert [row["status"] is None for row in rows] == [True] + [False] * 23


def test_a_run_of_before_chains_had_scores_has_none(results: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(results, tmp_path / "copy")
    for chains in copy.rglob("chains.parquet"):
        pq.write_table(pq.read_table(chains).drop_columns(["score", "prompt_tokens"]), chains)
    found = finished_below([copy]).results
    file = io.BytesIO()
    Export(found, with_secret()).write_jsonl(file)
    assert {(row["foreign_score"], row["prompt_tokens"]) for row in lines(file.getvalue())} == {(None, None)}


def test_missing_files_are_named(results: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(results, tmp_path / "copy")
    (run, *_) = find_runs([copy])
    for name in ("grades.parquet", "problems.parquet", "chains.parquet"):
        (run / name).unlink()
        with pytest.raises(HarnessError, match=f"{name} is missing"):
            Export(finished_below([run]).results, with_secret()).write_jsonl(io.BytesIO())
        shutil.copy(next(results.rglob(f"{run.name}/{name}")), run / name)


def test_columns_that_are_missing_are_told_in_one_line(results: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(results, tmp_path / "copy")
    (run, *_) = find_runs([copy])
    for name, column in (("chains", "problem_id"), ("grades", "status"), ("problems", "gold")):
        whole = pq.read_table(run / f"{name}.parquet")
        pq.write_table(whole.drop_columns([column]), run / f"{name}.parquet")
        with pytest.raises(HarnessError, match=f"{name}.parquet is damaged"):
            Export(finished_below([run]).results, with_secret()).write_jsonl(io.BytesIO())
        pq.write_table(whole, run / f"{name}.parquet")


def test_a_dash_is_standard_output_with_one_chain_a_line(harness: Command, results: Path) -> None:
    assert harness("export", results, "-o", "-").stdout == harness("export", results).stdout != ""


def test_an_ending_in_capitals_is_that_ending(harness: Command, results: Path, tmp_path: Path) -> None:
    target = tmp_path / "CHAINS.JSONL.GZ"
    exported(harness, results, "-o", target)
    assert len(lines(gzip.decompress(target.read_bytes()))) == 48
    assert sum(1 for _ in ChainFile(target).rows()) == 48


def test_a_file_can_be_a_pipe(harness: Command, results: Path) -> None:
    done = harness("export", results, "--to", "jsonl", "-o", "/dev/stdout")
    assert len(lines(done.stdout)) == 48

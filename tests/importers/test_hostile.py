"""Files that are broken, enormous or lie: one clear line with file and row, and no harm done."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest

from harness.errors import HarnessError
from harness.store import RunFolder

from . import layouts
from .conftest import Importing


def refused(importing: Importing, importer: str, path: Path) -> str:
    with pytest.raises(HarnessError) as error:
        importing(importer, path, bench="sums", normalizer="math")
    text = str(error.value)
    assert "\n" not in text
    assert len(text) < 600
    return text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"generation": 5}, "row 1: text is not a text"),
        ({"problem": ["x"]}, "row 1: problem is not a text"),
        ({"score": "good"}, "row 1: score 'good' is not a number"),
        ({"score": float("inf")}, "row 1: score inf is not a number"),
        ({"index": -1}, "row 1: index -1 is not a whole number from 0"),
        ({"index": 2**40}, "row 1: a chain's number is a whole one from 0, not 1099511627776"),
        ({"completion_tokens": 0.5}, "row 1: completion_tokens 0.5 is not a whole number"),
        ({"model": {"name": "x"}}, "row 1: model is not a text"),
        ({"temperature": "hot"}, "row 1: temperature 'hot' is not a number"),
    ],
)
def test_fields_that_are_not_what_they_should_be(
    importing: Importing, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    rows = layouts.rows()
    rows[0] |= change
    assert said in refused(importing, "jsonl", layouts.jsonl(tmp_path / "c.jsonl", rows))


def test_scores_that_data_frames_leave_open_are_no_scores(importing: Importing, tmp_path: Path) -> None:
    rows = layouts.rows(score=float("nan"), index=None, completion_tokens=float("nan"))
    (result,) = importing("jsonl", layouts.jsonl(tmp_path / "c.jsonl", rows))
    assert "foreign" not in result


def test_lone_surrogates_and_strange_names_are_stored_as_far_as_files_can_hold_them(
    importing: Importing, tmp_path: Path
) -> None:
    rows = layouts.rows("../../etc/\ud800<script>", benchmark="../sums\u2028")
    rows[0]["problem"] = rows[1]["problem"] = "Is \udcff a character?"
    rows[0]["generation"] = "\ud83d \\boxed{42}"
    (result,) = importing("jsonl", layouts.jsonl(tmp_path / "c.jsonl", rows))
    path = Path(result["path"]).resolve()
    assert path.is_relative_to((tmp_path / "results").resolve())
    assert len(path.relative_to((tmp_path / "results").resolve()).parts) == 3
    assert {chain.text for chain in RunFolder.of(path).chains([])} >= {"\ufffd \\boxed{42}"}
    json.dumps(result).encode("utf-8")


def test_files_that_are_cut_off_or_no_such_files(importing: Importing, tmp_path: Path) -> None:
    whole = gzip.compress(layouts.jsonl(tmp_path / "c.jsonl", layouts.rows()).read_bytes())
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[:-20])
    assert "cannot read chains" in refused(importing, "jsonl", tmp_path / "cut.jsonl.gz")
    (tmp_path / "x.parquet").write_bytes(b"PAR1 no")
    assert "cannot read chains" in refused(importing, "jsonl", tmp_path / "x.parquet")
    assert "cannot read chains" in refused(importing, "lighteval", tmp_path / "x.parquet")
    (tmp_path / "x.eval").write_bytes(b"PK no")
    assert "is not a whole zip file" in refused(importing, "inspect", tmp_path / "x.eval")
    (tmp_path / "x.json").write_text('{"eval": ')
    assert "is not JSON" in refused(importing, "inspect", tmp_path / "x.json")
    (tmp_path / "deep.json").write_text("[" * 200_000)
    assert "is not JSON" in refused(importing, "inspect", tmp_path / "deep.json")
    (tmp_path / "empty.jsonl").write_text("")
    for importer in ("jsonl", "lm-eval", "limo"):
        assert "no chains" in refused(importing, importer, tmp_path / "empty.jsonl")


@pytest.mark.parametrize("importer", ["jsonl", "lm-eval", "inspect", "lighteval", "limo"])
def test_folders_without_a_file_of_the_program(importing: Importing, tmp_path: Path, importer: str) -> None:
    folder = tmp_path / "nothing"
    folder.mkdir()
    assert f"{folder} holds no " in refused(importing, importer, folder)


@pytest.mark.parametrize(
    ("importer", "said"),
    [("lm-eval", "row 1: has no resps"), ("limo", "row 1: has no generated_responses")],
)
def test_rows_of_another_program(importing: Importing, tmp_path: Path, importer: str, said: str) -> None:
    assert said in refused(importing, importer, layouts.jsonl(tmp_path / "c.jsonl", layouts.rows()))


def test_tasks_by_likelihood_hold_no_chains(importing: Importing, tmp_path: Path) -> None:
    pairs = [[["-1.5", "False"]], [["-2.5", "True"]]]
    row = {"doc_id": 0, "doc": {}, "target": "1", "arguments": {}, "resps": pairs}
    assert "2 requests (a task by likelihood?)" in refused(
        importing, "lm-eval", layouts.jsonl(tmp_path / "c.jsonl", [row])
    )


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        ([], "is no sample"),
        ({"output": {}}, "has no output.choices"),
        ({"output": {"choices": [5]}}, "holds no message"),
        (
            {"output": {"choices": [{"message": {"content": "x"}}]}, "epoch": "1"},
            "epoch '1' is not a whole number",
        ),
        (
            {"output": {"choices": [{"message": {"content": "x"}}]}, "epoch": 0},
            "epoch 0 is not a whole number",
        ),
    ],
)
def test_inspect_samples_of_other_shapes(
    importing: Importing, tmp_path: Path, sample: Any, said: str
) -> None:
    path = tmp_path / "log.json"
    path.write_text(json.dumps(layouts.inspect_log(samples=[sample])), encoding="utf-8")
    text = refused(importing, "inspect", path)
    assert f"{path}, sample 1: " in text
    assert said in text


def test_members_that_would_be_written_elsewhere_are_not_written_at_all(
    importing: Importing, tmp_path: Path
) -> None:
    path = layouts.inspect_eval(tmp_path / "log.eval", layouts.inspect_log())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../../samples/evil.json", "{}")
        archive.writestr("/etc/samples/evil.json", "{}")
    before = set(tmp_path.rglob("*"))
    (result,) = importing("inspect", path)
    assert result["chains"] == 6
    new = set(tmp_path.rglob("*")) - before
    assert all(p.is_relative_to(tmp_path / "results") for p in new)


@pytest.mark.parametrize("packing", ["deflate", "zstandard", "zstandard that claims to be small"])
def test_a_member_that_unpacks_to_gigabytes_is_refused_in_bounded_memory(
    importing: Importing, tmp_path: Path, packing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness_plugins.importers import _archive

    monkeypatch.setattr(_archive, "MAX_MEMBER", 4 * 2**20)
    header = json.dumps({key: value for key, value in layouts.inspect_log().items() if key != "samples"})
    bomb = b'{"x": "' + b" " * (64 * 2**20) + b'"}'
    path = tmp_path / "bomb.eval"
    if packing == "deflate":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("header.json", header)
            archive.writestr("samples/a_epoch_1.json", bomb)
    else:
        small = 100 if "claims" in packing else None
        members = {"header.json": header.encode(), "samples/a_epoch_1.json": bomb}
        layouts.zstandard(path, members, claimed=small)
    del bomb
    tracemalloc.start()
    text = refused(importing, "inspect", path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "samples/a_epoch_1.json is larger than 4 MiB" in text
    assert peak < 32 * 2**20


def test_damaged_and_locked_members_are_named(importing: Importing, tmp_path: Path) -> None:
    log = layouts.inspect_log()
    members = {"header.json": json.dumps({"eval": {}}).encode(), "samples/1_epoch_1.json": b'{"a": 1}' * 50}
    path = layouts.zstandard(tmp_path / "z.eval", members)
    raw = bytearray(path.read_bytes())
    place = raw.index(b"samples/1_epoch_1.json") + len("samples/1_epoch_1.json") + 6
    raw[place : place + 8] = b"\xff" * 8
    path.write_bytes(raw)
    assert "samples/1_epoch_1.json is damaged" in refused(importing, "inspect", path)
    plain = layouts.inspect_eval(tmp_path / "p.eval", log)
    raw = bytearray(plain.read_bytes())
    for place in (raw.index(b"PK\x03\x04") + 6, raw.index(b"PK\x01\x02") + 8):
        raw[place] |= 1
    plain.write_bytes(raw)
    assert "needs a password" in refused(importing, "inspect", plain)


def test_a_list_that_old_lighteval_printed_is_parsed_and_never_run(
    importing: Importing, tmp_path: Path
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    evil = f"[open({str(tmp_path / 'owned')!r}, 'w').write('x')]"
    row = {"example": "What?", "predictions": evil, "gold": "['5']", "metrics": "{}", "cont_tokens": "[]"}
    path = tmp_path / "details.parquet"
    pq.write_table(pa.Table.from_pylist([row]), path)
    (result,) = importing("lighteval", path, bench="sums", normalizer="math")
    assert not (tmp_path / "owned").exists()
    assert result["scores"]["pass@1"]["value"] == 0.0


def test_a_list_of_millions_of_parts_is_refused_before_it_fills_the_memory(
    importing: Importing, tmp_path: Path
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "details.parquet"
    row = {"example": "What?", "gold": "['5']", "metrics": "{}", "cont_tokens": "[]"}
    for parts in ("1," * 1_500_000 + "'5'", "'5'" * 1_500_000):
        pq.write_table(pa.Table.from_pylist([{**row, "predictions": f"[{parts}]"}]), path)
        assert "row 1: holds a list of too many parts" in refused(importing, "lighteval", path)


def test_a_line_without_end_is_refused_before_it_fills_the_memory(
    importing: Importing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness import chainfile

    monkeypatch.setattr(chainfile, "_MAX_LINE", 2**20)
    path = tmp_path / "endless.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"problem": "' + b"x" * (64 * 2**20)))
    tracemalloc.start()
    text = refused(importing, "jsonl", path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "row 1: is longer than 1,048,576 bytes" in text
    assert peak < 16 * 2**20

"""Where rows come from: files of every kind, folders of them, and the Hub."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness import HarnessError
from harness.plugins import PluginManager

from .. import fakehub
from .prepared import SOLVED, Make, chains_of, rows_of, write


def test_every_kind_of_file_gives_the_same_rows(make: Make, tmp_path: Path, summing: PluginManager) -> None:
    plain = [{"problem": "1\u2028?", "completion": "two", "pass_rate": "0.5"}, {**SOLVED[1], "id": None}]
    plain[1] = {
        key: str(plain[1][other])
        for key, other in (("problem", "problem"), ("completion", "generation"), ("pass_rate", "pass_rate"))
    }
    lines = "".join(json.dumps(row) + "\n" for row in plain).encode()
    table = "problem,completion,pass_rate\n" + "".join(",".join(row.values()) + "\n" for row in plain)
    files = {
        "a.jsonl": lines,
        "b.jsonl.gz": gzip.compress(lines),
        "c.json": json.dumps(plain).encode(),
        "d.csv": table.encode(),
        "e.parquet": fakehub.parquet(plain),
    }
    seen = set()
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        rows = rows_of(make(tmp_path / name))
        seen.add(json.dumps([{**row, "source": ""} for row in rows]))
        assert rows[0]["pass_rate"] == 0.5
    assert len(seen) == 1


def test_a_folder_is_read_file_by_file_without_what_only_describes_it(make: Make, tmp_path: Path) -> None:
    folder = tmp_path / "set" / "data"
    folder.mkdir(parents=True)
    for number in (1, 0):
        (folder / f"train-{number}.parquet").write_bytes(
            fakehub.parquet([{"prompt": "p", "completion": f"c{number}"}])
        )
    (tmp_path / "set" / "info.json").write_text("[]")
    (folder / ".hidden.parquet").write_bytes(b"x")

    assert chains_of(make(tmp_path / "set")) == ["c0", "c1"]


def test_sources_come_one_after_the_other(make: Make, tmp_path: Path) -> None:
    write(tmp_path / "b.jsonl", SOLVED[:1])

    prepared = make(["sums:size=2", str(tmp_path / "b.jsonl")])

    assert [row["source"] for row in rows_of(prepared)] == ["sums:size=2"] * 2 + [str(tmp_path / "b.jsonl")]


def test_a_hub_data_set_may_lie_in_the_data_folder(make: Make, tmp_path: Path) -> None:
    write(tmp_path / "Fathom-Chains.jsonl", SOLVED)

    assert make("org/Fathom-Chains", data_folder=tmp_path).rows == 11
    assert make("Fathom-Chains.jsonl", data_folder=tmp_path).rows == 11


def test_a_hub_that_cannot_be_reached_is_one_line(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HOME", str(tmp_path))

    with pytest.raises(HarnessError, match=r"org/Chains.*give --data DIR with Chains\.jsonl") as caught:
        make("org/Chains:small@main#train")
    assert "\n" not in str(caught.value)


HUB = """
import os, sys
from pathlib import Path
from tests.trainers.sums import plugins
from harness_trainers.data import prepare
from harness_trainers.recipes import Data
usual = {"needs": "chains", "name": "a", "model": None, "plugins": plugins()}
prepared = prepare(Data(source=sys.argv[1]), folder=Path(sys.argv[2]), **usual)
print(prepared.rows, *prepared.notes)
"""


def test_a_hub_data_set_is_read_and_its_commit_is_told(tmp_path: Path) -> None:
    """In a process of its own: the libraries read the Hub's address once."""
    unwanted = ("HF_", "HARNESS_DATA")
    env = {k: v for k, v in os.environ.items() if not k.startswith(unwanted) and "proxy" not in k.lower()}
    env |= {"HF_HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])}
    rows = [{key: str(value) for key, value in row.items()} for row in SOLVED]
    for serving in (True, False):  # then once more, without a Hub
        with fakehub.serve("org/Chains", rows) as url:
            command = [sys.executable, "-c", HUB, "org/Chains#train", str(tmp_path / "out")]
            asked = {**env, "HF_ENDPOINT": url if serving else "http://127.0.0.1:9"}
            done = subprocess.run(
                command, env=asked, cwd=tmp_path, capture_output=True, text=True, timeout=60
            )
        assert done.stdout == f"11 org/Chains#train is hub:org/Chains@{fakehub.COMMIT}[train]\n", done.stderr


def test_an_empty_file_and_a_damaged_one(make: Make, tmp_path: Path) -> None:
    for name, content, said in (
        ("empty.jsonl", b"", "holds no rows"),
        ("empty.parquet", fakehub.parquet([{"a": 1}])[:0], "cannot read"),
        ("torn.jsonl", json.dumps(SOLVED[0]).encode() + b"\n{", "row 2: is not JSON"),
        ("list.jsonl", b"[1]\n", "row 1: is not an object"),
        ("torn.jsonl.gz", gzip.compress(b"{}\n" * 9)[:-9], "cannot read"),
        ("notes.txt", b"x", "ends in none of"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(HarnessError, match=said) as caught:
            make(tmp_path / name)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_date_that_is_none_is_one_line(make: Make, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"problem": ["p"], "chain": ["c"], "when": pa.array([2**31 - 1], pa.date32())}
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")

    with pytest.raises(HarnessError, match=r"cannot read .*rows\.parquet: days="):
        make(tmp_path / "rows.parquet")


READ = """
import json, re, sys
from pathlib import Path
import pyarrow, pyarrow.parquet, orjson
from harness_trainers.data.files import rows_of

def peak():  # of this program: that of the resource module begins with what its parent has
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) >> 10

before = peak()
print(sum(1 for row in rows_of(Path(sys.argv[1]))), peak() - before)
"""


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_files_are_read_in_the_memory_of_a_few_rows(tmp_path: Path, kind: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path, text = tmp_path / f"rows.{kind}", "x" * 20_000
    if kind == "jsonl":
        with path.open("w") as lines:
            lines.writelines(json.dumps({"problem": "p", "chain": text}) + "\n" for _ in range(20_000))
    else:
        piece = pa.table({"problem": ["p"] * 500, "chain": [text] * 500})
        with pq.ParquetWriter(path, piece.schema, compression="none", use_dictionary=False) as writer:
            for _ in range(40):
                writer.write_table(piece)
    size = path.stat().st_size >> 20
    done = subprocess.run(
        [sys.executable, "-c", READ, str(path)], capture_output=True, text=True, check=True, timeout=60
    )
    rows, grown = map(int, done.stdout.split())
    assert rows == 20_000
    assert grown < size / 2, f"{grown} MiB for a file of {size} MiB"

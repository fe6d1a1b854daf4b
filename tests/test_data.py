"""Loading of rows: what a user gets from a data folder, from the Hub, and from files with something wrong."""

from __future__ import annotations

import csv
import gzip
import io
import json
import logging
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import HarnessError, rowfiles
from harness.data import DataSource, HubRows

from . import fakehub

ROWS = [
    {"id": "a", "problem": "one\u2028still one", "answer": "7"},
    {"id": "b", "problem": "äß", "answer": "8"},
]


def jsonl(rows: list[dict]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def as_csv(rows: list[dict]) -> bytes:
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()


def zipped(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


GOOD: dict[str, tuple[str, Callable[[], bytes]]] = {
    "jsonl": ("set.jsonl", lambda: jsonl(ROWS)),
    "jsonl with byte order mark": ("set.jsonl", lambda: b"\xef\xbb\xbf" + jsonl(ROWS)),
    "jsonl with CRLF and blank lines": ("set.jsonl", lambda: jsonl(ROWS).replace(b"\n", b"\r\n\r\n")),
    "jsonl without last line end": ("set.jsonl", lambda: jsonl(ROWS).rstrip()),
    "gzipped jsonl": ("set.jsonl.gz", lambda: gzip.compress(jsonl(ROWS))),
    "json list": ("set.json", lambda: json.dumps(ROWS, indent=1).encode()),
    "jsonl named json": ("set.json", lambda: jsonl(ROWS)),
    "csv": ("set.csv", lambda: as_csv(ROWS)),
    "parquet": ("set.parquet", lambda: fakehub.parquet(ROWS)),
    "zip of one member": ("set.zip", lambda: zipped({"other name.jsonl": jsonl(ROWS)})),
    "zip with the csv of its name": (
        "set.zip",
        lambda: zipped({"README.txt": b"x", "set.jsonl": jsonl(ROWS[:1]), "d/set.csv": as_csv(ROWS)}),
    ),
}


@pytest.mark.parametrize(("name", "content"), GOOD.values(), ids=GOOD)
def test_every_kind_of_file_gives_the_same_rows(tmp_path, name, content):
    (tmp_path / name).write_bytes(content())

    rows = DataSource(tmp_path).rows("set")

    assert list(rows) == ROWS


def test_origin_says_which_file_and_which_content(tmp_path):
    import hashlib

    path = tmp_path / "set.zip"
    path.write_bytes(zipped({"set.csv": as_csv(ROWS)}))
    source = DataSource(tmp_path)

    rows = source.rows("set")

    assert rows.origin == f"{path}!set.csv sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    assert source.origins == [rows.origin]


def test_stems_are_tried_in_order_and_a_second_file_is_mentioned(tmp_path, caplog):
    (tmp_path / "second.jsonl").write_bytes(jsonl(ROWS[:1]))
    (tmp_path / "first.csv").write_bytes(as_csv(ROWS))

    with caplog.at_level(logging.WARNING, "harness"):
        rows = DataSource(tmp_path).rows(("first", "second"))

    assert len(rows) == 2
    assert "reading first.csv, not second.jsonl" in caplog.text


def _password(content: bytes) -> bytes:
    changed = bytearray(content)
    changed[6] |= 1  # the flag in the local header
    changed[changed.index(b"PK\x01\x02") + 8] |= 1  # and in the directory
    return bytes(changed)


SECRET = "do not quote me"
BAD: dict[str, tuple[str, bytes, str]] = {
    "broken json": ("set.jsonl", jsonl(ROWS) + b'{"a": "do not quote me', "set.jsonl line 3: not JSON"),
    "broken json list": ("set.json", b'[\n{"a": 1},\n{"do not quote me" 1}]', "set.json line 3: not JSON"),
    "a row that is no object": ("set.jsonl", jsonl(ROWS) + b"[1]\n", "line 3: a row must be an object"),
    "Latin-1": ("set.jsonl", jsonl(ROWS) + "ü".encode("latin-1"), "set.jsonl line 3: not UTF-8"),
    "UTF-16": ("set.csv", "id,problem".encode("utf-16"), "not UTF-8"),
    "half a surrogate pair": ("set.jsonl", b'{"a": "\\ud800"}', "line 1: holds half a surrogate pair"),
    "deep nesting": ("set.jsonl", b'{"a":' + b"[" * 200_000, "line 1: not usable JSON"),
    "an endless number": ("set.jsonl", b'{"a": ' + b"9" * 10_000 + b"}", "line 1: not usable JSON"),
    "empty": ("set.jsonl", b"", "holds no rows: it is empty"),
    "empty list": ("set.json", b"[]", "holds no rows"),
    "header only": ("set.csv", b"id,problem\n", "holds no rows: it is only a header"),
    "short csv row": ("set.csv", b"id,problem\n1,x\n2\n", "set.csv line 3: 1 fields under a header of 2"),
    "csv column twice": ("set.csv", b"do not quote me,do not quote me\n1,2\n", "occurs twice"),
    "open csv quote": ("set.csv", b'id,problem\n1,"do not quote me', "not CSV"),
    "no parquet": ("set.parquet", b"do not quote me" * 9, "not a readable parquet file"),
    "torn parquet": ("set.parquet", fakehub.parquet(ROWS)[:-20], "not a readable parquet file"),
    "no gzip": ("set.jsonl.gz", jsonl(ROWS), "not a whole gzip file"),
    "torn gzip": ("set.jsonl.gz", gzip.compress(jsonl(ROWS))[:-20], "not a whole gzip file"),
    "no zip": ("set.zip", b"do not quote me", "not a whole zip file"),
    "torn zip": ("set.zip", zipped({"set.csv": as_csv(ROWS)})[:-10], "not a whole zip file"),
    "zip without data": ("set.zip", zipped({"README.txt": b"x"}), "no member set.csv"),
    "zip of strangers": ("set.zip", zipped({"a.csv": b"x", "b.csv": b"y"}), "it holds 'a.csv', 'b.csv'"),
    "zip with password": ("set.zip", _password(zipped({"set.csv": as_csv(ROWS)})), "needs a password"),
}


@pytest.mark.parametrize(("name", "content", "problem"), BAD.values(), ids=BAD)
def test_a_bad_file_is_one_line_that_says_where_and_quotes_nothing(tmp_path, name, content, problem):
    (tmp_path / name).write_bytes(content)

    with pytest.raises(HarnessError) as caught:
        DataSource(tmp_path).rows("set")

    message = str(caught.value)
    assert problem in message
    assert str(tmp_path / name) in message
    assert "\n" not in message
    assert SECRET not in message


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("set.jsonl", lambda raw: raw),
        ("set.jsonl.gz", gzip.compress),
        ("set.zip", lambda raw: zipped({"set.jsonl": raw})),
        ("set.parquet", lambda raw: fakehub.parquet([{"a": "x" * 100_000}] * 20)),
    ],
)
def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch, name, pack):
    monkeypatch.setattr(rowfiles, "MAX_BYTES", 1 << 20)
    (tmp_path / name).write_bytes(pack(b" " * (2 << 20)))

    with pytest.raises(HarnessError, match="holds more than 1 MiB"):
        DataSource(tmp_path).rows("set")


def test_a_folder_or_a_pipe_in_place_of_the_file(tmp_path):
    (tmp_path / "set.jsonl").mkdir()
    with pytest.raises(HarnessError, match=r"set\.jsonl is a folder"):
        DataSource(tmp_path).rows("set")

    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(HarnessError, match=r"pipe\.jsonl is not a regular file"):
        DataSource(tmp_path).rows("pipe")


def test_a_dangling_link_is_unreadable(tmp_path):
    (tmp_path / "set.jsonl").symlink_to(tmp_path / "gone")
    with pytest.raises(HarnessError, match=r"cannot read .*set\.jsonl: No such file"):
        DataSource(tmp_path).rows("set")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path):
    (tmp_path / "set.jsonl").write_bytes(jsonl(ROWS))
    (tmp_path / "set.jsonl").chmod(0)
    with pytest.raises(HarnessError, match="Permission denied"):
        DataSource(tmp_path).rows("set")


def test_the_data_folder_must_be_one(tmp_path):
    with pytest.raises(HarnessError, match="does not exist"):
        DataSource(tmp_path / "nowhere").rows("set")
    (tmp_path / "file").touch()
    with pytest.raises(HarnessError, match="is not a folder"):
        DataSource(tmp_path / "file").rows("set")


def test_without_a_hub_copy_the_missing_file_is_named(tmp_path):
    with pytest.raises(HarnessError, match=r"has no set or other \(\.jsonl, .*--data DIR"):
        DataSource(tmp_path).rows(("set", "other"))


# --------------------------------------------------------------------------------------------------
# The Hub
# --------------------------------------------------------------------------------------------------

REPO = "MathArena/aime_2025"
PINNED = HubRows(REPO, revision=fakehub.COMMIT)
LOAD = """
import sys
from harness import HarnessError
from harness.data import DataSource, HubRows
try:
    rows = DataSource().rows("set", HubRows(sys.argv[1], revision=sys.argv[2] or None))
except HarnessError as error:
    sys.exit(str(error))
print([row["id"] for row in rows], rows.origin)
"""


def load(url: str, home: Path, revision: str = fakehub.COMMIT) -> subprocess.CompletedProcess[str]:
    # In a process of its own: the libraries read the Hub's address once, when they are imported.
    env = {
        k: v for k, v in os.environ.items() if not k.startswith("HF_") and not k.lower().endswith("_proxy")
    }
    env |= {"HF_ENDPOINT": url, "HF_HOME": str(home)}
    command = [sys.executable, "-c", LOAD, REPO, revision]
    return subprocess.run(command, env=env, cwd=home, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def filled_cache(tmp_path_factory) -> Path:
    """A Hugging Face home after the rows were once loaded from a Hub."""
    home = tmp_path_factory.mktemp("hf")
    with fakehub.serve(REPO, ROWS) as url:
        done = load(url, home, revision="")
    # Asked for the main branch; what is recorded is the commit that it was.
    assert done.stdout == f"['a', 'b'] hub:{REPO}@{fakehub.COMMIT}[train]\n", done.stderr
    return home


@pytest.fixture
def no_hub(monkeypatch, tmp_path):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("HF_DATASETS_CACHE", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "empty"))


@pytest.mark.usefixtures("no_hub")
def test_rows_once_loaded_need_no_hub(filled_cache, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(filled_cache))

    rows = DataSource().rows("set", PINNED)

    assert list(rows) == ROWS
    assert rows.origin == f"hub:{REPO}@{fakehub.COMMIT}[train]"


@pytest.mark.usefixtures("no_hub")
def test_rows_of_the_cache_stay_on_the_disk_whatever_their_size(filled_cache, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(filled_cache))
    monkeypatch.setattr(rowfiles, "MAX_BYTES", 10)

    rows = DataSource().rows("set", PINNED).rows

    assert (len(rows), rows[1], rows[-2], rows[:1]) == (2, ROWS[1], ROWS[0], ROWS[:1])
    assert next(iter(rows)) == ROWS[0]
    with pytest.raises(IndexError):
        rows[2]


@pytest.mark.usefixtures("no_hub")
def test_another_cached_revision_serves_without_a_hub_and_is_named(filled_cache, monkeypatch, caplog):
    monkeypatch.setenv("HF_HOME", str(filled_cache))

    with caplog.at_level(logging.WARNING, "harness"):
        rows = DataSource().rows("set", HubRows(REPO, revision="0" * 40))

    assert rows.origin == f"hub:{REPO}@{fakehub.COMMIT}[train]"
    assert f"using the cached {rows.origin}" in caplog.text


@pytest.mark.usefixtures("no_hub")
def test_a_damaged_cache_counts_as_none(filled_cache, monkeypatch, tmp_path):
    folder = tmp_path / f"home/datasets/MathArena___aime_2025/default/0.0.0/{fakehub.COMMIT}"
    folder.mkdir(parents=True)
    (folder / "aime_2025-train.arrow").write_bytes(b"\x00\x01torn")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))

    with pytest.raises(HarnessError, match="cannot be reached"):
        DataSource().rows("set", PINNED)


@pytest.mark.usefixtures("no_hub")
@pytest.mark.parametrize("offline", ["", "1"])
def test_without_file_hub_or_cache_one_line_says_what_to_do(tmp_path, monkeypatch, offline):
    monkeypatch.setenv("HF_HUB_OFFLINE", offline)
    start = time.monotonic()

    with pytest.raises(HarnessError) as caught:
        DataSource(tmp_path).rows(("set", "other"), PINNED)

    assert time.monotonic() - start < 8
    message = str(caught.value)
    assert "\n" not in message
    why = "HF_HUB_OFFLINE is set" if offline else "127.0.0.1: connection refused"
    for part in (f"{tmp_path} has no set or other", REPO, why, "--data DIR with set.jsonl", "HF_ENDPOINT"):
        assert part in message


def test_a_gated_data_set_says_how_to_get_access(tmp_path):
    with fakehub.serve(REPO, ROWS, gated=True) as url:
        done = load(url, tmp_path)

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"gated data set: ask for access at {url}/datasets/{REPO}" in done.stderr
    assert "hf auth login" in done.stderr


def test_a_data_set_that_the_hub_does_not_have(tmp_path):
    with fakehub.serve("somebody/else", ROWS) as url:
        done = load(url, tmp_path)

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"hub:{REPO}@{fakehub.COMMIT}[train] cannot be loaded" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_local_folder_is_not_taken_for_the_hubs_data(tmp_path):
    (tmp_path / REPO).mkdir(parents=True)
    with fakehub.serve(REPO, ROWS) as url:
        done = load(url, tmp_path)

    assert done.returncode == 1
    assert "would be taken for the Hub's" in done.stderr

"""Rows out of one data file: jsonl, json, csv, parquet, or a zip that holds one of these.

Data files are hostile input: sizes are bounded after decompression, text is strict UTF-8, and whatever is
wrong with a file is told in one line that says where. No line quotes the data: some data must not be shown.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from .data import Row
from .errors import HarnessError

SUFFIXES = (".jsonl", ".jsonl.gz", ".json", ".csv", ".parquet", ".zip")
"""Endings of files that can be read, in the order in which they are looked for."""

MAX_BYTES = 512 << 20
"""Largest file, compressed or not, in bytes: thousands of times what a benchmark has."""

_MAX_MEMBERS = 10_000


def read(path: Path, stem: str) -> tuple[list[Row], str]:
    """The rows of a file, and where they come from: path (and member of a zip) with the file's sha256.

    Args:
        path: its ending, one of SUFFIXES, says what it is.
        stem: of several members of a zip, the one of this name is meant.

    Raises:
        HarnessError: unreadable, too large, not UTF-8, malformed (with the line) or without rows.
    """
    raw = _contents(path)
    where, digest = str(path), hashlib.sha256(raw).hexdigest()
    name = path.name
    if _suffix(name) == ".zip":
        member, raw = _unzip(raw, stem, where)
        where, name = f"{where}!{member}", member
    suffix = _suffix(name)
    if suffix == ".jsonl.gz":
        raw = _gunzip(raw, where)
    rows = _PARSERS[suffix](raw, where)
    if not rows:
        raise HarnessError(f"{where} holds no rows: it is {'empty' if not raw.strip() else 'only a header'}")
    return rows, f"{where} sha256:{digest}"


def _suffix(name: str) -> str:
    return next((s for s in sorted(SUFFIXES, key=len, reverse=True) if name.lower().endswith(s)), "")


def _contents(path: Path) -> bytes:
    if path.is_dir():
        raise HarnessError(f"{path} is a folder, not a data file")
    if path.exists() and not path.is_file():  # opening a pipe or a device could wait for ever
        raise HarnessError(f"{path} is not a regular file")
    try:
        with path.open("rb") as stream:
            if os.fstat(stream.fileno()).st_size > MAX_BYTES:
                raise _too_large(str(path))
            return stream.read(MAX_BYTES)
    except OSError as error:
        raise HarnessError(f"cannot read {path}: {error.strerror or error}") from None


def _too_large(where: str) -> HarnessError:
    return HarnessError(f"{where} holds more than {MAX_BYTES >> 20} MiB: that is no benchmark's data")


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def _bounded(stream: _Readable, where: str) -> bytes:
    """All of a decompressing stream, as long as it stays within bounds."""
    raw = stream.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise _too_large(where)
    return raw


def _gunzip(raw: bytes, where: str) -> bytes:
    import gzip

    try:
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as stream:
            return _bounded(stream, where)
    except (OSError, EOFError, zlib.error) as error:
        raise HarnessError(f"{where} is not a whole gzip file: {error}") from None


def _unzip(raw: bytes, stem: str, where: str) -> tuple[str, bytes]:
    import lzma
    import zipfile

    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            names = [info.filename for info in archive.infolist()[:_MAX_MEMBERS] if not info.is_dir()]
            member = _member(names, stem, where)
            if archive.getinfo(member).flag_bits & 1:
                raise HarnessError(
                    f"{where}: its member {member[:80]!r} needs a password: unpack it by hand and give the "
                    "unpacked file"
                )
            with archive.open(member) as stream:
                return member, _bounded(stream, f"{where}!{member}")
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
        raise HarnessError(f"{where} is not a whole zip file: {error}") from None
    except (NotImplementedError, RuntimeError) as error:
        raise HarnessError(f"{where} cannot be unpacked here: {error}") from None


def _member(names: Sequence[str], stem: str, where: str) -> str:
    usable = [n for n in names if _suffix(n) not in ("", ".zip") and not n.startswith("__MACOSX/")]
    named = [n for n in usable if PurePosixPath(n).name.lower() in {f"{stem}{s}".lower() for s in SUFFIXES}]
    # The csv first: public archives carry reworked copies beside the original table.
    named.sort(key=lambda n: _suffix(n) != ".csv")
    if len(usable) == 1:
        return usable[0]
    if named:
        return named[0]
    found = ", ".join(repr(name[:80]) for name in sorted(names)[:5]) or "nothing"
    raise HarnessError(f"{where} has no member {stem}.csv (or {', '.join(SUFFIXES[:3])}): it holds {found}")


def _text(raw: bytes, where: str) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise HarnessError(f"{where} line {line}: not UTF-8 ({error.reason}); convert the file") from None


def _jsonl(raw: bytes, where: str) -> list[Row]:
    rows = []
    # Only a line feed ends a line: U+2028 and the like occur inside problem texts.
    for number, line in enumerate(_text(raw, where).split("\n"), 1):
        if line.strip():
            rows.append(_row(_parsed(line, f"{where} line {number}"), f"{where} line {number}"))
    return rows


def _json(raw: bytes, where: str) -> list[Row]:
    text = _text(raw, where)
    if not text.lstrip().startswith("["):
        return _jsonl(raw, where)  # many public .json files are jsonl
    return [_row(v, f"{where} item {number}") for number, v in enumerate(_parsed(text, where), 1)]


def _parsed(text: str, where: str) -> Any:
    try:
        value = json.loads(text)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair cannot be stored
    except json.JSONDecodeError as error:
        line = f" line {error.lineno}" if error.lineno > 1 else ""
        raise HarnessError(f"{where}{line}: not JSON: {error.msg} (column {error.colno})") from None
    except UnicodeEncodeError:
        raise HarnessError(f"{where}: holds half a surrogate pair (\\ud800 to \\udfff)") from None
    except (ValueError, RecursionError) as error:
        raise HarnessError(f"{where}: not usable JSON: {type(error).__name__}: {error}") from None
    return value


def _row(value: object, where: str) -> Row:
    if not isinstance(value, dict):
        raise HarnessError(f"{where}: a row must be an object with named columns, not a {_kind(value)}")
    return value


def _kind(value: object) -> str:
    return {list: "list", str: "string", int: "number", float: "number"}.get(type(value), "bare value")


def _csv(raw: bytes, where: str) -> list[Row]:
    rows = []
    reader = csv.reader(io.StringIO(_text(raw, where), newline=""), strict=True)
    header: list[str] = []
    try:
        for record in reader:
            if not record:
                continue
            if not header:
                header = record
                if len(set(header)) < len(header):
                    raise HarnessError(f"{where}: a column name occurs twice in the header")
            elif len(record) != len(header):
                raise HarnessError(
                    f"{where} line {reader.line_num}: {len(record)} fields under a header of {len(header)}"
                )
            else:
                rows.append(dict(zip(header, record, strict=True)))
    except csv.Error as error:
        raise HarnessError(f"{where} line {reader.line_num}: not CSV: {error}") from None
    return rows


def _parquet(raw: bytes, where: str) -> list[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows: list[Row] = []
    size = 0
    try:
        # In batches, because run-length encoding lets a small file hold any amount of data.
        for batch in pq.ParquetFile(io.BytesIO(raw)).iter_batches(batch_size=1024):
            size += batch.nbytes
            if size > MAX_BYTES:
                raise _too_large(where)
            rows.extend(batch.to_pylist())
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:160]
        raise HarnessError(f"{where} is not a readable parquet file: {reason}") from None
    return rows


_PARSERS: dict[str, Callable[[bytes, str], list[Row]]] = {
    ".jsonl": _jsonl,
    ".jsonl.gz": _jsonl,
    ".json": _json,
    ".csv": _csv,
    ".parquet": _parquet,
}

"""Members of a zip archive as bytes. Nothing is unpacked to the disk, and no member's word on its size is taken."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from harness import HarnessError

MAX_MEMBER: Final = 256 * 2**20
"""Bytes of one member, unpacked: a thousand times what the longest samples seen have."""

_MAX_MEMBERS: Final = 2_000_000
_ZSTANDARD: Final = 93
_LOCAL_HEADER: Final = struct.Struct("<4s22xHH")


class Archive:
    def __init__(self, path: Path, file: IO[bytes], zipped: zipfile.ZipFile) -> None:
        self._path = path
        self._file = file
        self._zip = zipped
        found = zipped.infolist()
        if len(found) > _MAX_MEMBERS:
            raise HarnessError(f"{path} holds more than {_MAX_MEMBERS:,} members")
        # Of two members of one name the last counts, as for every reader of zips.
        self._members = {info.filename: info for info in found}

    @property
    def names(self) -> list[str]:
        return list(self._members)

    def read(self, name: str) -> bytes:
        """A member's bytes.

        Raises:
            HarnessError: it is damaged, too large, or packed in a way that cannot be read here.
        """
        info = self._members[name]
        where = self.where(name)
        if info.flag_bits & 1:
            raise HarnessError(f"{where} needs a password")
        if info.compress_size > MAX_MEMBER:
            raise _too_large(where)
        try:
            if info.compress_type == _ZSTANDARD:
                data = self._zstandard(info)
            else:
                with self._zip.open(info) as member:
                    data = member.read(MAX_MEMBER + 1)
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, struct.error) as error:
            raise HarnessError(f"{where} is damaged: {' '.join(str(error).split())[:120]}") from None
        except (NotImplementedError, RuntimeError) as error:
            raise HarnessError(f"{where} cannot be unpacked here: {error}") from None
        if len(data) > MAX_MEMBER:
            raise _too_large(where)
        return data

    def where(self, name: str) -> str:
        return f"{self._path}, {name[:200]}"

    def _zstandard(self, info: zipfile.ZipInfo) -> bytes:
        """Zstandard, which zipfile knows from Python 3.14 on."""
        import pyarrow as pa

        self._file.seek(info.header_offset)
        magic, name, extra = _LOCAL_HEADER.unpack(self._file.read(_LOCAL_HEADER.size))
        if magic != b"PK\x03\x04":
            raise zipfile.BadZipFile("no member where one should be")
        self._file.seek(name + extra, 1)
        packed = pa.BufferReader(self._file.read(info.compress_size))
        pieces, size = [], 0
        with pa.CompressedInputStream(packed, "zstd") as stream:
            while size <= MAX_MEMBER and (piece := stream.read(2**20)):
                pieces.append(piece)
                size += len(piece)
        data = b"".join(pieces)
        if size <= MAX_MEMBER and zlib.crc32(data) != info.CRC:
            raise zipfile.BadZipFile("its checksum is wrong")
        return data


def _too_large(where: str) -> HarnessError:
    return HarnessError(f"{where} is larger than {MAX_MEMBER >> 20} MiB")


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """A zip file for reading.

    Raises:
        HarnessError: it cannot be read or is no zip file.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as zipped:
            yield Archive(path, file, zipped)
    except OSError as error:
        raise HarnessError(f"cannot read {path}: {error.strerror or error}") from None
    except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error) as error:
        raise HarnessError(f"{path} is not a whole zip file: {error}") from None

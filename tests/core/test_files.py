"""Folders that one process at a time writes to."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from harness import Busy, HarnessError
from harness.files import lock


def test_a_folder_that_another_is_writing_is_busy_and_says_whose_it_is(tmp_path: Path) -> None:
    with (
        lock(tmp_path),
        pytest.raises(Busy, match=f"is being written by process {os.getpid()} on "),
        lock(tmp_path),
    ):
        pass
    with lock(tmp_path):
        pass  # nobody is, any more


def test_a_disk_without_locks_is_said_to_be_that_and_not_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(HarnessError, match="cannot be locked: No locks available") as caught, lock(tmp_path):
        pass
    assert not isinstance(caught.value, Busy)

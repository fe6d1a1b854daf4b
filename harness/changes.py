"""Which chains two gradings judge differently, and why."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .errors import HarnessError
from .grades import StoredGrades, read_grades
from .records import Grade
from .rows import Key


class Change(NamedTuple):
    """One chain with another verdict than before."""

    key: Key
    old: Grade
    new: Grade


class Comparison(NamedTuple):
    old_grader: str
    new_grader: str
    compared: int
    """Chains that both gradings know."""
    changes: Sequence[Change]


def compare_grades(old: Path, new: Path) -> Comparison:
    """Chains whose status or answer class differs between two gradings, by problem and sample index.

    Args:
        old, new: run folders, or their grades.parquet files (a copy made before a regrade, for example).

    Raises:
        HarnessError: no grades are there, or the two have no chain in common.
    """
    before, after = _grades_of(old), _grades_of(new)
    common = sorted(before.grades.keys() & after.grades.keys())
    if not common:
        raise HarnessError(f"{old} and {new} have no chain in common: they are of different problems")
    changes = [Change(key, before.grades[key], after.grades[key]) for key in common]
    different = [c for c in changes if (c.old.status, c.old.answer) != (c.new.status, c.new.answer)]
    return Comparison(before.grader, after.grader, len(common), different)


def _grades_of(path: Path) -> StoredGrades:
    file = path / "grades.parquet" if path.is_dir() else path
    if not file.exists():
        raise HarnessError(f"{path} has no grades: name a finished run folder or a grades.parquet file")
    grades = read_grades(file)
    if grades is None:
        raise HarnessError(
            f"{file} is damaged (`harness regrade` makes a run's grades again), or holds chains of several runs"
        )
    return grades

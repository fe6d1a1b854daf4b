"""One meaning for the columns that different copies of a benchmark name differently."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from harness import HarnessError

NAMES: Mapping[str, tuple[str, ...]] = {
    "problem": ("problem", "question", "problem_statement"),
    "gold": ("answer", "expected_answer", "final_answer", "ground_truth", "gold", "target"),
    "id": ("unique_id", "record_id", "id", "problem_idx", "problem_id", "question_id", "idx", "index"),
}
"""What is wanted -> names that public copies give it. Case, blanks, hyphens and underscores do not matter."""

_CONTEST = re.compile(r"(?<![A-Za-z])(II?)(?:_Problems/Problem)?[^A-Za-z0-9]+([0-9]{1,2})(?![0-9])")


def column(row: Mapping[str, Any], wanted: str, place: str = "the data") -> str:
    """The text in the column for "problem", "gold" or "id", or in a column of another name.

    Raises:
        HarnessError: no such column. The message does not quote the row.
    """
    value = _find(row, *NAMES.get(wanted, (wanted,)))
    if value is _ABSENT:
        names = " or ".join(NAMES.get(wanted, (wanted,))[:3])
        raise HarnessError(f"{place} has no column for the {wanted} (looked for {names})")
    return as_text(value)


def as_text(value: object) -> str:
    """The text of a cell, stripped: 70, 70.0, "70" and ["70"] are all "70"; an empty cell is ""."""
    if isinstance(value, (list, tuple)) and len(value) == 1:
        value = value[0]
    if value is None or value != value:  # NaN: what tables have for an empty cell
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def ordinals(rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """The number of each row in its benchmark, from 1: by ids that count from 0 or 1, else by position.

    >>> ordinals([{"problem_idx": 2}, {"problem_idx": 1}])
    [2, 1]
    """
    found = [re.search(r"(?<![0-9])[0-9]{1,6}$", _id_text(row)) for row in rows]
    numbers = [int(match[0]) for match in found if match]
    if len(numbers) == len(rows) and numbers and min(numbers) in (0, 1):
        return [number - min(numbers) + 1 for number in numbers]
    return list(range(1, len(rows) + 1))


def contest_numbers(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, int]]:
    """Contest ("I" or "II") and number of each row of an AIME year.

    Read from ids such as `2024-II-4`, from the address of the problem's page, or from the columns `Part` and
    `Problem Number`; where a row has none of these, all rows are numbered as 1 to 30, contest I first.
    """
    found = [_contest(row) for row in rows]
    if found and all(found):
        return [contest for contest in found if contest]
    return [("I", n) if n <= 15 else ("II", n - 15) for n in ordinals(rows)]


def _contest(row: Mapping[str, Any]) -> tuple[str, int] | None:
    part, number = _find(row, "part"), _find(row, "problem_number")
    texts = [_id_text(row), as_text(_find(row, "url", "link"))]
    if part is not _ABSENT and number is not _ABSENT:
        texts.insert(0, f"{as_text(part)}-{as_text(number)}")
    for text in texts:
        if match := _CONTEST.search(text):
            return match[1], int(match[2])
    return None


def _id_text(row: Mapping[str, Any]) -> str:
    return as_text(_find(row, *NAMES["id"]))


class _Absent:
    def __str__(self) -> str:
        return ""


_ABSENT = _Absent()


def _find(row: Mapping[str, Any], *names: str) -> object:
    plain = {_plain(key): key for key in reversed(list(row))}
    for name in names:
        if _plain(name) in plain:
            return row[plain[_plain(name)]]
    return _ABSENT


def _plain(name: object) -> str:
    return re.sub(r"[\s_-]+", "", str(name)).lower()

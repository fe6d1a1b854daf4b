"""What an address asks for, and addresses of other pages.

All state of a page is in its address, so that links can be shared.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote, unquote, urlencode

from starlette.requests import Request

_LONGEST: Final = 300
"""Characters of one parameter."""

_SAFE: Final = "=,:@+~"
"""Characters that stand for themselves in a path."""

RowT = TypeVar("RowT")


class Asked:
    """The query of one request."""

    def __init__(self, request: Request) -> None:
        self.path = quote(unquote(request.scope["path"]), safe="/")
        raw = request.scope.get("raw_path")
        if raw:
            self.path = raw.decode("ascii", "replace").partition("?")[0]
        self.given: dict[str, str] = {k: v[:_LONGEST] for k, v in request.query_params.items() if v}

    def text(self, name: str) -> str:
        return self.given.get(name, "")

    def number(self, name: str, most: int = 10**9) -> int | None:
        return whole(self.text(name), most)

    def url(self, **changes: object) -> str:
        """This page with some parameters changed; None and "" leave them out."""
        values = {**self.given, **{name: "" if v is None else str(v) for name, v in changes.items()}}
        return address(self.path, **values)


def whole(text: str, most: int = 10**9) -> int | None:
    """A whole number in 0..most, or None."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 10):
        return None
    return number if (number := int(text)) <= most else None


def address(path: str, **values: object) -> str:
    kept = {name: str(value) for name, value in values.items() if value not in (None, "")}
    return f"{path}?{urlencode(kept)}" if kept else path


def run_url(key: str, **values: object) -> str:
    return address("/run/" + quote(key, safe=_SAFE + "/"), **values)


def problem_url(key: str, problem_id: str, **values: object) -> str:
    return address(f"/run/{quote(key, safe=_SAFE + '/')}/problem/{id_part(problem_id)}", **values)


def chain_url(key: str, problem_id: str, index: int, **values: object) -> str:
    return address(f"/run/{quote(key, safe=_SAFE + '/')}/chain/{id_part(problem_id)}/{index}", **values)


def raw_url(key: str, problem_id: str, index: int, **values: object) -> str:
    return address(f"/run/{quote(key, safe=_SAFE + '/')}/raw/{id_part(problem_id)}/{index}", **values)


def compare_url(a: str, b: str, problem_id: str | None = None, **values: object) -> str:
    path = "/compare" if problem_id is None else f"/compare/problem/{id_part(problem_id)}"
    return address(path, a=a, b=b, **values)


def id_part(problem_id: str) -> str:
    """A problem's id as the last part of a path: browsers would take "." and ".." for something else."""
    marked = problem_id in ("", ".", "..") or problem_id.startswith("~")
    return quote("~" + problem_id if marked else problem_id, safe=_SAFE)


def id_of(part: str) -> str:
    return part.removeprefix("~")


@dataclass(frozen=True, slots=True)
class Column(Generic[RowT]):
    """A column by which a table can be sorted."""

    name: str
    title: str
    key: Callable[[RowT], Any]
    """What is sorted by; None comes last."""
    number: bool = True
    """Numbers stand to the right and are first sorted from the largest."""
    help: str = ""


@dataclass(frozen=True, slots=True)
class Sorted(Generic[RowT]):
    """A table's columns and the way in which it is sorted."""

    columns: Sequence[Column[RowT]]
    by: str
    down: bool

    @classmethod
    def asked(
        cls, asked: Asked, columns: Sequence[Column[RowT]], by: str = "", down: bool = False
    ) -> Sorted[RowT]:
        given = asked.text("sort")
        name = given.removeprefix("-")
        if name in {column.name for column in columns}:
            return cls(columns, name, given.startswith("-"))
        return cls(columns, by, down)

    def rows(self, rows: Sequence[RowT]) -> list[RowT]:
        column = next((column for column in self.columns if column.name == self.by), None)
        if column is None:
            return list(rows)
        keyed = [(column.key(row), row) for row in rows]
        known = sorted(
            (pair for pair in keyed if pair[0] is not None), key=lambda pair: pair[0], reverse=self.down
        )
        return [row for _, row in known] + [row for key, row in keyed if key is None]

    def next_of(self, column: Column[RowT]) -> str:
        """The parameter `sort` that a click on the column's head asks for."""
        down = not self.down if column.name == self.by else column.number
        return f"-{column.name}" if down else column.name

    def order(self, column: Column[RowT]) -> str:
        """As ARIA calls it."""
        if column.name != self.by:
            return "none"
        return "descending" if self.down else "ascending"


def counted(names: Mapping[str, int] | Sequence[str], order: Sequence[str] = ()) -> list[tuple[str, int]]:
    """How often each name occurs, in a given order first."""
    counts: dict[str, int] = {}
    if isinstance(names, Mapping):
        counts = dict(names)
    else:
        for name in names:
            counts[name] = counts.get(name, 0) + 1
    rank = functools.partial(_rank, tuple(order))
    return sorted(counts.items(), key=lambda item: rank(item[0]))


def _rank(order: tuple[str, ...], name: str) -> tuple[int, str]:
    return (order.index(name) if name in order else len(order), name)

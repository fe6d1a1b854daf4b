"""The filters of a stage's data: which are known, and what passes them."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from harness import HarnessError, closest

COLUMNS: Final = ("pass_rate", "difficulty", "tokens")
"""What rows can be bounded by."""
DESCRIPTIVE: Final = ("corpus", "deduplicated", "decontaminated")
"""What is said of a data set and cannot be seen in its rows."""
CHOICES: Final = ("shortest correct", "longest correct", "first correct", "all correct", "solution")

HOW: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "above": operator.gt,
    "below": operator.lt,
    "at_least": operator.ge,
    "at_most": operator.le,
}
_OWN: Final = ("pass_rate_at_tokens", "chain", "checks", "check_weights", "max_tokens", "not_in")
_MOST_CHECKS: Final = 100
_LARGEST: Final = 10**9
_MOST: Final = 1e300
"""Larger numbers are none: whole ones may have more digits than a float can hold."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A filter such as `pass_rate_above: 0.2`."""

    column: str
    how: str
    """above, below (without the limit itself), at_least, at_most (with it)."""
    limit: float

    @property
    def name(self) -> str:
        return f"{self.column}_{self.how}"

    def passes(self, value: float) -> bool:
        return HOW[self.how](value, self.limit)

    def __str__(self) -> str:
        return f"{self.name} {self.limit:g}"


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of a stage, checked."""

    bounds: tuple[Bound, ...] = ()
    pass_rate_at_tokens: int | None = None
    """A chain of more tokens counts as wrong in the pass rate."""
    chain: str | None = None
    """One of CHOICES; None: the shortest correct one, or the only one."""
    checks: tuple[int, ...] = ()
    """How often a worked solution is gone through again: one of these for each row."""
    check_weights: tuple[float, ...] = ()
    """How likely each of `checks` is."""
    max_tokens: int | None = None
    """Most tokens of prompt and completion together."""
    not_in: tuple[str, ...] = ()
    """Benchmarks whose problems are left out."""
    described: tuple[str, ...] = ()
    """Filters that are told of only."""

    def of(self, column: str) -> tuple[Bound, ...]:
        return tuple(bound for bound in self.bounds if bound.column == column)

    @property
    def count_tokens(self) -> tuple[str, ...]:
        """Names of those filters that need the tokens of each row."""
        names = [bound.name for bound in self.of("tokens")]
        return (*names, *(["max_tokens"] if self.max_tokens is not None else []))


def read_filters(settings: Mapping[str, Any]) -> Filters:
    """What a recipe's `filters` ask for.

    Raises:
        HarnessError: an unknown filter (with the closest one), or a value that is none for it.
    """
    bounds = []
    known = {f"{column}_{how}": (column, how) for column in COLUMNS for how in HOW}
    for name, value in settings.items():
        if name in known:
            bounds.append(_bound(*known[name], value))
        elif name not in _OWN and name not in DESCRIPTIVE:
            raise HarnessError(
                f"data.filters: no filter is called {name!r:.60}: {closest(name, [*known, *_OWN, *DESCRIPTIVE])}"
            )
    check_bands(bounds)
    checks, weights = _checks(settings)
    chain = settings.get("chain")
    if chain is not None and chain not in CHOICES:
        hint = closest(chain, CHOICES) if isinstance(chain, str) else f"known: {', '.join(CHOICES)}"
        raise HarnessError(f"data.filters.chain: {chain!r:.60} is no way to choose a chain: {hint}")
    if checks and chain not in (None, "solution"):
        raise HarnessError(f"data.filters: checks go with worked solutions, not with `chain: {chain}`")
    return Filters(
        tuple(bounds),
        _whole(settings, "pass_rate_at_tokens"),
        chain,
        checks,
        weights,
        _whole(settings, "max_tokens"),
        _names(settings, "not_in"),
        tuple(name for name in settings if name in DESCRIPTIVE),
    )


def _bound(column: str, how: str, value: object) -> Bound:
    if not _is_number(value):
        raise HarnessError(f"data.filters.{column}_{how}: {value!r:.60} is not a number")
    assert isinstance(value, int | float)
    if column == "pass_rate" and not 0 <= value <= 1:
        raise HarnessError(f"data.filters.{column}_{how}: {value!r:.60} is not a share from 0 to 1")
    return Bound(column, how, float(value))


def check_bands(bounds: Sequence[Bound], where: str = "data.filters: ") -> None:
    """Lower bounds above upper ones would leave nothing, and are a slip.

    Raises:
        HarnessError: these do; begins with `where`.
    """
    for low in bounds:
        for high in bounds:
            if (
                low.column != high.column
                or low.how not in ("above", "at_least")
                or high.how in ("above", "at_least")
            ):
                continue
            closed = (low.how, high.how) == ("at_least", "at_most")
            if low.limit > high.limit or (low.limit == high.limit and not closed):
                raise HarnessError(f"{where}{low} and {high} leave nothing: is it the other way round?")


def _whole(settings: Mapping[str, Any], name: str) -> int | None:
    value = settings.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _LARGEST:
        raise HarnessError(f"data.filters.{name}: {value!r:.60} is not a whole number from 1")
    return value


def _names(settings: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = settings.get(name, [])
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(one, str) and one.strip() for one in names):
        raise HarnessError(f"data.filters.{name}: {value!r:.60} is not a list of benchmarks")
    return tuple(names)


def _checks(settings: Mapping[str, Any]) -> tuple[tuple[int, ...], tuple[float, ...]]:
    asked, weights = settings.get("checks"), settings.get("check_weights")
    if asked is None:
        if weights is not None:
            raise HarnessError("data.filters.check_weights: there are no `checks` that they weigh")
        return (), ()
    values = asked if isinstance(asked, list) else [asked]
    if not values or not all(type(value) is int and 0 <= value <= _MOST_CHECKS for value in values):
        raise HarnessError(
            f"data.filters.checks: {asked!r:.60} is not a list of whole numbers from 0 to {_MOST_CHECKS}"
        )
    if weights is None:
        return tuple(values), (1.0,) * len(values)
    fine = isinstance(weights, list) and len(weights) == len(values) and all(map(_is_number, weights))
    if not fine or min(weights) < 0 or not 0 < sum(weights) < math.inf:
        raise HarnessError(
            f"data.filters.check_weights: {weights!r:.60} is not a list of {len(values)} weights, one for each of "
            "`checks`, from 0, not all of them 0"
        )
    return tuple(values), tuple(map(float, weights))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _MOST

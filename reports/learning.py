"""How a stage of training went: what its steps come to in words, and as few points as a chart can show."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from .figures import count, percent

if TYPE_CHECKING:
    from harness.training import Curve

Figure = float | None

MOST_POINTS: Final = 500
"""Steps of a chart: twice as many as a line of its width has corners that can be seen."""

_LONGEST_WINDOW: Final = 101
_HIGHEST: Final = 1e100
"""Sums and axes of figures below it are finite."""


def column(curve: Curve, name: str) -> list[Figure]:
    """A figure for each logged step, None where there is none, or one that overflowed or is about to."""
    row = curve.series.get(name, ())
    return [value if value is not None and abs(value) < _HIGHEST else None for value in row]


def has(curve: Curve, name: str) -> bool:
    """Whether any step has this figure."""
    return any(value is not None for value in column(curve, name))


# -- in words --------------------------------------------------------------------------------------------------


def _ratio(value: float) -> str:
    return f"{value:.2f}" if 0.1 <= abs(value) < 1e6 or value == 0 else f"{value:.3g}"


def _tokens(value: float) -> str:
    return f"{value:,.0f}" if abs(value) < 1e9 else f"{value:.3g}"


def _loss(value: float) -> str:
    return f"{value:#.3g}" if 1e-3 <= abs(value) < 1000 else f"{value:.3g}"


_NAMED: Final[Mapping[str, tuple[str, Callable[[float], str]]]] = {
    "reward": ("reward", _ratio),
    "loss": ("loss", _loss),
    "accuracy": ("accuracy", percent),
    "mean_tokens": ("mean tokens", _tokens),
    "truncated": ("truncated", percent),
}
"""Series that are told of where there are figures of them, with what they are called."""

_BESIDE_REWARD: Final = ("reward", "accuracy", "mean_tokens", "truncated")
"""The loss of a stage that has a reward says nothing of how it goes: it is zero on the whole at every step."""


def sentence(curve: Curve) -> str:
    """How a stage went: `r:rl (grpo, for R) over 49 steps: reward 0.32 → 0.61, ... (means of ...).`"""
    head = f"{curve.stage} ({curve.trainer}, for {curve.checkpoint})"
    if not curve.steps:
        return f"{head}: no step is logged."
    head += f" over {count(max(curve.steps), 'step')}"
    windows: set[int] = set()
    told = list(_told(curve, windows))
    if not told:
        return f"{head}: nothing is logged that can be told in words."
    size = max(windows)
    if size > 1:
        rule = f"means of the first {size:,} and of the last {size:,} logged steps"
    else:
        rule = "its only logged step" if windows == {0} else "the first and the last logged step"
    return f"{head}: {', '.join(told)} ({rule})."


def _told(curve: Curve, windows: set[int]) -> Iterator[str]:
    for name in _BESIDE_REWARD if has(curve, "reward") else tuple(_NAMED):
        if found := ends(curve, name):
            windows.add(found[1])
            yield f"{_NAMED[name][0]} {found[0]}"


def ends(curve: Curve, name: str) -> tuple[str, int] | None:
    """A series from its first to its last tenth, `0.32 → 0.61`, and how many steps each is the mean of.

    Returns:
        None where it has no figure; 0 steps where it has a single one.
    """
    known = [value for value in column(curve, name) if value is not None]
    written = _NAMED[name][1]
    if len(known) < 2:
        return (written(known[0]), 0) if known else None
    size = tenth(len(known))
    first, last = math.fsum(known[:size]) / size, math.fsum(known[-size:]) / size
    return f"{written(first)} → {written(last)}", size


def tenth(steps: int) -> int:
    """How many steps at either end of so many are summed up: a tenth of them, at least one."""
    return max(1, round(steps / 10))


# -- to be drawn -----------------------------------------------------------------------------------------------


def window(steps: int) -> int:
    """Over how many of so many steps a moving average goes: about a tenth, an odd number; 1 is none at all."""
    size = min(_LONGEST_WINDOW, steps // 10)
    return size + 1 - size % 2 if size > 1 else 3 if steps >= 10 else 1


def moving_average(values: Sequence[Figure], size: int) -> list[Figure]:
    """The mean of the known values around each place: so many, half of them on either side, fewer at the ends."""
    sums, counts = [0.0], [0]
    for value in values:
        sums.append(sums[-1] + (value or 0.0))
        counts.append(counts[-1] + (value is not None))
    found: list[Figure] = []
    for place in range(len(values)):
        low, high = max(0, place - size // 2), min(len(values), place + size // 2 + 1)
        known = counts[high] - counts[low]
        found.append((sums[high] - sums[low]) / known if known else None)
    return found


def thinned(columns: Sequence[Sequence[Figure]], most: int = MOST_POINTS) -> list[int]:
    """At most so many places, in order: the first, the last, and of each stretch where a column is lowest and highest.

    Args:
        columns: of the same length.
    """
    size = len(columns[0])
    if size <= most:
        return list(range(size))
    stretches = max(1, (most - 2) // (2 * len(columns)))
    kept = {0, size - 1}
    for stretch in range(stretches):
        places = range(size * stretch // stretches, size * (stretch + 1) // stretches)
        for values in columns:
            known = [(value, place) for place in places if (value := values[place]) is not None]
            if known:
                kept |= {min(known)[1], max(known)[1]}
    return sorted(kept)

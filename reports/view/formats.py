"""How figures are written in pages."""

from __future__ import annotations

import time
from typing import Any, Final

from .. import figures
from ..figures import p_value, points
from .summaries import Figure

DASH: Final = "–"


def percent(share: float | None, digits: int = 1) -> str:
    return DASH if share is None else f"{100 * share:.{digits}f}"


def with_error(figure: Figure | None) -> str:
    """Value ± standard error, in percent."""
    if figure is None:
        return DASH
    value = f"{100 * figure.value:.2f}"
    return value if figure.stderr is None else f"{value} ± {100 * figure.stderr:.2f}"


def interval(figure: Figure | None) -> str:
    if figure is None or figure.low is None or figure.high is None:
        return ""
    return f"{100 * figure.low:.1f} – {100 * figure.high:.1f}"


def count(number: float | None) -> str:
    return DASH if number is None else f"{number:,.0f}"


def money(usd: float | None) -> str:
    return DASH if usd is None else f"${figures.money(usd)}"


def signed(share: float | None, digits: int = 1) -> str:
    return DASH if share is None else points(share, digits)


def ago(seconds: float) -> str:
    """How long ago a moment, in seconds since 1970, was."""
    passed = max(0.0, time.time() - seconds)
    for size, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if passed >= size:
            return f"{passed / size:.0f} {name} ago"
    return "just now"


def shade(share: float | None) -> str:
    """Class of a cell that is coloured by a share in 0..1."""
    return "h-none" if share is None else f"h{round(10 * min(1.0, max(0.0, share)))}"


def shade_of_difference(difference: float | None) -> str:
    """Class of a cell that is coloured by a difference in -1..1."""
    if difference is None:
        return "h-none"
    step = round(5 * min(1.0, max(-1.0, difference)))
    return f"d{'m' if step < 0 else 'p'}{abs(step)}" if step else "d0"


def slug(status: str) -> str:
    return status.replace(" ", "-").replace("_", "-")


def words(status: str) -> str:
    return status.replace("_", " ")


def cut(text: str, most: int = 80) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


FILTERS: Final[dict[str, Any]] = {
    "percent": percent,
    "with_error": with_error,
    "interval": interval,
    "count": count,
    "money": money,
    "signed": signed,
    "probability": p_value,
    "ago": ago,
    "shade": shade,
    "shade_of_difference": shade_of_difference,
    "slug": slug,
    "words": words,
    "cut": cut,
}

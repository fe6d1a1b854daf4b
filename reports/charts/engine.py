"""The libraries that make charts, imported when the first chart is asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from harness.errors import HarnessError

LETTERS: Final = {"name": "letters", "value": 40}
"""Parameter of a chart: so many letters fit beside it. A page sets it by its width."""

_REMEDY: Final = 'pip install "fathom-harness[report]"'


def altair() -> Any:
    """Altair, with which charts are described.

    Raises:
        HarnessError: it is not installed.
    """
    try:
        import altair
    except ImportError:
        raise HarnessError(f"charts need altair, which is not installed: {_REMEDY}") from None
    return altair


def names() -> Any:
    """An axis with names of models: where there is no room a name loses its middle, since many differ at the end.

    The chart needs `LETTERS` among its parameters.
    """
    return altair().Axis(labelExpr=f"truncate(datum.label, {LETTERS['name']}, 'center', '…')")


def vl_convert() -> Any:
    """vl-convert, which draws charts without a browser or a network and ships Vega's JavaScript.

    Raises:
        HarnessError: it is not installed.
    """
    try:
        import vl_convert
    except ImportError:
        raise HarnessError(f"charts need vl-convert-python, which is not installed: {_REMEDY}") from None
    return vl_convert


def drawn(spec: Mapping[str, Any], config: Mapping[str, Any], form: str) -> bytes:
    """A Vega-Lite chart as a file: "svg", or "png" at twice the pixels for sharp text.

    Raises:
        HarnessError: vl-convert is not installed, or there is no such form.
    """
    convert = vl_convert()
    text = json.dumps({**spec, "config": config})
    if form == "svg":
        svg: str = convert.vegalite_to_svg(text, allowed_base_urls=[])
        return _numbered_anew(svg).encode("utf-8", "replace")
    if form == "png":
        png: bytes = convert.vegalite_to_png(text, scale=2, allowed_base_urls=[])
        return png
    raise HarnessError(f"charts are drawn as svg or png, not as {form!r}")


def _numbered_anew(svg: str) -> str:
    """The drawing with its ids counted from 0, so that the same chart is the same file whatever was drawn before."""
    numbers: dict[str, int] = {}

    def renamed(found: re.Match[str]) -> str:
        number = numbers.setdefault(found[2] + found[3], len(numbers))
        return f"{found[1]}{found[2]}{number}"

    return re.sub(r'(\bid="|url\(#)(gradient_|clip)(\d{1,9})', renamed, svg)

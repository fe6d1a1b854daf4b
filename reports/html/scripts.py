"""Vega, Vega-Lite and Vega-Embed as one script, from vl-convert's own copies."""

from __future__ import annotations

from harness.errors import HarnessError, one_line

from ..charts.engine import vl_convert


def bundle() -> str:
    """The script, which sets `window.vegaEmbed`. Takes about a second the first time.

    Raises:
        HarnessError: vl-convert is not installed, or cannot make it.
    """
    try:
        script: str = vl_convert().javascript_bundle("window.vegaEmbed=vegaEmbed;")
    except HarnessError:
        raise
    except Exception as error:  # noqa: BLE001 - ValueError, and whatever a panic of Rust becomes
        raise HarnessError(f"vl-convert made no script for the page: {one_line(error)}") from None
    return script

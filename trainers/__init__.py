"""Training recipes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .watching.callback import HarnessCallback

__all__ = ["HarnessCallback"]


def __getattr__(name: str) -> Any:
    """What training programs use is loaded when it is first asked for."""
    if name == "HarnessCallback":
        from .watching.callback import HarnessCallback

        return HarnessCallback
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

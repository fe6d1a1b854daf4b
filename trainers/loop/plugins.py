"""The plugins that a stage is run with: those that its command was narrowed to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from harness.plugins import PluginManager, load_plugins

_NARROWED: Final[ContextVar[PluginManager | None]] = ContextVar("plugins of the stage", default=None)


@contextmanager
def running_with(plugins: PluginManager) -> Iterator[None]:
    """While this holds, a trainer of this package that asks for its plugins gets these."""
    token = _NARROWED.set(plugins)
    try:
        yield
    finally:
        _NARROWED.reset(token)


def plugins_of_stage() -> PluginManager:
    """What the command that runs the stage has loaded; all that there are where a trainer is called by hand."""
    narrowed = _NARROWED.get()
    return load_plugins() if narrowed is None else narrowed

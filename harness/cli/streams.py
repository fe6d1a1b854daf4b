"""Keeps what a command prints apart from what engines and plugins print."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from . import say


@contextmanager
def stdout_kept_clean() -> Iterator[TextIO]:
    """What engines and plugins print goes to standard error, so that standard output holds the result alone.

    Gives a stream to the real standard output, for results that are printed while an engine runs.
    """
    sys.stdout.flush()
    try:
        result = os.dup(1)
    except OSError:  # standard output is closed
        yield io.StringIO()
        return
    try:
        os.dup2(2, 1)
        with os.fdopen(os.dup(result), "w", encoding="utf-8", errors="backslashreplace") as stream:
            yield stream
    finally:
        sys.stdout.flush()
        os.dup2(result, 1)
        os.close(result)


class _ToStderr(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())


def show_warnings() -> None:
    """Show what the harness and its plugins log, one line each."""
    logger = logging.getLogger("harness")
    if not any(isinstance(handler, _ToStderr) for handler in logger.handlers):
        logger.addHandler(_ToStderr())

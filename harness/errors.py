"""Errors that reach the user as one clear line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_AS_NEAR = 0.15
"""Names whose similarity (0..1) is this much below that of the nearest one are not worth naming."""


class HarnessError(Exception):
    """Something the user can mend. Its text is one line: what is wrong, where, and how to mend it."""

    exit_code = 1


class UsageError(HarnessError):
    """The command line itself is at fault."""

    exit_code = 2


class Busy(HarnessError):
    """Another process is writing just there: once it has ended, the same call goes on."""


class Interrupted(HarnessError):
    """The run was stopped by the user; everything sampled so far is stored."""

    exit_code = 130


def one_line(error: BaseException) -> str:
    """Kind and text of an exception in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__


def closest(name: str, known: Iterable[str]) -> str:
    """A hint that lists the known names nearest to a mistyped one, or all of them where none is near.

    >>> closest("aime52", ["aime25", "hmmt25"])
    'did you mean aime25?'
    """
    names = sorted(set(known))
    near = difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.5)
    if near:
        ratios = {n: difflib.SequenceMatcher(None, n, name.lower()).ratio() for n in near}
        near = [n for n in near if ratios[n] > ratios[near[0]] - _AS_NEAR]
        return f"did you mean {' or '.join(near)}?"
    return f"known: {', '.join(names)}" if names else "none is known"

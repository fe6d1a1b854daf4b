"""What the driver and its replicas tell each other. All of it can be pickled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness import Chain, ChainKey, Request


@dataclass(frozen=True, slots=True)
class Feed:
    """What a replica is handed at a time."""

    epoch: int
    """Which pass of the driver it belongs to: a newer one ends all older work."""
    number: int
    """Counts the feeds of a replica: where they overtake each other, the latest decides about `more` and `low`."""
    requests: Sequence[Request]
    more: bool
    """More will come when asked for. False lets the engine finish what it has."""
    low: int
    """Ask for more when so few requests are left that have not been begun."""


@dataclass(frozen=True, slots=True)
class Hello:
    host: str
    process: int
    harness: str
    """Version of the package."""
    node: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    text: str
    """One line."""
    expected: bool
    """A HarnessError, which would come again; not a crash."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What a replica says when its engine is ready, or is not."""

    failure: Failure | None
    lazy: bool = False
    info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """What has happened in a replica since the last report."""

    epoch: int
    chains: Sequence[Chain]
    missing: Sequence[ChainKey]
    """Requests that the engine took and ended without."""
    received: int
    """Requests that have arrived in this epoch."""
    backlog: int
    """Of those, how many the engine has not taken yet."""
    hungry: bool
    """The engine stands still: it waits for a request."""
    idle: bool
    """The engine has nothing to do."""
    usage: Mapping[str, int] | None
    warnings: tuple[str, ...]
    notes: Sequence[tuple[str, str]]
    """Lines for the user: logger and text."""
    failure: Failure | None

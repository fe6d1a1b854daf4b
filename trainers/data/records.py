"""What flows from a source to training rows, and what is told of the rows when they are written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from harness import Message

Needs = Literal["chains", "golds"]
"""What a trainer reads of a row: a completion to imitate, or a gold to be rewarded by."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Training rows on the disk."""

    path: Path
    digest: str
    """Hex SHA-256 of the file: what a stage was trained on."""
    rows: int
    prompt_tokens: float | None
    """Mean of a row, by the contents of its messages; None where no tokenizer was at hand."""
    completion_tokens: float | None
    """Mean of a row's completion; where rows have golds and were sampled, mean of the sampled chains."""
    notes: tuple[str, ...] = ()
    """What was left out and why, what was taken as it stands, and what is missing."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a row of a source must have."""

    chain: bool
    gold: bool
    solution: bool
    """The worked solution is made into the completion."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chain that may become a completion."""

    text: str
    correct: bool | None = None
    """None: nobody has said."""
    tokens: int | None = None
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """A problem of a source, with the chains that it comes with."""

    id: str
    prompt: tuple[Message, ...]
    problem: str
    gold: str | None
    normalizer: str
    chains: tuple[Candidate, ...] = ()
    solution: str = ""
    difficulty: float | None = None
    pass_rate: float | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    """All columns of the row, or the problem's metadata: to sort by."""


class LeftOut(Exception):
    """A row that cannot be used. Its text ends a line that begins with a number of rows: "without a gold"."""


class Lacking(LeftOut):
    """A row that has not even the columns."""


@dataclass(slots=True)
class Tally:
    """How the rows of a source fared."""

    source: str
    read: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    odd: Counter[str] = field(default_factory=Counter)
    """Values that were not understood and count as missing: what of them -> how many."""
    lacking: int = 0
    """Rows without the needed columns, which are among those left out."""
    columns: dict[str, None] = field(default_factory=dict)
    """Names of all columns that were seen, in order."""
    notes: list[str] = field(default_factory=list)

    def leave_out(self, reason: LeftOut) -> None:
        self.left_out[str(reason)] += 1
        self.lacking += isinstance(reason, Lacking)

    def lines(self) -> list[str]:
        """What is to be said of the source."""
        found = list(self.notes)
        if self.left_out:
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.left_out.most_common())
            total = self.left_out.total()
            found.append(f"{self.source}: {total:,} of {self.read:,} rows are left out: {reasons}")
        found += [f"{self.source}: {count:,} rows {what}" for what, count in self.odd.most_common()]
        return found

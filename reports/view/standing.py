"""Where a run stands that is going on: its chains of table and journal, with the verdicts that there are so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, NamedTuple

from harness.records import Grade

from .journal import Entries, Entry, Key, Verdicts
from .rows import UNGRADED, ChainRow, ProblemRow
from .stored import StoredRun

_NONE: Final[Mapping[int, Any]] = {}


class _Waiting(NamedTuple):
    """What is said of a chain that has no grade yet."""

    status: str = UNGRADED
    answer: str | None = None
    answer_class: str | None = None
    rule: str = ""


_WAITING: Final = _Waiting()


@dataclass(eq=False)
class Standing:
    """The chains of a run that is open, at one moment."""

    stored: StoredRun
    entries: Entries
    verdicts: Verdicts
    chains: Mapping[str, Sequence[ChainRow]]
    """By problem, in order of sample index."""
    table: list[ProblemRow]
    """Every problem, in the benchmark's order."""

    @classmethod
    def of(
        cls, stored: StoredRun, entries: Entries, verdicts: Verdicts, before: Standing | None = None
    ) -> Standing:
        """What is known of the run; problems at which nothing happened since `before` are taken from there."""
        if before is not None and (before.stored is not stored or before.verdicts.grader != verdicts.grader):
            before = None
        # What an older grader said gives way once the run goes on: two graders' classes do not vote together.
        replaced = bool(entries.chains and verdicts.grader and verdicts.grader != stored.grader)
        if before is not None and bool(before.entries.chains) != bool(entries.chains):
            before = None
        order = list(dict.fromkeys([*stored.problems, *stored.chain_rows, *entries.chains]))
        found: dict[str, Sequence[ChainRow]] = {}
        table = []
        for place, id_ in enumerate(order):
            mine, said = entries.chains.get(id_, _NONE), verdicts.grades.get(id_, _NONE)
            if (
                before is not None
                and place < len(before.table)
                and before.table[place].id == id_
                and before.entries.chains.get(id_, _NONE) is mine
                and before.verdicts.grades.get(id_, _NONE) is said
            ):
                found[id_] = before.chains[id_]
                table.append(before.table[place])
                continue
            chains = found[id_] = _chains(stored.chain_rows.get(id_, ()), mine, said, replaced)
            gold = stored.problems[id_].gold if id_ in stored.problems else None
            table.append(_problem_row(place, id_, gold, chains, stored.ties))
        return cls(stored, entries, verdicts, found, table)

    def __iter__(self) -> Iterator[ChainRow]:
        for chains in self.chains.values():
            yield from chains

    @cached_property
    def counts(self) -> Counter[str]:
        """How many chains ended how, those that wait for their verdict among them."""
        return Counter(chain.status for chain in self)

    @cached_property
    def wrong(self) -> list[Key]:
        """The graded chains that are not correct, in the order of the pages."""
        return [(c.problem_id, c.index) for c in self if c.status not in ("correct", UNGRADED)]

    @property
    def graded(self) -> int:
        return self.counts.total() - self.counts[UNGRADED]

    @cached_property
    def begun(self) -> int:
        """How many problems have a graded chain."""
        return sum(row.chains > 0 for row in self.table)

    @cached_property
    def pass1(self) -> float | None:
        """Mean share of correct chains over the problems that have a graded one: no estimate of the result, since
        chains do not come in a random order."""
        shares = [row.share for row in self.table if row.share is not None]
        return sum(shares) / len(shares) if shares else None

    @property
    def cost(self) -> int:
        """Bytes, about."""
        return 10_000 + 500 * self.counts.total()


def _chains(
    stored: Sequence[ChainRow], entries: Mapping[int, Entry], grades: Mapping[int, Grade], replaced: bool
) -> list[ChainRow]:
    """The chains of a problem; `replaced` leaves aside what grades.parquet says."""
    found: dict[int, ChainRow] = {}
    for row in stored:
        if replaced or row.status == UNGRADED:
            said = grades.get(row.index, _WAITING)
            row = replace(
                row, status=said.status, answer=said.answer, answer_class=said.answer_class, rule=said.rule
            )
        found[row.index] = row
    for index, entry in entries.items():
        if index not in found:
            said = grades.get(index, _WAITING)
            found[index] = ChainRow(
                entry.problem_id,
                index,
                said.status,
                said.answer,
                said.answer_class,
                said.rule,
                entry.completion_tokens,
                entry.finish_reason,
                entry.seed,
                entry.score,
            )
    return [found[index] for index in sorted(found)]


def _problem_row(place: int, id_: str, gold: str | None, chains: Sequence[ChainRow], ties: str) -> ProblemRow:
    """What became of a problem's graded chains, by the rules of `harness.outcomes`."""
    graded = [chain for chain in chains if chain.status != UNGRADED]
    waiting = len(chains) - len(graded)
    if not graded:
        return ProblemRow(place, id_, gold, 0, 0, None, None, 0, 0, 0, None, waiting=waiting)
    # A counter keeps the order in which classes were first seen, and `most_common` keeps it among equals.
    votes = Counter(chain.answer_class for chain in graded if chain.answer_class is not None)
    first, most = votes.most_common(1)[0] if votes else (None, 0)
    tied = [name for name, count in votes.items() if count == most]
    winners = tied[:1] if ties == "first" else tied
    correct = [chain for chain in graded if chain.status == "correct"]
    right = {chain.answer_class for chain in correct}
    lengths = [chain.tokens for chain in graded if chain.tokens is not None]
    return ProblemRow(
        place,
        id_,
        gold,
        len(graded),
        len(correct),
        sum(name in right for name in winners) / len(winners) if winners else 0.0,
        next((chain.answer for chain in graded if chain.answer_class == first), None) if votes else None,
        most,
        len(tied),
        sum(chain.finish_reason == "length" for chain in graded),
        sum(lengths) / len(lengths) if lengths else None,
        waiting=waiting,
    )

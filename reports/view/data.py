"""All that pages ask for: runs by key, their chains, what is hidden. Kept while files stay as they are."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness import HarnessError
from harness.comparison import Side
from harness.plugins import PluginManager

from .cache import Cache
from .journal import NAME as JOURNAL
from .journal import Journal
from .places import Place, Places
from .rows import ChainRow, ProblemRow, ProblemText
from .stored import StoredRun
from .summaries import Summaries, Summary
from .texts import ChainTexts, Texts

_KEPT_BYTES: Final = 400 << 20
_KEPT_JOURNALS: Final = 50
_FILES: Final = ("run.json", "problems.parquet", "chains.parquet", "grades.parquet")
_ALL_FILES: Final = (*_FILES, "scores.json", JOURNAL)


@dataclass(eq=False)
class Run:
    """One run as a page needs it."""

    summary: Summary
    stored: StoredRun
    journal: Journal
    hidden: bool
    """Its authors ask that the problems not be posted: chains, which quote them, are shown only when asked for."""

    @property
    def key(self) -> str:
        return self.summary.key

    @property
    def place(self) -> Place:
        return self.summary.place

    @property
    def notices(self) -> list[str]:
        """What a reader must know of the files; complete once a page has asked for what it shows."""
        of_files = [self.summary.notice] if self.summary.notice else []
        return [*of_files, *self.stored.notices]

    @property
    def table(self) -> list[ProblemRow]:
        """Every problem, the chains of the journal counted as waiting for their grades."""
        from dataclasses import replace

        waiting: dict[str, int] = {}
        for problem_id, index in self.journal.entries():
            if index not in self.stored.rows.get(problem_id, {}):
                waiting[problem_id] = waiting.get(problem_id, 0) + 1
        if not waiting:
            return self.stored.table
        rows = [replace(row, waiting=row.waiting + waiting.pop(row.id, 0)) for row in self.stored.table]
        more = [
            ProblemRow(len(rows) + i, id_, None, 0, 0, None, None, 0, 0, 0, None, waiting=count)
            for i, (id_, count) in enumerate(waiting.items())
        ]
        return rows + more

    def problem(self, problem_id: str) -> ProblemText | None:
        """The problem; None where the run has none of this id. Its texts may be missing."""
        if (known := self.stored.problems.get(problem_id)) is not None:
            return known
        entries = self.journal.entries()
        there = problem_id in self.stored.rows or any(id_ == problem_id for id_, _ in entries)
        return ProblemText(problem_id, "", "") if there else None

    def chains(self, problem_id: str) -> list[ChainRow]:
        entries = self.journal.entries()
        mine = [entry for (id_, _), entry in entries.items() if id_ == problem_id]
        return self.stored.chains_of(problem_id, mine)

    def side(self) -> Side | None:
        """The run as one of two that are compared; None where nothing is graded."""
        if self.stored.outcomes is None:
            return None
        n = self.summary.n if not self.summary.open else None
        most = int(self.stored.outcomes.counts.max(initial=1))
        return Side(
            self.summary.model, self.summary.fingerprint, n or most, self.stored.ties, self.stored.outcomes
        )


class Data:
    """Everything below RESULTS."""

    def __init__(self, root: Path, plugins: PluginManager) -> None:
        self.places = Places(root)
        self.summaries = Summaries(self.places)
        self._plugins = plugins
        self._runs: Cache[StoredRun] = Cache(_KEPT_BYTES)
        self._journals: Cache[Journal] = Cache(_KEPT_JOURNALS)
        self._texts = ChainTexts()
        self._hidden: dict[str, bool | None] = {}

    def warm(self) -> None:
        """Import what reads tables, and look at all runs once."""
        import pyarrow as pa
        import pyarrow.compute
        import pyarrow.parquet

        pa.chunked_array([[1]]).to_numpy()  # imports pandas where it is installed: 0.3 s
        self.summaries.all()

    def run(self, key: str) -> Run | None:
        """The run of this key."""
        if (summary := self.summaries.get(key)) is None:
            return None
        stored = self.stored(summary.place)
        journal = self._journals.get(summary.place.path, None, lambda: Journal(summary.place))
        return Run(summary, stored, journal, self._is_hidden(summary, stored))

    def stored(self, place: Place) -> StoredRun:
        """The tables of a run."""
        protocol = self.summaries.info(place).get("protocol")
        ties = protocol.get("ties") if isinstance(protocol, dict) else None
        state = (place.key, place.states(*_FILES))

        def make() -> StoredRun:
            stored = StoredRun(place, ties if ties == "first" else "expected")
            _ = stored.table  # what nearly every page needs, and what the cost is counted by
            return stored

        return self._runs.get(place.path, state, make, lambda stored: stored.cost)

    def texts(self, run: Run, chain: ChainRow) -> Texts:
        """The texts of a chain, from the table or the journal, whichever holds it now.

        Raises:
            HarnessError: what holds it is damaged, or was replaced while it was read.
        """
        if (row := run.stored.rows.get(chain.problem_id, {}).get(chain.index)) is not None:
            return self._texts.get(run.place, row)
        if (entry := run.journal.entries().get((chain.problem_id, chain.index))) is not None:
            return Texts(*run.journal.texts(entry))
        raise HarnessError("the run was completed while it was read: load the page again")

    def state(self, keys: Sequence[str] = ()) -> str:
        """Changes whenever a file of these runs does; of all runs where none is named."""
        places = self.places.all()
        wanted = [places[key] for key in keys if key in places] if keys else list(places.values())
        seen = [(place.key, place.states(*_ALL_FILES)) for place in wanted]
        return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]

    def _is_hidden(self, summary: Summary, stored: StoredRun) -> bool:
        label = summary.benchmark
        if label not in self._hidden:
            try:
                self._hidden[label] = bool(self._plugins.benchmark(label).hidden)
            except Exception:  # noqa: BLE001 - mostly that nobody knows it, but benchmarks are strangers' code
                self._hidden[label] = None
        known = self._hidden[label]
        if known:
            return True
        # Run folders hold no statement of a hidden benchmark: one without any is treated as such.
        silent = not any(problem.text for problem in stored.problems.values())
        return silent and (known is None or bool(stored.problems))

"""All that pages ask for: runs by key, their chains, what is hidden. Kept while files stay as they are."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from harness import HarnessError
from harness.comparison import Side
from harness.plugins import PluginManager

from .cache import Cache
from .journal import GRADES, GradeJournal, Journal
from .journal import NAME as JOURNAL
from .places import Place, Places
from .rows import ChainRow, ProblemRow, ProblemText
from .standing import Standing
from .stored import StoredRun
from .summaries import Summaries, Summary
from .texts import ChainTexts, Texts

_KEPT_BYTES: Final = 400 << 20
_KEPT_JOURNALS: Final = 50
_KEPT_STANDINGS: Final = 200 << 20  # bytes
_WARMED_BYTES: Final = 256 << 20
"""Of journals, that are read before the first page is asked for: half a second's work."""
_FILES: Final = ("run.json", "problems.parquet", "chains.parquet", "grades.parquet")
_ALL_FILES: Final = (*_FILES, "scores.json", JOURNAL, GRADES)


@dataclass(eq=False)
class Run:
    """One run as a page needs it."""

    summary: Summary
    stored: StoredRun
    journal: Journal
    hidden: bool
    """Its authors ask that the problems not be posted: chains, which quote them, are shown only when asked for."""
    look: Callable[[], Standing | None]

    @cached_property
    def standing(self) -> Standing | None:
        """Where the run stands now, if some of its chains are not in its tables yet, or not graded there."""
        return self.look()

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
        """Every problem, with its chains of table and journal."""
        return self.stored.table if self.standing is None else self.standing.table

    @property
    def wrong(self) -> list[tuple[str, int]]:
        """Problem and index of the graded chains that are not correct, in the order of the pages."""
        return self.stored.wrong if self.standing is None else self.standing.wrong

    def problem(self, problem_id: str) -> ProblemText | None:
        """The problem; None where the run has none of this id. Its texts may be missing."""
        if (known := self.stored.problems.get(problem_id)) is not None:
            return known
        there = problem_id in (self.stored.rows if self.standing is None else self.standing.chains)
        return ProblemText(problem_id, "", "") if there else None

    def chains(self, problem_id: str) -> list[ChainRow]:
        """The chains of a problem, by sample index."""
        if self.standing is None:
            return self.stored.chains_of(problem_id)
        return list(self.standing.chains.get(problem_id, ()))

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
        self._journals: Cache[tuple[Journal, GradeJournal]] = Cache(_KEPT_JOURNALS)
        self._standings: Cache[Standing] = Cache(_KEPT_STANDINGS)
        self._texts = ChainTexts()
        self._hidden: dict[str, bool | None] = {}

    def warm(self) -> None:
        """Import what reads tables, and look at all runs once, at those that are going on whole."""
        import pyarrow as pa
        import pyarrow.compute
        import pyarrow.parquet

        pa.chunked_array([[1]]).to_numpy()  # imports pandas where it is installed: 0.3 s
        left = _WARMED_BYTES
        for summary in self.summaries.all():
            journal = summary.place.state(JOURNAL)
            if summary.status == "running" and journal is not None and (left := left - journal.size) > 0:
                _ = self._run(summary).standing

    def run(self, key: str) -> Run | None:
        """The run of this key."""
        summary = self.summaries.get(key)
        return None if summary is None else self._run(summary)

    def _run(self, summary: Summary) -> Run:
        place = summary.place
        stored = self.stored(place)
        journal, grades = self._journals.get(place.path, None, lambda: (Journal(place), GradeJournal(place)))
        hidden = self._is_hidden(summary, stored)
        return Run(summary, stored, journal, hidden, lambda: self._standing(stored, journal, grades))

    def _standing(self, stored: StoredRun, journal: Journal, grades: GradeJournal) -> Standing | None:
        entries = journal.now()
        if not entries.chains and not any(row.waiting for row in stored.table):
            return None
        verdicts = grades.now()  # after the chains: no chain of before is missing its verdict of then
        before = self._standings.last(stored.place.path)
        return self._standings.get(
            stored.place.path,
            (id(stored), entries.version, verdicts.version),
            lambda: Standing.of(stored, entries, verdicts, before),
            lambda standing: standing.cost,
        )

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
        if (entry := run.journal.now().chains.get(chain.problem_id, {}).get(chain.index)) is not None:
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

"""One benchmark's run: its folder, what is pending, and the grades so far."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from . import __version__
from .components import Protocol
from .cost import Prices, billed, total
from .decided import Ballot
from .grading import Grader
from .measure import measure, table_of_grades
from .plugins import PluginManager
from .pool import WorkerPool
from .progress import Progress
from .protocol import chain_seed
from .provenance import now, with_session, with_session_so_far
from .records import Chain, ChainKey, Grade, Request
from .rows import Key
from .schedule import expected_tokens
from .store import Length, RunFolder
from .task import Task

_WHERE_IT_RAN = ("path", "harness")
"""Parts of a result that say where and with what it was computed, not what came out."""


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What plugins are told of a run."""

    model: str
    benchmark: str
    protocol: Protocol
    seed: int | None
    """None where nobody knows it: chains that somebody else sampled."""
    fingerprint: str
    path: Path


class BenchmarkRun:
    """A run folder taken up for writing.

    Args:
        asked: what run.json says of a run that is new.
        prices: what devices and models cost, as far as the user knows.
        stop_when_decided: leave out chains that can no longer change their problem's majority.
    """

    def __init__(
        self,
        task: Task,
        info: RunInfo,
        asked: Mapping[str, Any],
        plugins: PluginManager,
        pool: WorkerPool,
        progress: Progress,
        *,
        prices: Prices | None = None,
        stop_when_decided: bool = False,
    ) -> None:
        self.task = task
        self.info = info
        self.folder = RunFolder(info.path, info.benchmark)
        self._asked = asked
        self._plugins = plugins
        self._progress = progress
        normalizer = info.protocol.normalizer or task.benchmark.normalizer
        self._grader = Grader(plugins.normalizer(normalizer), pool, vote=info.protocol.vote)
        self._grades: dict[Key, Grade] = {}
        self._lengths: dict[Key, Length] = {}
        self._prices = prices or Prices()
        self.stops_when_decided = stop_when_decided
        self._ballots: dict[str, Ballot] = defaultdict(partial(Ballot, info.protocol.n))
        self._decided: set[str] = set()
        self._told: set[str] = set()
        self._session: dict[str, Any] = {}
        self._golds = {problem.id: problem.gold for problem in task.problems}
        self._order = [problem.id for problem in task.problems]
        self._tells_grades = plugins.hears("harness_chain_graded")
        self._grades_are_stored = False

    # -- before sampling -------------------------------------------------------------------------

    def open(self) -> None:
        """Take up what the folder holds: which chains, and their grades where the same grader made them."""
        self._lengths = self.folder.read_lengths()
        if self.folder.unreadable:
            self._progress.note(
                f"{self.folder.unreadable} unreadable lines in {self.folder.path}/chains.jsonl are left alone; "
                "their chains are sampled again"
            )
        stored = self.folder.read_grades() if self._lengths else None
        if stored is not None and stored.grader == self._grader.version:
            self._grades = {key: grade for key, grade in stored.grades.items() if key in self._lengths}
        elif stored is not None:
            self._progress.note(
                f"{self.info.benchmark}: grades were made by {stored.grader!r}, grading again with "
                f"{self._grader.version!r}"
            )
        self._grades_are_stored = bool(self._lengths) and self._lengths.keys() == self._grades.keys()
        if so_far := self.folder.open_grades(self._grader.version):
            self._grades |= so_far
            self._grades_are_stored = False
        wanted = len(self._order) * self.info.protocol.n
        self._progress.started(self.info.benchmark, wanted, wanted - self.missing)
        for (problem_id, index), grade in self._grades.items():
            self._count_vote(problem_id, index, grade)
            self._progress.graded(self.info.benchmark, grade)

    def grade_stored(self) -> None:
        """Grade the stored chains that have no grade yet."""
        if missing := self._lengths.keys() - self._grades.keys():
            for chain in self.folder.chains(self._order, only=missing):
                self._grade(chain)
            if self.stops_when_decided:
                self._grader.finish()

    @property
    def missing(self) -> int:
        """How many wanted chains are not stored; those that cannot change a decided majority are not wanted."""
        return sum(key not in self._lengths for key in self._wanted())

    def lacks(self, key: Key) -> bool:
        """Whether a chain is not stored yet."""
        return key not in self._lengths

    def expected_tokens(self) -> dict[str, float]:
        """Problem id -> tokens that a chain is expected to have, from the runs that this benchmark has had here."""
        of_this_benchmark = self.folder.path.parent.parent.parent.glob(f"*/{self.folder.path.parent.name}/*/")
        found = expected_tokens(of_this_benchmark)
        budget = self.info.protocol.settings.max_tokens
        return {problem_id: min(tokens, budget) for problem_id, tokens in found.items()}

    def pending(self) -> list[Request]:
        """Requests for the chains that are wanted and not stored, problem by problem."""
        problems = {problem.id: problem for problem in self.task.problems}
        prompts = dict(zip(self._order, self.task.prompts, strict=True))
        requests = []
        for id_, index in self._wanted():
            if (id_, index) not in self._lengths:
                key = ChainKey(self.info.benchmark, id_, index)
                seed = chain_seed(self.info.seed or 0, key)
                requests.append(Request(key, prompts[id_], seed, problems[id_].text))
        return requests

    def _wanted(self) -> Iterator[Key]:
        n = self.info.protocol.n
        return ((id_, index) for id_ in self._order if id_ not in self._decided for index in range(n))

    # -- while sampling --------------------------------------------------------------------------

    def begin_session(self, session: Mapping[str, Any]) -> None:
        """Write down that chains are about to be sampled, and how."""
        self._write_problems()
        self._session = dict(session)
        self.folder.write_info(with_session(self.folder.info_or_none() or self._asked, session))

    def note_session(self, cost: Mapping[str, Any], warnings: Sequence[str]) -> None:
        """Write down what the session has cost so far, and what a reader must know of it."""
        usd = self._prices.usd(cost, self.info.model)
        known = {
            "cost": {**cost, "usd": None if usd is None else round(usd, 6)},
            "warnings": list(warnings),
        }
        if known.items() <= self._session.items():
            return
        self._session |= known
        if (info := self.folder.info_or_none()) is not None:
            self.folder.write_info(with_session_so_far(info, self._session))

    def add(self, chain: Chain) -> None:
        """Store a chain, then grade it."""
        self.folder.append(chain)
        self._grades_are_stored = False
        self._lengths[chain.problem_id, chain.index] = Length.of(chain)
        self._progress.stored(self.info.benchmark, chain)
        self._grade(chain)

    def _grade(self, chain: Chain) -> None:
        if (gold := self._golds.get(chain.problem_id)) is not None:
            deliver = partial(self._graded, chain)
            self._grader.submit(chain.problem_id, gold, chain.text, deliver, truncated=chain.truncated)

    def _graded(self, chain: Chain, grade: Grade) -> None:
        self._grades[chain.problem_id, chain.index] = grade
        self.folder.append_grade((chain.problem_id, chain.index), grade)
        self._count_vote(chain.problem_id, chain.index, grade)
        self._progress.graded(self.info.benchmark, grade)
        if self._tells_grades:
            note = self._progress.note
            self._plugins.tell("harness_chain_graded", note, run=self.info, chain=chain, grade=grade)

    def _count_vote(self, problem_id: str, index: int, grade: Grade) -> None:
        if self.stops_when_decided and index < self.info.protocol.n:
            ballot = self._ballots[problem_id]
            ballot.add(grade.answer_class)
            if ballot.decided:
                self._decided.add(problem_id)

    def newly_decided(self) -> list[ChainKey]:
        """Keys of the chains that became superfluous since this was last asked."""
        new = self._decided - self._told
        self._told |= new
        n = self.info.protocol.n
        keys = ((problem_id, index) for problem_id in new for index in range(n))
        return [ChainKey(self.info.benchmark, *key) for key in keys if key not in self._lengths]

    # -- after sampling --------------------------------------------------------------------------

    def finish(self) -> dict[str, Any]:
        """Close the run: all chains into one file, grades and scores beside it. Returns the result."""
        self._grader.finish()
        n = self.info.protocol.n
        graded = table_of_grades(self._order, n, self._grades, self._lengths)
        protocol, metrics = self.info.protocol, self._plugins.metrics.values()
        result = self._result(measure(graded, protocol, metrics, self._progress.note))
        stored = self.folder.scores_or_none()
        # A smaller n than was completed before is a question, not a new state of the run.
        if not self.folder.read_only and (stored is None or stored.get("n", 0) <= n):
            self._close(result, stored)
        elif not self.folder.read_only and not self.folder.is_open:
            self.folder.drop_grades()
        return result

    def _close(self, result: Mapping[str, Any], stored: Mapping[str, Any] | None) -> None:
        self.folder.complete(self._order)
        self._write_problems()
        if not self._grades_are_stored:
            self.folder.write_grades(self._grades, self._grader.version, self._order)
        else:
            self.folder.drop_grades()
        if stored is None or _outcome(stored) != _outcome(result):
            self.folder.write_scores(result)
        info = self.folder.info_or_none()
        status = "decided" if "decided" in result else "complete"
        if info is None or info.get("status") != status:
            self.folder.write_info({**(info or self._asked), "status": status, "finished": now()})

    def _write_problems(self) -> None:
        if not self.folder.has_problems:
            hidden = self.task.benchmark.hidden
            self.folder.write_problems(self.task.problems, self.task.prompts, hidden=hidden)

    def _result(self, measured: Mapping[str, Any]) -> dict[str, Any]:
        protocol = self.info.protocol
        sessions = (self.folder.info_or_none() or {}).get("sessions", [])
        tokens = measured["tokens"]
        cost = {
            f"{kind}_tokens": billed(sessions, f"{kind}_tokens") if count is None else count
            for kind, count in tokens.items()
        }
        cost |= total(sessions, self._prices, self.info.model)
        warnings = [
            *self.task.warnings,
            *(text for session in sessions for text in session.get("warnings", ())),
        ]
        return {
            "model": self.info.model,
            "benchmark": self.info.benchmark,
            "protocol": protocol.name,
            "n": protocol.n,
            "problems": len(self._order),
            "chains": sum(measured["counts"].values()),
            "temperature": protocol.temperature,
            "top_p": protocol.top_p,
            "max_tokens": protocol.max_tokens,
            "seed": self.info.seed,
            **{name: value for name, value in measured.items() if name != "tokens"},
            "cost": cost,
            "warnings": list(dict.fromkeys(warnings)),
            "grader": self._grader.version,
            "fingerprint": self.info.fingerprint,
            "path": str(self.info.path),
            "harness": __version__,
        }


def _outcome(result: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in result.items() if key not in _WHERE_IT_RAN}

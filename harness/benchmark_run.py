"""One benchmark's run: its folder, what is pending, and the grades so far."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from . import __version__
from .components import Protocol
from .grading import Grader
from .measure import measure
from .plugins import PluginManager
from .pool import WorkerPool
from .progress import Progress
from .protocol import chain_seed
from .provenance import now, with_session
from .records import Chain, ChainKey, Grade, GradedChain, Request
from .rows import Key
from .store import RunFolder
from .task import Task

_WHERE_IT_RAN = ("path", "harness")
"""Parts of a result that say where and with what it was computed, not what came out."""


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What plugins are told of a run."""

    model: str
    benchmark: str
    protocol: Protocol
    seed: int
    fingerprint: str
    path: Path


class BenchmarkRun:
    """A run folder taken up for writing.

    Args:
        asked: what run.json says of a run that is new.
    """

    def __init__(
        self,
        task: Task,
        info: RunInfo,
        asked: Mapping[str, Any],
        plugins: PluginManager,
        pool: WorkerPool,
        progress: Progress,
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
        self._lengths: dict[Key, tuple[int | None, bool]] = {}
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
        wanted = len(self._order) * self.info.protocol.n
        self._progress.started(self.info.benchmark, wanted, wanted - self.missing)
        for grade in self._grades.values():
            self._progress.graded(self.info.benchmark, grade)

    def grade_stored(self) -> None:
        """Grade the stored chains that have no grade yet."""
        if missing := self._lengths.keys() - self._grades.keys():
            for chain in self.folder.chains(self._order, only=missing):
                self._grade(chain)

    @property
    def missing(self) -> int:
        """How many wanted chains are not stored."""
        return sum(key not in self._lengths for key in self._wanted())

    def pending(self) -> list[Request]:
        """Requests for the chains that are wanted and not stored, problem by problem."""
        problems = {problem.id: problem for problem in self.task.problems}
        prompts = dict(zip(self._order, self.task.prompts, strict=True))
        requests = []
        for id_, index in self._wanted():
            if (id_, index) not in self._lengths:
                key = ChainKey(self.info.benchmark, id_, index)
                seed = chain_seed(self.info.seed, key)
                requests.append(Request(key, prompts[id_], seed, problems[id_].text))
        return requests

    def _wanted(self) -> Iterator[Key]:
        return ((id_, index) for id_ in self._order for index in range(self.info.protocol.n))

    # -- while sampling --------------------------------------------------------------------------

    def begin_session(self, session: Mapping[str, Any]) -> None:
        """Write down that chains are about to be sampled, and how."""
        self._write_problems()
        self.folder.write_info(with_session(self.folder.info_or_none() or self._asked, session))

    def add(self, chain: Chain) -> None:
        """Store a chain, then grade it."""
        self.folder.append(chain)
        self._grades_are_stored = False
        self._lengths[chain.problem_id, chain.index] = (chain.completion_tokens, chain.truncated)
        self._progress.stored(self.info.benchmark, chain)
        self._grade(chain)

    def _grade(self, chain: Chain) -> None:
        if (gold := self._golds.get(chain.problem_id)) is not None:
            deliver = partial(self._graded, chain)
            self._grader.submit(chain.problem_id, gold, chain.text, deliver, truncated=chain.truncated)

    def _graded(self, chain: Chain, grade: Grade) -> None:
        self._grades[chain.problem_id, chain.index] = grade
        self._progress.graded(self.info.benchmark, grade)
        if self._tells_grades:
            note = self._progress.note
            self._plugins.tell("harness_chain_graded", note, run=self.info, chain=chain, grade=grade)

    # -- after sampling --------------------------------------------------------------------------

    def finish(self) -> dict[str, Any]:
        """Close the run: all chains into one file, grades and scores beside it. Returns the result."""
        self._grader.finish()
        n = self.info.protocol.n
        graded = {
            id_: [GradedChain(id_, i, self._grades[id_, i], *self._lengths[id_, i]) for i in range(n)]
            for id_ in self._order
        }
        protocol, metrics = self.info.protocol, self._plugins.metrics.values()
        result = self._result(measure(graded, protocol, metrics, self._progress.note))
        stored = self.folder.scores_or_none()
        # A smaller n than was completed before is a question, not a new state of the run.
        if not self.folder.read_only and (stored is None or stored.get("n", 0) <= n):
            self._close(result, stored)
        return result

    def _close(self, result: Mapping[str, Any], stored: Mapping[str, Any] | None) -> None:
        self.folder.complete(self._order)
        self._write_problems()
        if not self._grades_are_stored:
            self.folder.write_grades(self._grades, self._grader.version, self._order)
        if stored is None or _outcome(stored) != _outcome(result):
            self.folder.write_scores(result)
        info = self.folder.info_or_none()
        if info is None or info.get("status") != "complete":
            self.folder.write_info({**(info or self._asked), "status": "complete", "finished": now()})

    def _write_problems(self) -> None:
        if not self.folder.has_problems:
            hidden = self.task.benchmark.hidden
            self.folder.write_problems(self.task.problems, self.task.prompts, hidden=hidden)

    def _result(self, measured: Mapping[str, Any]) -> dict[str, Any]:
        protocol = self.info.protocol
        return {
            "model": self.info.model,
            "benchmark": self.info.benchmark,
            "protocol": protocol.name,
            "n": protocol.n,
            "problems": len(self._order),
            "chains": len(self._order) * protocol.n,
            "temperature": protocol.temperature,
            "top_p": protocol.top_p,
            "max_tokens": protocol.max_tokens,
            "seed": self.info.seed,
            **measured,
            "warnings": list(self.task.warnings),
            "grader": self._grader.version,
            "fingerprint": self.info.fingerprint,
            "path": str(self.info.path),
            "harness": __version__,
        }


def _outcome(result: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in result.items() if key not in _WHERE_IT_RAN}

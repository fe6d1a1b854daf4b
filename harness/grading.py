"""Grades chains: extract the answer, compare it with the gold, give it a vote.

The quick paths of a normalizer answer in the main process, in microseconds. What they leave open goes to the
killable workers of `harness.pool`, while more chains are being sampled. Each (problem, answer) is judged once.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cache, partial
from queue import SimpleQueue
from typing import Any, Literal

from .components import Normalizer
from .errors import HarnessError, one_line
from .plugins import PluginManager, load_plugins
from .pool import TaskError, TaskTimeout, WorkerPool
from .records import Extraction, Grade, Status

DEFAULT_DEADLINE = 5.0
"""Seconds that one comparison may take before its worker is killed."""


@dataclass(frozen=True, slots=True)
class _Judgement:
    """What is known of one answer to one problem."""

    status: Status
    answer_class: str | None
    rule: str
    answer: str | None = None
    """What the answer comes to, where the comparison says it."""
    scores: Mapping[str, float] = field(default_factory=dict)


Deliver = Callable[[Grade], None]


class Grader:
    """Grades the chains of one benchmark.

    `submit` never blocks on a hard comparison: grades are handed to `deliver` at once where the quick path
    decides, else from a later call of `submit` or `finish`. All calls come from one thread.

    Args:
        vote: whether answers vote by equivalence class or by spelling.
    """

    def __init__(
        self, normalizer: Normalizer, pool: WorkerPool, vote: Literal["classes", "strings"] = "classes"
    ) -> None:
        self.normalizer = normalizer
        self._by_spelling = vote == "strings"
        self._pool = pool
        self._judged: dict[tuple[str, str], _Judgement] = {}
        self._waiting: dict[tuple[str, str], list[tuple[Extraction, Deliver]]] = {}
        self._outstanding = 0
        self._ready: SimpleQueue[Callable[[], None]] = SimpleQueue()

    @property
    def version(self) -> str:
        """Name and version of what decides the grades."""
        return f"{self.normalizer.name} {self.normalizer.version}"

    def submit(
        self, problem_id: str, gold: str, text: str, deliver: Deliver, *, truncated: bool = False
    ) -> None:
        """Grade a chain's text; the grade goes to `deliver`."""
        self._deliver_ready()
        if not self.normalizer.bounded_extract:
            done = partial(self._text_judged, deliver, truncated)
            self._ask({"text": text, "gold": gold}, done)
            return
        try:
            found = self.normalizer.extract(text)
        except Exception as error:  # noqa: BLE001 - a stranger's code
            deliver(Grade("error", rule=one_line(error)))
            return
        if found is None or (truncated and not found.explicit):
            deliver(_no_answer(truncated))
            return
        self._grade_answer(problem_id, gold, found, deliver)

    def finish(self) -> None:
        """Wait until every submitted chain is graded."""
        while self._outstanding:
            self._deliver_next()

    # -- one answer ------------------------------------------------------------------------------

    def _grade_answer(self, problem_id: str, gold: str, found: Extraction, deliver: Deliver) -> None:
        memo = (problem_id, found.answer)
        if (judged := self._judged.get(memo)) is not None:
            deliver(self._grade(found, judged))
        elif (waiting := self._waiting.get(memo)) is not None:
            waiting.append((found, deliver))
        elif (quick := self._quick(found.answer, gold)) is not None:
            self._judged[memo] = quick
            deliver(self._grade(found, quick))
        else:
            self._waiting[memo] = [(found, deliver)]
            self._ask({"answer": found.answer, "gold": gold}, partial(self._answer_judged, memo))

    def _quick(self, answer: str, gold: str) -> _Judgement | None:
        try:
            verdict = self.normalizer.quick_same(answer, gold)
            if verdict is None:
                return None
            # All correct answers vote together, however they are written.
            key = self.normalizer.quick_vote(gold if verdict.same else answer, gold)
        except Exception:  # noqa: BLE001 - a stranger's code: let a worker try
            return None
        if key is None:
            return None
        status: Status = "correct" if verdict.same else "incorrect"
        return _Judgement(status, key, verdict.rule, verdict.answer, verdict.scores)

    def _answer_judged(self, memo: tuple[str, str], future: Future[dict[str, Any]]) -> None:
        judged = self._judgement(future, memo[1])
        self._judged[memo] = judged
        for found, deliver in self._waiting.pop(memo):
            deliver(self._grade(found, judged))

    def _text_judged(self, deliver: Deliver, truncated: bool, future: Future[dict[str, Any]]) -> None:
        judged = self._judgement(future)
        reply = {} if future.exception() else future.result()
        if judged.status in ("timeout", "error"):
            deliver(Grade(judged.status, rule=judged.rule))
        elif reply["answer"] is None or (truncated and not reply["explicit"]):
            deliver(_no_answer(truncated))
        else:
            deliver(self._grade(Extraction(reply["answer"], reply["extraction"]), judged))

    @staticmethod
    def _judgement(future: Future[dict[str, Any]], answer: str | None = None) -> _Judgement:
        # An answer that nobody could compare still votes, in a class of its own spelling.
        own_class = None if answer is None else "text:" + " ".join(answer.split())
        try:
            reply = future.result()
        except TaskTimeout as error:
            return _Judgement("timeout", own_class, str(error))
        except TaskError as error:
            return _Judgement("error", own_class, str(error))
        status: Status = "correct" if reply["same"] else "incorrect"
        scores = reply.get("scores") or {}
        return _Judgement(status, reply["key"], reply["comparison"], reply["answer"], scores)

    def _grade(self, found: Extraction, judged: _Judgement) -> Grade:
        answer = found.answer if judged.answer is None else judged.answer
        answer_class = answer if self._by_spelling else judged.answer_class
        return Grade(judged.status, answer, answer_class, f"{found.rule}/{judged.rule}", judged.scores)

    # -- the pool --------------------------------------------------------------------------------

    def _ask(self, task: dict[str, Any], done: Callable[[Future[dict[str, Any]]], None]) -> None:
        future = self._pool.submit({"normalizer": self.normalizer.name, **task})
        self._outstanding += 1

        def ready(finished: Future[dict[str, Any]]) -> None:
            self._ready.put(partial(done, finished))

        # Called from the pool's thread: it only queues, the grading thread does the rest.
        future.add_done_callback(ready)

    def _deliver_ready(self) -> None:
        while not self._ready.empty():
            self._deliver_next()

    def _deliver_next(self) -> None:
        done = self._ready.get()
        self._outstanding -= 1
        done()


def _no_answer(truncated: bool) -> Grade:
    return Grade("truncated" if truncated else "no_answer", rule="no answer found")


def open_pool(plugins: PluginManager, deadline: float = DEFAULT_DEADLINE) -> WorkerPool:
    """A pool whose workers load the same plugins as this process."""
    return WorkerPool(deadline=deadline, setup=plugins.selection)


@cache
def _default_plugins() -> PluginManager:
    return load_plugins()


@cache
def _default_pool() -> WorkerPool:
    pool = open_pool(_default_plugins())
    atexit.register(pool.close)
    # A forked child has the pool's memory but none of its threads: it makes a pool of its own.
    os.register_at_fork(after_in_child=_default_pool.cache_clear)
    return pool


def grade(text: str, gold: str, kind: str = "math") -> Grade:
    """Grade one chain.

    Args:
        text: all that the model wrote.
        gold: the reference answer.
        kind: name of a normalizer: "math", "integer", "choice" or one from a plugin.

    Raises:
        HarnessError: no such normalizer.
    """
    grader = Grader(_default_plugins().normalizer(kind), _default_pool())
    grades: list[Grade] = []
    grader.submit("", gold, text, grades.append)
    grader.finish()
    return grades[0]


def extract_answer(text: str, kind: str = "math") -> str | None:
    """The text of the answer that a chain concludes with, or None.

    Raises:
        HarnessError: no such normalizer, or one that failed.
    """
    normalizer = _default_plugins().normalizer(kind)
    if normalizer.bounded_extract:
        found = normalizer.extract(text)
        return None if found is None else found.answer
    try:
        reply = _default_pool().submit({"normalizer": kind, "text": text}).result()
    except (TaskTimeout, TaskError) as error:
        raise HarnessError(f"normalizer {kind} cannot read the text: {error}") from None
    answer: str | None = reply["answer"]
    return answer

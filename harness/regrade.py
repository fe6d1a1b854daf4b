"""Grades stored chains again, with the graders of today and without a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from . import __version__
from .components import Protocol
from .errors import HarnessError
from .grading import Grader
from .measure import measure, table_of_grades
from .plugins import PluginManager
from .pool import WorkerPool
from .records import Chain, Grade
from .rows import Key
from .store import Length, RunFolder


class Regraded(NamedTuple):
    result: dict[str, Any]
    changed: int
    """How many of the result's chains have another status than before."""


def regrade(path: Path, plugins: PluginManager, pool: WorkerPool, note: Callable[[str], None]) -> Regraded:
    """Grade all chains of a finished run and write its grades and scores anew.

    Raises:
        HarnessError: not a run folder, or a run that was never finished.
    """
    folder = RunFolder.of(path)
    old = folder.scores()
    if old is None:
        raise HarnessError(f"{path} is not finished: run the same `harness run` command to go on")
    with folder.writing():
        problems = folder.problems()
        order = [problem.id for problem in problems]
        golds = {problem.id: problem.gold for problem in problems}
        info = folder.info()
        known = {f.name for f in fields(Protocol)}
        protocol = Protocol(**{k: v for k, v in info["protocol"].items() if k in known})
        grader = Grader(plugins.normalizer(info["benchmark"]["normalizer"]), pool, vote=protocol.vote)
        before = folder.read_grades()
        grades: dict[Key, Grade] = {}
        lengths: dict[Key, Length] = {}

        def graded(chain: Chain, grade: Grade) -> None:
            grades[chain.problem_id, chain.index] = grade

        for chain in folder.chains(order):
            lengths[chain.problem_id, chain.index] = Length.of(chain)
            deliver = partial(graded, chain)
            gold = golds[chain.problem_id]
            grader.submit(chain.problem_id, gold, chain.text, deliver, truncated=chain.truncated)
        grader.finish()
        n = old["n"]
        table = table_of_grades(order, n, grades, lengths)
        measured = measure(table, replace(protocol, n=n), plugins.metrics.values(), note)
        del measured["tokens"]  # what sampling cost is not a matter of grades
        result = {**old, **measured, "grader": grader.version, "harness": __version__}
        folder.write_grades(grades, grader.version, order)
        folder.write_scores(result)
    statuses = {} if before is None else {key: grade.status for key, grade in before.grades.items()}
    counted = [key for key in grades if key[1] < n]
    return Regraded(result, sum(statuses.get(key) != grades[key].status for key in counted))

"""The search over all runs: by answer, status, problem, model and benchmark."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from starlette.requests import Request
from starlette.responses import Response

from harness.checkpoints import natural
from harness.records import STATUSES

from .data import Data, Run
from .queries import Asked
from .rows import UNGRADED, ChainRow

if TYPE_CHECKING:
    from .app import Renderer

_MOST: Final = 100
"""Chains on one page."""
_SECONDS: Final = 0.08
"""A page that looked for so long shows what it found and offers to go on."""


class Searching:
    def __init__(self, data: Data, render: Renderer) -> None:
        self._data = data
        self._render = render

    def page(self, request: Request) -> Response:
        asked = Asked(request)
        everything = self._data.summaries.all()
        model, benchmark = asked.text("model").lower(), asked.text("benchmark")
        looked_for = any(asked.text(name) for name in ("q", "status", "problem"))
        runs = [row for row in everything if model in row.model.lower() and benchmark in ("", row.benchmark)]
        first, skip = asked.number("run") or 0, asked.number("skip") or 0
        found: list[tuple[Run, ChainRow]] = []
        follow: dict[str, int] | None = None
        end = time.monotonic() + _SECONDS
        place = first
        while looked_for and place < len(runs) and follow is None:
            run = self._data.run(runs[place].key)
            if run is not None:
                hits = self._hits(run, asked)
                for number, hit in enumerate(hits):
                    if number < skip:
                        continue
                    if len(found) == _MOST:
                        follow = {"run": place, "skip": number}
                        break
                    found.append((run, hit))
            if follow is None:
                place, skip = place + 1, 0
                if time.monotonic() > end and place < len(runs):
                    follow = {"run": place}
        return self._render(
            "search.html",
            asked=asked,
            found=found,
            looked_for=looked_for,
            looked=min(len(runs), place + 1 if follow and "skip" in follow else place),
            total=len(runs),
            begun=first,
            follow=None if follow is None else asked.url(**{"run": None, "skip": None, **follow}),
            models=sorted({row.model for row in everything}, key=natural)[:2000],
            benchmarks=sorted({row.benchmark for row in everything}, key=natural),
            statuses=STATUSES,
        )

    def _hits(self, run: Run, asked: Asked) -> Iterator[ChainRow]:
        """The graded chains of a run that are asked for, in the order of its pages."""
        import numpy as np
        import pyarrow.compute as pc

        if (standing := run.standing) is not None:
            status, problem, text = (asked.text(name).lower() for name in ("status", "problem", "q"))
            for chain in standing:
                if (
                    chain.status != UNGRADED
                    and (status not in STATUSES or chain.status == status)
                    and problem in chain.problem_id.lower()
                    and (not text or text in (chain.answer or "").lower())
                ):
                    yield chain
            return
        grades, outcomes = run.stored.grade_texts, run.stored.outcomes
        if grades is None or outcomes is None:
            return
        keep = np.ones(grades.num_rows, dtype=bool)
        if (status := asked.text("status")) in STATUSES:
            keep &= outcomes.status == STATUSES.index(status)
        if text := asked.text("problem").lower():
            of_problem = np.array([text in id_.lower() for id_ in outcomes.problems], dtype=bool)
            keep &= of_problem[outcomes.problem]
        if text := asked.text("q"):
            held = pc.match_substring(grades["answer"], text, ignore_case=True)
            keep &= held.fill_null(False).to_numpy(zero_copy_only=False)
        rows = np.flatnonzero(keep)
        wanted: dict[str, set[int]] = {}
        for problem, index in zip(
            outcomes.problem[rows].tolist(), outcomes.index[rows].tolist(), strict=True
        ):
            wanted.setdefault(outcomes.problems[problem], set()).add(index)
        for problem_id, indices in wanted.items():
            for chain in run.stored.chains_of(problem_id):
                if chain.index in indices:
                    yield chain

"""Two runs beside each other: by how much they differ, on which problems, and chain by chain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from harness import HarnessError
from harness.checkpoints import natural
from harness.comparison import METRICS, Comparison, compare_sides

from .cache import Cache
from .data import Data, Run
from .pages import run_called
from .queries import Asked, Column, Sorted, compare_url, id_of
from .rows import ChainRow, ProblemRow, classes_of
from .texts import reasoning_of, shown

if TYPE_CHECKING:
    from .app import Renderer


@dataclass(frozen=True, slots=True)
class Pair:
    """One problem in both runs."""

    id: str
    gold: str | None
    a: ProblemRow
    b: ProblemRow

    @property
    def difference(self) -> float | None:
        """a's share of correct chains less b's."""
        left, right = self.a.share, self.b.share
        return None if left is None or right is None else left - right

    @property
    def of_votes(self) -> float | None:
        left, right = self.a.worth, self.b.worth
        return None if left is None or right is None else left - right


def _size(difference: float | None) -> float | None:
    return None if difference is None else abs(difference)


_COLUMNS: Final[tuple[Column[Pair], ...]] = (
    Column("place", "#", lambda pair: pair.a.place, number=False),
    Column("id", "Problem", lambda pair: natural(pair.id), number=False),
    Column("a", "A correct", lambda pair: pair.a.share),
    Column("b", "B correct", lambda pair: pair.b.share),
    Column("difference", "A − B", lambda pair: pair.difference, help="in percentage points"),
    Column("apart", "apart", lambda pair: _size(pair.difference), help="size of the difference"),
    Column("votes", "vote A − B", lambda pair: pair.of_votes),
    Column("a_answer", "A's majority", lambda pair: pair.a.majority, number=False),
    Column("b_answer", "B's majority", lambda pair: pair.b.majority, number=False),
)


class Comparing:
    def __init__(self, data: Data, render: Renderer) -> None:
        self._data = data
        self._render = render
        self._tests: Cache[tuple[list[Comparison], str]] = Cache(500)

    def runs(self, request: Request) -> Response:
        asked = Asked(request)
        everything = self._data.summaries.all()
        if not (asked.text("a") and asked.text("b")):
            return self._render(
                "choose.html", asked=asked, runs=everything, a=asked.text("a"), b=asked.text("b")
            )
        a, b = self._two(asked)
        order = Sorted.asked(asked, _COLUMNS, "apart", down=True)
        pairs = _pairs(a, b)
        kind = asked.text("kind")
        kept = [
            pair
            for pair in order.rows(pairs)
            if kind not in ("a", "b", "same")
            or (kind == "same" and pair.difference == 0)
            or (kind == "a" and (pair.difference or 0) > 0)
            or (kind == "b" and (pair.difference or 0) < 0)
        ]
        states = [run.place.states("grades.parquet", "chains.parquet", "scores.json") for run in (a, b)]
        tests, wrong = self._tests.get((a.key, b.key), tuple(states), lambda: _tests(a, b))
        keys = [a.key, b.key]
        return self._render(
            "compare.html",
            asked=asked,
            a=a,
            b=b,
            tests=tests,
            wrong=wrong,
            pairs=pairs,
            rows=kept,
            order=order,
            better=[sum((pair.difference or 0) * sign > 0 for pair in pairs) for sign in (1, -1)],
            alike=a.summary.protocol == b.summary.protocol,
            left_out=len(a.table) + len(b.table) - 2 * len(pairs),
            live={
                "state": self._data.state(keys),
                "running": "running" in (a.summary.status, b.summary.status),
                "keys": keys,
            },
        )

    def problem(self, request: Request) -> Response:
        asked = Asked(request)
        a, b = self._two(asked)
        problem_id = id_of(request.path_params["problem"])
        pairs = _pairs(a, b)
        place = next((i for i, pair in enumerate(pairs) if pair.id == problem_id), None)
        problem = a.problem(problem_id)
        if place is None or problem is None:
            raise HTTPException(404, "The two runs have no such problem in common.")
        show = not (a.hidden or b.hidden) or asked.text("show") == "1"
        keep = {"show": "1"} if show and (a.hidden or b.hidden) else {}
        return self._render(
            "compare_problem.html",
            asked=asked,
            a=a,
            b=b,
            problem=problem,
            pair=pairs[place],
            sides=[self._side(asked, run, name, problem_id, show) for run, name in ((a, "ai"), (b, "bi"))],
            show=show,
            keep=keep,
            before=compare_url(a.key, b.key, pairs[place - 1].id, **keep) if place else None,
            after=compare_url(a.key, b.key, pairs[place + 1].id, **keep) if place + 1 < len(pairs) else None,
        )

    def _side(self, asked: Asked, run: Run, name: str, problem_id: str, show: bool) -> dict[str, Any]:
        """One of the two columns: its chains, and the text of the one that is chosen."""
        chains = run.chains(problem_id)
        wanted = asked.number(name)
        chosen = next((row for row in chains if row.index == wanted), _typical(chains))
        reasoning = conclusion = wrong = ""
        if chosen is not None and show:
            try:
                reasoning, conclusion = reasoning_of(self._data.texts(run, chosen))
            except HarnessError as error:
                wrong = str(error)
        return {
            "run": run,
            "name": name,
            "letter": name[0].upper(),
            "chains": chains,
            "chosen": chosen,
            "classes": classes_of(chains),
            "reasoning": shown(reasoning) if reasoning.strip() else None,
            "conclusion": shown(conclusion) if conclusion.strip() else None,
            "wrong": wrong,
        }

    def _two(self, asked: Asked) -> tuple[Run, Run]:
        return run_called(self._data, asked.text("a")), run_called(self._data, asked.text("b"))


def _typical(chains: Sequence[ChainRow]) -> ChainRow | None:
    """The first chain that votes with the majority."""
    classes = [one for one in classes_of(chains) if one.key is not None]
    most = classes[0].key if classes else None
    return next((chain for chain in chains if chain.answer_class == most), chains[0] if chains else None)


def _pairs(a: Run, b: Run) -> list[Pair]:
    there = {row.id: row for row in b.table}
    return [Pair(row.id, row.gold, row, there[row.id]) for row in a.table if row.id in there]


def _tests(a: Run, b: Run) -> tuple[list[Comparison], str]:
    """The paired tests, or why there are none."""
    if a.summary.benchmark != b.summary.benchmark:
        return (
            [],
            "These runs are of different benchmarks: what they share by name is shown, and nothing is tested.",
        )
    left, right = a.side(), b.side()
    if left is None or right is None:
        lacking = a if left is None else b
        return [], f"The run of {lacking.summary.model} was never complete, so nothing can be tested."
    made = [compare_sides(a.summary.benchmark, metric, left, right) for metric in METRICS]
    tests = [comparison for comparison in made if comparison is not None]
    return tests, "" if tests else "The two runs have no graded problem in common."

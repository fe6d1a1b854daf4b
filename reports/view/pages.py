"""The pages from runs to a chain."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from harness import HarnessError
from harness.checkpoints import natural
from harness.records import STATUSES

from . import summaries
from .data import Data, Run
from .queries import Asked, Sorted, chain_url, counted, id_of, problem_url, whole
from .rows import UNGRADED, ChainRow, ProblemRow, classes_of
from .summaries import Summary
from .tables import CHAIN_COLUMNS, KINDS, PROBLEM_COLUMNS, RUN_COLUMNS, facts
from .texts import PIECE, Texts, read_rows, reasoning_of, shown, visible

if TYPE_CHECKING:
    from .app import Renderer

_SEARCHED_CHARACTERS: Final = 20_000_000
"""Of a problem's chains, that a search for a text goes through."""


class Pages:
    def __init__(self, data: Data, render: Renderer) -> None:
        self._data = data
        self._render = render

    # -- runs ------------------------------------------------------------------------------------

    def runs(self, request: Request) -> Response:
        asked = Asked(request)
        everything = self._data.summaries.all()
        model, benchmark, status = (asked.text(name) for name in ("model", "benchmark", "status"))
        rows = [
            row
            for row in everything
            if model.lower() in row.model.lower()
            and benchmark in ("", row.benchmark)
            and status in ("", row.status)
        ]
        order = Sorted.asked(asked, RUN_COLUMNS, "model")
        groups: dict[str, list[Summary]] = {}
        for row in order.rows(rows):
            groups.setdefault(row.benchmark, []).append(row)
        return self._render(
            "runs.html",
            asked=asked,
            order=order,
            groups=sorted(groups.items(), key=lambda group: natural(group[0])),
            total=len(everything),
            found=len(rows),
            benchmarks=sorted({row.benchmark for row in everything}, key=natural),
            statuses=counted([row.status for row in everything], summaries.STATUSES),
            live=self._live((), [row.status for row in everything]),
        )

    def live(self, request: Request) -> Response:
        """Whether anything changed, for pages that look every few seconds."""
        keys = request.query_params.getlist("run")[:4]
        rows = [self._data.summaries.get(key) for key in keys] if keys else self._data.summaries.all()
        return JSONResponse(self._live(keys, [row.status for row in rows if row is not None]))

    def _live(self, keys: Sequence[str], statuses: Sequence[str]) -> dict[str, Any]:
        return {"state": self._data.state(keys), "running": "running" in statuses, "keys": list(keys)}

    # -- one run ---------------------------------------------------------------------------------

    def run(self, request: Request) -> Response:
        asked, run = Asked(request), self.run_of(request)
        rows = run.table
        order = Sorted.asked(asked, PROBLEM_COLUMNS, "place")
        text, kind = asked.text("q").lower(), asked.text("kind")
        kept = [
            row
            for row in order.rows(rows)
            if (
                text in row.id.lower()
                or text in (row.majority or "").lower()
                or text == (row.gold or "").lower()
            )
            and (kind not in KINDS or KINDS[kind][1](row))
        ]
        return self._render(
            "run.html",
            asked=asked,
            run=run,
            order=order,
            rows=kept,
            total=len(rows),
            kinds=[(name, title, sum(map(wanted, rows))) for name, (title, wanted) in KINDS.items()],
            counts=self._counts(run),
            facts=facts(run),
            others=[
                row
                for row in self._data.summaries.all()
                if row.benchmark == run.summary.benchmark and row.key != run.key
            ][:200],
            live=self._live([run.key], [run.summary.status]),
        )

    def _counts(self, run: Run) -> list[tuple[str, int]]:
        """How the chains of a run ended, those that are not graded yet last."""
        if (standing := run.standing) is not None:
            return [(name, n) for name in (*STATUSES, UNGRADED) if (n := standing.counts[name])]
        if (outcomes := run.stored.outcomes) is None:
            return []
        import numpy as np

        found = np.bincount(outcomes.status[outcomes.status >= 0], minlength=len(STATUSES)).tolist()
        return [(name, n) for name, n in zip(STATUSES, found, strict=True) if n]

    # -- one problem -----------------------------------------------------------------------------

    def problem(self, request: Request) -> Response:
        asked, run = Asked(request), self.run_of(request)
        problem_id = id_of(request.path_params["problem"])
        if (problem := run.problem(problem_id)) is None:
            raise HTTPException(404, f"This run has no problem called {visible(problem_id[:100])!r}.")
        chains = run.chains(problem_id)
        graded_before = any(row.foreign is not None for row in chains)
        columns = CHAIN_COLUMNS if graded_before else CHAIN_COLUMNS[:-1]
        order = Sorted.asked(asked, columns, "index")
        status, answer, text = (asked.text(name) for name in ("status", "answer", "q"))
        show = not run.hidden or asked.text("show") == "1"
        kept = [
            row
            for row in order.rows(chains)
            if status in ("", row.status) and answer in ("", row.answer_class or "", row.answer or "")
        ]
        found, said = self._with_text(run, kept, text) if text else (kept, "")
        rows = run.table
        place = next((row.place for row in rows if row.id == problem_id), 0)
        keep = {"show": "1"} if run.hidden and show else {}
        return self._render(
            "problem.html",
            asked=asked,
            run=run,
            problem=problem,
            row=rows[place] if rows else None,
            chains=found,
            total=len(chains),
            order=order,
            graded_before=graded_before,
            classes=classes_of(chains),
            statuses=counted([row.status for row in chains], (*STATUSES, UNGRADED)),
            said=said,
            show=show,
            keep=keep,
            before=problem_url(run.key, rows[place - 1].id, **keep) if place > 0 else None,
            after=problem_url(run.key, rows[place + 1].id, **keep) if place + 1 < len(rows) else None,
            live=self._live([run.key], [run.summary.status]),
        )

    def _with_text(self, run: Run, chains: Sequence[ChainRow], text: str) -> tuple[list[ChainRow], str]:
        """The chains that hold a text, and what a reader must know of the search."""
        wanted = text.lower()
        in_table = {
            row: chain
            for chain in chains
            if (row := run.stored.rows.get(chain.problem_id, {}).get(chain.index)) is not None
        }
        found, seen, said = set(), 0, ""
        try:
            for row, texts in read_rows(run.place, list(in_table)) if in_table else ():
                seen += len(texts.text) + len(texts.reasoning)
                if wanted in texts.text.lower() or wanted in texts.reasoning.lower():
                    found.add(in_table[row].index)
                if seen > _SEARCHED_CHARACTERS:
                    said = f"Only the first {seen // 1_000_000} million characters were searched."
                    break
            for chain in chains:
                if chain not in in_table.values() and seen <= _SEARCHED_CHARACTERS:
                    texts = self._data.texts(run, chain)
                    seen += len(texts.text)
                    if wanted in texts.text.lower() or wanted in texts.reasoning.lower():
                        found.add(chain.index)
        except HarnessError as error:
            said = str(error)
        return [chain for chain in chains if chain.index in found], said

    # -- one chain -------------------------------------------------------------------------------

    def chain(self, request: Request) -> Response:
        asked, run = Asked(request), self.run_of(request)
        problem_id, index = self._key_of(request)
        chains = run.chains(problem_id)
        chain = next((row for row in chains if row.index == index), None)
        if chain is None:
            raise HTTPException(404, "This run has no such chain.")
        show = not run.hidden or asked.text("show") == "1"
        view = "source" if asked.text("view") == "source" else "math"
        keep = {
            **({"show": "1"} if run.hidden and show else {}),
            **({"view": view} if view != "math" else {}),
        }
        texts, wrong = self._texts(run, chain) if show else (None, "")
        reasoning, conclusion = reasoning_of(texts) if texts is not None else ("", "")
        steps = self._steps(run, chains, chain)
        return self._render(
            "chain.html",
            asked=asked,
            run=run,
            chain=chain,
            problem=run.problem(problem_id),
            classes=classes_of(chains),
            show=show,
            view=view,
            wrong=wrong,
            reasoning=shown(reasoning) if reasoning else None,
            conclusion=shown(conclusion) if conclusion.strip() else None,
            pieces=[] if texts is None else list(range(0, len(_whole(texts)), PIECE)),
            characters=0 if texts is None else len(_whole(texts)),
            keep=keep,
            steps={
                name: None if key is None else chain_url(run.key, key[0], key[1], **keep)
                for name, key in steps.items()
            },
            live=self._live([run.key], [run.summary.status]),
        )

    def _texts(self, run: Run, chain: ChainRow) -> tuple[Texts | None, str]:
        """The texts of a chain, or why there are none."""
        try:
            return self._data.texts(run, chain), ""
        except HarnessError as error:
            return None, str(error)

    def _steps(
        self, run: Run, chains: Sequence[ChainRow], chain: ChainRow
    ) -> dict[str, tuple[str, int] | None]:
        """The chains before and after this one, through all problems; and the next one that is wrong."""
        here = [row.index for row in chains].index(chain.index)
        rows = run.table
        place = next((row.place for row in rows if row.id == chain.problem_id), 0)

        def edge(places: Sequence[ProblemRow], end: int) -> tuple[str, int] | None:
            for row in places:
                if row.chains + row.waiting and (found := run.chains(row.id)):
                    return row.id, found[end].index
            return None

        wrong = run.wrong
        order = {row.id: row.place for row in rows}
        next_wrong = bisect_right(wrong, (place, chain.index), key=lambda key: (order[key[0]], key[1]))
        return {
            "before": (chain.problem_id, chains[here - 1].index)
            if here > 0
            else edge(rows[place - 1 :: -1] if place else (), -1),
            "after": (chain.problem_id, chains[here + 1].index)
            if here + 1 < len(chains)
            else edge(rows[place + 1 :], 0),
            "wrong": wrong[next_wrong] if next_wrong < len(wrong) else None,
        }

    def raw(self, request: Request) -> Response:
        """A piece of a chain's text, as it is stored; with `as=visible` control characters are replaced."""
        asked, run = Asked(request), self.run_of(request)
        problem_id, index = self._key_of(request)
        if run.hidden and asked.text("show") != "1":
            return PlainTextResponse(
                "Hidden until asked for: this chain quotes a problem whose authors ask that it not be posted.\n",
                403,
            )
        chain = next((row for row in run.chains(problem_id) if row.index == index), None)
        if chain is None:
            raise HTTPException(404, "This run has no such chain.")
        texts = self._data.texts(run, chain)
        part = {"reasoning": 0, "conclusion": 1}.get(asked.text("part"))
        text = _whole(texts) if part is None else reasoning_of(texts)[part]
        start = asked.number("from") or 0
        piece = text[start : start + min(asked.number("length") or PIECE, PIECE)]
        return PlainTextResponse(
            (visible(piece) if asked.text("as") == "visible" else piece).encode("utf-8", "replace"),
            headers={"X-Characters": str(len(text))},
        )

    # -- what an address names -------------------------------------------------------------------

    def run_of(self, request: Request) -> Run:
        names = request.path_params
        return run_called(self._data, "/".join(names[part] for part in ("model", "benchmark", "fingerprint")))

    def _key_of(self, request: Request) -> tuple[str, int]:
        index = whole(request.path_params["index"])
        if index is None:
            raise HTTPException(404, "This run has no such chain.")
        return id_of(request.path_params["problem"]), index


def run_called(data: Data, key: str) -> Run:
    """The run of a key.

    Raises:
        HTTPException: there is none.
    """
    if (run := data.run(key)) is None:
        raise HTTPException(404, "No run is called so. It may have been moved since this link was made.")
    return run


def _whole(texts: Texts) -> str:
    return f"{texts.reasoning}\n{texts.text}" if texts.reasoning else texts.text

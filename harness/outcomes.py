"""What became of the chains of a finished run, as arrays: all that tables, charts and comparisons are made of.

Texts stay on disk, and no Python object is made of a chain, so that hundreds of thousands cost no more than a second.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .errors import HarnessError
from .records import STATUSES
from .runtables import LOST, REGRADE, chain_keys, read_columns
from .statistics import BudgetPoint, Curve, Tally, budget_curve, consensus_curve, passes_curve, tally
from .statistics.votes import first_places, worth_by_problem

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

_KEY: Final = {"problem_id": "string", "index": "int32"}
_JUDGED: Final = {**_KEY, "status": "string", "answer_class": "string"}
_SAMPLED: Final = {**_KEY, "completion_tokens": "int64", "finish_reason": "string", "score": "float64"}


@dataclass(frozen=True, eq=False)
class Outcomes:
    """The graded chains of a run, sorted by problem and sample index. Arrays are [chains] unless they say otherwise."""

    problems: tuple[str, ...]
    """Ids in the benchmark's order, of all problems that have a chain."""
    problem: NDArray[np.int32]
    """Place of the chain's problem in `problems`."""
    index: NDArray[np.int32]
    """Which of the problem's samples."""
    status: NDArray[np.int8]
    """Place in `harness.records.STATUSES`; 0 is correct, -1 is none of them."""
    answer_class: NDArray[np.int32]
    """Which class of answers the chain votes for; -1 abstains. Codes of two problems have nothing in common."""
    tokens: NDArray[np.int64]
    """Completion tokens; -1 where they are not known."""
    truncated: NDArray[np.bool_]
    """Whether the budget cut the chain off."""
    foreign: NDArray[np.float64]
    """Score that whoever graded the chain before gave it; nan where nobody did."""

    @cached_property
    def correct(self) -> NDArray[np.bool_]:
        import numpy as np

        return np.equal(self.status, 0)

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """[problems] chains of each problem."""
        import numpy as np

        return np.bincount(self.problem, minlength=len(self.problems))

    @cached_property
    def correct_counts(self) -> NDArray[np.int64]:
        """[problems] correct chains of each problem."""
        import numpy as np

        return np.bincount(self.problem[self.correct], minlength=len(self.problems))

    @cached_property
    def rates(self) -> NDArray[np.float64]:
        """[problems] share of each problem's chains that are correct; their mean is pass@1."""
        import numpy as np

        return np.asarray(self.correct_counts / self.counts)

    def votes(self, ties: str = "expected") -> Votes:
        """How the chains voted; `ties` as in the protocol."""
        if ties not in self._votes:
            self._votes[ties] = Votes.of(self, ties)
        return self._votes[ties]

    @cached_property
    def _votes(self) -> dict[str, Votes]:
        return {}

    @cached_property
    def tallies(self) -> list[Tally]:
        """[problems] how each problem's chains voted, without the names of the answers."""
        import numpy as np

        votes = self.votes()
        ends = np.searchsorted(votes.problem, np.arange(len(self.problems) + 1))
        found = []
        for chains, start, end in zip(self.counts.tolist(), ends[:-1], ends[1:], strict=True):
            counts, right = votes.count[start:end], votes.correct[start:end]
            abstaining = chains - int(counts.sum())
            found.append(tally(counts[right].tolist(), counts[~right].tolist(), abstaining))
        return found

    def consensus_curve(self) -> Curve:
        """cons@k for k = 1..n, expected over all subsets of the chains; ties at their expected value."""
        return consensus_curve(self.tallies)

    def pass_curve(self) -> Curve:
        """pass@k for k = 1..n."""
        return passes_curve(self.counts.tolist(), self.correct_counts.tolist())

    def budget_curve(
        self, budgets: Iterable[int] | None = None, own: int | None = None
    ) -> list[BudgetPoint] | None:
        """pass@1 and cons@n at smaller token budgets; see `harness.statistics.budget_curve`.

        Args:
            own: the budget of the run.
        """
        return budget_curve(
            self.problem,
            self.correct,
            self.answer_class,
            self.tokens,
            self.truncated,
            budgets=budgets,
            own=own,
        )


@dataclass(frozen=True, eq=False)
class Votes:
    """How the chains of a run voted: one entry a class of answers, sorted by problem. Arrays are [classes]."""

    problem: NDArray[np.int64]
    answer_class: NDArray[np.int64]
    """The class's code in `Outcomes.answer_class`."""
    count: NDArray[np.int64]
    correct: NDArray[np.bool_]
    """Whether this is the class of correct answers."""
    worth: NDArray[np.float64]
    """[problems] worth of each problem's vote: 1 if the majority is correct, 0 if not; of classes that share the first
    place, the share that is correct. Their mean is cons@n."""
    tied: NDArray[np.int64]
    """[problems] classes that share the first place; 0 without any vote."""

    @classmethod
    def of(cls, outcomes: Outcomes, ties: str) -> Votes:
        """Count the votes. A tie is worth its expected value or, with "first", what the class seen first is worth."""
        import numpy as np

        size = len(outcomes.problems)
        voting = outcomes.answer_class >= 0
        codes = int(outcomes.answer_class.max(initial=0)) + 1
        places = outcomes.problem[voting].astype(np.int64) * codes + outcomes.answer_class[voting]
        groups, first, group, count = np.unique(
            places, return_index=True, return_inverse=True, return_counts=True
        )
        problem, answer_class = np.divmod(groups, codes)
        correct = np.bincount(group[outcomes.correct[voting]], minlength=len(groups)) > 0
        winners = first_places(problem, count, size)
        tied = np.bincount(problem[winners], minlength=size)
        if ties == "first":
            earliest = np.full(size, len(places))
            np.minimum.at(earliest, problem[winners], first[winners])
            winners &= first == earliest[problem]
        worth = worth_by_problem(problem, winners, correct, size)
        return cls(problem, answer_class, count, correct, worth, tied)


def read_outcomes(path: Path, n: int | None = None) -> Outcomes:
    """The graded chains of a finished run folder.

    Args:
        n: only the first n chains of each problem; None for all.

    Raises:
        HarnessError: grades or chains are missing or damaged, or are not of the same chains.
    """
    grades = read_columns(path / "grades.parquet", REGRADE, _JUDGED)
    chains = read_columns(path / "chains.parquet", LOST, _SAMPLED, later=("score",))
    chains = _in_order_of(grades, chains, path)
    if n is not None and (index := grades["index"].to_numpy()).max(initial=0) >= n:
        keep = index < n
        grades, chains = grades.filter(keep), chains.filter(keep)
    return _outcomes(grades, chains)


def _in_order_of(grades: pa.Table, chains: pa.Table, path: Path) -> pa.Table:
    """The rows of the chains that the grades are of, in the grades' order."""
    same = grades.num_rows == chains.num_rows
    if same and all(grades[key].equals(chains[key]) for key in ("problem_id", "index")):
        return chains
    import pyarrow.compute as pc

    place = pc.index_in(chain_keys(grades), value_set=chain_keys(chains))
    if place.null_count:
        raise HarnessError(
            f"{path}: grades.parquet judges {place.null_count:,} chains that chains.parquet does not hold: "
            "`harness regrade` makes the grades again"
        )
    return chains.take(place)


def _outcomes(grades: pa.Table, chains: pa.Table) -> Outcomes:
    import numpy as np

    problem, ids = _coded(grades["problem_id"])
    status, names = _coded(grades["status"])
    places = [STATUSES.index(name) if name in STATUSES else -1 for name in names]
    known = np.array([*places, -1], dtype=np.int8)
    answer_class, _ = _coded(grades["answer_class"])
    reason, reasons = _coded(chains["finish_reason"])
    cut = np.array([name == "length" for name in [*reasons, None]], dtype=bool)
    foreign = (
        _numbers(chains["score"], np.nan)
        if "score" in chains.column_names
        else np.full(grades.num_rows, np.nan)
    )
    return Outcomes(
        tuple(ids),
        problem,
        grades["index"].to_numpy().astype(np.int32),
        known[status],  # code -1, for not said, is the last entry, here as below
        answer_class,
        _numbers(chains["completion_tokens"], -1).astype(np.int64),
        cut[reason],
        foreign,
    )


def _coded(column: pa.ChunkedArray) -> tuple[NDArray[np.int32], list[str]]:
    """Texts as codes into a list of the different ones, by first appearance; -1 for null."""
    import numpy as np

    coded = column.combine_chunks().dictionary_encode()
    return _numbers(coded.indices, -1).astype(np.int32), coded.dictionary.to_pylist()


def _numbers(column: pa.Array | pa.ChunkedArray, missing: float) -> NDArray[Any]:
    # By way of numpy: Arrow's own fill_null imports pandas, which takes longer than all the rest.
    import numpy as np

    values = column.to_numpy() if hasattr(column, "chunks") else column.to_numpy(zero_copy_only=False)
    if not column.null_count:
        return np.asarray(values)
    return np.asarray(np.nan_to_num(values.astype(np.float64), nan=missing))

"""Puts foreign chains in their place: of which benchmark's which problem they are, and which of its samples."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from ..chainfile import squeeze
from ..components import Benchmark, Normalizer, Protocol
from ..data import DataSource
from ..errors import HarnessError, UsageError
from ..plugins import PluginManager, names_of
from ..progress import Progress
from ..records import Problem
from ..task import Task, load_task
from ..text import printable
from .matching import ForeignProblem, Match, match, same_gold, told
from .numbering import Numbers
from .sources import Group

_ID_DIGITS: Final = 12
_NAMED: Final = 3
"""Rows that a message names."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A group of chains with what they are chains of."""

    group: Group
    task: Task
    protocol: Protocol
    ids: Mapping[ForeignProblem, str]
    """The problem's id by how the files have it; what is left out is not there."""

    def numbers(self) -> Numbers:
        return Numbers(self.group, self.ids)


class ForeignBenchmark(Benchmark):
    """Problems and golds as files of chains bring them."""

    def __init__(self, name: str, normalizer: str, hidden: bool) -> None:
        super().__init__()
        self.name = name
        self.normalizer = normalizer
        self.hidden = hidden
        self.source = "the files of chains"

    def problems(self, data: DataSource) -> Iterable[Problem]:
        raise HarnessError(f"the problems of {self.name} are only known from files of chains")


class Tasks:
    """Finds benchmarks and their problems for groups of chains; what one group needed is kept for the next.

    Args:
        bench: the benchmark that the user names; None takes what the files say.
        normalizer: of a benchmark that the harness does not know; None is "math".
        skip_unmatched: leave out what is none of the benchmark's problems.
    """

    def __init__(
        self,
        plugins: PluginManager,
        data: DataSource,
        progress: Progress,
        bench: str | None,
        normalizer: str | None,
        skip_unmatched: bool,
    ) -> None:
        if data.folder is not None and not data.folder.is_dir():
            raise HarnessError(f"data folder {data.folder} is no folder: --data takes a folder of data files")
        self._plugins = plugins
        self._data = data
        self._note = progress.note
        self._bench = bench
        self._normalizer = normalizer
        self._skip_unmatched = skip_unmatched
        self._loaded: dict[str, Task | str] = {}
        self._matches: dict[tuple[str, frozenset[ForeignProblem]], dict[ForeignProblem, Match]] = {}

    def chosen(self, groups: Sequence[Group]) -> list[Group]:
        """The groups that are meant: of several benchmarks in the files, the one that the user names."""
        if self._bench is None:
            return list(groups)
        benchmark, _ = self._benchmark(None)
        named = [g for g in groups if g.benchmark is not None and _goes_by(benchmark, g.benchmark)]
        return named or list(groups)

    def place(self, group: Group, protocol: Protocol, n: int | None) -> Placed:
        """The group's problems as a task.

        Args:
            n: how many chains of each problem are taken; None takes all, where all problems have as many.

        Raises:
            HarnessError: problems that are not the benchmark's, no golds, or uneven numbers of chains.
        """
        benchmark, known = self._benchmark(group.benchmark)
        whole = (
            self._load(benchmark, protocol) if known else f"the harness knows no benchmark {benchmark.name}"
        )
        if isinstance(whole, str):
            task, ids = self._own(group, benchmark, protocol, whole)
        else:
            task, ids = self._matched(group, whole, protocol)
        counts = Counter[str]()
        for problem, id_ in ids.items():
            counts[id_] += len(group.indexes[problem])
        return Placed(group, task, replace(protocol, n=_n(group, task, counts, n)), ids)

    # -- which benchmark -------------------------------------------------------------------------

    def _benchmark(self, said: str | None) -> tuple[Benchmark, bool]:
        """The benchmark, and whether the harness knows it."""
        if self._bench is not None:
            if self._normalizer is not None and not self._known(self._bench.partition(":")[0]):
                return self._foreign(self._bench), False
            return self._of_the_harness(self._bench), True
        if said is None:
            raise UsageError("the files do not say which benchmark this is: name it with --bench")
        if (benchmark := self._known(said)) is not None:
            return benchmark, True
        return self._foreign(said), False

    def _of_the_harness(self, name: str) -> Benchmark:
        try:
            return self._plugins.benchmark(name)
        except HarnessError as error:
            raise HarnessError(
                f"{error}; for a benchmark that is the files' own, add the normalizer of its answers: "
                "--normalizer math"
            ) from None

    def _known(self, said: str) -> Benchmark | None:
        return next((b for b in self._plugins.benchmarks.values() if _goes_by(b, said)), None)

    def _foreign(self, name: str) -> ForeignBenchmark:
        normalizer = self._plugins.normalizer(self._normalizer or "math").name
        return ForeignBenchmark(printable(name)[:200], normalizer, sounds_hidden(name, self._plugins))

    def _load(self, benchmark: Benchmark, protocol: Protocol) -> Task | str:
        """The benchmark with all its problems, or why they cannot be had."""
        if (found := self._loaded.get(benchmark.label)) is None:
            read_before = len(self._data.origins)
            try:
                found = load_task(benchmark, protocol, self._data)
            except HarnessError as error:
                if len(self._data.origins) > read_before:
                    raise  # its rows are there, and are not as they should be
                found = str(error)
            self._loaded[benchmark.label] = found
        return found

    # -- the files' own problems -----------------------------------------------------------------

    def _own(
        self, group: Group, benchmark: Benchmark, protocol: Protocol, why: str
    ) -> tuple[Task, dict[ForeignProblem, str]]:
        if not isinstance(benchmark, ForeignBenchmark):
            benchmark = ForeignBenchmark(
                benchmark.label, self._normalizer or benchmark.normalizer, benchmark.hidden
            )
        normalizer = self._plugins.normalizer(protocol.normalizer or benchmark.normalizer)
        problems: dict[str, Problem] = {}
        ids: dict[ForeignProblem, str] = {}
        for foreign, where in group.first.items():
            if foreign.gold is None:
                raise HarnessError(f"{where}: brings no gold, and {why}")
            ids[foreign] = id_ = _id(foreign)
            known = problems.setdefault(
                id_, Problem(id_, printable(foreign.text or ""), printable(foreign.gold))
            )
            if not same_gold(normalizer, known.gold, foreign.gold):
                raise HarnessError(
                    f"{where}: problem {id_} has two golds in these files: chains that are judged by different golds "
                    "cannot stand in one run"
                )
        self._note(f"{benchmark.name}: {why}; problems and golds are the files' own")
        chosen = list(problems.values())
        prompts = [protocol.prompt(problem, benchmark) for problem in chosen]
        warning = (
            f"problems and golds are the files' own, not those of a benchmark known to the harness ({why})"
        )
        return Task(benchmark, chosen, prompts, benchmark.source, {}, [warning]), ids

    # -- a known benchmark's problems ------------------------------------------------------------

    def _matched(
        self, group: Group, whole: Task, protocol: Protocol
    ) -> tuple[Task, dict[ForeignProblem, str]]:
        label = whole.benchmark.label
        normalizer = self._plugins.normalizer(whole.benchmark.normalizer)
        memo = (label, frozenset(group.indexes))
        if (found := self._matches.get(memo)) is None:
            found = self._matches[memo] = match(list(group.indexes), whole.problems, normalizer)
            if found:
                self._note(
                    f"{label}: {len(found)} of {len(group.indexes)} problems matched: {told(found.values())}"
                )
        warnings = list(whole.warnings)
        if unmatched := [problem for problem in group.indexes if problem not in found]:
            warnings.append(self._left_out(group, whole, unmatched, found))
        said = _theirs(group, found, normalizer)
        problems = [problem for problem in whole.problems if problem.id in said]
        if len(problems) < len(whole.problems):
            warnings.append(f"only {len(problems)} of the {len(whole.problems)} problems of {label}")
        if any(problem.choices for problem in problems):
            problems, more = _as_theirs(problems, said)
        else:
            more = _other_golds(problems, said, normalizer)
        means = Counter(one.means for one in found.values())
        task = replace(
            whole,
            problems=problems,
            prompts=[protocol.prompt(problem, whole.benchmark) for problem in problems],
            notes={**whole.notes, "matched": dict(means)},
            warnings=warnings + more,
        )
        return task, {foreign: one.problem.id for foreign, one in found.items()}

    def _left_out(
        self,
        group: Group,
        whole: Task,
        unmatched: Sequence[ForeignProblem],
        found: Mapping[ForeignProblem, Match],
    ) -> str:
        label, total = whole.benchmark.label, len(whole.problems)
        # Their rows are named and not their texts, which may be of a benchmark that is not to be posted.
        rows = "; ".join(group.first[problem] for problem in unmatched[:_NAMED])
        many = f"{len(unmatched)} of {len(group.indexes)} problems are none of {label}'s {total}"
        if not found or not self._skip_unmatched:
            remedy = "" if not found else ", or leave them out with --skip-unmatched"
            raise HarnessError(f"{many} (first: {rows}): see that --bench and --data are right{remedy}")
        chains = sum(len(group.indexes[problem]) for problem in unmatched)
        self._note(f"{group.model}: {many} and are left out, with {chains} chains (first: {rows})")
        return f"{len(unmatched)} problems ({chains} chains) of the files are none of {label}'s and were left out"


def sounds_hidden(name: str, plugins: PluginManager) -> bool:
    """Whether a foreign benchmark's name contains that of one whose authors ask that it not be posted, in any case."""
    hidden = (part for b in plugins.benchmarks.values() if b.hidden for part in names_of(b))
    return any(part in name.lower() for part in hidden)


def _goes_by(benchmark: Benchmark, said: str) -> bool:
    """Whether a program's name for a benchmark is one of ours, whatever its case, dashes and prefixes."""
    names = {re.sub(r"[-_ ]", "", name) for name in names_of(benchmark)}
    last = re.split(r"[/|]", said)[-1]
    return any(re.sub(r"[-_ ]", "", name.lower()) in names for name in (said, last))


def _id(foreign: ForeignProblem) -> str:
    if foreign.text is None:
        return printable(foreign.id or "")
    text = squeeze(foreign.text).encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()[:_ID_DIGITS]


class _Theirs(NamedTuple):
    """What the files say of a problem."""

    gold: str | None
    text: str | None
    by_id: bool
    """All matches were by id: it is the problem as the harness knows it."""


def _theirs(
    group: Group, found: Mapping[ForeignProblem, Match], normalizer: Normalizer
) -> dict[str, _Theirs]:
    """Problem id -> what the files say of it.

    Raises:
        HarnessError: a problem has two golds.
    """
    said: dict[str, _Theirs] = {}
    for foreign, (problem, means) in found.items():
        gold, text, by_id = said.get(problem.id, _Theirs(None, None, True))
        if gold is not None and foreign.gold is not None and not same_gold(normalizer, gold, foreign.gold):
            raise HarnessError(
                f"{group.first[foreign]}: problem {problem.id} has two golds in these files: chains that are judged by "
                "different golds (or orders of choices) cannot stand in one run"
            )
        said[problem.id] = _Theirs(
            foreign.gold if gold is None else gold,
            foreign.text if text is None else text,
            by_id and means == "id",
        )
    return said


def _as_theirs(problems: Sequence[Problem], said: Mapping[str, _Theirs]) -> tuple[list[Problem], list[str]]:
    """Problems with choices take the files' golds: a letter belongs to the order in which choices were shown."""
    taken = []
    for problem in problems:
        gold, text, by_id = said[problem.id]
        if gold is None and not by_id:
            raise HarnessError(
                f"problem {problem.id} has choices, and the files do not say which letter is right in the order in "
                "which they showed them: a gold is needed"
            )
        if gold is not None and gold.strip() != problem.gold:
            shown = problem.text if text is None else printable(text)
            problem = replace(problem, text=shown, gold=printable(gold).strip(), choices=())
        taken.append(problem)
    others = sum(one is not other for one, other in zip(taken, problems, strict=True))
    if not others:
        return taken, []
    return taken, [f"golds of {others} problems are the files' own: choices were shown in their order"]


def _other_golds(
    problems: Sequence[Problem], said: Mapping[str, _Theirs], normalizer: Normalizer
) -> list[str]:
    others = [
        problem.id
        for problem in problems
        if (gold := said[problem.id].gold) is not None and not same_gold(normalizer, gold, problem.gold)
    ]
    if not others:
        return []
    named = ", ".join(others[:_NAMED])
    return [f"the files have other golds for {len(others)} problems ({named}); the benchmark's count here"]


def _n(group: Group, task: Task, counts: Mapping[str, int], asked: int | None) -> int:
    fewest, most = min(counts.values()), max(counts.values())
    what = f"{group.model} on {task.benchmark.label}"
    if asked is not None and asked > fewest:
        id_ = next(id_ for id_, count in counts.items() if count == fewest)
        raise HarnessError(f"{what}: problem {id_} has {fewest} chains, fewer than --n {asked}")
    if asked is None and fewest != most:
        raise HarnessError(
            f"{what}: problems have between {fewest} and {most} chains: --n {fewest} takes the first"
        )
    return asked or most

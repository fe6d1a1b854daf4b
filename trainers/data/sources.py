"""Where items come from: a benchmark's problems, files, or a data set on the Hub."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from harness import Benchmark, HarnessError, Message, Problem, Prompt, Protocol
from harness.data import DataSource, HubRows, Rows
from harness.files import safe_name
from harness.protocol import data_fingerprint, digest
from harness.task import load_task

from . import files
from .columns import Row, as_number, needed, read_row
from .records import Item, LeftOut, Tally, Wanted


class Source(ABC):
    """Items, in a fixed order; they can be read more than once.

    Args:
        text: as the recipe names it.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    @property
    def is_near(self) -> bool:
        """Whether its first items can be had in a moment."""
        return False

    @abstractmethod
    def identity(self) -> Any:
        """What decides which items these are. JSON-able."""

    @abstractmethod
    def items(self, wanted: Wanted, tally: Tally) -> Iterator[Item]:
        """The usable items; those that are not are counted.

        Raises:
            HarnessError: it cannot be read, or no row has what is wanted.
        """

    @abstractmethod
    def benchmark(self, wanted: Wanted) -> tuple[str, Benchmark]:
        """How `harness.evaluation` finds these items as a benchmark: the name it looks up, and what it finds."""

    def size(self) -> int | None:
        """How many rows there are, where that can be told in a moment."""
        return None


class Problems(Source):
    """The problems of a benchmark."""

    def __init__(self, text: str, benchmark: Benchmark, protocol: Protocol, data: DataSource) -> None:
        super().__init__(text)
        self._benchmark, self._protocol, self._data = benchmark, protocol, data
        if benchmark.hidden:
            raise HarnessError(
                f"data.source: the problems of {benchmark.label} are not to be shown, so they are not to be learnt"
            )

    @cached_property
    def _task(self) -> tuple[Sequence[Problem], Sequence[Prompt]]:
        task = load_task(self._benchmark, self._protocol, self._data)
        if any(prompt.text is not None for prompt in task.prompts):
            raise HarnessError(
                f"data.source: {self._benchmark.label} asks without a chat template, training rows have messages: "
                "take another source"
            )
        return task.problems, task.prompts

    def identity(self) -> Any:
        problems, prompts = self._task
        solutions = digest([problem.solution for problem in problems])
        return ["benchmark", self._benchmark.label, data_fingerprint(problems, prompts), solutions]

    def items(self, wanted: Wanted, tally: Tally) -> Iterator[Item]:
        problems, prompts = self._task
        if wanted.solution and not any(problem.solution.strip() for problem in problems):
            raise HarnessError(
                f"data.source: {self._benchmark.label} tells no worked solutions to learn from: let a model answer it "
                "(`sample`), or take another source"
            )
        normalizer = self._protocol.normalizer or self._benchmark.normalizer
        for problem, prompt in zip(problems, prompts, strict=True):
            tally.read += 1
            if wanted.solution and not problem.solution.strip():
                tally.leave_out(LeftOut("without a solution"))
                continue
            yield Item(
                problem.id,
                prompt.messages,
                problem.text,
                problem.gold,
                normalizer,
                solution=problem.solution,
                difficulty=as_number(problem.metadata.get("difficulty")),
                values=problem.metadata,
            )

    def benchmark(self, wanted: Wanted) -> tuple[str, Benchmark]:
        return self.text, self._benchmark

    @property
    def is_near(self) -> bool:
        return self._benchmark.source == "generated"

    def size(self) -> int | None:
        size = self._benchmark.values.get("size")
        return size if isinstance(size, int) else None


class RowSource(Source):
    """Rows of a data set, whatever their columns are called."""

    def __init__(self, text: str, protocol: Protocol) -> None:
        super().__init__(text)
        self._protocol = protocol
        self._asked = _Asked(protocol)

    @abstractmethod
    def rows(self) -> Iterable[Row]:
        """The rows as they are stored."""

    def items(self, wanted: Wanted, tally: Tally) -> Iterator[Item]:
        seen: set[str] = set()
        usable = 0
        for number, row in enumerate(self.rows(), 1):
            tally.read += 1
            tally.columns.update(dict.fromkeys(list(row)[:200]) if number <= 1000 else {})
            try:
                item = read_row(row, number, wanted, self._asked, tally)
            except LeftOut as reason:
                tally.leave_out(reason)
                continue
            id_ = item.id
            while id_ in seen:
                id_ = f"{item.id}#{number}" if id_ == item.id else f"{id_}+"
            seen.add(id_)
            usable += 1
            yield _completed(item, id_, self._protocol.normalizer or item.normalizer or Benchmark.normalizer)
        if not usable:
            raise self._nothing(wanted, tally)

    def _nothing(self, wanted: Wanted, tally: Tally) -> HarnessError:
        if not tally.read:
            return HarnessError(f"data.source: {self.text} holds no rows")
        if tally.lacking == tally.read:
            columns = ", ".join(f"{str(name)[:40]!r}" for name in list(tally.columns)[:30]) or "no columns"
            return HarnessError(f"data.source: {self.text} has {columns}: it needs {needed(wanted)}")
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in tally.left_out.most_common())
        return HarnessError(f"data.source: no row of {self.text} can be used: {tally.read:,} read, {reasons}")

    def benchmark(self, wanted: Wanted) -> tuple[str, Benchmark]:
        name = (
            f"{safe_name(Path(self.text).name.partition('.')[0])[:60].lower()}-{digest(self.identity())[:8]}"
        )
        return name, RowsAsBenchmark(name, self, wanted)


class Files(RowSource):
    """A file of the user's, or a folder of them."""

    def __init__(self, text: str, path: Path, protocol: Protocol) -> None:
        super().__init__(text, protocol)
        self._files = files.data_files(path)

    def identity(self) -> Any:
        return ["files", [[file.name, files.digest_of(file)] for file in self._files]]

    def rows(self) -> Iterator[Row]:
        for file in self._files:
            yield from files.rows_of(file)

    @property
    def is_near(self) -> bool:
        return files.is_quick(self._files[0])

    def size(self) -> int | None:
        counts = [files.quick_count(file) for file in self._files]
        return None if None in counts else sum(count for count in counts if count is not None)


class Hub(RowSource):
    """A data set on the Hub, or a file of its name in the data folder."""

    def __init__(self, text: str, hub: HubRows, protocol: Protocol, data: DataSource) -> None:
        super().__init__(text, protocol)
        self._hub, self._data = hub, data

    def identity(self) -> Any:
        return ["hub", str(self._hub)]

    @cached_property
    def _rows(self) -> Rows:
        return self._data.rows(self._hub.repo.rpartition("/")[2], self._hub)

    def rows(self) -> Iterable[Row]:
        return self._rows

    def items(self, wanted: Wanted, tally: Tally) -> Iterator[Item]:
        tally.notes.append(f"{self.text} is {self._rows.place}")
        yield from super().items(wanted, tally)


class RowsAsBenchmark(Benchmark):
    """Rows with golds, as a benchmark that a model can be sampled on."""

    description = "training data"
    source = "training data"

    def __init__(self, name: str, rows: RowSource, wanted: Wanted) -> None:
        super().__init__()
        self.name = name
        self._rows, self._wanted = rows, wanted
        self._prompts: dict[str, tuple[Message, ...]] = {}

    def problems(self, data: DataSource) -> Iterator[Problem]:
        normalizers = set()
        for item in self._rows.items(self._wanted, Tally(self._rows.text)):
            self._prompts[item.id] = item.prompt
            normalizers.add(item.normalizer)
            yield Problem(item.id, item.problem, item.gold or "")
        if len(normalizers) > 1:
            raise HarnessError(
                f"data.source: rows of {self._rows.text} name {len(normalizers)} normalizers, a run of samples is "
                "graded by one: split the data set"
            )
        self.normalizer = normalizers.pop() if normalizers else Benchmark.normalizer

    def prompt(self, problem: Problem) -> Prompt:
        return Prompt(self._prompts[problem.id])


class _Asked:
    """Asks a bare problem as the protocol asks those of benchmarks."""

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        self._benchmark = _Bare()

    def __call__(self, problem: Problem) -> tuple[Message, ...]:
        return self._protocol.prompt(problem, self._benchmark).messages


class _Bare(Benchmark):
    name = "rows"

    def problems(self, data: DataSource) -> Iterable[Problem]:
        return ()


def _completed(item: Item, id_: str, normalizer: str) -> Item:
    return dataclasses.replace(item, id=id_, normalizer=normalizer)

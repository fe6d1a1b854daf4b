"""Gets the pending chains of one or several runs out of one engine, and stores each as it comes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from .benchmark_run import BenchmarkRun
from .components import Cluster, Engine, Opening, Protocol, Sampler
from .cost import Meter
from .errors import HarnessError, one_line
from .progress import Progress
from .provenance import session
from .records import Chain, ChainKey, Request
from .schedule import ROUND, longest_first
from .selection import Selection

_NOTE_SECONDS: Final = 30.0
"""How often a session's cost is written down: so much is unaccounted for if the process is killed."""


@dataclass(frozen=True, slots=True)
class Replicas:
    """Spread over a cluster: which, how many engines, and where it runs."""

    cluster: Cluster
    count: int
    address: str | None


def sample_pending(
    runs: Sequence[BenchmarkRun],
    protocol: Protocol,
    selection: Selection,
    replicas: Replicas | None,
    progress: Progress,
    finish: Callable[[BenchmarkRun], None],
) -> None:
    """Sample what the runs want and do not have; a run whose last chain has come is finished at once.

    Raises:
        HarnessError: the engine cannot be opened, or stopped; what it gave is stored.
    """
    pending = {run.info.benchmark: run.pending() for run in runs}
    requests = [request for run in runs for request in pending[run.info.benchmark]]
    if not requests:
        return
    waiting = [run for run in runs if pending[run.info.benchmark]]
    expected = {
        (run.info.benchmark, problem_id): tokens
        for run in waiting
        for problem_id, tokens in run.expected_tokens().items()
    }
    may_stop = any(run.stops_when_decided for run in waiting)
    ordered = longest_first(requests, expected, at_once=ROUND if may_stop else None)
    longest = max(request.prompt.size for request in requests)
    opening = selection.opening(protocol.settings, longest_prompt=longest)
    meter = Meter()
    with open_engine(opening, replicas) as engine:
        count = None if replicas is None else replicas.count
        for run in waiting:
            run.begin_session(session(selection, engine, protocol.n, len(run.folder.keys), count))
        _warn_of_short_context(engine, protocol, progress, opening.sampler)
        progress.sampling()
        Sampling(waiting, ordered, engine, meter, finish, opening.sampler).run()


class Sampling:
    """One pass of requests through an engine.

    Args:
        requests: in the order in which they are to be begun.
        finish: is called with each run whose last wanted chain is stored.
        sampler: what opened the engine.
    """

    def __init__(
        self,
        runs: Sequence[BenchmarkRun],
        requests: Sequence[Request],
        engine: Engine,
        meter: Meter,
        finish: Callable[[BenchmarkRun], None],
        sampler: Sampler,
    ) -> None:
        self._runs = {run.info.benchmark: run for run in runs}
        self._requests = requests
        self._engine = engine
        self._meter = meter
        self._finish_run = finish
        self._sampler = sampler
        self._wanted = {request.key for request in requests}
        self._left = Counter(key.benchmark for key in self._wanted)

    def run(self) -> None:
        """Store and grade chains as they come, until none is wanted any more."""
        try:
            # Closed before the engine is, also when a chain cannot be stored.
            with closing(self._chains()) as chains:
                for chain in chains:
                    if chain.key in self._wanted:
                        self._store(chain)
                    if not self._wanted:
                        break
        except BaseException:
            with suppress(HarnessError):  # what stopped the run matters more
                self._note()
            raise
        self._note()

    def _store(self, chain: Chain) -> None:
        run = self._runs[chain.benchmark]
        run.add(chain)
        self._meter.add(chain)
        self._no_longer_wanted([chain.key])
        for each in self._runs.values():
            if superfluous := self._wanted.intersection(each.newly_decided()):
                self._engine.drop(superfluous)
                self._no_longer_wanted(superfluous)
        if self._meter.unsettled > _NOTE_SECONDS:
            self._note()

    def _no_longer_wanted(self, keys: Collection[ChainKey]) -> None:
        self._wanted.difference_update(keys)
        for label, count in Counter(key.benchmark for key in keys).items():
            self._left[label] -= count
            if not self._left[label]:
                self._note()
                self._finish_run(self._runs[label])

    def _note(self) -> None:
        """Write the cost of each run's session down."""
        info = self._engine.info  # replicas of a cluster come and go
        self._meter.occupies(_devices(info.get("devices"), self._sampler), info.get("device"))
        self._meter.usage = self._engine.usage
        self._meter.settle()
        for label, run in self._runs.items():
            run.note_session(self._meter.of(label), self._engine.warnings)

    def _chains(self) -> Generator[Chain, None, None]:
        """The engine's chains; what goes wrong inside it is told as one line."""
        requests = (request for request in self._requests if request.key in self._wanted)
        asked = requests if self._engine.lazy else list(requests)
        with _blamed_on(self._sampler.name), closing(self._engine.sample(asked)) as chains:  # type: ignore[type-var]
            while True:
                try:
                    chain = next(chains)
                except StopIteration:
                    return
                yield chain


@contextmanager
def open_engine(opening: Opening, replicas: Replicas | None = None) -> Iterator[Engine]:
    """The opened engine; only what happens while it opens is put down to it."""
    with ExitStack() as stack:
        with _blamed_on(opening.sampler.name):
            if replicas is None:
                context = opening.open()
            else:
                context = replicas.cluster.open(opening, replicas.count, replicas.address)
            engine = stack.enter_context(context)
        yield engine


@contextmanager
def _blamed_on(sampler: str) -> Iterator[None]:
    try:
        yield
    except (HarnessError, GeneratorExit):
        raise
    except Exception as error:
        if os.environ.get("HARNESS_DEBUG"):
            raise
        raise HarnessError(
            f"sampler {sampler} failed: {one_line(error)}; chains that it finished are stored, run "
            "the same command to go on (HARNESS_DEBUG=1 shows where it failed)"
        ) from error


def _devices(said: object, sampler: Sampler) -> int:
    """How many devices of ours the engine occupies; servers and stored chains occupy none."""
    if isinstance(said, int):
        return said
    return 1 if sampler.needs_weights else 0


def _warn_of_short_context(engine: Engine, protocol: Protocol, progress: Progress, sampler: Sampler) -> None:
    context, budget = engine.info.get("context"), protocol.settings.max_tokens
    if isinstance(context, int) and context < budget:
        then = "chains are cut off where the context ends and count as truncated"
        if not sampler.runs_here:
            then = "a server may refuse such requests, lower --max-tokens"
        progress.note(
            f"the model's context is {context:,} tokens, less than the budget of {budget:,}: {then}"
        )

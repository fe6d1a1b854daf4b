"""What replicas bring and cost: throughput, makespan and the driver's share, on engines that only sleep.

    python perf/replicas.py                      # starts Ray on this machine
    python perf/replicas.py --ray-address auto   # on a cluster that runs already

Engines that sleep take no processor, so that three of them fit on any machine and what is measured is the handing out
of requests and the collecting of chains. Opening the replicas is not part of any figure.
"""

from __future__ import annotations

import argparse
import heapq
import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from harness import (
    Chain,
    ChainKey,
    Engine,
    Fit,
    Message,
    Opening,
    Prompt,
    Request,
    Sampler,
    SamplingSettings,
)
from harness.models import ResolvedModel
from harness.plugins import load_plugins

TARGET = 2.5
"""Least throughput of three replicas, as a multiple of that of one."""


def seconds_of(seed: int, mean: float, sigma: float) -> float:
    """How long a chain takes: log-normal as the lengths of real chains are, sigma 0 makes all equal."""
    return mean * random.Random(seed).lognormvariate(-sigma * sigma / 2, sigma)


class Sleeper(Engine):
    """Holds up to `slots` chains, each for its own time, and takes a request whenever one is free."""

    lazy = True

    def __init__(self, slots: int, mean: float, sigma: float, size: int) -> None:
        self._slots, self._mean, self._sigma = slots, mean, sigma
        self._text = "x" * size

    @property
    def info(self) -> Mapping[str, Any]:
        return {"max_in_flight": self._slots}

    def sample(self, requests: Iterable[Request]) -> Iterator[Chain]:
        source, flights = iter(requests), []
        while True:
            while len(flights) < self._slots and (request := next(source, None)) is not None:
                now = time.time()
                end = now + seconds_of(request.seed, self._mean, self._sigma)
                heapq.heappush(flights, (end, request.seed, request, now))
            if not flights:
                return
            end, _, request, begun = heapq.heappop(flights)
            if (wait := end - time.time()) > 0:
                time.sleep(wait)
            yield request.chain(f"{begun}\n{self._text}", completion_tokens=1)


class Sleepers(Sampler):
    name = "sleeper"
    needs_weights = False

    def fit(self, model: ResolvedModel) -> Fit:
        return Fit(0, "it sleeps")

    @contextmanager
    def open(
        self, model: ResolvedModel, settings: SamplingSettings, options: Mapping[str, str]
    ) -> Iterator[Engine]:
        numbers = [float(options[name]) for name in ("slots", "mean", "sigma", "size")]
        yield Sleeper(int(numbers[0]), numbers[1], numbers[2], int(numbers[3]))


def requests(problems: int, n: int) -> list[Request]:
    made = []
    for problem in range(problems):
        prompt = Prompt((Message("user", f"problem {problem} " * 40),))
        for index in range(n):
            key = ChainKey("bench", str(problem), index)
            made.append(Request(key, prompt, seed=n * problem + index))
    return made


class Measured:
    """One pass of requests through replicas: wall seconds, the driver's CPU seconds, and when chains were begun."""

    def __init__(
        self, replicas: int, wanted: Sequence[Request], address: str | None, **options: float
    ) -> None:
        texts = {name: str(value) for name, value in options.items()}
        opening = Opening(Sleepers(), ResolvedModel("sleeper"), SamplingSettings(1.0, 1.0, 1), texts)
        with load_plugins().cluster("ray").open(opening, replicas, address) as engine:
            self.opened = engine.info["replicas"]
            start, wall, cpu = time.time(), time.perf_counter(), time.process_time()
            chains = list(engine.sample(wanted))
            self.wall = time.perf_counter() - wall
            self.cpu = time.process_time() - cpu
        self.count = len({chain.key for chain in chains})
        assert self.count == len(chains) == len(wanted)
        self.filled = max(float(chain.text.partition("\n")[0]) for chain in chains) - start


def list_schedule(wanted: Sequence[Request], slots: int, mean: float, sigma: float) -> float:
    """Makespan in seconds if each request went, in order, to the first free of so many slots, at no cost."""
    ends = [0.0] * slots
    for request in wanted:
        heapq.heapreplace(ends, ends[0] + seconds_of(request.seed, mean, sigma))
    return max(ends)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--ray-address")
    address = parser.parse_args().ray_address

    print("Throughput: 600 chains of 0.25 s, 8 in flight per replica\n")
    print("| replicas | seconds | chains/s | times one |\n|---:|---:|---:|---:|")
    wanted = requests(10, 60)
    rates = {}
    for replicas in (1, 2, 3):
        run = Measured(replicas, wanted, address, slots=8, mean=0.25, sigma=0, size=1000)
        assert run.opened == replicas, "not all replicas were there from the beginning"
        rates[replicas] = run.count / run.wall
        print(f"| {replicas} | {run.wall:.2f} | {rates[replicas]:.1f} | {rates[replicas] / rates[1]:.2f} |")

    print(
        "\nMakespan: 30 problems x 32 chains of 1 s on average (log-normal, sigma 0.8), 16 in flight per replica\n"
    )
    print("| replicas | seconds | list schedule on all slots | ratio |\n|---:|---:|---:|---:|")
    wanted = requests(30, 32)
    for replicas in (1, 3):
        run = Measured(replicas, wanted, address, slots=16, mean=1.0, sigma=0.8, size=1000)
        best = list_schedule(wanted, 16 * replicas, 1.0, 0.8)
        print(f"| {replicas} | {run.wall:.2f} | {best:.2f} | {run.wall / best:.3f} |")

    print("\nFilling 8 replicas: 30 problems x 64 chains of 5 s, 256 in flight per replica\n")
    run = Measured(8, requests(30, 64), address, slots=256, mean=5.0, sigma=0, size=1000)
    print(
        f"all {run.count:,} chains were begun after {run.filled:.2f} s, all had come after {run.wall:.2f} s"
    )

    print("\nThe driver: 20,000 chains of 16 kB that take no time, 3 replicas\n")
    run = Measured(3, requests(100, 200), address, slots=64, mean=0, sigma=0, size=16_000)
    print(
        f"{run.count / run.wall:,.0f} chains/s, {1e6 * run.cpu / run.count:.0f} us of the driver's CPU per chain"
    )

    ratio = rates[3] / rates[1]
    print(
        f"\ntarget: three replicas at least {TARGET} times one: {ratio:.2f}",
        "(met)" if ratio >= TARGET else "(MISSED)",
    )


if __name__ == "__main__":
    main()

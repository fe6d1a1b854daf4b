"""What the order of chains and stopping early are worth, on real lengths and real answers.

    python perf/scheduling.py [--shared DIR] [--slots 256]

A simulation, no clock: an engine runs so many chains at once, each a token a step, and takes the next request when one
ends. Lengths and answers are those of real chains: eleven checkpoints of one training run on AIME24, and two models on
MATH-500. Each problem's 64 chains are drawn from what the checkpoints of the odd places wrote. What the harness knows
beforehand is what those of the even places wrote, six chains a problem, as from earlier runs of other checkpoints in
the same results folder; or what those of the odd places wrote themselves, as when a run of 16 chains is topped up.

The order is made by harness.schedule, and decisions by harness.decided: the very code of a run.
"""

from __future__ import annotations

import argparse
import gzip
import heapq
import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from harness import ChainKey, Message, Prompt, Request
from harness.decided import Ballot
from harness.schedule import ROUND, longest_first, power_mean

N = 64
BUDGET = 16_384
CHARACTERS_A_TOKEN = 3.0  # of reasoning in these files; the ratios below do not depend on it
SEEDS = 20


class Sampled(NamedTuple):
    """A chain as the simulation sees it."""

    tokens: int
    answer: str | None


Pool = Mapping[str, Sequence[Sampled]]
"""Problem id -> real chains to draw from."""


def read(files: Sequence[Path]) -> Pool:
    found: dict[str, list[Sampled]] = defaultdict(list)
    for file in files:
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                tokens = min(BUDGET, max(1, round(len(row["generation"]) / CHARACTERS_A_TOKEN)))
                answer = row["pred"] if tokens < BUDGET else None
                found[row["problem"]].append(Sampled(tokens, None if answer is None else str(answer)))
    return found


class Run(NamedTuple):
    """One benchmark: what its chains will be, and what is known of their lengths."""

    name: str
    chains: Mapping[ChainKey, Sampled]
    expected: Mapping[tuple[str, str], float]


Average = Callable[[Sequence[int]], float]


def draw(name: str, known: Pool, unknown: Pool, n: int, seed: int, average: Average = power_mean) -> Run:
    """A run of n chains a problem; the lengths in `known` are what earlier runs have told."""
    random_ = random.Random(seed)
    chains = {
        ChainKey(name, id_, index): random_.choice(unknown[id_]) for id_ in unknown for index in range(n)
    }
    return Run(name, chains, {(name, id_): average([c.tokens for c in known[id_]]) for id_ in known})


def requests(run: Run) -> list[Request]:
    prompt = Prompt((Message("user", "x"),))
    return [Request(key, prompt, 0) for key in run.chains]


def makespan(order: Sequence[ChainKey], chains: Mapping[ChainKey, Sampled], slots: int) -> int:
    """Steps until the last chain ends."""
    ends = [0] * slots
    for key in order:
        heapq.heappush(ends, heapq.heappop(ends) + chains[key].tokens)
    return max(ends)


def bound(chains: Mapping[ChainKey, Sampled], slots: int) -> float:
    """No schedule is shorter: all slots full all the time, or the longest chain alone."""
    lengths = [chain.tokens for chain in chains.values()]
    return max(sum(lengths) / slots, max(lengths))


def tails(known: Mapping[str, Sequence[Run]], slots: int) -> dict[str, float]:
    """Makespan over the bound, by policy.

    Args:
        known: where lengths are known from -> the same chains, with what is known of them.
    """
    runs = next(iter(known.values()))
    chains = {key: chain for run in runs for key, chain in run.chains.items()}
    asked = [request for run in runs for request in requests(run)]

    def by_history(runs: Sequence[Run]) -> list[ChainKey]:
        expected = {key: tokens for run in runs for key, tokens in run.expected.items()}
        return [request.key for request in longest_first(asked, expected)]

    policies = {
        "in order": [request.key for request in asked],
        **{f"longest problems first, {name}": by_history(told) for name, told in known.items()},
        "longest chains first (nobody knows them)": sorted(chains, key=lambda key: -chains[key].tokens),
    }
    least = bound(chains, slots)
    found = {name: makespan(order, chains, slots) / least for name, order in policies.items()}
    if len(runs) > 1:
        apart = sum(makespan([r.key for r in requests(run)], run.chains, slots) for run in runs)
        found = {"one benchmark after the other": apart / least, **found}
    return found


class Stopped(NamedTuple):
    wanted: int
    sampled: int
    tokens_of_all: int
    tokens: int
    """Sampled, those of chains that were stopped in flight included."""
    same: bool
    """Every problem's majority is that of all its chains."""


def stop_when_decided(run: Run, slots: int, at_once: int | None) -> Stopped:
    """Run the chains through the slots; a decided problem's chains are dropped, also those in flight."""
    waiting = iter([request.key for request in longest_first(requests(run), run.expected, at_once)])
    ballots = {key.problem_id: Ballot(N) for key in run.chains}
    flying: list[tuple[int, str, int, ChainKey]] = []
    sampled = tokens = now = 0

    def start(key: ChainKey) -> None:
        heapq.heappush(flying, (now + run.chains[key].tokens, key.problem_id, key.index, key))

    def next_wanted() -> Iterator[ChainKey]:
        return (key for key in waiting if not ballots[key.problem_id].decided)

    for key in next_wanted():
        start(key)
        if len(flying) == slots:
            break
    while flying:
        now, problem, _, key = heapq.heappop(flying)
        sampled += 1
        tokens += run.chains[key].tokens
        ballots[problem].add(run.chains[key].answer)
        if ballots[problem].decided:
            stopped = [flight for flight in flying if flight[1] == problem]
            tokens += sum(run.chains[key].tokens - (end - now) for end, _, _, key in stopped)
            flying = [flight for flight in flying if flight[1] != problem]
            heapq.heapify(flying)
        while len(flying) < slots and (key_or_none := next(next_wanted(), None)) is not None:
            start(key_or_none)
    everything: dict[str, Counter[str]] = defaultdict(Counter)
    for key, chain in run.chains.items():
        if chain.answer is not None:
            everything[key.problem_id][chain.answer] += 1
    same = all(winners(ballots[problem].votes) == winners(votes) for problem, votes in everything.items())
    return Stopped(len(run.chains), sampled, sum(c.tokens for c in run.chains.values()), tokens, same)


def winners(votes: Counter[str]) -> set[str]:
    most = max(votes.values(), default=0)
    return {answer for answer, count in votes.items() if count == most}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    shared = Path(__file__).resolve().parents[2] / "shared"
    parser.add_argument("--shared", type=Path, default=shared, help="the folder of real data")
    parser.add_argument("--slots", type=int, default=256, help="chains that the engine runs at once")
    arguments = parser.parse_args()
    folder = arguments.shared / "data" / "chains"
    aime = sorted(folder.glob("*ckpts*__aime24.jsonl.gz"))
    math_ = sorted(folder.glob("*__math500.jsonl.gz"))
    known, unknown = read(aime[::2]), read(aime[1::2])
    known_math, unknown_math = read(math_[:1]), read(math_[1:])
    slots = arguments.slots

    print(f"Makespan over its lower bound, budget {BUDGET:,} tokens, mean of {SEEDS} draws\n")
    print("| benchmark | slots | policy | makespan / bound |\n|---|--:|---|--:|")
    for name, width, with_math in (
        ("AIME24 x 64", 64, False),
        ("AIME24 x 64", slots, False),
        ("AIME24 x 64 and MATH-500 x 4", slots, True),
    ):
        ratios: dict[str, list[float]] = defaultdict(list)
        for seed in range(SEEDS):
            told: dict[str, list[Run]] = {}
            for source, aime_told, math_told in (
                ("known from other checkpoints", known, known_math),
                ("known from the same model", unknown, unknown_math),
            ):
                for by, average in (("", power_mean), (", by the plain mean", fmean)):
                    told[source + by] = [draw("aime24", aime_told, unknown, N, seed, average)]
                    if with_math:
                        more = draw("math500", math_told, unknown_math, 4, seed, average)
                        told[source + by].append(more)
            for policy, ratio in tails(told, width).items():
                ratios[policy].append(ratio)
        for policy, values in ratios.items():
            print(f"| {name} | {width} | {policy} | {fmean(values):.3f} |")

    print("\n--stop-when-decided, AIME24 x 64\n")
    print("| slots | begun together | chains not sampled | tokens not sampled | majorities unchanged |")
    print("|--:|--:|--:|--:|---|")
    for width in (64, slots, 30 * N):
        for at_once in (N, ROUND):
            runs = [draw("aime24", known, unknown, N, seed) for seed in range(SEEDS)]
            outcomes = [stop_when_decided(run, width, at_once) for run in runs]
            chains = 1 - sum(o.sampled for o in outcomes) / sum(o.wanted for o in outcomes)
            tokens = 1 - sum(o.tokens for o in outcomes) / sum(o.tokens_of_all for o in outcomes)
            unchanged = "yes" if all(o.same for o in outcomes) else "NO"
            print(f"| {width} | {at_once} | {chains:.1%} | {tokens:.1%} | {unchanged} |")


if __name__ == "__main__":
    main()

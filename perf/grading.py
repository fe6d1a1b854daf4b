"""How right and how quick our grader is, and Math-Verify in the same run.

    python perf/grading.py [--cases FILE] [--chains DIR] [--table docs/grading.md] [--wrong]

Labelled cases, real chains with integer golds, and texts of 10 kB to 10 MB. See perf/README.md.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chains import chain
from grading_cases import Case, Outcome, Speed, Tally, load_cases, load_chains, right
from grading_runs import LIMIT, Grader, run
from meter import CommandFailed, processor
from peers import MathVerify, cache

from harness import HarnessError, Normalizer
from harness.plugins import load_plugins

EQUIVALENCE_TARGET = 0.97
FALSE_POSITIVE_TARGET = 0.005
EXTRACTION_TARGET = 0.97
MIXED_TARGET = 25.0
"""Times Math-Verify's cases a second."""
CHAINS_TARGET = 100.0
LONG_TARGET = 0.050
"""Seconds to extract from a text of 5 MB."""
GROWTH_TARGET = 2.0
"""Most that the time per byte may grow from 100 kB to 10 MB."""

LENGTHS = (10_000, 100_000, 1_000_000, 5_000_000, 10_000_000)
_SHARED = Path(__file__).resolve().parents[2] / "shared"
_THOUGHTS_SEED = 0


@dataclass
class Measured:
    """A grader with what it made of the cases."""

    title: str
    outcomes: list[Outcome]
    start: float
    user: float


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=Path, default=_SHARED / "grading" / "dev_cases.jsonl")
    parser.add_argument("--chains", type=Path, default=_SHARED / "data" / "chains", help="real chains")
    parser.add_argument("--repeats", type=int, default=3, help="how often the chains are graded")
    parser.add_argument("--table", type=Path, help="a markdown file whose marked tables are written anew")
    parser.add_argument("--wrong", action="store_true", help="list the cases that ours gets wrong")
    parser.add_argument("--peers", type=Path, default=cache(), help="where Math-Verify is installed")
    parser.add_argument("--skip-peers", action="store_true", help="measure only ours")
    options = parser.parse_args()
    if options.repeats < 1:
        parser.error("--repeats must be at least 1")
    if options.table and options.skip_peers:
        parser.error("--table needs the peer's figures: leave --skip-peers out")
    try:
        tables = _measure(options)
        if options.table:
            rewrite(options.table, tables)
    except (CommandFailed, HarnessError) as error:
        print(f"grading: {error}", file=sys.stderr)
        return 1
    print("\n\n".join(tables.values()))
    return 0


def _measure(options: argparse.Namespace) -> dict[str, str]:
    cases = load_cases(options.cases)
    chains = {name: load_chains(options.chains, name) for name in ("math", "integer")}
    peer = None if options.skip_peers else MathVerify(options.peers.resolve())
    load = os.getloadavg()[0]
    ours = Grader("harness.grade", "harness", Path(sys.executable))
    graders = [ours, Grader("the same without a pool", "harness-alone", Path(sys.executable))]
    if peer is not None:
        peer.install()
        graders.append(Grader(f"Math-Verify {peer.version}", "math-verify", peer.python))
    try:
        print(f"{len(cases)} labelled cases", file=sys.stderr)
        outcomes = run(graders, cases)
        measured = [
            Measured(grader.title, own, grader.start_seconds, grader.user_seconds)
            for grader, own in zip(graders, outcomes, strict=True)
        ]
        print(f"{len(chains['math'])} real chains, {options.repeats} times", file=sys.stderr)
        rates = _chain_rates(ours, graders[2:], chains, options.repeats)
    finally:
        for grader in graders:
            grader.close()
    print("texts of growing length", file=sys.stderr)
    growth = _growth(load_plugins().normalizer("math"))
    if options.wrong:
        _list_wrong(cases, measured[0].outcomes)
    size = sum(len(case.prediction.encode()) for case in chains["math"]) / len(chains["math"])
    return {
        "targets": _targets(cases, measured, rates, growth),
        "cases": _cases_table(cases, measured),
        "suites": _suites_table(cases, measured[0], measured[2:]),
        "chains": _chains_table(rates, len(chains["math"]), size, options.repeats),
        "growth": _growth_table(growth),
        "setup": _setup(options.cases, cases, load, peer),
    }


# -- real chains -----------------------------------------------------------------------------------------------------


def _chain_rates(
    ours: Grader, peers: Sequence[Grader], chains: Mapping[str, list[Case]], repeats: int
) -> dict[str, tuple[float, float]]:
    """Name of a grader -> chains a second and seconds of its slowest chain, medians over the repeats."""
    rates: dict[str, list[Speed]] = {}
    for _ in range(repeats):
        for name, cases in chains.items():
            speed = Speed.of(run([ours], cases)[0])
            rates.setdefault(f"ours, `{name}`", []).append(speed)
        for peer in peers:
            rates.setdefault(peer.title, []).append(Speed.of(run([peer], chains["math"])[0]))
    return {
        name: (statistics.median(s.rate for s in speeds), statistics.median(s.worst for s in speeds))
        for name, speeds in rates.items()
    }


def _chains_table(rates: Mapping[str, tuple[float, float]], count: int, size: float, repeats: int) -> str:
    peer = next((rate for name, (rate, _) in rates.items() if name.startswith("Math-Verify")), None)
    lines = [
        f"| {count} chains of {size / 1000:.0f} kB on average, extracted and compared | chains/s | slowest, ms | "
        "times Math-Verify |",
        "|---|---:|---:|---:|",
    ]
    for name, (rate, worst) in rates.items():
        ratio = f"{rate / peer:,.0f}" if peer else "-"
        lines.append(f"| {name} | {rate:,.0f} | {worst * 1000:,.2f} | {ratio} |")
    return "\n".join([*lines, "", f"Median of {repeats} passes."])


# -- growth with the length ------------------------------------------------------------------------------------------


def _box_at_the_end(size: int) -> str:
    return chain("73", size, random.Random(_THOUGHTS_SEED))


def _no_box(size: int) -> str:
    return _thoughts(size)


def _box_at_the_start(size: int) -> str:
    return "The answer is \\boxed{73}.\n" + _thoughts(size)


def _box_never_closed(size: int) -> str:
    return "\\boxed{" + _thoughts(size)


def _thoughts(size: int) -> str:
    """Without tags, a box and a conclusion."""
    text = chain("73", size, random.Random(_THOUGHTS_SEED))
    return text.removeprefix("<think>\n").rpartition("\n</think>")[0]


TEXTS: dict[str, Callable[[int], str]] = {
    "box at the end": _box_at_the_end,
    "no box": _no_box,
    "box at the start": _box_at_the_start,
    "box that never closes": _box_never_closed,
}

Growth = dict[int, dict[str, tuple[float, int]]]
"""Length -> kind of text -> seconds and exact size in bytes."""


def _growth(normalizer: Normalizer) -> Growth:
    growth: Growth = {}
    for length in LENGTHS:
        growth[length] = {}
        for kind, make in TEXTS.items():
            text = make(length)
            times = []
            for _ in range(7 if length < 10**6 else 3):
                began = time.perf_counter()
                normalizer.extract(text)
                times.append(time.perf_counter() - began)
            growth[length][kind] = statistics.median(times), len(text.encode())
    return growth


def _growth_table(growth: Growth) -> str:
    lines = [
        "| length | " + " | ".join(f"{kind}, ms (ns per byte)" for kind in TEXTS) + " |",
        "|---|" + "---:|" * len(TEXTS),
    ]
    for length, row in growth.items():
        cells = [
            f"{seconds * 1e3:.3g} ({seconds * 1e9 / size:.2f})"
            for seconds, size in (row[kind] for kind in TEXTS)
        ]
        name = f"{length // 1000} kB" if length < 10**6 else f"{length // 10**6} MB"
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


# -- labelled cases --------------------------------------------------------------------------------------------------


def _cases_table(cases: Sequence[Case], measured: Sequence[Measured]) -> str:
    heads = [
        *("settled equivalence right", "false positives", "false negatives", "no verdict"),
        *("settled extraction right", "contested, agrees"),
        *("cases/s", "cases/s without the slowest case", "median ms", "worst ms"),
        *("over 1 s", f"killed at {LIMIT:.0f} s", "asked a worker", "user CPU s", "start-up s"),
    ]
    rows: list[list[str]] = []
    for grader in measured:
        pairs = list(zip(cases, grader.outcomes, strict=True))
        settled = Tally.of(pair for pair in pairs if not pair[0].contested and not pair[0].extraction)
        extraction = Tally.of(pair for pair in pairs if not pair[0].contested and pair[0].extraction)
        contested = Tally.of(pair for pair in pairs if pair[0].contested)
        speed = Speed.of(grader.outcomes)
        positives = settled.cases - settled.negatives
        rows.append(
            [
                f"{settled.accuracy:.1%} of {settled.cases}",
                f"{settled.false_positives} of {settled.negatives} ({settled.false_positive_rate:.1%})",
                f"{settled.false_negatives} of {positives}",
                str(settled.undecided),
                f"{extraction.accuracy:.1%} of {extraction.cases}",
                f"{contested.accuracy:.1%} of {contested.cases}",
                f"{speed.rate:,.0f}",
                f"{speed.rate_but_slowest:,.0f}",
                f"{speed.median * 1e3:.2f}",
                f"{speed.worst * 1e3:,.0f}",
                str(speed.slow),
                str(speed.killed),
                str(speed.pooled) if grader is measured[0] else "-",
                f"{grader.user:.2f}",
                f"{grader.start:.1f}",
            ]
        )
    lines = [
        "| | " + " | ".join(grader.title for grader in measured) + " |",
        "|---|" + "---:|" * len(measured),
    ]
    for number, head in enumerate(heads):
        lines.append(f"| {head} | " + " | ".join(row[number] for row in rows) + " |")
    return "\n".join(lines)


def _suites_table(cases: Sequence[Case], ours: Measured, peers: Sequence[Measured]) -> str:
    graders = [ours, *peers]
    suites: dict[tuple[bool, str], int] = {}
    for case in cases:
        if not case.contested:
            key = case.extraction, case.suite
            suites[key] = suites.get(key, 0) + 1
    heads = "".join(f" {grader.title}, right | FP | FN |" for grader in graders)
    lines = [f"| suite | cases |{heads}", "|---|---:|" + "---:|---:|---:|" * len(graders)]
    for (extraction, suite), count in sorted(
        suites.items(), key=lambda item: (item[0][0], -item[1], item[0])
    ):
        cells = []
        for grader in graders:
            tally = Tally.of(
                (case, outcome)
                for case, outcome in zip(cases, grader.outcomes, strict=True)
                if (case.extraction, case.suite) == (extraction, suite) and not case.contested
            )
            counts = ["-", "-"] if extraction else [str(tally.false_positives), str(tally.false_negatives)]
            cells += [f"{tally.accuracy:.1%}", *counts]
        name = f"{suite}, extraction" if extraction else suite
        lines.append(f"| {name} | {count} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _list_wrong(cases: Sequence[Case], outcomes: Sequence[Outcome]) -> None:
    for case, outcome in zip(cases, outcomes, strict=True):
        if not case.contested and not right(case, outcome):
            want = case.reference if case.extraction else case.expected
            print(
                f"{case.id}: wanted {want!r}, got {outcome.answer!r:.80} {outcome.rule[:60]}", file=sys.stderr
            )


# -- verdicts --------------------------------------------------------------------------------------------------------


def _targets(
    cases: Sequence[Case],
    measured: Sequence[Measured],
    rates: Mapping[str, tuple[float, float]],
    growth: Growth,
) -> str:
    ours, alone = measured[0], measured[1]
    pairs = [pair for pair in zip(cases, ours.outcomes, strict=True) if not pair[0].contested]
    settled = Tally.of(pair for pair in pairs if not pair[0].extraction)
    extraction = Tally.of(pair for pair in pairs if pair[0].extraction)
    slowest = max(Speed.of(ours.outcomes).worst, Speed.of(alone.outcomes).worst)
    # A box that never closes is an attack, not a chain: it is in the growth table.
    long = max(growth[5_000_000][kind][0] for kind in list(TEXTS)[:3])
    per_byte = {
        length: max(seconds / size for seconds, size in row.values()) for length, row in growth.items()
    }
    rows = [
        ("settled equivalence cases", settled.accuracy, EQUIVALENCE_TARGET, "at least", ".1%"),
        ("false positives", settled.false_positive_rate, FALSE_POSITIVE_TARGET, "at most", ".1%"),
        ("settled extraction cases", extraction.accuracy, EXTRACTION_TARGET, "at least", ".1%"),
        ("slowest case, s", slowest, 1.0, "at most", ".2f"),
        ("extraction from 5 MB, ms", long * 1e3, LONG_TARGET * 1e3, "at most", ".1f"),
        (
            "time per byte, 10 MB to 100 kB",
            per_byte[10_000_000] / per_byte[100_000],
            GROWTH_TARGET,
            "at most",
            ".2f",
        ),
    ]
    if len(measured) > 2:
        mixed = Speed.of(ours.outcomes).rate / Speed.of(measured[2].outcomes).rate
        real = rates["ours, `math`"][0] / rates[measured[2].title][0]
        rows += [
            ("cases/s, times Math-Verify", mixed, MIXED_TARGET, "at least", ".1f"),
            ("real chains/s, times Math-Verify", real, CHAINS_TARGET, "at least", ".0f"),
        ]
    lines = ["| | measured | target | |", "|---|---:|---:|---|"]
    for name, value, target, bound, form in rows:
        met = value >= target if bound == "at least" else value <= target
        lines.append(
            f"| {name} | {value:{form}} | {bound} {target:{form}} | {'met' if met else '**missed**'} |"
        )
    return "\n".join(lines)


def _setup(path: Path, cases: Sequence[Case], load: float, peer: MathVerify | None) -> str:
    versions = [f"fathom-harness {importlib.metadata.version('fathom-harness')}"]
    versions += [
        f"{n.name} normalizer {n.version}" for n in map(load_plugins().normalizer, ("math", "choice"))
    ]
    if peer is not None:
        versions += [f"{name} {version}" for name, version in peer.versions().items()]
    return (
        f"{path.name}, {len(cases)} cases. Python {platform.python_version()}, {', '.join(versions)}; {processor()}, "
        f"{os.cpu_count()} cores, load average before {load:.1f}."
    )


# -- the tables of a document ----------------------------------------------------------------------------------------

_END = "<!-- end -->"


def rewrite(path: Path, tables: Mapping[str, str]) -> None:
    """Put the tables into a document, each between `<!-- table: NAME -->` and `<!-- end -->`.

    Raises:
        HarnessError: the document does not have just one place for each.
    """
    text = path.read_text(encoding="utf-8")
    for name, table in tables.items():
        mark = f"<!-- table: {name} -->"
        head, found, rest = text.partition(mark)
        _, closed, tail = rest.partition(_END)
        if not found or not closed or mark in rest:
            raise HarnessError(f"{path} needs one line {mark} with a line {_END} behind it")
        text = f"{head}{mark}\n{table}\n{closed}{tail}"
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())

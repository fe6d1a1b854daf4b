"""What a comparison report costs: `harness report` on finished runs, beside pandas on sample files of the same chains.

    python perf/reports.py [--models 20] [--n 64] [--growth 640] [--characters 4000] [--keep DIR] [--view]

The runs are made up (20 models x 258 problems x 64 chains: 330,240 chains), texts included on disk. Each command is a
process of its own, start-up included. See perf/README.md.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from meter import Cost, measure, processor
from report_runs import Made, make_runs, write_sample_files

SECONDS, MIB, PAGE_MS = 3.0, 500, 200
"""Targets: a report in at most so many seconds and MiB, any page of the viewer in at most so many milliseconds."""

_HARNESS = Path(sys.executable).with_name("harness")
_PANDAS = Path(__file__).with_name("report_pandas.py")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=int, default=20)
    parser.add_argument("--n", type=int, default=64, help="chains per problem")
    parser.add_argument(
        "--growth", type=int, default=640, help="chains per problem of the larger set; 0: none"
    )
    parser.add_argument("--characters", type=int, default=4000, help="mean length of a chain")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--skip-pandas", action="store_true")
    parser.add_argument("--keep", type=Path, help="make the runs here and leave them")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reports-") as temporary:
        folder = options.keep or Path(temporary)
        _measure(options, folder)


def _measure(options: argparse.Namespace, folder: Path) -> None:
    print(f"{processor()}\n\n| command | chains | wall s | user s | peak MiB |\n|---|---:|---:|---:|---:|")
    runs = folder / f"results-{options.n}"
    made = _made(runs, options.models, options.n, options.characters)
    chains = sum(run.chains for run in made)
    ours = {}
    for form in ("json", "markdown", "html", "csv"):
        ours[form] = _costs([_HARNESS, "report", runs, "--format", form], options.repeats)
        _row(f"harness report --format {form}", chains, ours[form])
    if not options.skip_pandas:
        samples = folder / f"samples-{options.n}"
        size = sum(path.stat().st_size for path in write_sample_files(made, samples))
        theirs = _costs([Path(sys.executable), _PANDAS, samples], 1)
        _row(f"pandas over {size / 2**30:.1f} GiB of jsonl", chains, theirs)
        _same_figures(ours["json"][0], theirs[0])
    if options.growth:
        # Texts are short here: a report reads none of them.
        larger = folder / f"results-{options.growth}"
        grown = _made(larger, options.models, options.growth, 200)
        _row(
            "harness report --format json",
            sum(run.chains for run in grown),
            _costs([_HARNESS, "report", larger, "--format", "json"], 1),
        )
    print("\n| page of harness view | median ms | slowest ms |\n|---|---:|---:|")
    slowest = _pages(runs, made)
    least = min(cost.wall for cost in ours["markdown"])
    peak = max(cost.peak for cost in ours["markdown"])
    print(f"\nreport {least:.2f} s (target {SECONDS:g}), {peak:.0f} MiB (target {MIB}); ", end="")
    print(f"slowest page {slowest:.0f} ms (target {PAGE_MS})")


def _made(folder: Path, models: int, n: int, characters: int) -> list[Made]:
    if not folder.exists():
        return make_runs(folder, models, n, characters)
    found = []
    for file in sorted(folder.rglob("scores.json")):
        result = json.loads(file.read_text())
        found.append(Made(result["model"], result["benchmark"], file.parent, result["chains"]))
    return found


def _costs(command: Sequence[str | Path], repeats: int) -> list[Cost]:
    env = {**os.environ, "PYTHONWARNINGS": "default"}
    return [measure(command, env=env, cwd=Path("/"), timeout=3600) for _ in range(repeats)]


def _row(name: str, chains: int, costs: Sequence[Cost]) -> None:
    wall, user = (statistics.median(getattr(cost, figure) for cost in costs) for figure in ("wall", "user"))
    print(f"| {name} | {chains:,} | {wall:.2f} | {user:.2f} | {max(c.peak for c in costs):.0f} |", flush=True)


def _same_figures(ours: Cost, theirs: Cost) -> None:
    """Both must have computed the same, or nothing was compared."""
    from harness.files import safe_name

    found = json.loads(theirs.stdout)
    for row in json.loads(ours.stdout)["rows"]:
        other = found[safe_name(row["model"])][row["benchmark"]]
        scores = row["scores"]
        pairs = {
            "pass@1": scores["pass@1"]["value"],
            "stderr": scores["pass@1"]["stderr"],
            "cons@k": scores["cons@k"]["value"],
            "truncated": row["truncated"],
            "mean_tokens": scores["mean_tokens"]["value"],
        }
        for name, value in pairs.items():
            if not math.isclose(value, other[name], rel_tol=1e-9, abs_tol=1e-12):
                sys.exit(
                    f"{row['model']} on {row['benchmark']}: {name} is {value} here and {other[name]} there"
                )


def _pages(results: Path, made: Sequence[Made]) -> float:
    """Milliseconds of the slowest page; every kind of page is asked of several runs, for the first time and again."""
    with _viewer(results) as base:
        worst = 0.0
        for kind, urls in _urls(made).items():
            times = [_get(base + url) for url in urls for _ in range(2)]
            worst = max(worst, *times)
            print(f"| {kind} | {statistics.median(times):.0f} | {max(times):.0f} |", flush=True)
        return worst


def _urls(made: Sequence[Made]) -> dict[str, list[str]]:
    largest = [run for run in made if run.benchmark.startswith("gpqa")][:5] or list(made[:5])
    small = [run for run in made if not run.benchmark.startswith("gpqa")][:5] or largest

    def run_url(run: Made) -> str:
        return "/run/" + "/".join(urllib.parse.quote(p, safe="") for p in run.path.parts[-3:])

    pairs = list(itertools.pairwise(largest))
    return {
        "runs": ["/"],
        "run": [run_url(run) for run in largest],
        "problem": [f"{run_url(run)}/problem/{run.benchmark}-17" for run in [*largest, *small]],
        "chain": [f"{run_url(run)}/chain/{run.benchmark}-9/33" for run in [*largest, *small]],
        "compare": [
            "/compare?" + urllib.parse.urlencode({"a": run_url(a)[5:], "b": run_url(b)[5:]}) for a, b in pairs
        ],
    }


def _get(url: str) -> float:
    began = time.perf_counter()
    with urllib.request.urlopen(url, timeout=60) as reply:
        reply.read()
    return 1000 * (time.perf_counter() - began)


@contextmanager
def _viewer(results: Path) -> Iterator[str]:
    command = [_HARNESS, "view", results, "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip().rstrip("/")
        finally:
            process.terminate()


if __name__ == "__main__":
    main()

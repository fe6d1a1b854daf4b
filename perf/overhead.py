"""What a whole evaluation costs besides the model: our process against those of two other harnesses.

    python perf/overhead.py [--data DIR] [--repeats 3] [--skip-peers] [--peers DIR]

`harness run` grades 30 problems x 64 chains of 30 kB each from a file; lm-eval and inspect-ai sample as many
short answers from their dummy models. Each is a process of its own, start-up included. See perf/README.md.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from chains import ChainsFile, write_chains
from meter import CommandFailed, Cost, measure, processor
from peers import PEERS, Peer, cache

from harness import HarnessError, Problem
from harness.data import DataSource
from harness.plugins import load_plugins

PROBLEMS = 30
REPEATS = 64
CHARACTERS = 30_000

RUN_TARGET = 1.5
"""User CPU seconds of `harness run`."""
HELP_TARGET = 0.25
"""Wall seconds of `harness --help`."""

_HARNESS = Path(sys.executable).with_name("harness")


@dataclass
class Measured:
    """A command that is measured several times."""

    name: str
    output: str
    run: Callable[[Path], Cost]
    """Runs it once, in an empty folder, and checks what it did."""
    costs: list[Cost] = field(default_factory=list)

    def median(self, figure: str) -> float:
        return statistics.median(self._all(figure))

    def least(self, figure: str) -> float:
        return min(self._all(figure))

    def _all(self, figure: str) -> list[float]:
        return [getattr(cost, figure) for cost in self.costs]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=3, help="how often each command is measured")
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("HARNESS_DATA") or None, help="folder with aime25.*"
    )
    parser.add_argument("--peers", type=Path, default=cache(), help="where the peers are installed")
    parser.add_argument("--skip-peers", action="store_true", help="measure only our own commands")
    options = parser.parse_args()
    if options.repeats < 1:
        parser.error("--repeats must be at least 1")
    try:
        with tempfile.TemporaryDirectory(prefix="overhead-") as folder:
            _measure_all(options, Path(folder).resolve())
    except (CommandFailed, HarnessError) as error:
        print(f"overhead: {error}", file=sys.stderr)
        return 1
    return 0


def _measure_all(options: argparse.Namespace, folder: Path) -> None:
    peers = [] if options.skip_peers else [kind(options.peers.resolve()) for kind in PEERS]
    for peer in peers:
        peer.install()
    bench = "aime25" if options.data else f"fresh:level=1,size={PROBLEMS}"
    problems = list(load_plugins().benchmark(bench).problems(DataSource(options.data)))
    golds = [(problem.id, problem.gold) for problem in problems]
    file = write_chains(folder / "chains.jsonl", golds, REPEATS, CHARACTERS)

    commands = [_our_run(bench, options.data, file, folder), _our_help(folder)]
    commands += [_peer_run(peer, problems, folder) for peer in peers]
    load = os.getloadavg()[0]
    # The first round compiles modules and fills the page cache; the later ones take turns, so that a slow spell of
    # the machine falls on all.
    for count in range(options.repeats + 1):
        for command in commands:
            with tempfile.TemporaryDirectory(dir=folder) as place:
                cost = command.run(Path(place))
            print(f"{count or 'warm-up'}: {command.name}: {cost.user:.2f} s", file=sys.stderr)
            if count:
                command.costs.append(cost)
    print(_report(commands, bench, file, load, peers))


def _our_run(bench: str, data: Path | None, file: ChainsFile, folder: Path) -> Measured:
    command: list[str | Path] = [
        *(_HARNESS, "run", "--bench", bench, "--sampler", "replay", "--chains", file.path, "--json"),
        *(("--data", data.resolve()) if data else ()),
        "--results",
    ]

    def run(place: Path) -> Cost:
        cost = measure([*command, place], env=_environment(folder), cwd=folder)
        result = json.loads(cost.stdout)[0]
        told = result["chains"], round(result["scores"]["pass@1"]["value"] * file.chains)
        stored = _stored_chains(Path(result["path"]))
        if (*told, stored) != (file.chains, file.correct, file.chains):
            raise CommandFailed(
                f"harness run graded {told[0]} chains and found {told[1]} correct, and stored {stored}: the file "
                f"holds {file.chains}, of them {file.correct} correct"
            )
        return cost

    size = file.text_bytes / file.chains / 1000
    return Measured(f"harness run, {file.chains:,} chains", f"{size:.0f} kB each", run)


def _our_help(folder: Path) -> Measured:
    return Measured(
        "harness --help", "", lambda place: measure([_HARNESS, "--help"], env=_environment(folder), cwd=place)
    )


def _peer_run(peer: Peer, problems: list[Problem], folder: Path) -> Measured:
    rows = [{"id": p.id, "input": p.text, "target": p.gold} for p in problems]
    command = peer.command(folder, rows, REPEATS)
    wanted = len(problems) * REPEATS

    def run(place: Path) -> Cost:
        cost = measure([*command, place], env=_environment(folder), cwd=folder)
        if (made := peer.generations(place)) != wanted:
            raise CommandFailed(f"{peer.distribution} stored {made} generations, not {wanted}")
        return cost

    program = Path(command[0]).name
    return Measured(f"{program}, {wanted:,} generations", peer.output, run)


def _stored_chains(path: Path) -> int:
    import pyarrow.parquet as pq

    count: int = pq.read_metadata(path / "chains.parquet").num_rows
    return count


def _environment(home: Path) -> Mapping[str, str]:
    """The user's environment without settings for any of the harnesses, without a network and with a home in `home`."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)}
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    return {**ours, **nowhere, "HOME": str(home), "HF_HOME": str(home / "hf"), "HF_HUB_OFFLINE": "1"}


_SETTINGS = ("HARNESS_", "HF_", "INSPECT_", "LMEVAL_", "LM_HARNESS_", "PYTHON", "XDG_")


def _report(commands: list[Measured], bench: str, file: ChainsFile, load: float, peers: list[Peer]) -> str:
    lines = [
        "| command | output | user CPU s, median (least) | system CPU s | wall s | peak MiB |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for c in commands:
        user = f"{c.median('user'):.2f} ({c.least('user'):.2f})"
        rest = f"{c.median('system'):.2f} | {c.median('wall'):.2f} | {c.median('peak'):.0f}"
        lines.append(f"| {c.name} | {c.output} | {user} | {rest} |")
    run, help_ = commands[0], commands[1]
    lines += [
        "",
        _verdict("harness run, user CPU", run.median("user"), RUN_TARGET),
        _verdict("harness --help, wall", help_.median("wall"), HELP_TARGET),
        "",
        f"Each command was measured {len(run.costs)} times, in turns. Ours: {bench}, {file.text_bytes / 1e6:.1f} MB "
        f"of text that zlib makes {file.compression:.1f} times smaller. Load average before: {load:.2f}.",
        _versions(peers),
    ]
    return "\n".join(lines)


def _verdict(what: str, value: float, target: float) -> str:
    return f"- {what}: {value:.2f} s, target {target:g} s: {'met' if value <= target else 'MISSED'}"


def _versions(peers: list[Peer]) -> str:
    own = [f"{name} {importlib.metadata.version(name)}" for name in ("fathom-harness", "orjson", "pyarrow")]
    for peer in peers:
        own += [f"{name} {version}" for name, version in peer.versions().items() if name != "torch"]
        if peer.versions()["torch"] != "-":
            own.append(f"torch {peer.versions()['torch']} beside {peer.distribution}")
    machine = f"{processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"
    return f"Python {platform.python_version()}, {', '.join(own)}; {machine}."


if __name__ == "__main__":
    sys.exit(main())

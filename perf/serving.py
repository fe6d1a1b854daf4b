"""What asking a server costs, and how well it is kept busy: our client against those of two other harnesses.

    python perf/serving.py [--requests 2000] [--at-once 256] [--skip-peers] [--peers DIR] [--repeats 1]

A loopback server in a process of its own answers at lognormal latencies, the same for all clients. See perf/README.md.
"""

from __future__ import annotations

import argparse
import heapq
import importlib.metadata
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from meter import CommandFailed, Cost, measure, processor
from peers import cache
from serving_peers import CLIENTS, KEY, Client
from serving_server import MEDIAN_SECONDS, MEDIAN_TOKENS, SPREAD, TOKEN_SPREAD, draws

from harness import HarnessError
from harness.data import DataSource
from harness.plugins import load_plugins

PROBLEMS = 100

MAKESPAN_TARGET = 1.05
"""Of the ideal list schedule of the same latencies."""
CPU_TARGET = 1 / 3
"""Of each other client's CPU time for a request."""

_HARNESS = Path(sys.executable).with_name("harness")


@dataclass(frozen=True)
class Served:
    """What the server saw of a client."""

    latencies: Sequence[float]
    """In the order in which they were drawn."""
    makespan: float
    """Seconds from the first request to the last answer."""
    most_in_flight: int
    streamed: bool

    def ideal(self, at_once: int) -> float:
        """Makespan of a list schedule: each answer begins the moment that a slot is free."""
        slots = [0.0] * min(at_once, len(self.latencies))
        for seconds in self.latencies:
            heapq.heapreplace(slots, slots[0] + seconds)
        return max(slots)


@dataclass
class Measured:
    name: str
    run: Callable[[str, Path], Cost]
    """Runs the client against an address, in an empty folder, and checks what it did."""
    costs: list[Cost] = field(default_factory=list)
    served: list[Served] = field(default_factory=list)

    @property
    def cpu(self) -> float:
        """CPU seconds, of the process with its start and its end."""
        return statistics.median(cost.user + cost.system for cost in self.costs)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=2000, help=f"a multiple of {PROBLEMS}")
    parser.add_argument("--at-once", type=int, default=256, help="requests in flight")
    parser.add_argument("--repeats", type=int, default=1, help="how often each client is measured")
    parser.add_argument("--peers", type=Path, default=cache(), help="where the peers are installed")
    parser.add_argument("--skip-peers", action="store_true", help="measure only our own client")
    options = parser.parse_args()
    if options.requests < PROBLEMS or options.requests % PROBLEMS or options.repeats < 1:
        parser.error(f"--requests must be a multiple of {PROBLEMS}, --repeats at least 1")
    try:
        with tempfile.TemporaryDirectory(prefix="serving-") as folder:
            _measure_all(options, Path(folder).resolve())
    except (CommandFailed, HarnessError) as error:
        print(f"serving: {error}", file=sys.stderr)
        return 1
    return 0


def _measure_all(options: argparse.Namespace, folder: Path) -> None:
    peers = [] if options.skip_peers else [kind(options.peers.resolve()) for kind in CLIENTS]
    for peer in peers:
        peer.install()
    bench = f"fresh:level=1,size={PROBLEMS}"
    problems = list(load_plugins().benchmark(bench).problems(DataSource(None)))
    rows = [{"id": p.id, "input": p.text, "target": p.gold} for p in problems]
    clients = [_ours(options, bench, folder), *(_peer(peer, options, rows, folder) for peer in peers)]
    load = os.getloadavg()[0]
    for count in range(options.repeats):
        for client in clients:
            with tempfile.TemporaryDirectory(dir=folder) as place:
                log, work = Path(place, "log.json"), Path(place, "work")
                work.mkdir()
                with _server(options.requests, Path(place), log) as url:
                    cost = client.run(url, work)
                client.served.append(_read_log(log, options.requests, client.name))
            client.costs.append(cost)
            print(f"{count + 1}: {client.name}: {cost.user + cost.system:.2f} s CPU", file=sys.stderr)
    print(_report(clients, options, peers, load))


def _ours(options: argparse.Namespace, bench: str, folder: Path) -> Measured:
    def run(url: str, place: Path) -> Cost:
        n = options.requests // PROBLEMS
        command = [
            *(
                _HARNESS,
                "run",
                "--sampler",
                "openai",
                "--base-url",
                url,
                "--model",
                "made-up",
                "--bench",
                bench,
            ),
            *("--n", str(n), "--max-tokens", "4096", "--max-in-flight", str(options.at_once), "--json"),
            *("--results", str(place)),
        ]
        cost = measure(command, env=_environment(folder), cwd=folder, timeout=1800)
        result = json.loads(cost.stdout)[0]
        if result["chains"] != options.requests:
            raise CommandFailed(f"harness run has {result['chains']} chains, not {options.requests}")
        return cost

    return Measured("harness run --sampler openai", run)


def _peer(peer: Client, options: argparse.Namespace, rows: list[dict[str, str]], folder: Path) -> Measured:
    def run(url: str, place: Path) -> Cost:
        tasks, logs = place / "tasks", place / "logs"
        tasks.mkdir()
        command = peer.ask(url, tasks, rows, options.requests // PROBLEMS, options.at_once)
        cost = measure([*command, logs], env=_environment(folder) | KEY, cwd=tasks, timeout=1800)
        if (made := peer.answers(logs)) != options.requests:
            raise CommandFailed(f"{peer.distribution} stored {made} answers, not {options.requests}")
        return cost

    name = {"lm-eval": "lm_eval local-chat-completions", "inspect-ai": "inspect openai-api"}[
        peer.distribution
    ]
    return Measured(name, run)


@contextmanager
def _server(requests: int, place: Path, log: Path) -> Iterator[str]:
    """A fresh server's address. When it ends, the log says what it did."""
    port_file = place / "port"
    script = Path(__file__).with_name("serving_server.py")
    command = [sys.executable, script, "--port-file", port_file, "--log", log, "--requests", requests]
    process = subprocess.Popen([str(word) for word in command])
    try:
        deadline = time.monotonic() + 60
        while not port_file.exists() or not port_file.read_text():
            if process.poll() is not None or time.monotonic() > deadline:
                raise CommandFailed("the loopback server does not start")
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port_file.read_text()}/v1"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _read_log(log: Path, requests: int, name: str) -> Served:
    found = json.loads(log.read_text())
    answers = found["answers"]
    if len(answers) != requests:
        raise CommandFailed(f"{name} was given {len(answers)} answers, not {requests}")
    return Served(
        latencies=[draw.seconds for draw in draws(requests)],
        makespan=max(a["given"] for a in answers) - min(a["asked"] for a in answers),
        most_in_flight=found["most_in_flight"],
        streamed=all(answer["streamed"] for answer in answers),
    )


def _environment(home: Path) -> Mapping[str, str]:
    """The user's environment without settings for any of the clients and without a network, with a home in `home`."""
    settings = ("HARNESS_", "HF_", "INSPECT_", "LMEVAL_", "LM_HARNESS_", "PYTHON", "XDG_", "OPENAI_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(settings)}
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    here = dict.fromkeys(("no_proxy", "NO_PROXY"), "127.0.0.1,localhost")
    return {**kept, **nowhere, **here, "HOME": str(home), "HF_HOME": str(home / "hf"), "HF_HUB_OFFLINE": "1"}


def _report(clients: list[Measured], options: argparse.Namespace, peers: list[Client], load: float) -> str:
    lines = [
        "| client | answers | CPU ms a request | kernel's part | makespan s | of ideal | most in flight | peak MiB |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for c in clients:
        makespan = statistics.median(served.makespan for served in c.served)
        kernel = statistics.median(cost.system for cost in c.costs)
        ideal = c.served[0].ideal(options.at_once)
        cells = [
            c.name,
            "streamed" if c.served[0].streamed else "whole",
            f"{1000 * c.cpu / options.requests:.2f}",
            f"{1000 * kernel / options.requests:.2f}",
            f"{makespan:.2f}",
            f"{makespan / ideal:.3f}",
            str(max(served.most_in_flight for served in c.served)),
            f"{max(cost.peak for cost in c.costs):.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    ours, *others = clients
    ideal = ours.served[0].ideal(options.at_once)
    ratio = statistics.median(served.makespan for served in ours.served) / ideal
    lines += ["", _verdict("makespan, of the ideal list schedule", ratio, MAKESPAN_TARGET)]
    lines += [_verdict(f"CPU time, of that of {c.name}", ours.cpu / c.cpu, CPU_TARGET) for c in others]
    tokens = [len(draw.tokens) for draw in draws(options.requests)]
    mean = statistics.fmean(tokens)
    lines += [
        "",
        f"{options.requests:,} requests, {options.at_once} at once, measured {options.repeats} times. Latencies: "
        f"lognormal, median {MEDIAN_SECONDS:g} s, sigma {SPREAD:g}; ideal makespan {ideal:.2f} s. Answers: lognormal, "
        f"median {MEDIAN_TOKENS} tokens, sigma {TOKEN_SPREAD:g}, mean {mean:.0f}; one token an event. Load average "
        f"before: {load:.2f}.",
        _versions(peers),
    ]
    return "\n".join(lines)


def _verdict(what: str, value: float, target: float) -> str:
    return f"- {what}: {value:.3f}, target {target:.3f}: {'met' if value <= target else 'MISSED'}"


def _versions(peers: list[Client]) -> str:
    own = [f"{name} {importlib.metadata.version(name)}" for name in ("fathom-harness", "orjson")]
    own += [f"{peer.distribution} {peer.version}" for peer in peers]
    machine = f"{processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"
    return f"Python {platform.python_version()}, {', '.join(own)}; {machine}."


if __name__ == "__main__":
    sys.exit(main())

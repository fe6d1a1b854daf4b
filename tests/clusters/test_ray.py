"""Runs spread over real Ray clusters: nodes that die, nodes that join, engines that fail, and what is left behind."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import pytest

from harness import (
    Chain,
    ChainKey,
    Engine,
    HarnessError,
    Message,
    Opening,
    Prompt,
    Request,
    SamplingSettings,
)
from harness.models import ResolvedModel, resolve_model
from harness.plugins import load_plugins

from ..conftest import Command
from .stranger import install

pytest.importorskip("ray")
pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")

BENCH = "fresh:level=1,size=6"
N = 8
_QUICK_TO_NOTICE = {"health_check_period_ms": 500, "health_check_failure_threshold": 4}


class Sleepers(Command):
    """The command with a stranger's sampler whose chains sleep, and a folder where its engines leave traces."""

    def __init__(self, folder: Path, path: str) -> None:
        super().__init__(folder)
        self.traces = folder / "traces"
        self.traces.mkdir()
        self.mark = uuid.uuid4().hex
        """In the environment of all processes that a command starts."""
        self._path = path

    def environment(self, **extra: str) -> dict[str, str]:
        own = {"PYTHONPATH": self._path, "PYTHONWARNINGS": "ignore", "HARNESS_TEST_MARK": self.mark}
        return {**super().environment(), **own, **extra}

    def sleepers(self, *more: object, seconds: float = 0.2, **options: object) -> list[object]:
        options = {"seconds": seconds, "folder": self.traces, **options}
        flags = [f for name, value in options.items() for f in ("--sampler-option", f"{name}={value}")]
        return ["run", "--bench", BENCH, "--n", N, "--sampler", "sleepy", *flags, *more]

    def trace(self, what: str) -> list[tuple[int, tuple[str, str], float]]:
        """(process, chain, time) of all chains that were begun or done."""
        found = []
        for file in self.traces.glob(f"{what}-*"):
            for line in file.read_text().split("\n"):
                if len(parts := line.split(" ")) == 3:
                    found.append((int(file.name.partition("-")[2]), (parts[0], parts[1]), float(parts[2])))
        return found

    def processes(self, what: str) -> set[int]:
        return {int(file.name.partition("-")[2]) for file in self.traces.glob(f"{what}-*")}

    def left_behind(self) -> list[str]:
        """Processes that a command of ours has started and that still run."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if self.mark.encode() in (folder / "environ").read_bytes() and folder.name != str(
                    os.getpid()
                ):
                    found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:200])
        return found


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    return install("sleepy", tmp_path_factory.mktemp("site"))


@pytest.fixture
def command(tmp_path: Path, path: str) -> Sleepers:
    folder = tmp_path / "work"
    folder.mkdir()
    return Sleepers(folder, path)


@pytest.fixture(scope="module")
def cluster(path: str) -> Iterator[Any]:
    """A cluster whose only node has room for one replica."""
    patch = pytest.MonkeyPatch()
    patch.setenv("PYTHONPATH", path)
    patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "include_dashboard": False, "_system_config": _QUICK_TO_NOTICE}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    yield cluster
    cluster.shutdown()
    patch.undo()


@pytest.fixture
def add_node(cluster: Any) -> Iterator[Callable[[], Any]]:
    """Adds a node with room for two more replicas, for the length of a test."""
    nodes = []

    def add() -> Any:
        nodes.append(cluster.add_node(num_cpus=2))
        return nodes[-1]

    yield add
    for node in nodes:
        cluster.remove_node(node, allow_graceful=False)


def stored(folder: Path) -> dict[tuple[str, int], tuple[str, int]]:
    """Problem and index -> text and seed of every stored chain, each of which must be there once."""
    import pyarrow.parquet as pq

    (file,) = folder.rglob("chains.parquet")
    rows = pq.read_table(file).to_pylist()
    chains = {(row["problem_id"], row["index"]): (row["text"], row["seed"]) for row in rows}
    assert len(chains) == len(rows)
    return chains


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, path: str) -> dict[tuple[str, int], tuple[str, int]]:
    """The chains of a run without a cluster."""
    command = Sleepers(tmp_path_factory.mktemp("alone"), path)
    done = command(*command.sleepers(seconds=0.001))
    assert done.returncode == 0, done.stderr
    return stored(command.folder / "results")


def eventually(what: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)


def most_at_once(command: Sleepers) -> int:
    """How many chains were in flight at the same time, in all engines together."""
    changes = [(when, 1) for *_, when in command.trace("begun")] + [
        (when, -1) for *_, when in command.trace("done")
    ]
    at_once = most = 0
    for _, change in sorted(changes):
        at_once += change
        most = max(most, at_once)
    return most


def test_replicas_on_this_machine_give_the_chains_of_one_engine_and_share_the_work(
    command: Sleepers, expected: dict[tuple[str, int], tuple[str, int]]
) -> None:
    (result,) = command.json(*command.sleepers("--replicas", 3))
    assert stored(command.folder / "results") == expected
    workers = command.processes("opened")
    assert len(workers) == 3
    shares = [sum(worker == process for process, *_ in command.trace("done")) for worker in workers]
    assert sum(shares) == len(expected)
    assert min(shares) > len(expected) / 6
    assert most_at_once(command) == 12  # three engines with four chains each: they overlap to the full
    info = next(iter(command.folder.rglob("run.json"))).read_text()
    assert '"cluster": "ray"' in info
    assert '"replicas": 3' in info
    assert '"max_in_flight": 12' in info
    assert result["warnings"]
    assert command.processes("closed") == workers
    eventually(lambda: not command.left_behind(), 20)


def test_a_node_that_dies_costs_no_chain(
    command: Sleepers,
    cluster: Any,
    add_node: Callable[[], Any],
    expected: dict[tuple[str, int], tuple[str, int]],
) -> None:
    node = add_node()
    arguments = command.sleepers("--replicas", 3, "--ray-address", cluster.address, seconds=0.5)
    with command.start(*arguments, HARNESS_RAY_NUM_CPUS="1") as running:
        eventually(lambda: len(command.processes("done")) == 3)
        for process in node.all_processes["raylet"]:
            process.process.send_signal(signal.SIGKILL)
        _, stderr = running.communicate(timeout=120)
    assert running.returncode == 0, stderr
    assert stored(command.folder / "results") == expected
    # Ray tells first of whichever it notices first: the node, or the replica's process that went with it.
    assert re.search(r"was lost: its (node is gone|process died .*); its ", stderr), stderr
    assert "(raylet)" not in stderr  # none of Ray's pages
    again = {chain for _, chain, _ in command.trace("begun")}
    assert len(command.trace("begun")) > len(
        again
    )  # some were in flight on the dead node and were sampled again


def test_an_interrupted_run_leaves_no_process_and_goes_on(
    command: Sleepers, expected: dict[tuple[str, int], tuple[str, int]]
) -> None:
    with command.start(*command.sleepers("--replicas", 2, seconds=1)) as running:
        eventually(lambda: len(command.processes("done")) == 2)
        running.send_signal(signal.SIGINT)
        started = time.monotonic()
        _, stderr = running.communicate(timeout=60)
    assert running.returncode == 130, stderr
    assert "run the same command to go on" in stderr
    assert time.monotonic() - started < 20
    eventually(lambda: not command.left_behind(), 20)
    again = command(*command.sleepers(seconds=0.01))  # the same run, with or without replicas
    assert again.returncode == 0, again.stderr
    assert stored(command.folder / "results") == expected


def test_replicas_go_away_with_a_command_that_is_killed(command: Sleepers, cluster: Any) -> None:
    arguments = command.sleepers("--replicas", 1, "--ray-address", cluster.address, seconds=1)
    with command.start(*arguments) as running:
        eventually(lambda: command.processes("done"))
        running.kill()
        running.communicate()
    (replica,) = command.processes("opened")
    eventually(lambda: not Path(f"/proc/{replica}").exists(), 30)


# -- the engine by itself, in a process that is connected already -----------------------------------------


@pytest.fixture(scope="module")
def connected_here(cluster: Any, path: str) -> Iterator[None]:
    from harness_plugins.clusters._connection import connected

    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(path.split(os.pathsep)[0])
    with connected(cluster.address, 1):
        yield
    patch.undo()


@pytest.fixture
def opened(
    connected_here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., AbstractContextManager[Engine]]:
    """Opens replicas of the stranger's engine that need half a processor each."""

    def open_engine(replicas: int, cpus: float = 0.5, **options: object) -> AbstractContextManager[Engine]:
        from harness_sleepy import Sleepy

        monkeypatch.setenv("HARNESS_RAY_NUM_CPUS", str(cpus))
        options = {"seconds": 0.05, "folder": tmp_path, **options}
        texts = {name: str(value) for name, value in options.items()}
        opening = Opening(Sleepy(), ResolvedModel("sleeper"), SamplingSettings(1.0, 1.0, 10), texts)
        return load_plugins().cluster("ray").open(opening, replicas, None)

    return open_engine


def wanted(problems: int, n: int) -> list[Request]:
    prompts = [Prompt((Message("user", f"problem {problem}"),)) for problem in range(problems)]
    return [
        Request(ChainKey("bench", str(problem), index), prompts[problem], seed=100 * problem + index)
        for problem in range(problems)
        for index in range(n)
    ]


def keys(chains: Iterable[Chain]) -> list[ChainKey]:
    return sorted((chain.key for chain in chains), key=lambda key: (key.problem_id, key.index))


def processes(folder: Path, what: str) -> set[int]:
    return {int(file.name.partition("-")[2]) for file in folder.glob(f"{what}-*")}


@pytest.mark.parametrize("lazy", ["yes", "no"])
def test_all_requests_become_chains_pass_after_pass(
    opened: Callable[..., AbstractContextManager[Engine]], lazy: str
) -> None:
    requests = wanted(4, 5)
    with opened(2, lazy=lazy) as engine:
        assert engine.lazy
        assert keys(engine.sample(iter(requests))) == [request.key for request in requests]
        with closing(engine.sample(requests)) as given_up:  # type: ignore[type-var]
            next(given_up)
        said: list[str] = []
        assert engine.stream(requests[3], said.append).key == requests[3].key
        assert said == ["I dreamt of \\boxed{3}."]
        assert keys(engine.sample(requests)) == [request.key for request in requests]
        assert engine.warnings == ("these chains were dreamt",)
        assert engine.usage is not None
        assert engine.usage["completion_tokens"] >= 7 * 41
        assert (engine.info["replicas"], engine.info["nodes"], engine.info["devices"]) == (2, 1, 1)
        assert (engine.info["max_in_flight"], engine.info["context"]) == (8, 1000)


def test_dropped_chains_do_not_come(opened: Callable[..., AbstractContextManager[Engine]]) -> None:
    requests = wanted(2, 40)
    unwanted = {request.key for request in requests if request.key.index % 4}
    with opened(2, seconds=0.1) as engine:
        chains = engine.sample(requests)
        first = next(chains).key
        engine.drop(unwanted)
        rest = [chain.key for chain in chains]
    wanted_keys = {request.key for request in requests} - unwanted
    assert wanted_keys <= {first, *rest}
    assert len(rest) < len(wanted_keys) + 20  # some were on their way
    assert len(set(rest)) == len(rest)


def test_a_replica_whose_process_dies_is_replaced(
    opened: Callable[..., AbstractContextManager[Engine]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    requests = wanted(4, 20)
    with opened(2, seconds=0.3) as engine:
        chains = engine.sample(requests)
        came = [next(chains) for _ in range(4)]
        eventually(lambda: len(processes(tmp_path, "done")) == 2)
        os.kill(min(processes(tmp_path, "done")), signal.SIGKILL)
        came += chains
        assert engine.usage is not None
    assert keys(came) == [request.key for request in requests]
    assert len(processes(tmp_path, "done")) == 3
    assert "was lost: its process died" in caplog.text
    assert "another takes its place when there is room" in caplog.text


def test_a_node_that_joins_gets_replicas_while_chains_are_sampled(
    opened: Callable[..., AbstractContextManager[Engine]], add_node: Callable[[], Any], tmp_path: Path
) -> None:
    requests = wanted(4, 25)
    with opened(2, cpus=1, seconds=0.5) as engine:
        assert engine.info["replicas"] == 1  # there is no room for the other, and nobody waits for it
        chains = engine.sample(requests)
        came = [next(chains)]
        add_node()
        came += chains
        assert (engine.info["replicas"], engine.info["nodes"]) == (2, 2)
    assert keys(came) == [request.key for request in requests]
    assert len(processes(tmp_path, "done")) == 2


def test_a_model_that_opens_nowhere_fails_with_its_own_words(
    opened: Callable[..., AbstractContextManager[Engine]],
) -> None:
    with (
        pytest.raises(HarnessError, match=r"^this model gives nightmares: take another$"),
        opened(2, broken="all"),
    ):
        pass


def test_a_replica_that_does_not_open_is_a_note(
    opened: Callable[..., AbstractContextManager[Engine]], caplog: pytest.LogCaptureFixture
) -> None:
    requests = wanted(2, 10)
    with opened(2, broken="first") as engine:
        assert keys(engine.sample(requests)) == [request.key for request in requests]
    assert "is given up, the others go on: this model gives nightmares" in caplog.text


def test_what_no_replica_can_sample_ends_the_pass_after_all_that_was_finished(
    opened: Callable[..., AbstractContextManager[Engine]], tmp_path: Path
) -> None:
    came: list[Chain] = []
    with opened(2, fail_on="3") as engine:
        chains = engine.sample(wanted(4, 5))
        with pytest.raises(HarnessError, match=r"^the prompt of problem 3 is too long to dream of$"):
            came.extend(chains)
    done = sum(len(file.read_text().strip().split("\n")) for file in tmp_path.glob("done-*"))
    assert done - 2 <= len(came) <= done  # an engine may fail before it has handed over its last one


def test_a_real_engine_gives_the_same_chains_on_replicas(
    connected_here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenVINO in full precision, where a chain depends on its seed alone."""
    pytest.importorskip("openvino_genai", reason="needs the cpu extra")
    plugins = load_plugins()
    model = resolve_model("smollm2-135m", plugins.models.values())
    options = {"precision": "f32", "cache_gb": "0.3", "max_in_flight": "2"}
    opening = Opening(plugins.sampler("openvino"), model, SamplingSettings(0.6, 0.95, 8), options)
    requests = wanted(2, 4)
    try:
        with opening.open() as engine:
            alone = {chain.key: chain for chain in engine.sample(requests)}
    except HarnessError as error:
        pytest.skip(f"smollm2-135m cannot be had here: {error}")
    monkeypatch.setenv("HARNESS_RAY_NUM_CPUS", "0.5")
    with plugins.cluster("ray").open(opening, 2, None) as engine:
        spread = {chain.key: chain for chain in engine.sample(requests)}
        assert (engine.info["engine"], engine.info["replicas"]) == ("openvino-genai", 2)
    assert spread == alone


def test_a_problem_that_kills_every_replica_ends_the_pass(
    opened: Callable[..., AbstractContextManager[Engine]], caplog: pytest.LogCaptureFixture
) -> None:
    requests = wanted(2, 5)
    with opened(1, die_on="1") as engine:
        chains = engine.sample(requests)
        with pytest.raises(HarnessError, match=r"^all 1 replicas were lost, .* its process died") as error:
            list(chains)
    assert "\n" not in str(error.value)
    assert "was lost" in caplog.text


def test_a_plugin_that_is_not_installed_on_the_nodes_is_named(
    connected_here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "harness_only_here.py").write_text(
        "import harness_sleepy\nclass Here(harness_sleepy.Sleepy): pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import harness_only_here

    opening = Opening(harness_only_here.Here(), ResolvedModel("m"), SamplingSettings(1.0, 1.0, 10), {})
    words = "no module named 'harness_only_here' there: .* installed on every node"
    with pytest.raises(HarnessError, match=words), load_plugins().cluster("ray").open(opening, 1, None):
        pass


# -- addresses where there is no cluster ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1:1", "cannot be reached"),
        ("nowhere.invalid:6379", "cannot be reached"),
        ("6379", "give host:port"),
        ("host:port", "give host:port"),
        ("ray://host:10001", "client protocol is not supported"),
    ],
)
def test_an_address_without_a_cluster_is_one_clear_line(command: Sleepers, address: str, words: str) -> None:
    done = command(*command.sleepers("--ray-address", address))
    assert done.returncode == 1
    assert words in done.stderr
    assert address in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_where_something_else_listens_is_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from harness_plugins.clusters import _connection

    monkeypatch.setattr(_connection, "_PROBE_SECONDS", 3.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(HarnessError, match="no Ray cluster answered within 3 s"):
            _connection._join(None, address, {})

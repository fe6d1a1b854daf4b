"""Joins a Ray cluster, or starts one on this machine. Imports Ray."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from harness import HarnessError
from harness.errors import one_line

_CONNECT_SECONDS: Final = 5.0
_PROBE_SECONDS: Final = 40.0
_OBJECT_STORE: Final = 256 << 20
"""Bytes: chains on their way are all that it holds."""

_SETTINGS: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else every process warns that this will be the default
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # else the working folder, results and all, is sent to every node
}

# Ray tries for minutes to reach a cluster that does not answer, and nothing but the end of the process stops it.
_PROBE: Final = """
import json, logging, sys
logging.disable(logging.CRITICAL)
try:
    import ray
    ray.init(sys.argv[1], log_to_driver=False, configure_logging=False)
    said = ""
except BaseException as error:
    said = f"{error}" or type(error).__name__
print(json.dumps(said))
"""


@contextmanager
def connected(address: str | None, replicas: int) -> Iterator[Any]:
    """The module `ray`, connected to a cluster.

    Args:
        address: `host:port`, or `auto` for the cluster that this machine belongs to; None starts one here, which is
            shut down at the end.
        replicas: how many processors the cluster that is started claims at least, so that all replicas fit.

    Raises:
        HarnessError: no cluster answers, or it runs other versions of Ray or Python.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except Exception as error:  # noqa: BLE001 - a half-installed package may raise anything
        raise HarnessError(
            f'Ray cannot be imported ({one_line(error)}): pip install "fathom-harness[ray]"'
        ) from None
    if ray.is_initialized():  # by the program that runs us
        yield ray
        return
    _silence(ray)
    quiet: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
    with _own_signals():
        if address is None:
            _start(ray, replicas, quiet)
        else:
            _join(ray, address.strip(), quiet)
    _silence(ray)
    try:
        yield ray
    finally:
        with suppress(Exception):
            ray.shutdown()


def _silence(ray: Any) -> None:
    """Of what goes wrong on a node, Ray prints pages; the line that matters is ours to tell."""
    if not os.environ.get("HARNESS_DEBUG"):
        logging.getLogger("ray").setLevel(logging.ERROR)
        with suppress(AttributeError):
            ray._private.worker._worker_logs_enabled = False


def _start(ray: Any, replicas: int, quiet: dict[str, Any]) -> None:
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        ray.init(
            "local",
            num_cpus=max(processors, replicas),
            object_store_memory=_OBJECT_STORE,
            include_dashboard=False,
            **quiet,
        )
    except (Exception, SystemExit) as error:  # noqa: BLE001 - Ray raises many kinds
        raise HarnessError(f"Ray cannot be started on this machine: {one_line(error)}") from None


def _join(ray: Any, address: str, quiet: dict[str, Any]) -> None:
    if "://" in address:
        raise HarnessError(
            f"--ray-address {address}: Ray's client protocol is not supported; run the command on a node of "
            "the cluster and give host:port (port 6379) or auto"
        )
    if address != "auto":
        _reach(address)
    try:
        probe = subprocess.run(
            [sys.executable, "-c", _PROBE, address],
            capture_output=True,
            text=True,
            timeout=_PROBE_SECONDS,
            check=False,
        )
        said = json.loads((probe.stdout.strip().split("\n") or [""])[-1] or '"it ended without a word"')
    except subprocess.TimeoutExpired:
        raise HarnessError(
            f"--ray-address {address}: no Ray cluster answered within {_PROBE_SECONDS:.0f} s; give the address that "
            "`ray start --head` printed (port 6379)"
        ) from None
    except ValueError:
        said = "Ray's answer cannot be read"
    if said:
        raise _refused(address, str(said))
    try:
        ray.init(address, **quiet)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - Ray raises many kinds
        raise _refused(address, one_line(error)) from None


def _reach(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise HarnessError(f"--ray-address {address!r}: give host:port, or auto on a node of the cluster")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise HarnessError(
            f"--ray-address {address} cannot be reached ({reason}): is Ray running there (`ray start --head`)?"
        ) from None


def _refused(address: str, said: str) -> HarnessError:
    said = " ".join(said.split())
    if "ersion mismatch" in said:
        return HarnessError(
            f"--ray-address {address}: the cluster runs other versions of Ray or Python than this machine; install the "
            f"same on all nodes ({said[:300]})"
        )
    if address == "auto" and "any running Ray" in said:
        return HarnessError(
            "--ray-address auto: no Ray cluster runs on this machine: start one with `ray start`"
        )
    return HarnessError(f"--ray-address {address}: {said[:300]}")


@contextmanager
def _own_signals() -> Iterator[None]:
    """Ray takes over SIGTERM when it connects; here that means an orderly end with everything stored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            if handler is not None:
                signal.signal(number, handler)

"""Cluster `ray`: one engine per replica, on the nodes of a Ray cluster or on this machine."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from harness import Cluster, Engine, HarnessError, Opening, hookimpl

INSTALL = 'pip install "fathom-harness[ray]"'


class RayCluster(Cluster):
    """Starts an actor for every replica and hands it requests in small leases.

    This process alone writes results. What a lost replica had not finished goes back to the queue; nodes that join
    get replicas until all that were asked for are there.
    """

    name = "ray"
    description = "Ray: replicas of the engine on all GPUs of this machine, or on the nodes of a cluster"

    @contextmanager
    def open(self, opening: Opening, replicas: int, address: str | None) -> Iterator[Engine]:
        if importlib.util.find_spec("ray") is None:
            raise HarnessError(f"--replicas needs Ray: {INSTALL}")
        from ._connection import connected
        from ._ray_engine import RayEngine

        with connected(address, replicas) as ray:
            engine = RayEngine(ray, opening, replicas)
            try:
                engine.wait()
                yield engine
            except BaseException:
                engine.close(at_once=True)
                raise
            engine.close()


@hookimpl
def harness_clusters() -> Sequence[Cluster]:
    return [RayCluster()]

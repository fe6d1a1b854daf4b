"""A cluster of a stranger: every replica is a thread of this process."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

from harness import Cluster, Engine, hookimpl


class CrowdEngine(Engine):
    def __init__(self, engines):
        self._engines = engines

    def sample(self, requests):
        shares = [list(requests)[i :: len(self._engines)] for i in range(len(self._engines))]
        with ThreadPoolExecutor() as threads:
            for chains in threads.map(
                lambda engine, share: list(engine.sample(share)), self._engines, shares
            ):
                yield from chains


class Crowd(Cluster):
    name = "crowd"
    description = "threads of this process"

    @contextmanager
    def open(self, opening, replicas, address):
        with ExitStack() as stack:
            yield CrowdEngine([stack.enter_context(opening.open()) for _ in range(replicas)])


@hookimpl
def harness_clusters():
    return [Crowd()]

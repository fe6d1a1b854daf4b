"""A place for one replica, as the driver sees it: the actor that fills it, and what was last heard of it. Uses Ray."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from enum import Enum
from typing import Any, Final

from harness import ChainKey, Opening, Request

from ._leases import lease_size, list_size
from ._messages import Feed, Hello, Opened, Report
from ._needs import Needs
from ._replica import Replica

_TAKE_SECONDS: Final = 2.0
"""How long a replica that has no news keeps a question open."""

_SHARE_SECONDS: Final = 0.2
"""How long a quick replica is refused more than an equal share, for the others to take theirs."""

_USUAL_CAPACITY: Final = 64
"""Chains in flight of an engine that does not say how many."""


class State(Enum):
    PENDING = "waits for room in the cluster"
    OPENING = "loads the model"
    READY = "samples"
    FAILED = "is given up"


class _Actor(Replica):
    def hello(self) -> Hello:
        import ray

        return replace(super().hello(), node=ray.get_runtime_context().get_node_id())


class Slot:
    """One of the N replicas that were asked for. After a loss, another actor takes its place."""

    def __init__(self, ray: Any, number: int, opening: Opening, needs: Needs) -> None:
        self.number = number
        self.state = State.PENDING
        self.info: Mapping[str, Any] = {}
        self.usage: Mapping[str, int] | None = None
        self.warnings: tuple[str, ...] = ()
        self.deaths = 0
        """Actors that were lost since the last chain came from this slot."""
        self.failure = ""
        self.ref: Any = None
        """The question to the actor that is open."""
        self.host = ""
        self.node = ""
        self._ray = ray
        self._opening = opening
        self._needs = needs
        self._usage_of_the_lost: dict[str, int] = {}
        self._actor: Any = None
        self._lazy = False
        self.begin_epoch(0)

    # -- the actor -------------------------------------------------------------------------------

    def start(self) -> None:
        """Ask for an actor; it comes as soon as there is room."""
        remote = self._ray.remote(
            num_cpus=self._needs.cpus,
            num_gpus=self._needs.gpus,
            max_restarts=0,
            max_task_retries=0,
            scheduling_strategy="SPREAD",
            concurrency_groups={"feed": 1, "take": 1, "drop": 1},
        )
        self._actor = remote(_Actor).remote()
        self.state = State.PENDING
        self.ref = self._actor.hello.remote()

    def greeted(self, hello: Hello) -> None:
        """The actor runs on a node: open its engine."""
        self.host, self.node = hello.host, hello.node
        self.state = State.OPENING
        self.ref = self._actor.open.remote(self._opening, self._needs.threads)

    def opened(self, opened: Opened, epoch: int) -> None:
        self.state = State.READY
        self.info, self._lazy = opened.info, opened.lazy
        self.begin_epoch(epoch)
        self.ask()

    def ask(self) -> None:
        """Ask for news."""
        self.ref = self._actor.take.options(concurrency_group="take").remote(_TAKE_SECONDS)

    def leave(self) -> None:
        """End the actor, whatever it is doing."""
        if self._actor is not None:
            with suppress(Exception):
                self._ray.kill(self._actor, no_restart=True)
        for name, count in (self.usage or {}).items():
            self._usage_of_the_lost[name] = self._usage_of_the_lost.get(name, 0) + count
        self._actor, self.ref, self.usage = None, None, None

    def fail(self, why: str) -> None:
        self.leave()
        self.state, self.failure = State.FAILED, why

    def asked_to_close(self, seconds: float) -> Any:
        """The answer to the wish that the engine be closed; None where no engine is open."""
        if self._actor is None or self.state is not State.READY:
            return None
        with suppress(Exception):
            return self._actor.close.options(concurrency_group="feed").remote(seconds)
        return None

    @property
    def total_usage(self) -> Mapping[str, int] | None:
        """With that of the actors before."""
        if not self._usage_of_the_lost:
            return self.usage
        counts = dict(self._usage_of_the_lost)
        for name, count in (self.usage or {}).items():
            counts[name] = counts.get(name, 0) + count
        return counts

    # -- its requests ----------------------------------------------------------------------------

    def begin_epoch(self, epoch: int) -> None:
        """A new pass: what was handed out before does not matter any more."""
        self._epoch = epoch
        self._feeds = 0
        self._handed = 0
        self._backlog = 0
        self._hungry = False
        self._idle = True
        self._more = True
        self._waits_since: float | None = None

    @property
    def capacity(self) -> int:
        """How many chains the engine has in flight."""
        said = self.info.get("max_in_flight")
        return said if isinstance(said, int) and said > 0 else _USUAL_CAPACITY

    def wish(self, waiting: int, replicas: int) -> int:
        """How many requests to hand to it now, if there are enough."""
        if not self._lazy:
            return list_size(waiting, replicas, self.capacity) if self._idle else 0
        if not self._more and not self._idle:
            return 0  # its engine was told that no more come, and has to finish first
        lease = lease_size(waiting, replicas, self.capacity)
        return lease if self._backlog <= lease // 2 else 0

    @property
    def starves(self) -> bool:
        """Its engine stands still and waits for a request."""
        return self._hungry and self._backlog == 0 and self._more

    def room_beyond_share(self, held: int) -> int:
        """How many requests it may have although it holds an equal share of all that are left.

        Only what its engine stands still for, and not at once: replicas that are slower to ask come first.
        """
        if not self.starves:
            return 0
        now = time.monotonic()
        self._waits_since = self._waits_since or now
        return max(1, self.capacity - held) if now > self._waits_since + _SHARE_SECONDS else 0

    def hand(self, requests: Sequence[Request], *, more: bool) -> None:
        self._more = more
        self._handed += len(requests)
        self._backlog += len(requests)
        if requests:
            self._idle = self._hungry = False
        feed = Feed(self._epoch, self._feeds, requests, more, low=max(1, len(requests) // 2))
        self._feeds += 1
        self._actor.feed.options(concurrency_group="feed").remote(feed)

    def drop(self, keys: Collection[ChainKey]) -> None:
        self._actor.drop.options(concurrency_group="drop").remote(self._epoch, list(keys))

    def heard(self, report: Report) -> None:
        self.usage, self.warnings = report.usage, report.warnings
        if report.epoch != self._epoch:
            return  # of a pass that is over, or before the first request of this one
        if report.chains:
            self.deaths = 0
        on_the_way = self._handed - report.received
        self._backlog = report.backlog + on_the_way
        self._hungry = report.hungry and not on_the_way
        self._idle = report.idle and not on_the_way

"""The driver's side: one engine to look at, many replicas behind it. Imports Ray only through what it is given."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from math import ceil
from typing import Any, Final

from harness import Chain, ChainKey, Engine, HarnessError, Opening, Request, __version__

from ._errors import failure_of
from ._leases import Leases
from ._messages import Failure, Hello, Opened, Report
from ._needs import needs, resources, total
from ._slot import Slot, State

_LOG = logging.getLogger("harness.ray")

_POLL_SECONDS: Final = 0.25
_BRIEFLY: Final = 0.05

_ROOM_SECONDS: Final = 300.0
"""How long to wait for room for a first replica; clusters that grow on demand take minutes."""

_SOON_SECONDS: Final = 20.0
"""A replica that has no room after so long is worth a line."""

_GRACE: Final = 0.5
"""The first replica waits for the others for so much of the time that it took itself, and 5 s at least: dealing out
anew what one replica has begun is not possible."""

_SPREAD_SECONDS: Final = 5.0
"""Within how many seconds of the first replica those have a process that there is room for."""

_MOST_DEATHS: Final = 3
"""Actors that one slot may lose without a chain in between."""

_MOST_LOSSES: Final = 6
"""Replicas that may be lost with the same request in hand: it may be what kills them."""

_CLOSE_SECONDS: Final = 10.0


class RayEngine(Engine):
    """Replicas of an engine as one engine. Requests are handed out in small leases as replicas ask for them.

    All calls but `drop` belong to one thread: that of `sample`.
    """

    lazy = True

    def __init__(self, ray: Any, opening: Opening, replicas: int) -> None:
        self._ray = ray
        self._opening = opening
        self._needs = needs(opening, resources(ray), replicas)
        self._slots = [Slot(ray, number, opening, self._needs) for number in range(1, replicas + 1)]
        self._leases = Leases()
        self._epoch = 0
        self._to_drop: deque[ChainKey] = deque()
        self._started = time.monotonic()
        self._none_since = self._started
        """Since when no replica has had room."""
        self._waits_since = self._started
        """Since when some replica has none."""
        self._waits_told = False
        self._fatal: HarnessError | None = None
        self._said: set[str] = set()
        self._first: Mapping[str, Any] = {}
        for slot in self._slots:
            slot.start()

    # -- what it says of itself ------------------------------------------------------------------

    @property
    def info(self) -> Mapping[str, Any]:
        ready = self._in(State.READY)
        inner = dict(self._first)
        if ready and all(isinstance(slot.info.get("max_in_flight"), int) for slot in ready):
            inner["max_in_flight"] = sum(slot.info["max_in_flight"] for slot in ready)
        return {
            **inner,
            "devices": self._devices(ready),
            "cluster": "ray",
            "ray": self._ray.__version__,
            "replicas": len(ready),
            "nodes": len({slot.node for slot in ready}),
            "replica_needs": str(self._needs),
        }

    def _devices(self, ready: Sequence[Slot]) -> int:
        if self._needs.gpus:
            return ceil(self._needs.gpus * len(ready))
        said = [slot.info.get("devices") for slot in ready]
        known = [count for count in said if isinstance(count, int)]
        return sum(known) if len(known) == len(said) else len({slot.node for slot in ready})

    @property
    def usage(self) -> Mapping[str, int] | None:
        counts: dict[str, int] = {}
        for slot in self._slots:
            usage = slot.total_usage
            if usage is None and slot.state is State.READY:
                return None  # the chains say it all
            for name, count in (usage or {}).items():
                counts[name] = counts.get(name, 0) + count
        return counts or None

    @property
    def warnings(self) -> Sequence[str]:
        return tuple(dict.fromkeys(text for slot in self._slots for text in slot.warnings))

    # -- opening and closing ---------------------------------------------------------------------

    def wait(self) -> None:
        """Until the first replica is ready, and those that can be expected soon after it.

        Raises:
            HarnessError: no replica opens, or there is no room for one.
        """
        ready_since: float | None = None
        while True:
            self._events(_POLL_SECONDS)
            if self._fatal is not None:
                raise self._fatal
            now = time.monotonic()
            if self._in(State.READY):
                ready_since = ready_since or now
                grace = max(5.0, _GRACE * (ready_since - self._started))
                on_their_way = self._in(State.OPENING)
                if now < ready_since + _SPREAD_SECONDS:
                    on_their_way += self._in(State.PENDING)
                if not on_their_way or now > ready_since + grace:
                    return

    def close(self, *, at_once: bool = False) -> None:
        """End all replicas.

        Args:
            at_once: kill them; else each may give its engine's memory back first, for a few seconds.
        """
        if not at_once:
            answers = [slot.asked_to_close(_CLOSE_SECONDS) for slot in self._slots]
            answers = [answer for answer in answers if answer is not None]
            if answers:
                self._ray.wait(answers, num_returns=len(answers), timeout=_CLOSE_SECONDS + 1)
        for slot in self._slots:
            slot.leave()

    # -- sampling --------------------------------------------------------------------------------

    def sample(self, requests: Iterable[Request]) -> Iterator[Chain]:
        self._epoch += 1
        self._leases = Leases()
        for slot in self._slots:
            slot.begin_epoch(self._epoch)
        source = _Source(requests)
        try:
            while True:
                self._drop_asked()
                source.fill(self._leases, self._window())
                if source.ended and not self._leases.open:
                    return
                if self._fatal is not None:
                    raise self._fatal
                chains = self._events(self._hand_out(source.ended))
                self._hand_out(source.ended)  # before anything is done with these chains
                yield from chains
        finally:
            self._end()

    def drop(self, keys: Collection[ChainKey]) -> None:
        self._to_drop.extend(keys)

    def _drop_asked(self) -> None:
        keys = [self._to_drop.popleft() for _ in range(len(self._to_drop))]
        for number, leased in self._leases.drop(keys).items():
            self._slots[number - 1].drop(leased)

    def _window(self) -> int:
        """How many requests wait here, so that replicas never wait for them to be made."""
        return max(64, 2 * sum(slot.capacity for slot in self._in(State.READY)))

    def _hand_out(self, all_here: bool) -> float:
        """Give replicas what they ask for. Returns for how long to wait for news."""
        leases, ready = self._leases, self._in(State.READY)
        timeout = _POLL_SECONDS
        if not ready:
            return timeout
        share = -(-leases.open // len(ready))
        for slot in sorted(ready, key=lambda slot: leases.held(slot.number)):
            wish = slot.wish(leases.waiting, len(ready)) if leases.waiting else 0
            if wish and all_here:
                room = share - leases.held(slot.number)
                if room <= 0:
                    room = slot.room_beyond_share(leases.held(slot.number))
                    timeout = _BRIEFLY
                wish = min(wish, room)
            if wish:
                slot.hand(leases.grant(slot.number, wish), more=True)
        if all_here and not leases.waiting:
            for slot in ready:
                if slot.starves:
                    slot.hand((), more=False)
        return timeout

    def _end(self) -> None:
        """Nothing of this pass is wanted any more."""
        self._epoch += 1
        for slot in self._in(State.READY):
            if self._leases.held(slot.number):
                slot.begin_epoch(self._epoch)
                slot.hand((), more=True)
        self._leases = Leases()
        self._to_drop.clear()

    # -- what replicas say -----------------------------------------------------------------------

    def _events(self, timeout: float) -> list[Chain]:
        """Wait for news and act on them. Returns the chains that have come, each once; `_fatal` is set where there
        is no going on after them."""
        by_ref = {slot.ref: slot for slot in self._slots if slot.ref is not None}
        refs = list(by_ref)
        heard, _ = self._ray.wait(refs, num_returns=1, timeout=timeout)
        if heard:
            heard, _ = self._ray.wait(refs, num_returns=len(refs), timeout=0)
        chains: list[Chain] = []
        for ref in heard:
            slot = by_ref[ref]
            try:
                said = self._ray.get(ref)
            except Exception as error:  # noqa: BLE001 - Ray's own errors, and those of unpickling
                self._lost(slot, failure_of(error))
                continue
            if isinstance(said, Report):
                chains += self._report(slot, said)
            elif isinstance(said, Opened):
                self._opened(slot, said)
            elif isinstance(said, Hello):
                self._greeted(slot, said)
        self._look_for_room()
        return chains

    def _greeted(self, slot: Slot, hello: Hello) -> None:
        if hello.harness != __version__:
            self._say(
                f"node {hello.host} has fathom-harness {hello.harness}, this machine {__version__}: install the same "
                "version on all nodes"
            )
        slot.greeted(hello)

    def _opened(self, slot: Slot, opened: Opened) -> None:
        if opened.failure is not None:
            self._lost(slot, opened.failure)
            return
        slot.opened(opened, self._epoch)
        self._first = self._first or opened.info

    def _report(self, slot: Slot, report: Report) -> list[Chain]:
        slot.heard(report)
        for logger, text in report.notes:
            self._say(text, logger)
        chains: list[Chain] = []
        if report.epoch == self._epoch:
            chains = [chain for chain in report.chains if self._leases.finish(chain.key)]
            self._leases.give_up(slot.number, report.missing)
        if report.failure is not None:
            self._lost(slot, report.failure)
        else:
            slot.ask()
        return chains

    def _lost(self, slot: Slot, failure: Failure) -> None:
        """An engine cannot go on, or its actor, process or node is gone."""
        returned = self._take_back(slot)
        slot.leave()
        slot.deaths += 1
        who = f"replica {slot.number}" + (f" on {slot.host}" if slot.host else "")
        if failure.expected or slot.deaths > _MOST_DEATHS:
            slot.fail(failure.text)
            if len(self._in(State.FAILED)) == len(self._slots):
                lost = f"all {len(self._slots)} replicas were lost, the last one because: {failure.text}"
                self._end_with(failure.text if failure.expected else lost)
            else:
                self._say(f"{who} is given up, the others go on: {failure.text}")
            return
        chains = (
            f"its {returned:,} unfinished chains go back to the queue" if returned else "it held no chains"
        )
        _LOG.warning(
            "%s was lost: %s; %s, another takes its place when there is room", who, failure.text, chains
        )
        slot.start()

    def _take_back(self, slot: Slot) -> int:
        returned = self._leases.lose(slot.number)
        for request in returned:
            if self._leases.losses(request.key) >= _MOST_LOSSES:
                self._end_with(
                    f"{_MOST_LOSSES} replicas were lost while they sampled problem {request.key.problem_id}; "
                    "chains that were finished are stored, the same command goes on"
                )
        return len(returned)

    def _look_for_room(self) -> None:
        now = time.monotonic()
        pending = len(self._in(State.PENDING))
        if not pending:
            self._waits_since, self._waits_told = now, False
        if self._in(State.READY) or self._in(State.OPENING):
            self._none_since = now
        told = self._waits_told or now < self._waits_since + _SOON_SECONDS
        hopeless = now > self._none_since + _ROOM_SECONDS
        if not pending or (told and not hopeless):
            return
        lack = f"each needs {self._needs}, and the cluster has {total(resources(self._ray))}"
        if hopeless:
            self._end_with(f"there was no room for a replica for {_ROOM_SECONDS:.0f} s: {lack}")
        else:
            self._waits_told = True
            _LOG.warning("%d of %d replicas have no room yet: %s", pending, len(self._slots), lack)

    def _end_with(self, text: str) -> None:
        self._fatal = self._fatal or HarnessError(text)

    def _say(self, text: str, logger: str = "harness.ray") -> None:
        """A line for the user, once: many replicas have the same to say."""
        if text not in self._said:
            self._said.add(text)
            logging.getLogger(logger).warning("%s", text)

    def _in(self, state: State) -> list[Slot]:
        return [slot for slot in self._slots if slot.state is state]


class _Source:
    """Requests as they are made, taken a few at a time."""

    def __init__(self, requests: Iterable[Request]) -> None:
        self._requests = iter(requests)
        self.ended = False

    def fill(self, leases: Leases, window: int) -> None:
        """Take requests until so many wait."""
        while not self.ended and leases.waiting < window:
            request = next(self._requests, None)
            if request is None:
                self.ended = True
            else:
                leases.add([request])

"""Which requests wait, which are leased to which replica, and which are settled. Knows nothing of Ray.

A request is in exactly one state: waiting, leased to one replica, or settled. It is settled once: when its chain
comes, or when it is dropped or given up. Whatever comes for it later, from a lease that was thought lost, is no news.
"""

from __future__ import annotations

import itertools
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from harness import ChainKey, Prompt, Request

_LARGEST_LEASE: Final = 32
_LEASES_PER_ENGINE: Final = 4
_LISTS_PER_ENGINE: Final = 4


def lease_size(waiting: int, replicas: int, capacity: int) -> int:
    """How many requests a lazy engine is handed at a time: it gets more whenever it has nearly begun them all.

    A quarter of what the engine has in flight, and less towards the end: half of an equal share of what is left, so
    that no replica sits on requests that another could begin (guided self-scheduling, Polychronopoulos and Kuck 1987,
    IEEE Trans. Computers 36:1425-1439).

    Args:
        capacity: how many chains an engine has in flight.
    """
    return max(1, min(_LARGEST_LEASE, _ceil(capacity, _LEASES_PER_ENGINE), _ceil(waiting, 2 * replicas)))


def list_size(waiting: int, replicas: int, capacity: int) -> int:
    """How many requests an engine that wants lists is handed at a time.

    Enough to keep it full, so that the last chains of a list, which run in a nearly empty engine, weigh little; but
    never more than an equal share.
    """
    guided = max(capacity, _ceil(waiting, 2 * replicas))
    return max(1, min(guided, _LISTS_PER_ENGINE * capacity, _ceil(waiting, replicas)))


def _ceil(dividend: int, divisor: int) -> int:
    return -(-dividend // max(1, divisor))


@dataclass(slots=True)
class _Group:
    """Requests that wait one behind the other and share a prompt."""

    prompt: Prompt
    requests: OrderedDict[ChainKey, Request] = field(default_factory=OrderedDict)


class Leases:
    """The book of one pass of requests. Replicas are known by number."""

    def __init__(self) -> None:
        self._groups: OrderedDict[int, _Group] = OrderedDict()
        self._numbers = itertools.count()
        self._waiting: dict[ChainKey, int] = {}
        """The number of the group that a request waits in."""
        self._leased: dict[ChainKey, tuple[int, Request]] = {}
        self._held: defaultdict[int, dict[ChainKey, Request]] = defaultdict(dict)
        self._settled: set[ChainKey] = set()
        self._at: dict[int, Prompt] = {}
        """The prompt that a replica was last given."""
        self._losses: Counter[ChainKey] = Counter()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def leased(self) -> int:
        return len(self._leased)

    @property
    def open(self) -> int:
        """How many requests are not settled."""
        return len(self._waiting) + len(self._leased)

    def held(self, replica: int) -> int:
        """How many requests are leased to a replica."""
        return len(self._held[replica])

    def losses(self, key: ChainKey) -> int:
        """How often a request was leased to a replica that was lost."""
        return self._losses[key]

    def add(self, requests: Iterable[Request]) -> None:
        """New requests, behind those that wait. Keys that are known already are passed over."""
        for request in requests:
            key = request.key
            if key in self._waiting or key in self._leased or key in self._settled:
                continue
            number = next(reversed(self._groups), None)
            if number is None or self._groups[number].prompt != request.prompt:
                number = next(self._numbers)
                self._groups[number] = _Group(request.prompt)
            self._groups[number].requests[key] = request
            self._waiting[key] = number

    def grant(self, replica: int, count: int) -> list[Request]:
        """Lease up to `count` requests: of the prompt that the replica had last, else of the first that none has.

        Neither is looked for far from the front of the queue, whose order is mostly kept.
        """
        granted: list[Request] = []
        while self._waiting and len(granted) < count:
            number = self._next_group(replica)
            group = self._groups[number]
            self._at[replica] = group.prompt
            while group.requests and len(granted) < count:
                key, request = group.requests.popitem(last=False)
                del self._waiting[key]
                self._leased[key] = (replica, request)
                self._held[replica][key] = request
                granted.append(request)
            if not group.requests:
                del self._groups[number]
        return granted

    def _next_group(self, replica: int) -> int:
        front = self._front()
        last = self._at.get(replica)
        for number in front:
            if self._groups[number].prompt == last:
                return number
        taken = set(self._at.values())
        for number in front:
            if self._groups[number].prompt not in taken:
                return number
        return front[0]

    def _front(self) -> list[int]:
        """As many groups as there are replicas, and one: if each has begun another, the last is untouched."""
        return list(itertools.islice(self._groups, len(self._at) + 1))

    def finish(self, key: ChainKey) -> bool:
        """A chain has come. True where it is the first of its key and wanted, whoever sends it."""
        return self._settle(key)

    def give_up(self, replica: int, keys: Iterable[ChainKey]) -> int:
        """An engine ended without these: they are not tried again. Returns how many that replica held."""
        mine = [key for key in keys if key in self._held[replica]]
        for key in mine:
            self._settle(key)
        return len(mine)

    def drop(self, keys: Iterable[ChainKey]) -> dict[int, list[ChainKey]]:
        """These are no longer wanted. Returns which of them are leased, by replica."""
        leased: defaultdict[int, list[ChainKey]] = defaultdict(list)
        for key in keys:
            if key in self._leased:
                leased[self._leased[key][0]].append(key)
            self._settle(key)
            self._settled.add(key)  # also those that have not come yet
        return dict(leased)

    def lose(self, replica: int) -> Sequence[Request]:
        """A replica is gone: what it held goes back before all that wait, in its order. Returns those requests."""
        lost = list(self._held.pop(replica, {}).values())
        self._at.pop(replica, None)
        for request in reversed(lost):
            key = request.key
            del self._leased[key]
            self._losses[key] += 1
            number = next((n for n in self._front() if self._groups[n].prompt == request.prompt), None)
            if number is None:
                number = next(self._numbers)
                self._groups[number] = _Group(request.prompt)
            self._groups.move_to_end(number, last=False)
            group = self._groups[number].requests
            group[key] = request
            group.move_to_end(key, last=False)
            self._waiting[key] = number
        return lost

    def _settle(self, key: ChainKey) -> bool:
        if key in self._leased:
            replica, _ = self._leased.pop(key)
            del self._held[replica][key]
        elif key in self._waiting:
            number = self._waiting.pop(key)
            group = self._groups[number].requests
            del group[key]
            if not group:
                del self._groups[number]
        else:
            return False
        self._settled.add(key)
        return True

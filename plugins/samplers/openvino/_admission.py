"""Which request goes to OpenVINO's scheduler next, and whether there is room for it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from harness import ChainKey, HarnessError, Prompt, Request

BLOCK = 32
"""Tokens in a block of OpenVINO's key-value cache on the processor."""

_COLD_TOKENS = 8192  # of prompts that are waiting to be read: more than a few steps' worth gains nothing


@dataclass(frozen=True, slots=True)
class Limits:
    max_in_flight: int
    """Most chains in flight."""
    blocks: int
    """Blocks in the key-value cache."""
    context: int
    """Longest sequence the model takes, prompt included, in tokens."""


@dataclass(slots=True)
class Group:
    """Requests that share a prompt. The first goes ahead; the others then find the prompt in the cache."""

    prompt: Prompt
    ids: Any
    """Tokens of the prompt, as the engine's tensor of shape [1, length]."""
    length: int
    budget: int
    """Most tokens to generate: the protocol's, or what the model's context leaves."""
    blocks: int
    """Cache blocks that one chain may come to need."""
    warm: bool = False
    leading: bool = False
    waiting: deque[Request] = field(default_factory=deque)


def grouped(
    request: Request,
    tokens: list[int],
    max_tokens: int,
    limits: Limits,
    as_tensor: Callable[[list[int]], Any],
) -> Group:
    """The group that a request begins.

    Args:
        tokens: of its prompt.

    Raises:
        HarnessError: there is nothing to go on from, or a chain of it can never fit.
    """
    length, id_ = len(tokens), request.key.problem_id
    if not length:
        raise HarnessError(f"the prompt of problem {id_} is empty")
    budget = min(max_tokens, limits.context - length)
    if budget < 1:
        raise HarnessError(
            f"the prompt of problem {id_} has {length:,} tokens and the model's context is "
            f"{limits.context:,}: leave the problem out or use a model with a longer context"
        )
    blocks = -(-(length + budget) // BLOCK) + 1
    if blocks > limits.blocks:
        raise HarnessError(
            f"a chain of problem {id_} ({length:,} prompt tokens and up to {budget:,} more) "
            f"does not fit in a key-value cache of {limits.blocks * BLOCK:,} tokens: lower --max-tokens "
            "or set --sampler-option cache_gb"
        )
    return Group(request.prompt, as_tensor(tokens), length, budget, blocks)


class Admission:
    """Takes requests from the input only when there is room for them.

    Every chain in flight has its whole possible length reserved, so that the engine never has to throw a half-written
    chain out of its cache: doing that over and over makes it crash. Requests that wait for their prompt to be read
    have their room reserved as well.

    Args:
        requests: the input; those that share a prompt stand together.
        group: makes the group that a request begins.
        dropped: whether a chain is no longer wanted.
    """

    def __init__(
        self,
        requests: Iterable[Request],
        limits: Limits,
        group: Callable[[Request], Group],
        dropped: Callable[[ChainKey], bool],
    ) -> None:
        self._input = iter(requests)
        self._limits = limits
        self._make = group
        self._dropped = dropped
        self._ended = False
        self.failure: HarnessError | None = None
        """Why the input was not taken to its end, to be raised when the chains in flight have landed."""
        self._held: tuple[Group, Request] | None = (
            None  # taken from the input, and there is no room for it yet
        )
        self._last: Group | None = None
        self._ready: deque[tuple[Group, Request]] = deque()
        self._chains = self._blocks = self._cold = 0

    def next(self) -> tuple[Group, Request] | None:
        """A request to start now, or None: no room, nothing left, or all that is left waits for its prompt."""
        while True:
            if self._ready:
                group, request = self._ready.popleft()
                if not self._dropped(request.key):
                    return group, request
                self.landed(group)
                if group.leading:
                    self.lost(group)
                continue
            entry = self._held or self._pull()
            if entry is None:
                return None
            group, request = self._held = entry
            if self._dropped(request.key):
                self._held = None
                continue
            if not self._has_room(group):
                return None
            self._held = None
            self._chains += 1
            self._blocks += group.blocks
            if group.warm:
                return group, request
            if group.leading:
                group.waiting.append(request)
                continue
            self._lead(group)
            return group, request

    def read(self, group: Group) -> None:
        """The group's prompt is in the cache: its other requests may come."""
        if group.leading:
            group.leading = False
            self._cold -= group.length
        group.warm = True
        self._ready.extend((group, request) for request in group.waiting)
        group.waiting.clear()

    def landed(self, group: Group) -> None:
        """A chain has ended, or will never begin."""
        self._chains -= 1
        self._blocks -= group.blocks

    def lost(self, group: Group) -> None:
        """The group's first chain was dropped before its prompt was read: another goes ahead."""
        group.leading = False
        self._cold -= group.length
        while group.waiting:
            request = group.waiting.popleft()
            if self._dropped(request.key):
                self.landed(group)
                continue
            self._lead(group)
            self._ready.append((group, request))
            return

    def forget(self, keys: Collection[ChainKey], groups: Iterable[Group]) -> None:
        """Give back the room of waiting requests that are no longer wanted."""
        for group in groups:
            for request in [request for request in group.waiting if request.key in keys]:
                group.waiting.remove(request)
                self.landed(group)

    def _lead(self, group: Group) -> None:
        group.leading = True
        self._cold += group.length

    def _has_room(self, group: Group) -> bool:
        if self._chains >= self._limits.max_in_flight or self._blocks + group.blocks > self._limits.blocks:
            return False
        cold = not (group.warm or group.leading)
        return not cold or self._cold == 0 or self._cold + group.length <= _COLD_TOKENS

    def _pull(self) -> tuple[Group, Request] | None:
        if self._ended or self._chains >= self._limits.max_in_flight:
            return None
        request = next(self._input, None)
        if request is None:
            self._ended = True
            return None
        last = self._last
        if last is None or (last.prompt is not request.prompt and last.prompt != request.prompt):
            try:
                last = self._last = self._make(request)
            except HarnessError as error:
                self._ended, self.failure = True, error
                return None
        return last, request

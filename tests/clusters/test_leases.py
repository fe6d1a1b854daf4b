"""The book of leases: whatever happens to replicas, every request is sampled, and none is given out twice."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import ChainKey, Message, Prompt, Request
from harness_plugins.clusters._leases import Leases, lease_size, list_size


def request(problem: int, index: int) -> Request:
    # A Prompt of its own for each request, as after a journey over the network.
    prompt = Prompt((Message("user", f"problem {problem}"),))
    return Request(ChainKey("bench", str(problem), index), prompt, seed=100 * problem + index)


def requests(problems: int, n: int) -> list[Request]:
    return [request(problem, index) for problem in range(problems) for index in range(n)]


def keys(leased: list[Request]) -> list[tuple[str, int]]:
    return [(each.key.problem_id, each.key.index) for each in leased]


def test_chains_of_a_problem_go_to_the_replica_that_has_read_its_prompt() -> None:
    leases = Leases()
    leases.add(requests(problems=4, n=8))
    went: dict[str, set[int]] = {}
    while leases.waiting:
        for replica in (1, 2):
            for each in leases.grant(replica, 4):
                went.setdefault(each.key.problem_id, set()).add(replica)
    assert all(len(replicas) == 1 for replicas in went.values())


def test_a_replica_without_a_problem_of_its_own_helps_with_that_of_another() -> None:
    leases = Leases()
    leases.add(requests(problems=1, n=8))
    assert len(leases.grant(1, 3)) == 3
    assert len(leases.grant(2, 8)) == 5


def test_a_lease_may_hold_several_short_problems() -> None:
    leases = Leases()
    leases.add(requests(problems=10, n=1))
    assert keys(leases.grant(1, 4)) == [("0", 0), ("1", 0), ("2", 0), ("3", 0)]


def test_rounds_of_chains_stay_in_their_order() -> None:
    """Where sampling stops at a decision, later chains of a problem wait for the earlier ones of all others."""
    leases = Leases()
    for start in (0, 8):
        leases.add([request(problem, index) for problem in range(30) for index in range(start, start + 8)])
    granted = []
    while leases.waiting > 30 * 8:
        for replica in (1, 2, 3):
            granted += leases.grant(replica, 8)
    late = [each for each in granted if each.key.index >= 8]
    assert len(late) <= 4 * 8


def test_what_a_lost_replica_held_goes_first_and_in_its_order() -> None:
    leases = Leases()
    leases.add(requests(problems=3, n=4))
    first = leases.grant(1, 6)
    leases.finish(first[1].key)
    assert len(leases.lose(1)) == 5
    assert keys(leases.grant(2, 12))[:5] == [("0", 0), ("0", 2), ("0", 3), ("1", 0), ("1", 1)]
    assert leases.open == 11


def test_a_lost_replica_that_is_still_alive_delivers_a_chain_once() -> None:
    leases = Leases()
    leases.add([request(0, 0)])
    leases.grant(1, 1)
    leases.lose(1)
    leases.grant(2, 1)
    key = ChainKey("bench", "0", 0)
    assert leases.finish(key)  # from the first one, after all
    assert not leases.finish(key)
    assert leases.open == leases.held(1) == leases.held(2) == 0


def test_a_late_chain_takes_its_request_out_of_the_queue() -> None:
    leases = Leases()
    leases.add(requests(problems=1, n=2))
    leases.grant(1, 2)
    leases.lose(1)
    assert leases.finish(ChainKey("bench", "0", 0))
    assert keys(leases.grant(2, 9)) == [("0", 1)]


def test_dropped_requests_are_not_given_out_and_their_holders_are_named() -> None:
    leases = Leases()
    leases.add(requests(problems=2, n=2))
    leases.grant(7, 1)
    dropped = [ChainKey("bench", "0", 0), ChainKey("bench", "0", 1), ChainKey("bench", "1", 1)]
    assert leases.drop(dropped) == {7: [dropped[0]]}
    assert keys(leases.grant(8, 9)) == [("1", 0)]
    assert not leases.finish(dropped[0])


def test_a_chain_that_is_dropped_before_it_is_asked_for_is_never_asked_for() -> None:
    leases = Leases()
    leases.drop([ChainKey("bench", "0", 1)])
    leases.add(requests(problems=1, n=3))
    assert keys(leases.grant(1, 9)) == [("0", 0), ("0", 2)]


def test_losses_of_a_request_are_counted() -> None:
    leases = Leases()
    leases.add([request(0, 0)])
    for replica in range(3):
        leases.grant(replica, 1)
        leases.lose(replica)
    assert leases.losses(ChainKey("bench", "0", 0)) == 3


def test_an_engine_that_ends_short_gives_up_only_what_it_held() -> None:
    leases = Leases()
    leases.add(requests(problems=1, n=2))
    leases.grant(1, 1)
    leases.grant(2, 1)
    both = [ChainKey("bench", "0", 0), ChainKey("bench", "0", 1)]
    assert leases.give_up(1, both) == 1
    assert leases.open == 1


@pytest.mark.parametrize("size", [lease_size, list_size])
@given(waiting=st.integers(1, 5000), replicas=st.integers(1, 64), capacity=st.integers(1, 512))
def test_a_lease_is_at_least_one_request_and_leaves_some_for_the_others(
    size: object, waiting: int, replicas: int, capacity: int
) -> None:
    assert callable(size)
    lease = size(waiting, replicas, capacity)
    assert 1 <= lease <= -(-waiting // replicas)


def test_leases_shrink_towards_the_end() -> None:
    sizes = [lease_size(waiting, 4, 128) for waiting in (2000, 200, 100, 50, 10, 1)]
    assert sizes == [32, 25, 13, 7, 2, 1]
    assert [list_size(waiting, 4, 16) for waiting in (2000, 200, 100, 20, 1)] == [64, 25, 16, 5, 1]


EVENT = st.one_of(
    st.tuples(st.just("add"), st.integers(0, 4), st.integers(1, 6)),
    st.tuples(st.just("grant"), st.integers(0, 3), st.integers(1, 7)),
    st.tuples(st.just("finish"), st.integers(0, 3), st.integers(0, 9)),
    st.tuples(st.just("late"), st.integers(0, 3), st.integers(0, 9)),
    st.tuples(st.just("lose"), st.integers(0, 3), st.just(0)),
    st.tuples(st.just("drop"), st.integers(0, 4), st.integers(0, 9)),
    st.tuples(st.just("give_up"), st.integers(0, 3), st.integers(0, 9)),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(EVENT, max_size=60))
def test_no_request_is_lost_or_doubled_whatever_happens(events: list[tuple[str, int, int]]) -> None:
    leases = Leases()
    added: set[ChainKey] = set()
    chains: Counter[ChainKey] = Counter()
    given_up: set[ChainKey] = set()
    dropped: set[ChainKey] = set()
    at: dict[int, dict[ChainKey, None]] = {replica: {} for replica in range(4)}
    ghosts: list[ChainKey] = []  # leased to replicas that were thought lost

    def settled() -> set[ChainKey]:
        return set(chains) | dropped | given_up

    for what, who, count in events:
        if what == "add":
            batch = [request(who, index) for index in range(count)]
            leases.add(batch)
            added |= {each.key for each in batch} - dropped
        elif what == "grant":
            before = leases.waiting
            granted = [each.key for each in leases.grant(who, count)]
            assert len(granted) == min(count, before)
            for key in granted:
                assert key not in settled()
                assert all(key not in held for held in at.values())
                at[who][key] = None
        elif what == "finish" and at[who]:
            key = list(at[who])[count % len(at[who])]
            del at[who][key]
            assert leases.finish(key)
            chains[key] += 1
        elif what == "late" and ghosts:
            key = ghosts[count % len(ghosts)]
            if leases.finish(key):
                chains[key] += 1
                for held in at.values():
                    held.pop(key, None)
        elif what == "lose":
            assert [each.key for each in leases.lose(who)] == list(at[who])
            ghosts += at[who]
            at[who] = {}
        elif what == "drop":
            key = ChainKey("bench", str(who), count)
            holders = [replica for replica, held in at.items() if key in held]
            assert leases.drop([key]) == {replica: [key] for replica in holders}
            for replica in holders:
                del at[replica][key]
            if key not in chains and key not in given_up:
                dropped.add(key)
                added.discard(key)
        elif what == "give_up" and at[who]:
            key = list(at[who])[count % len(at[who])]
            del at[who][key]
            assert leases.give_up(who, [key]) == 1
            given_up.add(key)
        assert {replica: leases.held(replica) for replica in at} == {r: len(held) for r, held in at.items()}
        assert leases.leased == sum(map(len, at.values()))
        assert leases.open == len(added - settled())
    while granted_now := leases.grant(9, 5):
        for each in granted_now:
            assert leases.finish(each.key)
            chains[each.key] += 1
    for held in at.values():
        for key in held:
            assert leases.finish(key)
            chains[key] += 1
    assert set(chains) | given_up == added
    assert not set(chains.values()) - {1}
    assert leases.open == 0

"""One replica without Ray around it: how it feeds its engine, and what it reports."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest

from harness import ChainKey, Engine, HarnessError, Message, Opening, Prompt, Request, SamplingSettings
from harness.models import ResolvedModel
from harness_plugins.clusters._messages import Feed, Opened, Report
from harness_plugins.clusters._replica import Replica

from .stranger import PACKAGES


@pytest.fixture(scope="module")
def sleepy() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sleepy", PACKAGES / "sleepy" / "harness_sleepy.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def opening(sampler: Any, **options: str) -> Opening:
    return Opening(sampler, ResolvedModel("sleeper"), SamplingSettings(1.0, 1.0, 10), options)


def requests(problem: str, *indices: int) -> list[Request]:
    prompt = Prompt((Message("user", problem),))
    return [Request(ChainKey("bench", problem, index), prompt, seed=index) for index in indices]


class Driver:
    """Calls a replica as the cluster does."""

    def __init__(self, opening: Opening, threads: int | None = None) -> None:
        self.replica = Replica()
        self.opened: Opened = self.replica.open(opening, threads)
        self.number = 0
        self.chains: list[tuple[str, int]] = []
        self.missing: list[ChainKey] = []
        self.last: Report | None = None

    def feed(self, these: list[Request], *, epoch: int = 1, more: bool = True, low: int = 0) -> None:
        self.replica.feed(Feed(epoch, self.number, these, more, low))
        self.number += 1

    def until(self, enough: Callable[[Report], bool]) -> Report:
        for _ in range(200):
            report = self.replica.take(0.5)
            self.chains += [(chain.problem_id, chain.index) for chain in report.chains]
            self.missing += report.missing
            if enough(report):
                self.last = report
                return report
        raise AssertionError("it did not come to that")


@pytest.fixture
def drive() -> Iterator[Callable[..., Driver]]:
    drivers: list[Driver] = []

    def start(opening: Opening, threads: int | None = None) -> Driver:
        drivers.append(Driver(opening, threads))
        return drivers[-1]

    yield start
    for driver in drivers:
        assert driver.replica.close(5.0)


@pytest.mark.parametrize("lazy", ["yes", "no"])
def test_every_request_comes_back_as_one_chain(sleepy: ModuleType, drive: Any, lazy: str) -> None:
    driver = drive(opening(sleepy.Sleepy(), lazy=lazy))
    assert driver.opened.failure is None
    assert driver.opened.lazy == (lazy == "yes")
    driver.feed(requests("a", *range(10)))
    driver.feed([], more=False)
    report = driver.until(lambda report: report.idle and len(driver.chains) == 10)
    assert sorted(driver.chains) == [("a", index) for index in range(10)]
    assert report.received == 10
    assert report.usage == {"prompt_tokens": 50, "completion_tokens": 70}
    assert report.warnings == ("these chains were dreamt",)


def test_a_lazy_engine_is_fed_on_while_its_chains_are_in_flight(sleepy: ModuleType, drive: Any) -> None:
    driver = drive(opening(sleepy.Sleepy(), seconds="5", max_in_flight="3"))
    driver.feed(requests("a", 0, 1))
    driver.until(lambda report: report.hungry)
    driver.feed(requests("a", 2, 3, 4))
    report = driver.until(lambda report: not report.hungry and report.backlog == 2)
    assert not report.idle
    assert driver.chains == []


def test_a_replica_asks_for_more_before_its_engine_has_to_wait(sleepy: ModuleType, drive: Any) -> None:
    driver = drive(opening(sleepy.Sleepy(), seconds="5", max_in_flight="3"))
    driver.until(lambda report: report.idle)
    driver.feed(requests("a", *range(5)), low=2)
    report = driver.until(lambda report: report.backlog == 2)
    assert not report.hungry


def test_an_engine_that_was_told_that_no_more_comes_takes_what_comes_later(
    sleepy: ModuleType, drive: Any
) -> None:
    driver = drive(opening(sleepy.Sleepy()))
    driver.feed(requests("a", 0), more=False)
    driver.until(lambda report: report.idle and driver.chains)
    driver.feed(requests("a", 1), more=False)
    driver.until(lambda report: report.idle and len(driver.chains) == 2)


def test_feeds_that_overtake_each_other_lose_nothing(sleepy: ModuleType, drive: Any) -> None:
    driver = drive(opening(sleepy.Sleepy()))
    driver.replica.feed(Feed(1, 1, [], more=False, low=0))
    driver.replica.feed(Feed(1, 0, requests("a", 0, 1), more=True, low=0))
    driver.until(lambda report: report.idle and len(driver.chains) == 2)


@pytest.mark.parametrize("lazy", ["yes", "no"])
def test_dropped_chains_do_not_come_and_are_not_missed(sleepy: ModuleType, drive: Any, lazy: str) -> None:
    driver = drive(opening(sleepy.Sleepy(), lazy=lazy, seconds="0.2", max_in_flight="2"))
    batch = requests("a", *range(6))
    driver.feed(batch)
    driver.until(lambda report: bool(driver.chains))
    gone = {("a", index) for index in range(6)} - set(driver.chains)
    driver.replica.drop(1, [ChainKey("bench", *each) for each in gone])
    driver.feed([], more=False)
    driver.until(lambda report: report.idle)
    assert not gone & set(driver.chains)
    assert driver.missing == []


def test_a_new_pass_ends_the_old_one(sleepy: ModuleType, drive: Any) -> None:
    driver = drive(opening(sleepy.Sleepy(), seconds="0.3", max_in_flight="2"))
    driver.feed(requests("old", *range(50)))
    driver.until(lambda report: report.backlog < 50)
    driver.number = 0
    driver.feed(requests("new", 0, 1), epoch=2, more=False)
    driver.chains.clear()
    driver.until(lambda report: len(driver.chains) == 2)
    assert sorted(driver.chains) == [("new", 0), ("new", 1)]


def test_chains_that_an_engine_ends_without_are_reported(drive: Any) -> None:
    class Short(Engine):
        lazy = True

        def sample(self, requests):
            for request in requests:
                if request.key.index % 2:
                    yield request.chain("odd")

    driver = drive(opening(with_engine(Short())))
    driver.feed(requests("a", *range(5)), more=False)
    driver.until(lambda report: report.idle and report.received == 5)
    assert driver.chains == [("a", 1), ("a", 3)]
    assert [key.index for key in driver.missing] == [0, 2, 4]


def test_requests_that_share_a_prompt_share_the_object_again(drive: Any) -> None:
    seen: list[Prompt] = []

    class Watching(Engine):
        lazy = True

        def sample(self, requests):
            for request in requests:
                seen.append(request.prompt)
                yield request.chain("")

    driver = drive(opening(with_engine(Watching())))
    for index in range(3):
        driver.feed(requests("a", index))  # each with a prompt of its own, as after a journey
    driver.until(lambda report: len(driver.chains) == 3)
    assert seen[0] is seen[1] is seen[2]


def test_an_engine_that_does_not_open_says_why(sleepy: ModuleType, drive: Any) -> None:
    driver = drive(opening(sleepy.Sleepy(), broken="all"))
    assert driver.opened.failure is not None
    assert driver.opened.failure.expected
    assert driver.opened.failure.text == "this model gives nightmares: take another"


def test_finished_chains_come_before_the_failure(drive: Any) -> None:
    class Breaks(Engine):
        lazy = True

        def sample(self, requests):
            yield next(iter(requests)).chain("the last one")
            raise ValueError("a cable\ncame loose")

    driver = drive(opening(with_engine(Breaks())))
    driver.feed(requests("a", 0, 1))
    report = driver.until(lambda report: report.failure is not None)
    assert driver.chains == [("a", 0)]
    assert (report.failure.text, report.failure.expected) == ("ValueError: a cable came loose", False)


def test_a_model_that_is_not_on_the_node_is_named(sleepy: ModuleType, drive: Any, tmp_path: Any) -> None:
    there = opening(sleepy.Sleepy())
    elsewhere = Opening(
        there.sampler, ResolvedModel("m", folder=tmp_path / "gone"), there.settings, there.options
    )
    driver = drive(elsewhere)
    assert driver.opened.failure is not None
    assert f"{tmp_path / 'gone'} is not on node" in driver.opened.failure.text


def test_an_engine_with_an_option_for_threads_gets_its_share_of_processors(drive: Any) -> None:
    asked: list[str | None] = []

    class Asked(Engine):
        lazy = True

        def sample(self, requests):
            return iter(())

    sampler = with_engine(Asked(), asked)
    drive(opening(sampler), 3)
    drive(opening(sampler, threads="8"), 3)
    assert asked == ["3", "8"]


def test_lines_for_the_user_travel_with_the_report(drive: Any) -> None:
    import logging

    class Warns(Engine):
        lazy = True

        def sample(self, requests):
            logging.getLogger("harness.warns").warning("the moon\nis full")
            for request in requests:
                yield request.chain("")

    driver = drive(opening(with_engine(Warns())))
    driver.feed(requests("a", 0))
    report = driver.until(lambda report: bool(report.notes))
    assert report.notes == [("harness.warns", "the moon is full")]


def test_an_engine_that_holds_a_lock_while_it_waits_for_requests_can_be_told_to_drop(drive: Any) -> None:
    class Locked(Engine):
        lazy = True

        def __init__(self):
            self.lock = threading.Lock()

        def drop(self, keys):
            with self.lock:
                pass

        def sample(self, requests):
            source = iter(requests)
            while True:
                with self.lock:
                    request = next(source, None)
                if request is None:
                    return
                yield request.chain("")

    driver = drive(opening(with_engine(Locked())))
    driver.feed(requests("a", 0))
    driver.until(lambda report: report.hungry)
    dropper = threading.Thread(target=driver.replica.drop, args=(1, [ChainKey("bench", "a", 0)]))
    dropper.start()
    driver.feed(requests("a", 1))
    driver.until(lambda report: ("a", 1) in driver.chains)


def with_engine(engine: Engine, asked: list[str | None] | None = None) -> Any:
    from harness import Fit, Sampler

    class Ready(Sampler):
        name = "ready"
        options = {"threads": ""}  # noqa: RUF012

        def fit(self, model):
            return Fit(1, "")

        @contextmanager
        def open(self, model, settings, options):
            if asked is not None:
                asked.append(options.get("threads"))
            yield engine

    return Ready()


def test_harness_errors_are_one_line(drive: Any) -> None:
    class TwoLines(Engine):
        lazy = True

        def sample(self, requests):
            next(iter(requests))
            raise HarnessError("too long:\n  by far")
            yield

    driver = drive(opening(with_engine(TwoLines())))
    driver.feed(requests("a", 0))
    report = driver.until(lambda report: report.failure is not None)
    assert (report.failure.text, report.failure.expected) == ("too long: by far", True)

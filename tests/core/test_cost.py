"""What a run says it cost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness import Benchmark, Chain, Engine, Fit, HarnessError, Model, Problem, Request, Sampler, hookimpl
from harness.config import load_config
from harness.cost import Meter, Prices, billed, total
from harness.evaluation import evaluate
from harness.plugins import PluginManager, load_plugins
from harness.report import Report


def chain(label: str, tokens: int, prompt: int = 0) -> Chain:
    return Chain(label, "p", 0, "", completion_tokens=tokens, prompt_tokens=prompt)


def test_engine_time_is_divided_by_the_tokens_that_each_benchmark_got() -> None:
    time = 0.0
    meter = Meter(clock=lambda: time)
    meter.occupies(2)
    meter.add(chain("a", 299))
    meter.add(chain("b", 99))
    time = 8.0
    meter.settle()
    time = 10.0
    meter.settle()  # no chain finished: these two seconds wait
    meter.add(chain("b", 50))
    time = 12.0
    meter.settle()
    assert meter.of("a")["engine_seconds"] == pytest.approx(6)
    assert meter.of("b")["engine_seconds"] == pytest.approx(6)
    assert meter.of("b")["device_hours"] == pytest.approx(12 / 3600, abs=1e-6)


def test_what_a_server_bills_is_divided_by_tokens() -> None:
    meter = Meter()
    meter.usage = {"prompt_tokens": 300, "completion_tokens": 1000}
    meter.add(chain("a", 300, 50))
    meter.add(chain("b", 100, 50))
    assert meter.of("a")["billed"] == {"prompt_tokens": 150, "completion_tokens": 750}
    assert "engine_seconds" not in meter.of("a")  # no device of ours was busy


@pytest.mark.parametrize(
    ("prices", "usd"),
    [
        (Prices(per_hour=3.0), 6.0),
        (Prices(per_mtok=(1.0, 10.0)), 21.0),
        (Prices(devices={"h100": 2.0}), 4.0),
        (Prices(models={"M": (0.5, 0.0)}), 0.5),
        (Prices(models={"other": (1, 1)}, devices={"A100": 1}), None),
        (Prices(), None),
    ],
)
def test_the_price_of_a_session(prices: Prices, usd: float | None) -> None:
    session = {
        "prompt_tokens": 1_000_000,
        "completion_tokens": 2_000_000,
        "device_hours": 2.0,
        "device": "NVIDIA H100 80GB HBM3",
    }
    assert prices.usd(session, "m") == usd


def test_sessions_add_up_and_keep_the_price_they_ran_at() -> None:
    sessions: list[dict[str, Any]] = [
        {"cost": {"engine_seconds": 10.0, "device_hours": 1.0, "usd": 5.0}},
        {"cost": {"engine_seconds": 30.0, "device_hours": 2.0, "usd": None}},
        {},
    ]
    assert total(sessions, Prices(), "m") == {"engine_seconds": 40.0, "device_hours": 3.0, "usd": 5.0}
    assert total(sessions, Prices(per_hour=1.0), "m")["usd"] == 3.0
    assert total([], Prices(per_hour=1.0), "m")["usd"] is None


def test_a_bill_for_chains_of_unknown_length_is_divided_by_chains() -> None:
    """Asked for several chains at once, servers tell no token count of any."""
    meter = Meter()
    meter.usage = {"prompt_tokens": 40, "completion_tokens": 900}
    for label in ("a", "a", "b"):
        meter.add(Chain(label, "p", 0, ""))
    assert meter.of("a")["billed"] == {"prompt_tokens": 27, "completion_tokens": 600}
    assert meter.of("b")["billed"] == {"prompt_tokens": 13, "completion_tokens": 300}


def test_what_chains_do_not_tell_is_taken_from_the_bill() -> None:
    sessions: list[dict[str, Any]] = [{"cost": {"billed": {"completion_tokens": 7}}}, {"cost": {}}, {}]
    assert billed(sessions, "completion_tokens") == 7
    assert billed(sessions, "prompt_tokens") is None


class Two(Benchmark):
    name = "two"
    normalizer = "integer"
    parameters = {"part": 1}  # noqa: RUF012

    def problems(self, data: object) -> list[Problem]:
        return [Problem(f"p{i}", "x", str(i)) for i in range(2)]


class Busy(Sampler):
    """An engine on two devices that says what it burnt."""

    name = "busy"
    needs_weights = False

    def fit(self, model: object) -> Fit:
        return Fit(0, "")

    @contextmanager
    def open(self, model: object, settings: object, options: object) -> Iterator[Engine]:
        yield BusyEngine()


class BusyEngine(Engine):
    info = {"devices": 2, "device": "Abacus 9000"}  # noqa: RUF012
    warnings = ("the beads were sticky",)

    def sample(self, requests: Iterable[Request]) -> Iterator[Chain]:
        for request in requests:
            yield request.chain("1", completion_tokens=1000, prompt_tokens=100)


@pytest.fixture
def manager() -> PluginManager:
    class Plugin:
        @hookimpl
        def harness_benchmarks(self) -> list[Benchmark]:
            return [Two()]

        @hookimpl
        def harness_samplers(self) -> list[Sampler]:
            return [Busy()]

        @hookimpl
        def harness_models(self) -> list[Model]:
            return [Model("sold", "sold/by-the-token", usd_per_mtok=(1.0, 2.0))]

    plugins = load_plugins()
    plugins.register(Plugin(), "busy")
    return plugins


@pytest.fixture
def run(manager: PluginManager, tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    def run(**more: Any) -> list[dict[str, Any]]:
        flags = {"bench": "two", "sampler": "busy", "model": "m", "n": 4, "results": tmp_path / "r"}
        return evaluate(load_config(None, {**flags, **more}), manager)

    return run


def test_tokens_time_and_money_stand_in_the_result_the_run_folder_and_the_table(
    run: Callable[..., list[dict[str, Any]]], manager: PluginManager
) -> None:
    (result,) = run(usd_per_hour=1e6)
    cost = result["cost"]
    assert (cost["prompt_tokens"], cost["completion_tokens"]) == (800, 8000)
    assert cost["usd"] == pytest.approx(cost["device_hours"] * 1e6)
    info = json.loads((Path(result["path"]) / "run.json").read_text())
    (session,) = info["sessions"]
    assert session["cost"]["chains"] == 8
    assert (session["cost"]["devices"], session["cost"]["device"]) == (2, "Abacus 9000")
    table = manager.reporter("runs").render(Report([result]))
    assert [cell.strip() for cell in table.split("\n")[0].split("|")][-2] == "USD"
    assert "8,000 tokens sampled, 800 of prompts" in table


def test_prices_may_be_named_after_the_run(run: Callable[..., list[dict[str, Any]]], tmp_path: Path) -> None:
    (first,) = run()
    assert first["cost"]["usd"] is None
    (priced,) = run(usd_per_mtok="1,2")
    assert priced["cost"]["usd"] == pytest.approx(800e-6 + 16000e-6)
    assert {**priced, "cost": 0} == {**first, "cost": 0}
    prices = tmp_path / "prices.yaml"
    prices.write_text("devices: {abacus: 3600000}\n")
    (by_device,) = run(prices=prices)
    assert by_device["cost"]["usd"] == pytest.approx(by_device["cost"]["device_hours"] * 3.6e6)


def test_a_known_model_has_a_price(run: Callable[..., list[dict[str, Any]]]) -> None:
    (result,) = run(model="sold")
    assert result["cost"]["usd"] == pytest.approx(800e-6 + 16000e-6)


def test_two_benchmarks_share_the_engine_and_its_price(run: Callable[..., list[dict[str, Any]]]) -> None:
    one, two = run(bench="two,two:part=2")
    assert one["cost"]["completion_tokens"] == two["cost"]["completion_tokens"] == 8000


def test_what_an_engine_warns_of_stands_beside_the_scores(run: Callable[..., list[dict[str, Any]]]) -> None:
    assert run()[0]["warnings"] == ["the beads were sticky"]
    assert run(n=6)[0]["warnings"] == ["the beads were sticky"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("device: {a: 1}\n", "unknown key 'device': did you mean devices?"),
        ("devices: [1]\n", "devices is a list, not names with prices"),
        ("devices: {a: -1}\n", "the price of a is -1, not a number of USD from 0"),
        ("models: {a: 3}\n", "the price of a is 3, not \\[prompt, completion\\] in USD a million"),
        ("models: {a: [1, x]}\n", "the price of a is 'x', not a number"),
    ],
)
def test_bad_prices_are_named(
    run: Callable[..., list[dict[str, Any]]], tmp_path: Path, text: str, error: str
) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(text)
    with pytest.raises(HarnessError, match=error):
        run(prices=file)


def test_paying_twice_is_refused(run: Callable[..., list[dict[str, Any]]]) -> None:
    with pytest.raises(HarnessError, match="two ways to pay"):
        run(usd_per_hour=1.0, usd_per_mtok="1")

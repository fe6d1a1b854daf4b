"""What sampling costs: tokens, engine time and money, per session of a run.

A session is one time that chains were sampled. Several benchmarks of one command share an engine; its time is
divided among them in proportion to the tokens that they got out of it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .config import RunConfig, read_yaml
from .errors import HarnessError, UsageError, closest
from .records import Chain

_MILLION = 1e6
_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Prices:
    """What devices and models cost, in USD."""

    per_hour: float | None = None
    """Of one device for an hour, whatever the device."""
    per_mtok: tuple[float, float] | None = None
    """Of a million prompt tokens and a million completion tokens, whatever the model."""
    devices: Mapping[str, float] = field(default_factory=dict)
    """Part of a device's name, such as "H100" -> USD an hour."""
    models: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Model name -> USD a million prompt tokens, and completion tokens."""

    def usd(self, session: Mapping[str, Any], model: str) -> float | None:
        """What a session cost, or None where no price is known.

        A model that is sold by the token costs that; else the time of its devices is paid for.
        """
        if (mtok := self.per_mtok or self._of_model(model)) is not None and self.per_hour is None:
            billed = session.get("billed") or session
            prompt, completion = billed.get("prompt_tokens"), billed.get("completion_tokens")
            if prompt is None or completion is None:
                return None
            return float((prompt * mtok[0] + completion * mtok[1]) / _MILLION)
        hours = session.get("device_hours")
        price = self.per_hour if self.per_hour is not None else self._of_device(session.get("device"))
        return None if hours is None or price is None else float(hours * price)

    def _of_model(self, model: str) -> tuple[float, float] | None:
        return next((price for name, price in self.models.items() if name.lower() == model.lower()), None)

    def _of_device(self, device: object) -> float | None:
        known = str(device or "").lower()
        return next((price for name, price in self.devices.items() if name.lower() in known), None)


def prices(config: RunConfig, models: Mapping[str, tuple[float, float]]) -> Prices:
    """The prices that the user gave, on top of those that are known of models.

    Raises:
        HarnessError: a price file that cannot be read, or holds something else than prices.
    """
    if config.usd_per_hour is not None and config.usd_per_mtok is not None:
        raise UsageError("--usd-per-hour and --usd-per-mtok are two ways to pay: give one of them")
    devices: dict[str, float] = {}
    if config.prices is not None:
        table = read_yaml(config.prices)
        for key in table:
            if key not in ("devices", "models"):
                raise HarnessError(
                    f"{config.prices}: unknown key {key!r}: {closest(str(key), ('devices', 'models'))}"
                )
        devices = {
            name: _price(config.prices, name, p) for name, p in _mapping(config.prices, table, "devices")
        }
        models = {
            **models,
            **{n: _pair(config.prices, n, p) for n, p in _mapping(config.prices, table, "models")},
        }
    return Prices(config.usd_per_hour, config.usd_per_mtok, devices, models)


def _mapping(file: Path, table: Mapping[str, Any], key: str) -> Iterable[tuple[str, Any]]:
    found = table.get(key) or {}
    if not isinstance(found, dict):
        raise HarnessError(f"{file}: {key} is a {type(found).__name__}, not names with prices")
    return [(str(name), price) for name, price in found.items()]


def _price(file: Path, name: str, price: object) -> float:
    if isinstance(price, bool) or not isinstance(price, (int, float)) or not 0 <= price < 1e9:
        raise HarnessError(f"{file}: the price of {name} is {price!r:.40}, not a number of USD from 0")
    return float(price)


def _pair(file: Path, name: str, price: object) -> tuple[float, float]:
    if not isinstance(price, list) or len(price) != 2:
        raise HarnessError(
            f"{file}: the price of {name} is {price!r:.40}, not [prompt, completion] in USD a million"
        )
    return _price(file, name, price[0]), _price(file, name, price[1])


class Meter:
    """Counts what a session costs each of its benchmarks, from when it is made."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._settled = clock()
        self._window: Counter[str] = Counter()
        self._seconds: Counter[str] = Counter()
        self._chains: Counter[str] = Counter()
        self._prompt: Counter[str] = Counter()
        self._completion: Counter[str] = Counter()
        self._devices = 0
        self._device: str | None = None
        self._device_seconds: Counter[str] = Counter()
        self.usage: Mapping[str, int] | None = None

    def occupies(self, devices: int, device: object = None) -> None:
        """How many devices of ours the engine occupies by now (servers and stored chains: 0), and what they are."""
        self._devices = devices
        self._device = None if device is None else str(device)

    def add(self, chain: Chain) -> None:
        label = chain.benchmark
        self._chains[label] += 1
        self._prompt[label] += chain.prompt_tokens or 0
        self._completion[label] += chain.completion_tokens or 0
        self._window[label] += (chain.completion_tokens or 0) + 1

    @property
    def unsettled(self) -> float:
        """Seconds since time was last divided."""
        return self._clock() - self._settled

    def settle(self) -> None:
        """Divide the time since the last settlement among the benchmarks whose chains finished in it.

        Time in which no chain finished waits for the next settlement.
        """
        if not (whole := self._window.total()):
            return
        now = self._clock()
        for label, tokens in self._window.items():
            seconds = (now - self._settled) * tokens / whole
            self._seconds[label] += seconds  # type: ignore[assignment]
            self._device_seconds[label] += seconds * self._devices  # type: ignore[assignment]
        self._window.clear()
        self._settled = now

    def of(self, label: str) -> dict[str, Any]:
        """What the session cost a benchmark so far, as a session of run.json says it."""
        found: dict[str, Any] = {
            "chains": self._chains[label],
            "prompt_tokens": self._prompt[label],
            "completion_tokens": self._completion[label],
        }
        if self._devices:
            found |= {"engine_seconds": round(float(self._seconds[label]), 2), "devices": self._devices}
            found["device"] = self._device
            found["device_hours"] = round(self._device_seconds[label] / _HOUR, 6)
        if self.usage is not None:
            found["billed"] = {
                name: round(self.usage.get(name, 0) * self._share(label, own))
                for name, own in (("prompt_tokens", self._prompt), ("completion_tokens", self._completion))
            }
        return found

    def _share(self, label: str, tokens: Counter[str]) -> float:
        """A benchmark's part in 0..1, by tokens; by chains where no chain told its tokens."""
        told = tokens if tokens.total() else self._chains
        return told[label] / told.total() if told.total() else 0.0


def billed(sessions: Iterable[Mapping[str, Any]], name: str) -> int | None:
    """Tokens of a kind that engines say they processed, where chains do not tell; None where nobody does."""
    said = [session.get("cost", {}).get("billed", {}).get(name) for session in sessions]
    known = [count for count in said if count is not None]
    return sum(known) if known else None


_SUMS = ("engine_seconds", "device_hours")


def total(sessions: Iterable[Mapping[str, Any]], known: Prices, model: str) -> dict[str, Any]:
    """What all sessions of a run cost together: engine seconds, device-hours and USD; None where it is not known.

    Sessions that ran at a price keep it, unless a price is given now.
    """
    costs: dict[str, Any] = dict.fromkeys((*_SUMS, "usd"))
    for session in sessions:
        cost = session.get("cost") or {}
        for name in _SUMS:
            if (value := cost.get(name)) is not None:
                costs[name] = round((costs[name] or 0.0) + value, 6)
        usd = known.usd(cost, model)
        if (usd := cost.get("usd") if usd is None else usd) is not None:
            costs["usd"] = round((costs["usd"] or 0.0) + usd, 6)
    return costs

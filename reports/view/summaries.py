"""What the first page knows of each run: its result, and how far it has got. Reads no chain."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from harness import HarnessError
from harness.checkpoints import natural
from harness.files import read_json

from .cache import Cache
from .journal import NAME as JOURNAL
from .journal import LineCounts
from .places import Place, Places

QUIET_SECONDS: Final = 600
"""A run whose folder nothing was written to for so long is called unfinished rather than running."""

STATUSES: Final = ("complete", "decided", "running", "unfinished")


class Figure(NamedTuple):
    """A score in 0..1 with what is known of its uncertainty."""

    value: float
    stderr: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """One run as a row of a table. Whatever a damaged file does not tell is None."""

    place: Place
    model: str
    benchmark: str
    fingerprint: str
    protocol: str
    status: str
    stored: int
    wanted: int | None
    n: int | None
    problems: int | None
    pass1: Figure | None
    cons: Figure | None
    passk: Figure | None
    truncated: float | None
    no_answer: float | None
    tokens: float | None
    usd: float | None
    written: float
    """When something was last written, in seconds since 1970."""
    result: Mapping[str, Any]
    """As scores.json has it; empty where the run was never complete."""
    info: Mapping[str, Any]
    """As run.json has it; empty for finished runs on pages that do not need it."""
    notice: str = ""
    """What is wrong with the run's files."""

    @property
    def key(self) -> str:
        return self.place.key

    @property
    def open(self) -> bool:
        return self.status in ("running", "unfinished")

    @property
    def progress(self) -> float | None:
        """Share of the wanted chains that are stored, in whole percent: all of them only where none is missing."""
        return min(100, 100 * self.stored // self.wanted) / 100 if self.wanted else None


class Summaries:
    """Rows of runs, each read again only when its files change."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._json: Cache[Any] = Cache(64 << 20)
        self._rows: Cache[int] = Cache(10_000)
        self._made: Cache[Summary] = Cache(10_000)
        self._lines = LineCounts()

    def all(self) -> list[Summary]:
        """Every run, by benchmark and model, step by step."""
        found = [self.of(place) for place in self._places.all().values()]
        return sorted(found, key=lambda row: (natural(row.benchmark), natural(row.model), row.key))

    def get(self, key: str) -> Summary | None:
        place = self._places.get(key)
        return None if place is None else self.of(place)

    def of(self, place: Place) -> Summary:
        states = place.states("run.json", "scores.json", JOURNAL, "chains.parquet")
        # A run falls quiet without any file changing.
        moment = int(time.time() / 10) if states[2] is not None or states[1] is None else 0
        return self._made.get(place.path, (place.key, states, moment), lambda: self._make(place))

    def info(self, place: Place) -> Mapping[str, Any]:
        """run.json; empty where it is missing or damaged."""
        return self._read(place, "run.json")[0]

    def _make(self, place: Place) -> Summary:
        result, notice = self._read(place, "scores.json")
        journal, parquet = place.state(JOURNAL), place.state("chains.parquet")
        info: Mapping[str, Any] = {}
        if journal is not None or not result:
            info, wrong = self._read(place, "run.json")
            notice = notice or wrong
        status = _status(result, info, journal is not None)
        finished = status in ("complete", "decided")
        stored = _count(result.get("chains")) if finished else None
        if stored is None:
            stored = (0 if journal is None else self._lines.count(place, journal)) + self._stored_rows(place)
        said = {**_asked(info), **(result if finished else {})}
        n, problems = _count(said.get("n")), _count(said.get("problems"))
        times = [s.modified for s in (journal, parquet, place.state("run.json")) if s is not None]
        written = max(times, default=0) / 1e9
        if status == "running" and time.time() - written > QUIET_SECONDS:
            status = "unfinished"
        scores = result.get("scores")
        scores = scores if isinstance(scores, dict) else {}
        mean_tokens = figure(scores.get("mean_tokens"))
        parts = place.key.split("/")
        return Summary(
            place=place,
            model=_text(result.get("model") or said.get("model"), parts[0]),
            benchmark=_text(result.get("benchmark") or said.get("benchmark"), parts[1]),
            fingerprint=_text(said.get("fingerprint"), parts[2]),
            protocol=_protocol({**_asked(info), **result}),
            status=status,
            stored=stored,
            wanted=None if n is None or problems is None else n * problems,
            n=n,
            problems=problems,
            pass1=figure(scores.get("pass@1")),
            cons=figure(scores.get("cons@k")),
            passk=figure(scores.get("pass@k")),
            truncated=_truncated(result),
            no_answer=number(result.get("no_answer")),
            tokens=None if mean_tokens is None else mean_tokens.value,
            usd=number((result.get("cost") or {}).get("usd"))
            if isinstance(result.get("cost"), dict)
            else None,
            written=written,
            result=result,
            info=info,
            notice=notice,
        )

    def _read(self, place: Place, name: str) -> tuple[Mapping[str, Any], str]:
        """A JSON file of the folder, and what is wrong with it."""
        if (state := place.state(name)) is None:
            return {}, "" if name == "scores.json" else f"{name} is missing"

        def read() -> tuple[Mapping[str, Any], str]:
            try:
                value = read_json(place.path / name)
            except HarnessError:
                value = None
            return (value, "") if isinstance(value, dict) else ({}, f"{name} is damaged")

        found: tuple[Mapping[str, Any], str] = self._json.get(
            (place.path, name), state, read, lambda _: state.size + 1000
        )
        return found

    def _stored_rows(self, place: Place) -> int:
        if (state := place.state("chains.parquet")) is None:
            return 0

        def read() -> int:
            import pyarrow as pa
            import pyarrow.parquet as pq

            try:
                return int(pq.read_metadata(place.path / "chains.parquet").num_rows)
            except (pa.ArrowException, OSError, ValueError):
                return 0

        return self._rows.get(place.path, state, read)


def figure(score: object) -> Figure | None:
    """A score of scores.json; None where it is none."""
    if not isinstance(score, dict) or (value := number(score.get("value"))) is None:
        return None
    low, high = (
        score["ci95"] if isinstance(score.get("ci95"), list) and len(score["ci95"]) == 2 else (None, None)
    )
    return Figure(value, number(score.get("stderr")), number(low), number(high))


def number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def _truncated(result: Mapping[str, Any]) -> float | None:
    """None where nobody knows: neither a budget nor a chain that was cut off."""
    share = number(result.get("truncated"))
    return None if result.get("max_tokens") is None and not share else share


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 < value < 10**9 else None


def _text(value: object, otherwise: str) -> str:
    return value if isinstance(value, str) and value else otherwise


def _asked(info: Mapping[str, Any]) -> dict[str, Any]:
    """What run.json says, under the names that results use."""
    model, benchmark, protocol = (
        part if isinstance(part := info.get(name), dict) else {}
        for name in ("model", "benchmark", "protocol")
    )
    sessions = info.get("sessions")
    asked = [s.get("n") for s in sessions if isinstance(s, dict)] if isinstance(sessions, list) else []
    counts = [count for said in (*asked, protocol.get("n")) if (count := _count(said)) is not None]
    return {
        "model": model.get("name"),
        "benchmark": benchmark.get("label"),
        "problems": benchmark.get("problems"),
        "fingerprint": info.get("fingerprint"),
        "n": max(counts, default=None),
        **{name: protocol.get(name) for name in ("temperature", "top_p", "max_tokens")},
        "protocol": protocol.get("name"),
    }


def _status(result: Mapping[str, Any], info: Mapping[str, Any], journal: bool) -> str:
    if result and not journal:
        return "decided" if "decided" in result else "complete"
    said = info.get("status")
    # Between the journal's going and the scores' coming, and the other way round after a crash, run.json decides.
    if said in ("complete", "decided") and not journal:
        return str(said)
    return "running"


def _protocol(said: Mapping[str, Any]) -> str:
    temperature, top_p, budget = (number(said.get(name)) for name in ("temperature", "top_p", "max_tokens"))
    parts = [
        _text(said.get("protocol"), ""),
        "" if temperature is None else f"T {temperature:g}",
        "" if top_p is None else f"top_p {top_p:g}",
        "" if budget is None else f"budget {budget:,.0f} tokens",
    ]
    return ", ".join(filter(None, parts))

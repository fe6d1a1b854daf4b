"""ledger.jsonl: one line for each time that a stage ran, appended while it runs, never changed.

A session of a stage notes itself several times, so that what was spent before a process was killed is on the bill. All
its lines have the same `stage` and `started`; the last of them counts.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import IO, Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from harness import HarnessError
from harness.files import disk_error, write_all

FILE: Final = "ledger.jsonl"
_HOUR: Final = 3600.0
_LONGEST_LINE: Final = 100_000

Amount = Annotated[float, Field(ge=0, lt=1e15)]


class Entry(BaseModel):
    """What a session of a stage took.

    `device_hours`, where it is not given, is wall time times devices; keys that are not known are left out, so that
    later versions can add some.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    stage: Annotated[str, Field(min_length=1, max_length=300)]
    """RECIPE:STAGE"""
    device: Annotated[str, Field(max_length=300)] | None = None
    devices: Annotated[int, Field(ge=0, le=1_000_000)] = 1
    wall_seconds: Amount
    device_hours: Amount
    energy_kwh: Amount | None = None
    """Of all devices; None where nothing measures it."""
    usd: Amount | None = None
    """What was really paid, where that is known; else a price per hour says it."""
    started: AwareDatetime
    finished: AwareDatetime
    """When this was noted."""
    complete: bool = True
    """Whether the stage came to its end in this session."""
    source: Literal["measured", "published", "derived", "estimated"] = "measured"

    @model_validator(mode="before")
    @classmethod
    def _hours(cls, values: object) -> object:
        if isinstance(values, dict) and values.get("device_hours") is None:
            seconds, devices = values.get("wall_seconds"), values.get("devices", 1)
            if isinstance(seconds, int | float) and isinstance(devices, int):
                return {**values, "device_hours": seconds * devices / _HOUR}
        return values


class Ledger:
    """The ledger of a recipe's run folder. Several processes may append to it at the same time.

    Args:
        folder: of the run; it is made when the first entry is appended.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self.damaged: list[int] = []
        """Numbers of the lines, from 1, that `entries` could not read: whole lines that hold something else."""

    def append(self, entry: Entry) -> None:
        """Write an entry down for good: in one piece and synced. What a killed process left of a line is cut off.

        Raises:
            HarnessError: the disk is full or the file cannot be written.
        """
        line = entry.model_dump_json(exclude_none=True).encode() + b"\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Unbuffered: one write is one piece, and the lock keeps others from taking it for torn.
            with self.path.open("a+b", buffering=0) as file:
                _lock(file)
                if torn := _torn(file):
                    file.truncate(os.fstat(file.fileno()).st_size - torn)
                write_all(file, line)
                os.fsync(file.fileno())
        except OSError as error:
            raise disk_error(error, self.path) from None

    def entries(self) -> list[Entry]:
        """All sessions in the order in which they were first noted, each as it was noted last; none without a file.

        A last line without a line feed is what a killed process left of it, and does not count.

        Raises:
            HarnessError: the file cannot be read.
        """
        self.damaged = []
        found: dict[tuple[str, datetime], Entry] = {}
        try:
            with self.path.open("rb") as file:
                for number, line in enumerate(_whole_lines(file), 1):
                    if line.strip():
                        self._take(found, line, number)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise HarnessError(f"cannot read {self.path}: {error.strerror or error}") from None
        return list(found.values())

    def _take(self, found: dict[tuple[str, datetime], Entry], line: bytes, number: int) -> None:
        try:
            entry = Entry.model_validate(json.loads(line))
        except (ValueError, ArithmeticError, RecursionError):  # a ValidationError is a ValueError
            self.damaged.append(number)
        else:
            found[entry.stage, entry.started] = entry

    def session(
        self,
        stage: str,
        device: str | None,
        devices: int,
        energy_kwh: Callable[[], float | None] | None = None,
        usd_per_hour: float | None = None,
    ) -> Session:
        """A session of a stage that begins now: `with ledger.session(...) as session: ... session.note()`.

        Args:
            stage: RECIPE:STAGE.
            devices: how many devices it occupies, whatever they do.
            energy_kwh: says what all devices used since the session began, or None where nothing measures it.
            usd_per_hour: what a device really costs; None leaves the price to whoever reads the ledger.
        """
        return Session(self, stage, device, devices, energy_kwh, usd_per_hour)


class Session:
    """Notes what a stage takes: at its start, whenever `note` is called, and at the end; complete unless an exception
    ended it.
    """

    def __init__(
        self,
        ledger: Ledger,
        stage: str,
        device: str | None,
        devices: int,
        energy_kwh: Callable[[], float | None] | None = None,
        usd_per_hour: float | None = None,
    ) -> None:
        self._ledger, self._stage, self._device, self._devices = ledger, stage, device, devices
        self._energy, self._price = energy_kwh, usd_per_hour
        self._started = datetime.now(UTC)
        self._clock = time.monotonic()

    def note(self, *, complete: bool = False) -> Entry:
        """Append what was spent until now; call it at every save, so that a kill leaves little off the bill.

        Raises:
            HarnessError: the disk is full.
        """
        seconds = time.monotonic() - self._clock
        hours = seconds * self._devices / _HOUR
        entry = Entry(
            stage=self._stage,
            device=self._device,
            devices=self._devices,
            wall_seconds=round(seconds, 3),
            device_hours=round(hours, 9),
            energy_kwh=self._energy() if self._energy else None,
            usd=None if self._price is None else round(hours * self._price, 9),
            started=self._started,
            # From the clock that nobody sets, so that it is never before the start.
            finished=self._started + timedelta(seconds=seconds),
            complete=complete,
        )
        self._ledger.append(entry)
        return entry

    def __enter__(self) -> Session:
        self.note()  # a stage that is killed at once has begun nevertheless
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.note(complete=kind is None)


def _whole_lines(file: IO[bytes]) -> Iterator[bytes]:
    """Lines that end in a line feed; of one that is too long to be an entry, its beginning."""
    while line := file.readline(_LONGEST_LINE):
        rest = line
        while rest and not rest.endswith(b"\n"):
            rest = file.readline(_LONGEST_LINE)
        if rest:
            yield line


def _lock(file: IO[bytes]) -> None:
    """Until the file is closed. Held for one line's time, so that it is waited for."""
    import fcntl

    fcntl.flock(file, fcntl.LOCK_EX)


def _torn(file: IO[bytes]) -> int:
    """Bytes after the last line feed."""
    size = os.fstat(file.fileno()).st_size
    if not size:
        return 0
    start = max(0, size - _LONGEST_LINE)
    tail = os.pread(file.fileno(), size - start, start)
    return len(tail) - (tail.rfind(b"\n") + 1)

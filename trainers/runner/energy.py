"""Energy that graphics processors use while a stage runs, by nvidia-smi."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final

PERIOD: Final = 2.0
"""Seconds between two looks."""
_JOULES: Final = 3.6e6
"""In a kWh."""
_LONGEST_GAP: Final = 60.0
"""Seconds: where the machine slept, or the tool hung, nobody knows what was used."""

Power = Callable[[], float | None]
"""Watts that all devices draw now, together; None where that cannot be told."""


def nvidia_smi(devices: Sequence[str] = ()) -> Power | None:
    """How to ask for the power of these devices, by number or UUID; of all where none is named.

    Returns:
        None where there is no nvidia-smi, or it does not say.
    """
    if (tool := shutil.which("nvidia-smi")) is None:
        return None
    command = [tool, "--query-gpu=power.draw", "--format=csv,noheader,nounits"]
    if devices:
        command.append(f"--id={','.join(devices)}")

    def ask() -> float | None:
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=True
            )
            watts = [float(line) for line in done.stdout.split("\n") if line.strip()]
        except (
            OSError,
            ValueError,
            subprocess.SubprocessError,
        ):  # ValueError: "[N/A]", it does not measure that
            return None
        return sum(watts) if watts else None

    return ask if ask() is not None else None


class Energy:
    """Adds up power over time, by the trapezoid rule, in a thread of its own while it is entered.

    Args:
        power: None: nothing measures it.
    """

    def __init__(
        self, power: Power | None, period: float = PERIOD, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._power, self._period, self._clock = power, period, clock
        self._joules = 0.0
        self._last: tuple[float, float] | None = None
        self._looks = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def look(self) -> None:
        """Ask once, and add what was used since the last time."""
        watts = None if self._power is None else self._power()
        with self._lock:
            now = self._clock()
            if watts is None:
                self._last = None
                return
            if self._last is not None and now - self._last[0] <= _LONGEST_GAP:
                self._joules += (now - self._last[0]) * (watts + self._last[1]) / 2
            self._last = (now, watts)
            self._looks += 1

    def kwh(self) -> float | None:
        """Used until now; None where nothing was measured."""
        with self._lock:
            return self._joules / _JOULES if self._looks > 1 else None

    def __enter__(self) -> Energy:
        if self._power is not None:
            self._thread = threading.Thread(target=self._watch, daemon=True, name="energy")
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self.look()

    def _watch(self) -> None:
        while True:
            self.look()
            if self._stop.wait(self._period):
                return

"""Writes the merged weights: many threads, each a piece at a time, to places known beforehand."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from harness import HarnessError
from harness.safetensors import WIDTHS, dtype_of

from .arithmetic import LIMITS, narrow, within
from .layout import Layout, Placed
from .methods import Method, Values, Workbench
from .settings import DTYPES

_PART: Final = 1 << 23
"""Values that a thread takes on at once, where a tensor can be merged in parts."""
_MOST_THREADS: Final = 16


@dataclass(frozen=True, slots=True)
class _Part:
    """Some values of a tensor."""

    placed: Placed
    first: int
    count: int

    @property
    def bytes(self) -> int:
        return self.count * WIDTHS[self.placed.tensor.type]


def write_weights(
    method: Method,
    layout: Layout,
    folder: Path,
    progress: Callable[[int], None],
    threads: int | None = None,
) -> None:
    """Merge every tensor into its place in the files of the folder, which are on the disk when this returns.

    Args:
        progress: called with the bytes that were written since it was last called.
        threads: how many; None for one a core.

    Raises:
        HarnessError: a value is not a number or does not fit into its type, or the disk is full.
    """
    with ExitStack() as stack:
        files: dict[str, int] = {}
        for name, header in layout.headers.items():
            stream = stack.enter_context((folder / name).open("wb", buffering=0))
            files[name] = stream.fileno()
            os.ftruncate(files[name], layout.sizes[name])
            _write_at(files[name], memoryview(header), 0)
        _Writer(method, files, threads or min(_cores(), _MOST_THREADS)).write(layout, progress)


class _Writer:
    def __init__(self, method: Method, files: Mapping[str, int], threads: int) -> None:
        self._method, self._files, self._threads = method, files, threads
        self._stopped = threading.Event()
        self._own = threading.local()

    def write(self, layout: Layout, progress: Callable[[int], None]) -> None:
        parts = list(_parts(layout.places, self._method))
        left = dict.fromkeys(self._files, 0)
        for part in parts:
            left[part.placed.file] += 1
        # Files are synced as they become complete, while others are still being written.
        with ThreadPoolExecutor(self._threads) as workers, ThreadPoolExecutor(1) as syncing:
            try:
                synced = [syncing.submit(os.fsync, self._files[file]) for file in left if not left[file]]
                running: dict[Future[None], _Part] = {}
                waiting = iter(parts)
                while True:
                    for part in waiting:
                        running[workers.submit(self._merge, part)] = part
                        if len(running) > 2 * self._threads:
                            break
                    if not running:
                        break
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        part = running.pop(future)
                        future.result()
                        progress(part.bytes)
                        left[part.placed.file] -= 1
                        if not left[part.placed.file]:
                            synced.append(syncing.submit(os.fsync, self._files[part.placed.file]))
                for done in synced:
                    done.result()
            except BaseException:
                self._stopped.set()
                workers.shutdown(cancel_futures=True)
                raise

    def _merge(self, part: _Part) -> None:
        bench: Workbench | None = getattr(self._own, "bench", None)
        if bench is None:
            bench = self._own.bench = Workbench(max(2, len(self._method.sources)), self._stopped)
        tensor, descriptor = part.placed.tensor, self._files[part.placed.file]
        width, done = WIDTHS[tensor.type], part.first
        with np.errstate(all="ignore"):  # what is not a number, or becomes none, is found below
            for values in self._method.pieces(tensor.name, part.first, part.count, bench):
                if not within(values, LIMITS[tensor.type]):
                    raise self._unfit(part.placed, done, values)
                data = bench.out[: len(values) * width]
                narrow(values, tensor.type, data.view(dtype_of(tensor.type)), bench.bits[: len(values)])
                _write_at(descriptor, data.data, part.placed.begin + done * width)
                done += len(values)

    def _unfit(self, placed: Placed, first: int, values: Values) -> HarnessError:
        """Why merged values are no numbers, or none of their type."""
        for source in self._method.sources:
            source.check(placed.tensor.name, first, len(values))
        name = next(name for name, kind in DTYPES.items() if kind == placed.tensor.type)
        largest = float(np.abs(values).max())
        return HarnessError(
            f"merged values of tensor {placed.tensor.name} are up to {largest:.3g}, too large for {name}: "
            "write another dtype, such as --dtype bfloat16"
        )


def _parts(places: Sequence[Placed], method: Method) -> Iterator[_Part]:
    """In the order of the files; a tensor without values is in place already."""
    for placed in places:
        count = placed.tensor.values
        step = max(count, 1) if method.whole else _PART
        for first in range(0, count, step):
            yield _Part(placed, first, min(step, count - first))


def _write_at(descriptor: int, view: memoryview, place: int) -> None:
    while len(view):
        written = os.pwrite(descriptor, view, place)
        view, place = view[written:], place + written


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

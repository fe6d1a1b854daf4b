"""Draws in a process of its own: vl-convert holds Python's lock for seconds, in which a report has better to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from types import TracebackType
from typing import Any, Self, TypeVar

from ..charts import Chart
from ..charts.engine import drawn, vl_convert
from .scripts import bundle

ResultT = TypeVar("ResultT")


class Workshop:
    """Takes orders, and hands them over when asked. A context manager: the process ends with it.

    Raises:
        HarnessError: vl-convert is not installed.
    """

    def __init__(self) -> None:
        vl_convert()  # a library that is missing is told before anything is done
        # Spawned: a copy of this process would hold its threads' locks, Arrow's among them.
        self._pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def script(self) -> Callable[[], str]:
        """The chart library as one script; see `scripts.bundle`."""
        return self._ordered(bundle)

    def svg(self, chart: Chart, config: Mapping[str, Any]) -> Callable[[], bytes]:
        """A chart as SVG."""
        return self._ordered(drawn, chart.spec, config, "svg")

    def _ordered(self, make: Callable[..., ResultT], *arguments: Any) -> Callable[[], ResultT]:
        order: Future[ResultT] = self._pool.submit(make, *arguments)

        def delivered() -> ResultT:
            try:
                return order.result()
            except (
                BrokenProcessPool,
                OSError,
            ):  # no process to be had here, or it was killed: do it ourselves
                return make(*arguments)

        return delivered

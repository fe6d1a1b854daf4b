"""Code that runs while an event loop does, as every cell of a notebook."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def in_running_loop(work: Callable[[], T]) -> T:
    """What `work` gives, called in a thread in which an event loop runs.

    A thread of its own: once a browser test has run, Playwright's loop is running in this one for good.
    """

    async def cell() -> T:
        return work()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(cell())).result()

"""A pool of worker processes that can be killed.

A comparison that never ends cannot be stopped from inside: a signal does not interrupt one long big-integer
operation, and a thread cannot be killed. So each worker is a process of its own with a deadline per task and a
cap on its memory; one that misses its deadline or dies is replaced, and only the task in hand is affected.

Workers are started with `python -m harness.worker`, not through multiprocessing, so that a script which grades
at import time does not start itself again.
"""

from __future__ import annotations

import json
import os
import queue
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from typing import IO, Any, Final

from .files import write_all

START_SECONDS: Final = 60.0
"""How long a worker may take to import what it needs, on a busy machine."""

_LENGTH_BYTES: Final = 8
_MAX_FRAME: Final = 2**30


class TaskTimeout(Exception):
    """The task did not end before its deadline; its worker was killed."""


class TaskError(Exception):
    """The task failed in its worker, or its worker died (out of memory, crash)."""


def write_frame(file: IO[bytes], value: Mapping[str, Any]) -> None:
    data = json.dumps(value).encode("ascii")  # JSON escapes carry lone surrogates through
    write_all(file, len(data).to_bytes(_LENGTH_BYTES, "big") + data)
    file.flush()


def read_frame(file: IO[bytes]) -> dict[str, Any] | None:
    """The next frame, or None at the end of the stream."""
    head = file.read(_LENGTH_BYTES)
    if len(head) < _LENGTH_BYTES:
        return None
    length = int.from_bytes(head, "big")
    if length > _MAX_FRAME:
        return None
    data = file.read(length)
    if len(data) < length:
        return None
    frame: dict[str, Any] = json.loads(data)
    return frame


class _Worker:
    """One worker process, driven by one thread."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "harness.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if os.environ.get("HARNESS_DEBUG") else subprocess.DEVNULL,
            bufsize=0,
        )
        self._warm: set[str] = set()

    def start(self, setup: Mapping[str, Any]) -> None:
        """Wait until the worker has loaded its plugins."""
        self.ask(setup, START_SECONDS)

    def warm(self, normalizer: str) -> None:
        """Let a normalizer import what it needs, so that no task's deadline pays for it."""
        if normalizer not in self._warm:
            self.ask({"warm": normalizer}, START_SECONDS)
            self._warm.add(normalizer)

    def ask(self, task: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """The worker's reply.

        Raises:
            TaskTimeout: it did not come in time.
            TaskError: the worker died.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            write_frame(stdin, task)
        except OSError:
            raise TaskError("the grading worker died") from None
        reply = bytearray()
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while (frame := _whole_frame(reply)) is None:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise TaskTimeout(f"no result within {seconds:g} s")
                data = os.read(stdout.fileno(), 1 << 16)
                if not data:
                    raise TaskError("the grading worker died (out of memory?)")
                reply += data
        return frame

    def stop(self) -> None:
        """End the process; whoever waits for its reply sees it die."""
        self._process.kill()

    def kill(self) -> None:
        """End the process and give back what belongs to it."""
        self.stop()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()


def _whole_frame(data: bytearray) -> dict[str, Any] | None:
    length = int.from_bytes(data[:_LENGTH_BYTES], "big")
    if len(data) < _LENGTH_BYTES or len(data) < _LENGTH_BYTES + length:
        return None
    frame: dict[str, Any] = json.loads(data[_LENGTH_BYTES:])
    return frame


class WorkerPool:
    """Runs tasks in killable worker processes, started when the first task comes.

    Args:
        workers: how many processes at most.
        deadline: seconds a task may take.
        memory_mb: cap on a worker's address space, in MiB.
        setup: what every worker is told first, besides its memory cap.
    """

    def __init__(
        self,
        workers: int | None = None,
        deadline: float = 5.0,
        memory_mb: int = 2048,
        setup: Mapping[str, Any] | None = None,
    ) -> None:
        self.deadline = deadline
        self._size = workers or max(1, min(4, os.cpu_count() or 1))
        self._setup = {**(setup or {}), "memory_mb": memory_mb}
        self._tasks: queue.SimpleQueue[tuple[Mapping[str, Any], Future[dict[str, Any]]] | None] = (
            queue.SimpleQueue()
        )
        self._threads: list[threading.Thread] = []
        self._workers: set[_Worker] = set()
        self._waiting = 0
        self._lock = threading.Lock()
        self._closed = False

    def submit(self, task: Mapping[str, Any]) -> Future[dict[str, Any]]:
        """The reply to a task, as a future that fails with `TaskTimeout` or `TaskError`."""
        future: Future[dict[str, Any]] = Future()
        with self._lock:
            if self._closed:
                raise TaskError("the pool is closed")
            self._waiting += 1
            if self._waiting > len(self._threads) < self._size:
                thread = threading.Thread(target=self._drive, name="grading", daemon=True)
                self._threads.append(thread)
                thread.start()
        self._tasks.put((task, future))
        return future

    def close(self) -> None:
        """Stop all workers at once, whatever they are doing; tasks that have not begun are cancelled."""
        with self._lock:
            self._closed = True
            threads = list(self._threads)
            for worker in self._workers:
                worker.stop()
        for _ in threads:
            self._tasks.put(None)
        for thread in threads:
            thread.join(timeout=1)

    def _drive(self) -> None:
        worker: _Worker | None = None
        try:
            while (item := self._tasks.get()) is not None:
                task, future = item
                if self._closed:
                    future.cancel()
                    continue
                try:
                    worker = worker or self._hire()
                    worker.warm(str(task["normalizer"]))
                    reply = worker.ask(task, self.deadline)
                    if "error" in reply:
                        raise TaskError(str(reply["error"]))
                except (TaskTimeout, TaskError) as error:
                    # After an error too: a worker that ran out of memory is not to be trusted with the next task.
                    self._fire(worker)
                    worker = None
                    future.set_exception(error)
                except OSError as error:
                    future.set_exception(TaskError(f"no grading worker could be started: {error}"))
                else:
                    future.set_result(reply)
                finally:
                    with self._lock:
                        self._waiting -= 1
        finally:
            self._fire(worker)

    def _hire(self) -> _Worker:
        worker = _Worker()
        with self._lock:
            self._workers.add(worker)
            if self._closed:
                worker.stop()
        try:
            worker.start(self._setup)
        except (TaskTimeout, TaskError):
            self._fire(worker)
            raise
        return worker

    def _fire(self, worker: _Worker | None) -> None:
        if worker is not None:
            worker.kill()
            with self._lock:
                self._workers.discard(worker)

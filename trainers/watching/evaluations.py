"""Evaluations while something else goes on: a queue, and one thread that works it off."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal

from harness.errors import HarnessError, one_line
from harness.plugins import PluginManager, load_plugins

from .apart import run_apart
from .aside import folder_called
from .holding import HIDDEN, adopt, hold
from .job import Job
from .naming import name_of
from .outcome import Outcome, carry_out, line

Where = Literal["subprocess", "process", "ray"]
WHERE: Final[tuple[Where, ...]] = ("subprocess", "process", "ray")

FIRST_PAUSE: Final = 5.0
"""Seconds between the first two attempts; each further pause is four times as long."""
_GROWTH: Final = 4.0
_BUSY_SECONDS: Final = (1.0, 30.0)
"""Shortest and longest pause between two looks at what another process is writing: each look takes a process."""
_BUSY_GROWTH: Final = 1.5


@dataclass(frozen=True, slots=True)
class Failure:
    """An evaluation that did not come off."""

    name: str
    """Of the model, in results."""
    reason: str
    attempts: int


class Evaluations:
    """Evaluates models one after the other, in a thread, and never raises into who submits them.

    Whether something is evaluated already is not written down anywhere: `evaluate` finds a finished run by its
    fingerprint and samples nothing, and goes on with an unfinished one.

    Args:
        results: where run folders go.
        where: "subprocess": in a process of its own for each; "process": in this one (the engine stands beside what is
            being trained; a cancelled evaluation ends with the next chain); "ray": the same as "subprocess" with
            `replicas` and `ray_address` of `harness run`, by default one replica on the cluster that is there.
        devices: CUDA_VISIBLE_DEVICES of the evaluating process; None: as here. Not with "process".
        attempts: how often an evaluation is tried, with growing pauses.
        told: is given one line for each thing that happens, from the evaluating thread.
        after_each: is called in the evaluating thread after each evaluation, successful or not.
        plugins: None: those of this process.
        pause: seconds between the first two attempts.
    """

    def __init__(
        self,
        results: Path,
        *,
        where: Where = "subprocess",
        devices: str | None = None,
        attempts: int = 3,
        told: Callable[[str], None] | None = None,
        after_each: Callable[[], None] | None = None,
        plugins: PluginManager | None = None,
        pause: float = FIRST_PAUSE,
    ) -> None:
        if where not in WHERE:
            raise HarnessError(f"evaluations run in one of {', '.join(WHERE)}, not {where!r:.40}")
        if where == "process" and devices is not None:
            raise HarnessError(
                "devices are for evaluations in another process: leave them out, or use subprocess"
            )
        if attempts < 1:
            raise HarnessError(f"an evaluation has at least one attempt, not {attempts}")
        self.results = Path(results).absolute()
        self.where = where
        self._devices = devices
        self._attempts = attempts
        self._told = told or to_stderr
        self._after_each = after_each
        self._plugins = load_plugins() if plugins is None else plugins
        self._pause = pause
        self._queue: deque[Job] = deque()
        self._failures: list[Failure] = []
        self._done: list[str] = []
        self._changed = threading.Condition()
        self._working = False
        self._closed = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    # -- for who submits -------------------------------------------------------------------------

    def submit(
        self,
        model: Path | str,
        flags: Mapping[str, Any],
        name: str | None = None,
        *,
        aside: Path | None = None,
        below: Path | None = None,
    ) -> None:
        """Have a model evaluated; returns at once.

        Args:
            model: a folder, or whatever else `harness run --model` takes.
            flags: what `harness.config.load_config` takes: bench, n, protocol, max_tokens, sampler ... No bench, no
                evaluation.
            name: what a folder's model is called in results; None: as its folder.
            aside: a folder on the same disk in which the model's files are held by hard links (copies where there are
                none) until it is evaluated, whatever happens to the model's own folder.
            below: where the links go of a model that is to have another name than its folder; None: `.harness` beside
                that folder.
        """
        if self._closed or not flags.get("bench"):
            return
        flags = {key: value for key, value in flags.items() if value is not None}
        job = Job(str(model), model, flags)
        if isinstance(model, Path):
            model = model.absolute()
            own = name_of(model)
            job.model, job.name = model, own if name is None else folder_called(name)
            if aside is not None or job.name != own:
                try:
                    job.aside = hold(model, job.name, aside or below or model.parent / HIDDEN)
                except (OSError, HarnessError) as error:
                    self._fail(job, line(f"its files cannot be held: {error}"), 0)
                    return
        self._append(job)

    def submit_left(self, aside: Path, flags: Mapping[str, Any]) -> None:
        """Have those models evaluated that were put aside for a process which ended before their turn came."""
        for folder in adopt(aside):
            self._append(Job(folder.name, folder, dict(flags), folder))

    def _append(self, job: Job) -> None:
        job.look()
        with self._changed:
            self._queue.append(job)
            self._changed.notify_all()
            if self._thread is None:
                # A daemon: a program that ends without closing this is not held up, and its children follow it.
                self._thread = threading.Thread(target=self._work, name="harness-evaluations", daemon=True)
                self._thread.start()

    @property
    def stopping(self) -> threading.Event:
        """Set once everything is to end at once."""
        return self._stop

    @property
    def pending(self) -> int:
        """How many evaluations are going on or waiting."""
        with self._changed:
            return len(self._queue) + self._working

    @property
    def done(self) -> list[str]:
        """Names of the models that were evaluated, in order."""
        with self._changed:
            return list(self._done)

    def wait(self) -> list[Failure]:
        """Until nothing is left to do. Returns what failed since this was last asked; a Ctrl-C gets through."""
        with self._changed:
            while self._queue or self._working:
                self._changed.wait()
            failures, self._failures = self._failures, []
            return failures

    def close(self, cancel: bool = False) -> None:
        """End the thread: when all is done, or at once (chains so far are stored, the same command goes on)."""
        with self._changed:
            left = len(self._queue) + self._working
            if cancel:
                self._stop.set()
                for job in self._queue:
                    job.leave()
                self._queue.clear()
            self._closed = True
            self._changed.notify_all()
        if cancel and left:
            what = "1 evaluation is" if left == 1 else f"{left} evaluations are"
            self._tell(f"{what} left unfinished: the same command goes on with them")
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def __enter__(self) -> Evaluations:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(cancel=kind is not None)

    # -- in the thread ---------------------------------------------------------------------------

    def _work(self) -> None:
        while (job := self._next()) is not None:
            try:
                self._evaluate(job)
                if self._after_each is not None and not self._stop.is_set():
                    self._after_each()
            except BaseException as error:  # noqa: BLE001 - the queue goes on whatever happens to one of its jobs
                self._tell(f"{job.name}: {one_line(error)}")
            finally:
                with self._changed:
                    self._working = False
                    self._changed.notify_all()

    def _next(self) -> Job | None:
        with self._changed:
            while not self._queue:
                if self._closed:
                    return None
                self._changed.wait()
            self._working = True
            return self._queue.popleft()

    def _evaluate(self, job: Job) -> None:
        pause, attempt, busy = self._pause, 1, _BUSY_SECONDS[0]
        while not self._stop.is_set():
            if (gone := job.gone()) is not None:
                self._tell(f"{job.name} is not evaluated: {gone}")
                break
            outcome = self._attempt(job)
            if outcome.kind == "stopped" and self._stop.is_set():
                continue
            if outcome.kind == "done":
                self._tell(f"evaluated {job.name}{_scores(outcome)}")
                with self._changed:
                    self._done.append(job.name)
                break
            if outcome.kind == "busy":
                if busy == _BUSY_SECONDS[0]:
                    self._tell(f"{job.name} waits: {outcome.reason}")
                self._stop.wait(busy)
                busy = min(_BUSY_GROWTH * busy, _BUSY_SECONDS[1])
                continue
            if job.gone() is not None:
                continue
            if attempt >= self._attempts or outcome.kind == "refused":
                self._fail(job, outcome.reason, attempt)
                break
            self._tell(f"{job.name}: attempt {attempt} of {self._attempts} failed: {outcome.reason}")
            self._stop.wait(pause)
            pause *= _GROWTH
            attempt += 1
        else:
            job.leave()
            return
        job.done()

    def _attempt(self, job: Job) -> Outcome:
        flags = {**job.flags, "model": str(job.folder or job.model), "results": str(self.results)}
        try:
            if (why := job.still_written()) is not None:
                return Outcome("failed", line(why))
            if self.where == "process":
                return carry_out(flags, self._plugins, self._stop)
            if self.where == "ray":
                flags = {"replicas": 1, "ray_address": "auto", **flags}
            return run_apart({"flags": flags}, self._plugins, self._stop, self._devices)
        except Exception as error:  # noqa: BLE001 - it may go better another time
            return Outcome("failed", line(one_line(error)))

    def _fail(self, job: Job, reason: str, attempts: int) -> None:
        with self._changed:
            self._failures.append(Failure(job.name, reason, attempts))
        tries = f" ({attempts} attempts)" if attempts > 1 else ""
        self._tell(f"{job.name} could not be evaluated{tries}: {reason}")

    def _tell(self, text: str) -> None:
        with suppress(Exception):  # who listens cannot stop the queue
            self._told(line(text))


def _scores(outcome: Outcome) -> str:
    """ ": fresh:level=1 pass@1 12.5", for the line that says so."""
    parts = []
    for result in outcome.results:
        score = result.get("scores", {}).get("pass@1", {}).get("value")
        shown = f" pass@1 {100 * score:.1f}" if isinstance(score, float | int) else ""
        parts.append(f"{result.get('benchmark')}{shown}")
    return f": {', '.join(parts)}" if parts else ""


def to_stderr(text: str) -> None:
    """Where programs that have no better place of their own tell of evaluations."""
    print(f"harness: {text}", file=sys.stderr, flush=True)

"""A callback for any Trainer of transformers or TRL: each checkpoint that it saves is evaluated."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, one_line
from harness.plugins import load_plugins

from .apart import run_apart
from .complete import problem
from .evaluations import FIRST_PAUSE, Evaluations, Failure, Where, to_stderr
from .holding import HIDDEN
from .report import Watched
from .wishes import base_of, checked_flags


class HarnessCallback:
    """Evaluates each saved checkpoint while training goes on, and rewrites a report after each.

        trainer = SFTTrainer(..., callbacks=[HarnessCallback(bench="aime25", n=16, results="results", devices="7")])

    Nothing that goes wrong with an evaluation reaches the training: it is tried again, then told of in one line. Files
    are held by hard links in `output_dir/.harness` until they are evaluated, so that save_total_limit may remove the
    checkpoint meanwhile. Started again after a kill, training finds and evaluates what was left there.

    Args:
        bench: benchmarks, as `harness run --bench` takes them, or a list.
        n: chains per problem; None: the protocol's number.
        results: where run folders go.
        where: "subprocess": a process for each checkpoint; "process": in this one, and training waits meanwhile;
            "ray": on replicas of a Ray cluster (`replicas`, `ray_address`).
        devices: CUDA_VISIBLE_DEVICES of the evaluating process; None: those of the training, which must have room.
        report: stem of the report's files; True: `results/report`; False: no report.
        base: model that training starts from: evaluated first, and what all others are compared with.
        name: what the run is called in results; None: as the output folder.
        wait: whether training ends only when all is evaluated.
        attempts: how often an evaluation is tried.
        pause: seconds before the second attempt; later ones wait longer.
        told: is given one line for each thing that happens; None: standard error.
        flags: further flags of `harness run`, with `_` for `-`: protocol, max_tokens, sampler, limit ...

    Raises:
        HarnessError: a flag out of range, an unknown benchmark, no transformers.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> HarnessCallback:
        # Importing this class takes no torch; a callback is made where a Trainer is.
        made: HarnessCallback = object.__new__(_with_trainer_callback(cls))  # type: ignore[arg-type]
        return made

    def __init__(
        self,
        bench: str | Sequence[str],
        n: int | None = None,
        results: str | os.PathLike[str] = "results",
        *,
        where: Where = "subprocess",
        devices: str | None = None,
        report: str | os.PathLike[str] | bool = True,
        base: str | os.PathLike[str] | None = None,
        name: str | None = None,
        wait: bool = True,
        attempts: int = 3,
        pause: float = FIRST_PAUSE,
        told: Callable[[str], None] | None = None,
        **flags: Any,
    ) -> None:
        self._plugins = load_plugins()
        bench = bench if isinstance(bench, str) else list(bench)
        asked = {**flags, "bench": bench, "n": n, "results": Path(results)}
        self._results, self._flags = checked_flags(None, asked, self._plugins)
        self._base, self._baseline = base_of(None if base is None else os.fspath(base), self._plugins)
        self._stem: Path | None = None
        if report is not False:
            self._stem = self._results / "report" if report is True else Path(report).absolute()
        self._name = name
        self._wait = wait
        self._told = told or to_stderr
        self._watched = Watched(self._results)
        self._said: set[str] = set()
        self._failures: list[Failure] = []
        self._begun = False
        self.evaluations = Evaluations(
            self._results,
            where=where,
            devices=devices,
            attempts=attempts,
            pause=pause,
            told=self._told,
            after_each=self._write_report,
            plugins=self._plugins,
        )
        """The queue: `wait()` and `close()` are for programs that said wait=False."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called by the Trainer."""
        if state.is_world_process_zero and not self._begun:
            self._begun = True
            self._quietly(self._begin, args)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called by the Trainer, on every process, when a checkpoint is written."""
        if state.is_world_process_zero:
            self._quietly(self._submit, args, state)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called by the Trainer."""
        if state.is_world_process_zero and self._wait:
            self._quietly(self.wait)

    def wait(self) -> list[Failure]:
        """Until everything that was saved is evaluated. Returns all that failed since the callback was made."""
        if pending := self.evaluations.pending:
            what = "1 evaluation" if pending == 1 else f"{pending} evaluations"
            self._told(f"waiting for {what} (a Ctrl-C ends that; the same program goes on with what is left)")
        self._failures += self.evaluations.wait()
        return list(self._failures)

    def _begin(self, args: Any) -> None:
        if self._base is not None:
            self.evaluations.submit(self._base, self._flags)
        self.evaluations.submit_left(self._aside(args), self._flags)

    def _submit(self, args: Any, state: Any) -> None:
        step = int(state.global_step)
        folder = Path(args.output_dir).resolve()
        checkpoint = folder / f"checkpoint-{step}"
        run = self._name or folder.name
        self._plugins.tell("harness_checkpoint_saved", self._told, path=str(checkpoint), stage=run, step=step)
        # Written and closed before this is called; only the other processes' random states may still come.
        if (why := problem(checkpoint)) is not None:
            if why not in self._said:  # an adapter is one at every step
                self._said.add(why)
                self._told(f"{checkpoint} is not evaluated: {why}")
            return
        self.evaluations.submit(checkpoint, self._flags, f"{run}-{checkpoint.name}", aside=self._aside(args))
        if self.evaluations.where == "process":
            self._failures += self.evaluations.wait()

    @staticmethod
    def _aside(args: Any) -> Path:
        return Path(args.output_dir).resolve() / HIDDEN / "callback"

    def _write_report(self) -> None:
        """In another process: tables and charts would take the processor from what is being trained."""
        if self._stem is None or not self._watched.is_due(more=self.evaluations.pending > 1):
            return
        wanted = {"results": str(self._results), "stem": str(self._stem), "baseline": self._baseline}
        outcome = run_apart({"report": wanted}, self._plugins, self.evaluations.stopping)
        if outcome.kind == "failed":
            self._told(outcome.reason)

    def _quietly(self, what: Callable[..., object], *args: Any) -> None:
        try:
            what(*args)
        except Exception as error:  # noqa: BLE001 - an evaluation never stops what is being trained
            self._told(str(error) if isinstance(error, HarnessError) else one_line(error))


@cache
def _with_trainer_callback(kind: type[HarnessCallback]) -> type[HarnessCallback]:
    try:
        from transformers import TrainerCallback
    except ModuleNotFoundError as error:
        raise HarnessError(
            f"HarnessCallback needs {error.name}: pip install 'fathom-harness[train]'"
        ) from None
    if issubclass(kind, TrainerCallback):
        return kind
    made: type[HarnessCallback] = type(
        kind.__name__, (kind, TrainerCallback), {"__module__": kind.__module__}
    )
    return made

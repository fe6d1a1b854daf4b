"""Runs what is planned: stage after stage, each once, with what every one of them leaves behind."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import HarnessError, StageJob, __version__
from harness.errors import Interrupted
from harness.files import write_json
from harness.plugins import PluginManager
from harness.provenance import now

from ..data import Prepared
from ..launch import Machines, command
from ..launch.stage import Job, process_mark, train, write_job
from ..ledger import Ledger, Session
from ..recipes import Node
from ..watching.evaluations import Failure
from .asked import check_same, find
from .child import run_child, wait_for_orphans
from .curves import steps_of
from .energy import Energy, nvidia_smi
from .evaluating import Evaluating, When
from .layout import DONE, JOB, STATE, states
from .machine import devices_for_training
from .models import Models
from .on_the_way import OnTheWay
from .plan import Plan, StagePlan
from .progress import Show, open_show
from .record import Record
from .rows import Rows
from .stage_watch import StageWatch


@dataclass(frozen=True, slots=True)
class Options:
    """How a plan is run."""

    results: Path
    accelerate: str | None = None
    """Configuration by name or file; None: chosen."""
    evaluate: When = "between"
    evaluate_devices: str | None = None
    usd_per_hour: float | None = None
    published: bool = True
    quiet: bool = False


class Runner:
    """One run of a recipe."""

    def __init__(self, plan: Plan, options: Options, plugins: PluginManager) -> None:
        self.plan, self.options, self.plugins = plan, options, plugins
        self._show = Show()
        self._models = Models(plan, plugins, self._say)
        self._rows = Rows(plan, self._models, plugins, self._say, quiet=options.quiet)
        self._on_the_way = OnTheWay(plan.layout, self._say)
        self._ledger = Ledger(plan.layout.folder)
        self._submitted: set[Path] = set()
        self.record = Record(
            plan, options.results, plugins, options.usd_per_hour, self._models, published=options.published
        )

    def run(self) -> list[Failure]:
        """Go from where the folder stands to the end of the plan. The folder is locked by who calls this.

        Returns:
            what could not be evaluated.

        Raises:
            HarnessError: a stage failed; what is done stays done.
            Interrupted: the same command goes on.
        """
        layout = self.plan.layout
        layout.models.mkdir(parents=True, exist_ok=True)
        self._on_the_way.clear()
        self._rows.make_early()
        evaluating = Evaluating(
            self.plan,
            self.options.results,
            self.options.evaluate,
            self.plugins,
            self._say,
            # The one that has just ended still counts.
            lambda: self._write(more=evaluating.pending > 1),
            self.options.evaluate_devices,
        )
        try:
            self._evaluate_bases(evaluating)
            for stage in self.plan.stages:
                self._stage(stage, evaluating)
            failures = evaluating.finish()
        except BaseException as error:
            evaluating.close(cancel=True)
            with suppress(HarnessError):  # such as of a full disk: it is not what ended the run
                self.record.write_training()
            if isinstance(error, KeyboardInterrupt):
                raise Interrupted("interrupted: the same command goes on") from None
            raise
        evaluating.close()
        self._write()
        return failures

    # -- evaluations -----------------------------------------------------------------------------

    def _evaluate_bases(self, evaluating: Evaluating) -> None:
        for text in self.plan.bases:
            evaluating.base(self._models.base(text), text)

    def _evaluate(self, node: Node, folder: Path, evaluating: Evaluating) -> None:
        if folder not in self._submitted:
            self._submitted.add(folder)
            evaluating.checkpoint(node, folder)

    # -- stages ----------------------------------------------------------------------------------

    def _stage(self, stage: StagePlan, evaluating: Evaluating) -> None:
        node, layout = stage.node, self.plan.layout
        if stage.state == "done":
            if not stage.found.facts:  # killed between its model and its note
                self._finish(stage, stage.found.rows)
                with self._session(stage, None):
                    pass
            self._remove_states(node)  # killed while it did
        else:
            evaluating.before_training()
            rows = self._rows.make(stage)
            asked_to_stop = self._train(stage, rows, evaluating)
            self._finish(stage, None if rows is None else rows.digest)
            self._tell_saved(layout.out(node), node, steps_of(layout.work(node)) or 0)
            if asked_to_stop:  # too late for the stage, in time for what comes after it
                raise KeyboardInterrupt
        for kept in self._on_the_way.kept(node):
            self._evaluate(node, kept, evaluating)
        self._evaluate(node, layout.out(node), evaluating)
        if stage.state == "done":
            return
        if evaluating.pending:
            self.record.write_training()  # the report follows with the evaluation
        else:
            self._write()

    def _train(self, stage: StagePlan, rows: Prepared | None, evaluating: Evaluating) -> bool:
        """Make the stage's model. Returns whether it was asked to stop and came to its end nevertheless."""
        node, work = stage.node, self.plan.layout.work(stage.node)
        work.mkdir(parents=True, exist_ok=True)
        wait_for_orphans(work, node.id, self._say)
        for step, state in states(work).items():  # saved when nobody was there to see it
            if step != steps_of(work):
                self._keep(node, step, state, evaluating)
        if (
            found := find(node, self.plan.layout)
        ).done:  # another command, or what it left, has come to the end
            check_same(node, found, stage.asked, self.plan.layout, None if rows is None else rows.digest)
            with self._session(stage, None):
                return False
        job = StageJob(
            stage=node.id,
            starts_from=tuple(folder.absolute() for folder in self._models.starts(node)),
            data=None if rows is None else rows.path.absolute(),
            parameters=stage.parameters,
            out=self.plan.layout.out(node).absolute(),
            work=work.absolute(),
            devices=stage.devices,
        )
        told = Job(job, stage.trainer.name, self.plugins.selection, process_mark(os.getpid()))
        write_job(
            work / JOB,
            told,
            asked=stage.asked.values,
            rows=None if rows is None else rows.digest,
            begun=now(),
        )
        where = f" on {stage.devices} x {stage.device or 'device'}" if stage.trainer.apart else ""
        self._say(f"{node.id}: {node.stage.trainer}{f' from step {stage.step:,}' if stage.step else where}")
        on_gpus = stage.trainer.apart and not self.plan.machine.is_cpu
        devices = devices_for_training(stage.devices, self.options.evaluate_devices) if on_gpus else []
        # Of several machines, only this one's could be measured.
        power = nvidia_smi(devices) if on_gpus and Machines.here().count == 1 else None
        with Energy(power) as energy, self._session(stage, energy) as session:
            if not stage.trainer.apart:
                train(told, self.plugins)
                return False
            with self._shown(stage) as show:
                watch = StageWatch(
                    work, session, show, lambda step, path: self._passed(node, step, path, evaluating)
                )
                environment = {"CUDA_VISIBLE_DEVICES": ",".join(devices)} if devices else {}
                line = command(work / JOB, stage.devices, self.options.accelerate)
                return run_child(line, work, node.id, watch, environment)

    def _session(self, stage: StagePlan, energy: Energy | None) -> Session:
        # A merge needs no graphics processor: where there are some, it occupies none of them.
        cpu = self.plan.machine.is_cpu or not stage.trainer.apart
        devices = 0 if cpu and not self.plan.machine.is_cpu else stage.devices
        return self._ledger.session(
            stage.node.id,
            "CPU" if cpu else stage.device,
            devices,
            None if energy is None else energy.kwh,
            self.options.usd_per_hour,
        )

    def _finish(self, stage: StagePlan, rows: str | None) -> None:
        facts: dict[str, Any] = {
            "stage": stage.node.id,
            "fingerprint": stage.asked.fingerprint,
            "asked": dict(stage.asked.values),
            "rows": rows,
            "finished": now(),
            "harness": __version__,
        }
        write_json(self.plan.layout.work(stage.node) / DONE, facts)
        self._remove_states(stage.node)

    def _remove_states(self, node: Node) -> None:
        """With their optimisers they are several times the size of the model, and nothing goes on from them."""
        shutil.rmtree(self.plan.layout.work(node) / STATE, ignore_errors=True)

    def _passed(self, node: Node, step: int, state: Path, evaluating: Evaluating) -> None:
        """A state was saved on the way; it may be gone in a moment."""
        if step == steps_of(self.plan.layout.work(node)):
            return  # the end of the stage, which is told of when its model stands
        self._tell_saved(state, node, step)
        self._keep(node, step, state, evaluating)

    def _keep(self, node: Node, step: int, state: Path, evaluating: Evaluating) -> None:
        """Have a state evaluated, where the recipe wants that: now, or when the stage is over."""
        kept = self._on_the_way.keep(node, step, state)
        if kept is not None and self.options.evaluate == "beside":
            self._evaluate(node, kept, evaluating)

    # -- telling ---------------------------------------------------------------------------------

    def _tell_saved(self, path: Path, node: Node, step: int) -> None:
        self.plugins.tell(
            "harness_checkpoint_saved", self._say, path=str(path.absolute()), stage=node.id, step=step
        )

    def _write(self, *, more: bool = False) -> None:
        if (problem := self.record.write(more=more)) is not None:
            self._say(problem)

    def _say(self, text: str) -> None:
        self._show.say(text)

    @contextmanager
    def _shown(self, stage: StagePlan) -> Iterator[Show]:
        with open_show(self.options.quiet) as show:
            self._show = show
            show.began(stage.node.id, stage.steps)
            try:
                yield show
            finally:
                show.ended()
                self._show = Show()

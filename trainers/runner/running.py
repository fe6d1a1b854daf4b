"""Runs what is planned: stage after stage, each once, with what every one of them leaves behind."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from harness import HarnessError, StageJob, __version__
from harness.cli.progress import open_progress
from harness.errors import Interrupted
from harness.files import lock, write_json
from harness.models import folder_problem
from harness.plugins import PluginManager
from harness.progress import Progress
from harness.provenance import now

from ..data import Prepared
from ..launch import Machines, command
from ..launch.stage import Job, process_mark, train, write_job
from ..ledger import Ledger, Session
from ..recipes import BASE, Node
from ..watching.aside import put_aside
from ..watching.evaluations import Failure
from ..watching.naming import name_of
from . import stage_data
from .asked import check_same, find
from .base import folder_of
from .child import run_child
from .curves import read_log, steps_of
from .energy import Energy, nvidia_smi
from .evaluating import Evaluating, When
from .layout import DONE, JOB, LOG, STATE, states
from .machine import devices_for_training
from .plan import Plan, StagePlan
from .progress import Show, open_show
from .record import Record

_NOTE_SECONDS: Final = 60.0
"""How much of the bill a kill may cost, at most."""
_LOG_SECONDS: Final = 0.5
_WAIT_SECONDS: Final = 600.0
"""For processes that an earlier command has left, to save and go."""


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
        self.record = Record(
            plan,
            options.results,
            plugins,
            options.usd_per_hour,
            base=_base_name(plan),
            published=options.published,
        )
        self._show = Show()
        self._ledger = Ledger(plan.layout.folder)
        self._bases: dict[str, Path] = {}
        self._rows: dict[str, Prepared] = {}
        self._submitted: set[Path] = set()

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
        self._make_early_rows()
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

    # -- models and rows -------------------------------------------------------------------------

    def _base_folder(self, text: str) -> Path:
        if text not in self._bases:
            base = self.plan.bases[text]
            self._bases[text] = folder_of(base, self.plan.layout.base, self.plugins, self._say)
            if base is self.plan.base:
                self.record.base = name_of(self._bases[text])
        return self._bases[text]

    def _starts(self, node: Node) -> list[Path]:
        """Folders of the models that a stage starts from, in the recipe's order."""
        found = []
        for parent in node.stage.init_from:
            if parent == BASE:
                found.append(self._base_folder(str(node.recipe.base)))
            else:
                id_ = parent if ":" in parent else f"{node.recipe.name}:{parent}"
                found.append(self.plan.layout.out(self.plan.graph.nodes[id_]))
        return found

    def _make_early_rows(self) -> None:
        """Rows that need no model to sample them are made first: what is wrong with them shows before hours of
        training.
        """
        for stage in self.plan.stages:
            if stage.state == "done" or stage.trainer.needs is None:
                continue
            if stage.data is not None and stage.data.problem is not None:
                raise HarnessError(f"stage {stage.node.id} waits for data: {stage.data.problem}")
            if stage.node.stage.samples_from is None and self._rows_model_is_known(stage.node):
                self._make_rows(stage)

    def _rows_model_is_known(self, node: Node) -> bool:
        """Whether the model whose tokenizer counts is the one that will be there when the stage's turn comes."""
        root = self.plan.root
        return root is None or root.node.id == node.id or self.plan.layout.out(root.node).is_dir()

    def _make_rows(self, stage: StagePlan) -> Prepared | None:
        node = stage.node
        if stage.trainer.needs is None:
            return None
        if node.id not in self._rows:
            if self.plan.base_of(node) is not None:
                self._base_folder(str(node.recipe.base))
            model = self.plan.rows_model(node)
            with nullcontext(Progress()) if self.options.quiet else open_progress() as progress:
                made = stage_data.make(node, stage.trainer, self.plan.layout, model, self.plugins, progress)
            self._rows[node.id] = made
            check_same(node, stage.found, stage.asked, self.plan.layout, made.digest)
            for note in made.notes:
                self._say(f"{node.id}: {note}")
            tokens = (
                ""
                if made.completion_tokens is None
                else f", {made.completion_tokens:,.0f} tokens to learn each"
            )
            self._say(f"{node.id}: {made.rows:,} training rows{tokens}")
        return self._rows[node.id]

    # -- evaluations -----------------------------------------------------------------------------

    def _evaluate_bases(self, evaluating: Evaluating) -> None:
        for text in self.plan.bases:
            evaluating.base(self._base_folder(text), text)

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
            rows = self._make_rows(stage)
            asked_to_stop = self._train(stage, rows, evaluating)
            self._finish(stage, None if rows is None else rows.digest)
            self._tell_saved(layout.out(node), node, steps_of(layout.work(node)) or 0)
            if asked_to_stop:  # too late for the stage, in time for what comes after it
                raise KeyboardInterrupt
        for on_the_way in self._on_the_way(node):
            self._evaluate(node, on_the_way, evaluating)
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
        self._wait_for_orphans(work, node.id)
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
            starts_from=tuple(folder.absolute() for folder in self._starts(node)),
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
        where = (
            f"from step {stage.step:,}" if stage.step else f"on {stage.devices} x {stage.device or 'device'}"
        )
        self._say(f"{node.id}: {node.stage.trainer} {where}")
        on_gpus = stage.trainer.apart and not self.plan.machine.is_cpu
        devices = devices_for_training(stage.devices, self.options.evaluate_devices) if on_gpus else []
        # Of several machines, only this one's could be measured.
        power = nvidia_smi(devices) if on_gpus and Machines.here().count == 1 else None
        with Energy(power) as energy, self._session(stage, energy) as session:
            if not stage.trainer.apart:
                train(told, self.plugins)
                return False
            with self._shown(stage) as show:
                watch = _Watch(
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
        """Have a state evaluated, where the recipe wants that of checkpoints on the way."""
        if node.evaluate is None or not node.evaluate.saves or folder_problem(state) is not None:
            return
        layout = self.plan.layout
        try:
            kept = put_aside(state, layout.on_the_way(node, step).name, layout.models)
        except HarnessError as error:
            self._say(f"{node.id}: the checkpoint of step {step:,} is not evaluated: {error}")
            return
        if self.options.evaluate == "beside":
            self._evaluate(node, kept, evaluating)

    def _on_the_way(self, node: Node) -> list[Path]:
        """Checkpoints of a stage that were kept to be evaluated, by step."""
        layout = self.plan.layout
        name = layout.out(node).name
        found = [
            path
            for path in layout.models.glob(f"{name}-checkpoint-*")
            if path.name.split("-")[-1].isdecimal()
        ]
        return sorted(found, key=lambda path: int(path.name.split("-")[-1]))

    def _wait_for_orphans(self, work: Path, stage: str) -> None:
        """Processes that a killed command has left notice that, save and go; until then the folder is theirs."""
        deadline, said = time.monotonic() + _WAIT_SECONDS, False
        while True:
            try:
                with lock(work):
                    return
            except HarnessError as error:
                if time.monotonic() > deadline:
                    raise
                if not said:
                    self._say(f"{stage}: waiting for what an earlier command left: {error}")
                said = True
                time.sleep(0.2)

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


class _Watch:
    """Looks at a stage's folder while its processes work in it."""

    def __init__(self, work: Path, session: Session, show: Show, passed: Callable[[int, Path], None]) -> None:
        self._work, self._session, self._show, self._passed = work, session, show, passed
        self._known = set(states(work))
        self._noted = self._looked = time.monotonic()
        self._stamp: tuple[int, int] | None = None

    def __call__(self) -> None:
        saved = {step: path for step, path in states(self._work).items() if step not in self._known}
        for step, path in saved.items():
            self._known.add(step)
            self._passed(step, path)
        now_ = time.monotonic()
        if saved or now_ - self._noted > _NOTE_SECONDS:
            self._noted = now_
            try:
                self._session.note()
            except (
                HarnessError
            ) as error:  # it would end the training, less its last steps; the next note says it all
                self._show.say(str(error))
        if now_ - self._looked > _LOG_SECONDS:
            self._looked = now_
            self._look_at_log()

    def _look_at_log(self) -> None:
        try:
            found = (self._work / LOG).stat()
        except OSError:
            return
        stamp = (found.st_size, found.st_mtime_ns)
        if stamp != self._stamp and (log := read_log(self._work)):
            self._stamp = stamp
            self._show.logged(log)


def _base_name(plan: Plan) -> str | None:
    """Name in results of the model that all starts from, as far as it is known before it is fetched."""
    if plan.base is not None:
        folder = plan.base.folder(plan.layout.base)
        return plan.base.name if folder is None else name_of(folder)
    return None if plan.root is None else plan.root.name

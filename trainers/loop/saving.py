"""States and finished models out: each appears whole, by rename, and only where the disk has room for it."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from transformers import PrinterCallback, TrainerCallback

from harness import HarnessError, StageJob
from harness.errors import one_line
from harness.files import disk_error

from .disk import check_space, is_full, sync_folder, written_whole
from .loading import load_weights, stored_dtype, with_adapters
from .process import any_process, only_first, wait_for_all

if TYPE_CHECKING:
    from transformers import Trainer as _Trainer
else:
    _Trainer = object

STATE: Final = "state"
"""Folder of the states in `job.work`."""
_PREFIX: Final = "checkpoint-"
_SAVING: Final = ".saving-"
_REMOVING: Final = ".removing-"
_SHARE: Final = 0.05
"""Of a stage's steps, that a kill may cost where the parameters do not say how often a state is saved."""
_STATES: Final = 2
_FINAL: Final = "trainer_state.json"  # the last file that a state gets


def last_state(work: Path) -> Path | None:
    """The furthest state of a stage, to go on from; what was left half written is removed.

    Args:
        work: folder of the stage.
    """
    folder = work / STATE
    if not folder.is_dir():
        return None
    if only_first():
        for pattern in (f"{_SAVING}*", f"{_REMOVING}*"):
            for left in folder.glob(pattern):
                shutil.rmtree(left, ignore_errors=True)
    found = _states(folder)
    return found[max(found)] if found else None


def step_of(state: Path | None) -> int:
    """Of the optimiser, at which a state was saved; 0 where there is none."""
    return int(state.name.removeprefix(_PREFIX)) if state is not None else 0


def _states(folder: Path) -> dict[int, Path]:
    found = {}
    for path in folder.glob(f"{_PREFIX}*"):
        step = path.name.removeprefix(_PREFIX)
        if step.isdecimal() and (path / _FINAL).is_file():
            found[int(step)] = path
    return found


class WholeStates(_Trainer):  # type: ignore[misc,unused-ignore]
    """For a trainer of TRL: its states appear whole or not at all.

    Put it before the trainer among the bases and call `keep_states` when the trainer is made.
    """

    _saving: Path | None = None
    _kept: int | None = _STATES
    _before_state: Callable[[], None] | None = None

    def keep_states(self, job: StageJob, before: Callable[[], None] | None = None) -> None:
        """Say how many states are kept: `save_total_limit`, else two, else all where each epoch's end is saved.

        Args:
            before: called in the first process before a state gets its name.
        """
        # The ends of epochs are checkpoints to be looked at, so none of them is removed unless a limit is given.
        usual = None if job.parameters.get("save_strategy") == "epoch" else _STATES
        self._kept = job.parameters.get("save_total_limit", usual)
        self._before_state = before

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.remove_callback(PrinterCallback)  # the log says it, and better

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """None: the report says more than a card that was filled in by rote."""

    def _get_output_dir(self, trial: Any) -> str:
        return str(self._saving) if self._saving is not None else str(super()._get_output_dir(trial))

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        folder = Path(self.args.output_dir)
        name = f"{_PREFIX}{self.state.global_step}"
        final = folder / name
        if any_process(only_first() and final.exists()):
            return  # as at the end of an epoch that ends with a save
        saving = folder / f"{_SAVING}{self.state.global_step}"
        problem = None
        if only_first():
            try:
                folder.mkdir(parents=True, exist_ok=True)
                check_space(folder, state_bytes(self.model))
                shutil.rmtree(saving, ignore_errors=True)
                saving.mkdir()
            except HarnessError as error:
                problem = error
            except OSError as error:
                problem = disk_error(error, saving)
        self._all_or_none(problem)
        self._saving = saving
        try:
            super()._save_checkpoint(model, trial)
        except Exception as error:
            shutil.rmtree(saving, ignore_errors=True)
            if isinstance(error, OSError):
                raise disk_error(error, final) from None
            if is_full(error):
                raise HarnessError(
                    f"no space left to write {final}: {one_line(error)}; free some space"
                ) from None
            raise
        finally:
            self._saving = None
        wait_for_all()
        if only_first():
            try:
                # A pickled copy of the settings, which nothing reads and no model's folder should hold.
                (saving / name / "training_args.bin").unlink(missing_ok=True)
                sync_folder(saving / name)
                if self._before_state is not None:
                    self._before_state()
                os.replace(saving / name, final)
                sync_folder(folder, deep=False)
                shutil.rmtree(saving, ignore_errors=True)
                self._remove_old(folder)
            except OSError as error:
                problem = disk_error(error, final)
        self._all_or_none(problem)

    def _all_or_none(self, problem: HarnessError | None) -> None:
        """Raise in every process what went wrong in the first one."""
        if any_process(problem is not None):
            raise problem or HarnessError("the first process could not save the state")

    def _remove_old(self, folder: Path) -> None:
        states = _states(folder)
        if self._kept is None:
            return
        for step in sorted(states)[: -self._kept]:
            gone = folder / f"{_REMOVING}{step}"
            with suppress(OSError):
                os.replace(states[step], gone)  # so that nothing half removed bears the name of a state
                shutil.rmtree(gone, ignore_errors=True)


class SaveOften(TrainerCallback):  # type: ignore[misc,unused-ignore]
    """Saves often enough that a kill costs a twentieth of the steps, unless the parameters say how often.

    Whenever a state is saved, the step is logged: the log then holds what a stage that goes on needs of it.
    """

    def __init__(self, job: StageJob) -> None:
        given = job.parameters
        self._set = "save_steps" in given or given.get("save_strategy") == "no"
        self._every = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if not self._set:
            self._every = max(1, math.ceil(state.max_steps * _SHARE))

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._every and state.global_step % self._every == 0:
            control.should_save = True
        if control.should_save:
            control.should_log = True


def state_bytes(model: Any) -> int:
    """Bytes that a state needs on the disk: what is saved of the weights, and the optimiser's two moments of those
    that are trained.
    """
    weights = moments = 0
    adapters = hasattr(model, "peft_config")
    for parameter in model.parameters():
        size = _count(parameter) * parameter.element_size()
        if parameter.requires_grad:
            moments += 2 * size
        if parameter.requires_grad or not adapters:
            weights += size
    return weights + moments


def _count(parameter: Any) -> int:
    # Under DeepSpeed a sharded parameter knows of its own part only, unless it is asked for all of it.
    return int(getattr(parameter, "ds_numel", None) or parameter.numel())


def finish(trainer: Any, job: StageJob) -> None:
    """Write the finished model to `job.out`; all processes must come here.

    Adapters are merged into the weights, which are stored in the type of the model that the stage started from.

    Raises:
        HarnessError: the disk is full or the folder cannot be written; there is no torn folder then.
    """
    import torch

    dtype = getattr(torch, stored_dtype(job.starts_from[0]) if job.starts_from else "float32")
    accelerator = trainer.accelerator
    sharded = accelerator.distributed_type.value in ("FSDP", "DEEPSPEED")
    state = accelerator.get_state_dict(trainer.model_wrapped) if sharded else None
    problem = None
    if only_first():
        try:
            model = accelerator.unwrap_model(trainer.model)
            with written_whole(job.out) as folder:
                check_space(folder, sum(_count(p) for p in model.parameters()) * dtype.itemsize)
                if hasattr(model, "peft_config"):
                    model, state = _merged(model, state, job), None
                _write(model, state, dtype, folder)
                trainer.processing_class.save_pretrained(folder)
        except HarnessError as error:
            problem = error
    if any_process(problem is not None):
        raise problem or HarnessError("the first process could not write the finished model")


def _merged(model: Any, state: dict[str, Any] | None, job: StageJob) -> Any:
    """The model that the stage started from with the trained adapters in its weights, added up in float32."""
    import peft

    adapters = peft.get_peft_model_state_dict(model, state_dict=state)
    fresh = with_adapters(
        load_weights(job.starts_from[0], {**job.parameters, "dtype": "float32"}), job.parameters
    )
    peft.set_peft_model_state_dict(fresh, {name: value.to("cpu") for name, value in adapters.items()})
    return fresh.merge_and_unload()


def _write(model: Any, state: dict[str, Any] | None, dtype: Any, folder: Path) -> None:
    if state is None:
        model = model.to("cpu", dtype)
    else:
        if getattr(model.config, "tie_word_embeddings", False):
            state.pop("lm_head.weight", None)
        state = {
            name: value.to(dtype) if value.is_floating_point() else value for name, value in state.items()
        }
    model.config.dtype = dtype
    model.config.use_cache = True
    model.save_pretrained(folder, state_dict=state)

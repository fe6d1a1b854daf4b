"""States and finished models out: each appears whole, by rename, and only where the disk has room for it."""

from __future__ import annotations

import json
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

from ..merge.carried import TOKENIZER, carry_over
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
_WHOLE: Final = 1e-9
"""How far from a whole number the epoch may be, at the end of one."""
_OF_MODEL: Final = frozenset({".safetensors", ".json", ".jinja", ".txt", ".model", ".tiktoken"})


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
    last = max(found, default=0)
    if only_first():
        for step, path in _stripped(folder).items():
            if step > last:  # somebody has removed the states after it: it is made once more
                shutil.rmtree(path, ignore_errors=True)
    return found.get(last)


def step_of(state: Path | None) -> int:
    """Of the optimiser, at which a state was saved; 0 where there is none."""
    return int(state.name.removeprefix(_PREFIX)) if state is not None else 0


def _states(folder: Path) -> dict[int, Path]:
    """Those that can be gone on from, by step."""
    return {step: path for step, path in _saved(folder).items() if (path / _FINAL).is_file()}


def _stripped(folder: Path) -> dict[int, Path]:
    return {step: path for step, path in _saved(folder).items() if not (path / _FINAL).is_file()}


def _saved(folder: Path) -> dict[int, Path]:
    named = {path.name.removeprefix(_PREFIX): path for path in folder.glob(f"{_PREFIX}*")}
    return {int(step): path for step, path in named.items() if step.isdecimal()}


def strip(state: Path) -> None:
    """Take from a state what only going on from it needs; the model stays, to be evaluated.

    Its last file goes first, so that nothing ever goes on from a state that somebody who was killed has left half
    stripped.
    """
    (state / _FINAL).unlink(missing_ok=True)
    sync_folder(state, deep=False)
    for path in state.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.suffix not in _OF_MODEL:
            path.unlink(missing_ok=True)


def _ends_epoch(state: Path) -> bool:
    try:
        epoch = json.loads((state / _FINAL).read_bytes())["epoch"]
        return bool(abs(epoch - round(epoch)) < _WHOLE)
    except (OSError, ValueError, OverflowError, KeyError, TypeError):
        return False


class WholeStates(_Trainer):  # type: ignore[misc,unused-ignore]
    """For a trainer of TRL: its states appear whole or not at all.

    Put it before the trainer among the bases and call `keep_states` when the trainer is made.
    """

    _saving: Path | None = None
    _kept: int = _STATES
    _keeps_epochs = False
    _before_state: Callable[[], None] | None = None

    def keep_states(self, job: StageJob, before: Callable[[], None] | None = None) -> None:
        """Say how many states are kept: `save_total_limit`, else two. Where the ends of epochs are saved and no limit
        is given, the models of older ones stay, without what only training needs.

        Args:
            before: called in the first process before a state gets its name.
        """
        limit = job.parameters.get("save_total_limit")
        self._kept = limit or _STATES
        # The ends of epochs are checkpoints to be looked at.
        self._keeps_epochs = limit is None and job.parameters.get("save_strategy") == "epoch"
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
                fsdp, deepspeed = bool(self.is_fsdp_enabled), bool(self.is_deepspeed_enabled)
                check_space(folder, state_bytes(self.model, twice=fsdp, masters=deepspeed))
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
        for step in sorted(states)[: -self._kept]:
            gone = folder / f"{_REMOVING}{step}"
            with suppress(OSError):
                if self._keeps_epochs and _ends_epoch(states[step]):
                    strip(states[step])
                    continue
                os.replace(states[step], gone)  # so that nothing half removed bears the name of a state
                shutil.rmtree(gone, ignore_errors=True)
        for state in _stripped(folder).values():
            with suppress(OSError):
                strip(state)  # killed while it did


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

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if control.should_save:
            control.should_log = True


def state_bytes(model: Any, *, twice: bool = False, masters: bool = False) -> int:
    """Bytes that a state needs on the disk: what is saved of the weights, and the optimiser's two moments of those
    that are trained.

    Args:
        twice: the weights are written a second time, in a form of FSDP's own that it goes on from.
        masters: the optimiser holds moments and a copy of the weights in float32, as DeepSpeed's does.
    """
    weights = moments = 0
    adapters = hasattr(model, "peft_config")
    for parameter in model.parameters():
        count, width = _count(parameter), parameter.element_size()
        if parameter.requires_grad:
            moments += count * (12 if masters else 2 * width)
        if parameter.requires_grad or not adapters:
            weights += count * width
    return (2 if twice else 1) * weights + moments


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
                # As it was, to the last byte: transformers would write it in a way of its own, and what other engines
                # make of that is another question.
                if not (job.starts_from and carry_over(job.starts_from[0], folder, TOKENIZER)):
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

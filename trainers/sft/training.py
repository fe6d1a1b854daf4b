"""A stage of supervised fine-tuning, by TRL's SFTTrainer. Imports torch: import it only when a stage runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from harness import StageJob

from ..loop.arguments import build, settings_of
from ..loop.interrupt import InterruptCallback
from ..loop.log import LogCallback, StageLog
from ..loop.order import RowOrder
from ..loop.rows import Encoded, RowSet, load_rows
from ..loop.saving import SaveOften, WholeStates, finish, last_state, step_of

MAX_LENGTH: Final = 16_384
"""Most tokens of a row, where the parameters do not say."""


class CompletionTrainer(WholeStates, SFTTrainer):  # type: ignore[misc,unused-ignore]
    """TRL's trainer on rows that are tokens already, in an order that depends on seed and epoch alone."""

    def __init__(
        self, model: Any, tokenizer: Any, rows: list[Encoded], args: Any, callbacks: list[Any]
    ) -> None:
        self._rows = RowSet(rows, bool(args.completion_only_loss), tokenizer.eos_token_id)
        packing = args.packing
        # Without packing, TRL is shown one row, and reads the others from the plain list.
        shown = [self._rows[i] for i in range(len(rows) if packing else 1)]
        args.dataset_kwargs = None if packing else {"skip_prepare_dataset": True}
        super().__init__(
            model=model,
            args=args,
            train_dataset=Dataset.from_list(shown),
            processing_class=tokenizer,
            callbacks=callbacks,
        )
        if not packing:
            self.train_dataset = self._rows
        self._order: RowOrder | None = None

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        packed = self.train_dataset is not self._rows
        lengths = [0] * len(self.train_dataset) if packed else self._rows.lengths
        self._order = RowOrder(
            lengths,
            self.args.train_sampling_strategy,
            self.args.data_seed,
            self.args.per_device_train_batch_size,
            1 if packed else self.args.world_size,
        )
        return self._order

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        if (
            self._order is not None
        ):  # the data loader passes the epoch on, but not when its first batches are skipped
            self._order.set_epoch(kwargs["epoch"])
        if self.state.global_step >= self.state.max_steps:  # killed after the last step: there is no other
            self.control.should_training_stop = True
            return
        super()._run_epoch(*args, **kwargs)


def train(job: StageJob, load: Callable[[], tuple[Any, Any]], **defaults: Any) -> None:
    """Make `job.out`, going on from the last state in `job.work`.

    Args:
        load: makes the model to start from and its tokenizer.
        defaults: of parameters, in place of those here.

    Raises:
        HarnessError: bad rows, another kind of model, no room on the disk.
        Interrupted: SIGTERM or Ctrl-C; the state is saved.
    """
    settings: dict[str, Any] = {
        "max_length": MAX_LENGTH,
        "completion_only_loss": True,
        "packing": False,
        **defaults,
    }
    args = settings_of(SFTConfig, job, build(job, "sft", **settings))
    model, tokenizer = load()
    context = getattr(model.config, "max_position_embeddings", None) or args.max_length
    rows = load_rows(job, tokenizer, min(args.max_length, context))
    state = last_state(job.work)
    log = LogCallback(StageLog(job.work), job.stage, step_of(state))
    interrupt = InterruptCallback()
    trainer = CompletionTrainer(model, tokenizer, rows, args, [interrupt, SaveOften(job), log])
    trainer.keep_states(job, before=log.log.sync)
    trainer._total_train_tokens = log.tokens  # TRL counts them from nothing in every session
    with interrupt.listening(job):
        trainer.train(resume_from_checkpoint=str(state) if state is not None else None)
    finish(trainer, job)

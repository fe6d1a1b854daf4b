"""A stage of GRPO, by TRL's GRPOTrainer. Imports torch: import it only when a stage runs."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from contextlib import closing, nullcontext
from typing import Any, Final

import torch
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer
from trl.trainer.utils import RepeatSampler

from harness import HarnessError, StageJob
from harness.errors import one_line
from harness.grading import open_pool

from ..loop.arguments import build, settings_of
from ..loop.interrupt import InterruptCallback
from ..loop.loading import load_model
from ..loop.log import LogCallback, StageLog
from ..loop.plugins import plugins_of_stage
from ..loop.process import only_first
from ..loop.rows import prompt_ids
from ..loop.saving import SaveOften, WholeStates, finish, last_state, step_of
from . import settings
from .lengths import Scored, by_length
from .problems import check_context, load_problems
from .reward import METRICS, GradedReward, Shaping, end_ids, reader
from .sampling import can_drop_ended, dropping_ended

_LOGGED: Final = {"frac_reward_zero_std": "no_signal", **METRICS}
"""Figures of TRL and of the reward -> their names in the log, beside those that every trainer has."""


_ROWS: Final = 16
"""Chains that a processor scores at once, of those that it learns from together."""


class ProblemOrder(RepeatSampler):  # type: ignore[misc,unused-ignore]
    """TRL's order of the problems, as a function of the seed and the epoch alone.

    TRL's own goes on from where its generator stands, which a stage that was stopped in its second epoch would not
    find again.
    """

    epoch = 0

    def __iter__(self) -> Iterator[int]:
        if self.shuffle:
            self.generator = torch.Generator()
            self.generator.manual_seed(self.seed + self.epoch)
        yield from super().__iter__()


class GroupTrainer(WholeStates, GRPOTrainer):  # type: ignore[misc,unused-ignore]
    """TRL's trainer, with prompts rendered as everywhere here and problems in an order that can be gone on with."""

    _order: ProblemOrder | None = None

    def _get_train_sampler(self, dataset: Any = None) -> Any:
        self._order = ProblemOrder(
            data_source=self.train_dataset if dataset is None else dataset,
            mini_repeat_count=self.num_generations,
            batch_size=self.args.generation_batch_size // self.num_generations,
            repeat_count=self.num_iterations * self.args.steps_per_generation,
            shuffle=self.shuffle_dataset,
            seed=self.args.data_seed,
        )
        return self._order

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        if (
            self._order is not None
        ):  # the data loader passes the epoch on, but not when its first batches are skipped
            self._order.epoch = kwargs["epoch"]
        if self.state.global_step >= self.state.max_steps:  # killed after the last step: there is no other
            self.control.should_training_stop = True
            return
        super()._run_epoch(*args, **kwargs)

    def _tokenize_prompts(self, prompts: list[Any]) -> tuple[list[list[int]], None, dict[str, Any]]:
        return [prompt_ids(self.processing_class, prompt)[0] for prompt in prompts], None, {}

    def _generate_single_turn(self, *args: Any, **kwargs: Any) -> Any:
        model = self.accelerator.unwrap_model(self.model)
        plain = not (self.args.generation_kwargs or self.args.cache_implementation or self._is_sharded)
        with dropping_ended(model) if plain and can_drop_ended(model) else nullcontext():
            return super()._generate_single_turn(*args, **kwargs)

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        **others: Any,
    ) -> Any:
        base, entropy = super()._get_per_token_logps_and_entropies, bool(others.pop("compute_entropy", False))
        if any(
            value is not None and value is not False for value in others.values()
        ):  # images, router losses
            given = {**others, "compute_entropy": entropy, "batch_size": batch_size}
            return base(model, input_ids, attention_mask, logits_to_keep, **given)
        # Several processes must go through a model equally often; and a GPU is not to be given little at a time.
        alone = self.args.world_size == 1 and input_ids.device.type == "cpu"
        at_once = _ROWS if alone else (batch_size or len(input_ids))

        def score(ids: torch.Tensor, mask: torch.Tensor, tokens: int) -> Scored:
            logs, entropies, _ = base(model, ids, mask, tokens, compute_entropy=entropy)
            return logs, entropies

        return *by_length(score, input_ids, attention_mask, logits_to_keep, at_once), None

    @property
    def _is_sharded(self) -> bool:
        """Whether all processes must go through the model equally often while they sample."""
        return str(self.accelerator.distributed_type.value) in ("FSDP", "DEEPSPEED")


class StopBetweenBlocks(InterruptCallback):
    """Stops where new chains are due: those that are still to be learnt from are no part of a state."""

    def __init__(self, block: int) -> None:
        super().__init__()
        self._block = block

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step % self._block == 0:
            super().on_step_end(args, state, control, **kwargs)


class SaveBetweenBlocks(SaveOften):
    """Saves where new chains are due, for the same reason."""

    def __init__(self, job: StageJob, block: int) -> None:
        super().__init__(job)
        self._block = block

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        super().on_train_begin(args, state, control, **kwargs)
        self._every = math.ceil(self._every / self._block) * self._block


def train(job: StageJob) -> None:
    """Make `job.out`, going on from the last state in `job.work`.

    Raises:
        HarnessError: bad rows, another kind of model, no room on the disk.
        Interrupted: SIGTERM or Ctrl-C; the state is saved.
    """
    given = job.parameters
    args = _config(job)
    plugins = plugins_of_stage()
    model, tokenizer = load_model(job)
    problems = load_problems(job, tokenizer, plugins)
    check_context(model, problems, args.max_completion_length)
    if args.use_vllm and args.vllm_max_model_length is None:
        args.vllm_max_model_length = problems.longest + args.max_completion_length
    # A chain ends in training where it would end in an evaluation.
    model.generation_config.eos_token_id = end_ids(model, tokenizer)
    state = last_state(job.work)
    log = LogCallback(StageLog(job.work), job.stage, step_of(state), _LOGGED)
    block = settings.block_steps(given, job.devices)
    interrupt = StopBetweenBlocks(block)
    with closing(open_pool(plugins, float(settings.own(given, "grading_deadline")))) as pool:
        reward = GradedReward(
            problems.normalizers,
            pool,
            reader(tokenizer),
            model.generation_config.eos_token_id,
            args.num_generations,
            Shaping(settings.own(given, "length_penalty"), settings.own(given, "format_reward")),
        )
        trainer = GroupTrainer(
            model=model,
            reward_funcs=reward,
            args=args,
            train_dataset=Dataset.from_list(problems.rows),
            processing_class=tokenizer,
            callbacks=[interrupt, SaveBetweenBlocks(job, block), log],
        )
        trainer.keep_states(job, before=log.log.sync)
        with interrupt.listening(job):
            trainer.train(resume_from_checkpoint=str(state) if state is not None else None)
    finish(trainer, job)


def _config(job: StageJob) -> Any:
    built = build(job, "grpo", **settings.DEFAULTS)
    if built.get("use_vllm") and not _has_vllm(job):
        built["use_vllm"] = False
    return settings_of(GRPOConfig, job, built)


def _has_vllm(job: StageJob) -> bool:
    """Whether chains can be sampled by vLLM.

    Raises:
        HarnessError: there is a GPU, but vLLM is not installed.
    """
    if not torch.cuda.is_available():
        if only_first():
            print(
                f"{job.stage}: use_vllm needs a GPU, and there is none: chains are sampled with transformers, slowly",
                file=sys.stderr,
                flush=True,
            )
        return False
    try:
        import vllm  # noqa: F401
    except ImportError as error:
        raise HarnessError(
            f"use_vllm: true needs vllm ({one_line(error)}): pip install 'fathom-harness[vllm]', or set it to false"
        ) from None
    return True

"""A stage's rows as problems: prompts that are short enough, each with the gold that its chains are graded against."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from harness import HarnessError, Normalizer, StageJob
from harness.files import write_json
from harness.plugins import PluginManager

from ..loop.process import only_first
from ..loop.rows import FILE, prompt_ids, read_rows
from . import settings


@dataclass(slots=True)
class Counts:
    """What became of the rows of a stage."""

    rows: int = 0
    """That are trained on."""
    dropped: int = 0
    """Whose prompt is over the limit."""
    prompt_tokens: int = 0
    """Of the rows that are trained on."""
    longest: int = 0
    """Tokens of the longest prompt, those that were dropped included."""
    left_over: int = 0
    """At the end of each epoch, too few for another step."""


@dataclass(frozen=True, slots=True)
class Problems:
    """What a stage samples chains of."""

    rows: list[dict[str, Any]]
    """With `prompt` (messages), `gold` and `normalizer`."""
    normalizers: dict[str, Normalizer]
    longest: int
    """Tokens of the longest prompt that is left."""


def load_problems(job: StageJob, tokenizer: Any, plugins: PluginManager) -> Problems:
    """The stage's rows; what was left out of them is said and written to `job.work`.

    Raises:
        HarnessError: there are none, too few for a step, or they are not as they should be.
    """
    if job.data is None:
        raise HarnessError(f"stage {job.stage} has no data: say in the recipe where its rows come from")
    limit = int(settings.own(job.parameters, "max_prompt_length"))
    counts, rows, longest = Counts(), [], 0
    normalizers: dict[str, Normalizer] = {}
    for number, row in enumerate(read_rows(job.data, ("prompt", "gold", "normalizer")), 1):
        where = f"{job.data} row {number}"
        _check_row(row, where)
        name = row["normalizer"]
        if name not in normalizers:
            try:
                normalizers[name] = plugins.normalizer(name)
            except HarnessError as error:
                raise HarnessError(f"{where}: {error}") from None
        length = len(prompt_ids(tokenizer, row["prompt"])[0])
        counts.longest = max(counts.longest, length)
        if length > limit:
            counts.dropped += 1
            continue
        counts.rows += 1
        counts.prompt_tokens += length
        longest = max(longest, length)
        prompt = [{"role": message["role"], "content": message["content"]} for message in row["prompt"]]
        rows.append({"prompt": prompt, "gold": row["gold"], "normalizer": name})
    _check_number(job, counts, limit)
    if only_first():
        write_json(job.work / FILE, asdict(counts))
        _tell(job, counts, limit)
    return Problems(rows, normalizers, longest)


def _check_row(row: Mapping[str, Any], where: str) -> None:
    if not row["prompt"]:
        raise HarnessError(f"{where}: its prompt is empty")
    if not row["gold"].strip():
        raise HarnessError(f"{where}: its gold is empty: no chain could be told right from wrong")


def _check_number(job: StageJob, counts: Counts, limit: int) -> None:
    chains = settings.generation_batch(job.parameters, job.devices)
    group = job.parameters.get("num_generations", settings.DEFAULTS["num_generations"])
    at_once = chains // group
    if not counts.rows:
        raise HarnessError(
            f"{job.data}: none of {counts.dropped:,} rows is left: all prompts have more than max_prompt_length="
            f"{limit:,} tokens (the longest {counts.longest:,})"
        )
    if counts.rows < at_once:
        raise HarnessError(
            f"{job.data} has {counts.rows:,} usable rows and {at_once:,} problems are sampled at a time: lower "
            "per_device_train_batch_size or gradient_accumulation_steps, or bring more rows"
        )
    counts.left_over = counts.rows % at_once


def _tell(job: StageJob, counts: Counts, limit: int) -> None:
    if counts.dropped:
        print(
            f"{job.stage}: of {counts.rows + counts.dropped:,} rows {counts.dropped:,} left out, their prompts being "
            f"over {limit:,} tokens (the longest has {counts.longest:,})",
            file=sys.stderr,
            flush=True,
        )


def check_context(model: Any, problems: Problems, most: int) -> None:
    """
    Args:
        most: tokens that a chain may have.

    Raises:
        HarnessError: prompt and chain do not fit into the model's context together.
    """
    context = getattr(model.config, "max_position_embeddings", None)
    if context is not None and problems.longest + most > context:
        raise HarnessError(
            f"the model's context is {context:,} tokens, and the longest prompt ({problems.longest:,}) and "
            f"max_completion_length ({most:,}) need more: lower max_completion_length or max_prompt_length"
        )

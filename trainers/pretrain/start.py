"""The model that pre-training starts from: random weights and a tokenizer, made once for a stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness import HarnessError, StageJob

from ..loop.disk import written_whole
from ..loop.loading import load_tokenizer, load_weights
from ..loop.process import only_first, wait_for_all
from ..loop.rows import read_rows
from .shape import Shape
from .tokenizer import END, PAD, train_tokenizer


def load_start(job: StageJob, shape: Shape) -> tuple[Any, Any]:
    """The model and the tokenizer; the same for the same rows, shape and seed.

    They lie in `job.work`, so that a stage that goes on has the tokenizer that it began with.
    """
    folder = job.work / "start"
    if only_first() and not folder.is_dir():
        _make(job, shape, folder)
    wait_for_all()
    return load_weights(folder, job.parameters), load_tokenizer(folder, job.parameters)


def _make(job: StageJob, shape: Shape, folder: Path) -> None:
    import torch
    from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM

    if job.data is None:
        raise HarnessError(f"stage {job.stage} has no data: say in the recipe where its rows come from")
    tokenizer = train_tokenizer(read_rows(job.data), shape.vocab_size)
    end, pad = tokenizer.convert_tokens_to_ids([END, PAD])
    config = Qwen2Config(
        **shape.config(),
        vocab_size=len(tokenizer),
        bos_token_id=None,
        eos_token_id=end,
        pad_token_id=pad,
    )
    torch.manual_seed(int(job.parameters.get("seed", 0)))
    model = Qwen2ForCausalLM(config)
    model.generation_config = GenerationConfig(eos_token_id=[end, pad], pad_token_id=pad)
    with written_whole(folder) as part:
        model.save_pretrained(part)
        tokenizer.save_pretrained(part)

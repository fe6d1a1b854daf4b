"""What makes GRPO faster on chains of unlike length changes nothing of what comes out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .tiny_training import base_model


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder: Path = base_model(tmp_path_factory.mktemp("models") / "tiny")
    return AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(
        folder, padding_side="left"
    )


def test_chains_are_those_of_transformers_though_the_ended_ones_are_taken_out(
    loaded: tuple[Any, Any],
) -> None:
    import torch
    from transformers import GenerationConfig

    from harness_trainers.grpo.sampling import can_drop_ended, dropping_ended

    model, tokenizer = loaded
    assert can_drop_ended(model)
    asked = tokenizer(
        [f"What is {n} + {n * n}?" + " yes" * (n % 4) for n in range(24)], return_tensors="pt", padding=True
    )
    # The likeliest token each time, and one in eight of all tokens ends a chain.
    settings = GenerationConfig(
        max_new_tokens=200, do_sample=True, top_k=1, pad_token_id=0, eos_token_id=list(range(3, 320, 8))
    )
    model.generation_config = settings
    rows = []
    forward = model.forward
    model.forward = lambda **inputs: (rows.append(len(inputs["input_ids"])), forward(**inputs))[1]
    try:
        with torch.no_grad():
            usual = model.generate(**asked, generation_config=settings)
            before, rows[:] = sum(rows), []
            with dropping_ended(model):
                ours = model.generate(**asked, generation_config=settings)
    finally:
        del model.forward
    assert "generate" not in vars(model)
    assert torch.equal(ours, usual)
    assert min(rows) <= 3
    assert sum(rows) < 0.7 * before


def test_every_chain_of_a_seed_is_sampled_again_the_same(loaded: tuple[Any, Any]) -> None:
    import torch
    from transformers import GenerationConfig

    from harness_trainers.grpo.sampling import dropping_ended

    model, tokenizer = loaded
    asked = tokenizer(["What is 1 + 1?"] * 8, return_tensors="pt", padding=True)
    settings = GenerationConfig(max_new_tokens=60, do_sample=True, pad_token_id=0, eos_token_id=[2, 9, 11])
    model.generation_config = settings
    with torch.no_grad(), dropping_ended(model):
        found = []
        for seed in (1, 1, 2):
            torch.manual_seed(seed)
            found.append(model.generate(**asked, generation_config=settings).tolist())
    assert found[0] == found[1] != found[2]
    assert len({tuple(row) for row in found[0]}) == 8


def test_scores_do_not_depend_on_which_chains_are_scored_together(loaded: tuple[Any, Any]) -> None:
    import torch

    from harness_trainers.grpo.lengths import Scored, by_length

    model, _ = loaded
    prompts, chains = [5, 3, 7, 4, 6], [2, 12, 1, 9, 30]
    tokens = max(chains)
    ids = torch.zeros(5, 7 + tokens, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, (asked, said) in enumerate(zip(prompts, chains, strict=True)):
        ids[row, 7 - asked : 7 + said] = torch.arange(20 + row, 20 + row + asked + said)
        mask[row, 7 - asked : 7 + said] = 1
    widths = []

    def score(ids: torch.Tensor, mask: torch.Tensor, tokens: int) -> Scored:
        widths.append(ids.shape[1])
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        logits = model(input_ids=ids, attention_mask=mask, position_ids=positions).logits[:, -tokens - 1 : -1]
        logs = torch.log_softmax(logits, -1)
        given = logs.gather(2, ids[:, -tokens:, None]).squeeze(2)
        return given * mask[:, -tokens:], -(logs.exp() * logs).sum(-1) * mask[:, -tokens:]

    whole = score(ids, mask, tokens)
    sorted_ = by_length(score, ids, mask, tokens, 2)
    assert widths == [37, 9, 16, 36]  # all at once; then of 1 and 2, of 9 and 12, and of 30 tokens
    for expected, found in zip(whole, sorted_, strict=True):
        assert expected is not None
        assert found is not None
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    found[:, 0].sum().backward()  # what is learnt goes through it
    assert all(parameter.grad is not None for parameter in model.parameters())

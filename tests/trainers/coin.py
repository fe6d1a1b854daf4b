"""A model that answers every question with one of two numbers, as a coin falls, for what GRPO makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .tiny_training import base_model

QUESTIONS = 8


def prompt(number: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"What is {number} + {number + 3}?"}]


def problems(count: int = QUESTIONS, gold: str = "4") -> list[dict[str, Any]]:
    """Questions of which `gold` is the answer, whatever they ask."""
    return [
        {"id": f"coin-{n}", "prompt": prompt(n), "gold": gold, "normalizer": "integer", "source": "coin"}
        for n in range(count)
    ]


def coin_model(folder: Path, steps: int = 40) -> Path:
    """Write a model that says \\boxed{3} or \\boxed{4}, either about as often, and ends there."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # several wait for each other where other tests keep the processor busy
    base_model(folder, initializer_range=0.05)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    rows = []
    for number in range(QUESTIONS):
        asked = tokenizer.apply_chat_template(prompt(number), tokenize=False, add_generation_prompt=True)
        for answer in (3, 4):
            given = f"\\boxed{{{answer}}}<|im_end|>"
            ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in (asked, given)]
            rows.append((ids[0] + ids[1], len(ids[0])))
    longest = max(len(ids) for ids, _ in rows)
    inputs = torch.tensor([ids + [0] * (longest - len(ids)) for ids, _ in rows])
    labels = torch.tensor(
        [[-100] * start + ids[start:] + [-100] * (longest - len(ids)) for ids, start in rows]
    )
    for _ in range(steps):
        model(input_ids=inputs, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    torch.set_num_threads(threads)
    model.save_pretrained(folder)
    return folder

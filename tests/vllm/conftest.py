"""A tiny real model, and one running engine for all tests that can share it."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import Engine, SamplingSettings
from harness.models import ResolvedModel, resolve_model
from harness_plugins.samplers.vllm import VLLM

from ..samplers.tiny import make_tiny_model

needs_vllm = pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="needs vLLM: make test-vllm")

CONTEXT = 512
IN_FLIGHT = 16
SETTINGS = SamplingSettings(temperature=1.0, top_p=0.95, max_tokens=48)
OPTIONS = {"dtype": "float32", "max_in_flight": str(IN_FLIGHT), "context": str(CONTEXT)}


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> ResolvedModel:
    return resolve_model(str(make_model(tmp_path_factory.mktemp("models") / "tiny")), [])


@pytest.fixture(scope="session")
def engine(model: ResolvedModel) -> Iterator[Engine]:
    with VLLM().open(model, SETTINGS, OPTIONS) as engine:
        yield engine


def make_model(folder: Path) -> Path:
    """The tiny model with heads as wide as vLLM's attention on processors needs them."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config.from_pretrained(make_tiny_model(folder, context=CONTEXT))
    config.num_attention_heads, config.num_key_value_heads = 2, 1
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(config)
    model.generation_config.eos_token_id = [config.eos_token_id, *range(200, 210)]
    model.save_pretrained(folder)
    return folder

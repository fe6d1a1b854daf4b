"""What makes two numbers comparable: the protocol as asked, seeds, and the fingerprint of a run."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from .components import Protocol
from .config import SamplingConfig
from .records import ChainKey, Problem, Prompt

FINGERPRINT_DIGITS = 12


def asked_protocol(base: Protocol, config: SamplingConfig, n: int | None = None) -> Protocol:
    """The named protocol with what the user changed of it.

    Args:
        n: chains per problem; None for the protocol's own number.
    """
    changes: dict[str, Any] = {
        name: value
        for name in ("temperature", "top_p", "max_tokens")
        if (value := getattr(config, name)) is not None
    }
    return dataclasses.replace(base, n=n or base.n, **changes)


def chain_seed(run_seed: int, key: ChainKey) -> int:
    """The seed of one chain, in 0..2**31-1.

    A hash of (run seed, benchmark, problem) gives the start, the sample index moves on by an odd step: modulo a
    power of two that is a bijection, so no two chains of a problem share a seed, and a chain's seed does not
    depend on n.
    """
    name = f"{run_seed}|{key.benchmark}|{key.problem_id}".encode()
    start = int.from_bytes(hashlib.sha256(name).digest()[:4], "big")
    step = 0x9E3779B1  # 2**32 / golden ratio: neighbouring indexes land far apart
    return (start + key.index * step) % 2**31


def digest(value: object) -> str:
    """Hex SHA-256 of a JSON-able value, the same on every machine."""
    # Escaped to ASCII: integers of any size and lone surrogates have a digest too.
    data = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(data.encode("ascii")).hexdigest()


def data_fingerprint(problems: Sequence[Problem], prompts: Sequence[Prompt]) -> str:
    """Hex digest of what was asked of the model and what counts as right, in order."""
    rows = [
        [problem.id, problem.gold, _shown(prompt)] for problem, prompt in zip(problems, prompts, strict=True)
    ]
    return digest(rows)


def _shown(prompt: Prompt) -> list[Any]:
    messages = [[m.role, m.content] for m in prompt.messages]
    return messages if prompt.text is None and not prompt.stop else [messages, prompt.text, list(prompt.stop)]


def run_fingerprint(
    *,
    model: Mapping[str, Any],
    data: str,
    protocol: Protocol,
    seed: int,
    sampler: Mapping[str, Any],
) -> str:
    """Short hash of everything that decides which chains a run holds.

    The number of chains is not part of it: asking for more tops the same run up.
    """
    asked = {
        "model": dict(model),
        "data": data,
        "temperature": protocol.temperature,
        "top_p": protocol.top_p,
        "max_tokens": protocol.max_tokens,
        "protocol": protocol.name,
        "seed": seed,
        "sampler": dict(sampler),
    }
    return digest(asked)[:FINGERPRINT_DIGITS]

"""Scores chains of like length together, so that little is computed for padding. Imports torch."""

from __future__ import annotations

from collections.abc import Callable

import torch

Scored = tuple[torch.Tensor, torch.Tensor | None]
"""Figures of each token of the chains, [rows, tokens]: log-probability, and entropy where it is wanted."""

Score = Callable[[torch.Tensor, torch.Tensor, int], Scored]
"""Tokens and mask of prompts (padded on the left) and chains (on the right), and how many columns are the chains'."""


def by_length(score: Score, ids: torch.Tensor, mask: torch.Tensor, tokens: int, at_once: int) -> Scored:
    """What `score` gives for a batch, computed for a few rows at a time, those of like length together.

    Args:
        tokens: columns of the chains, at the end of `ids` and `mask`.
        at_once: rows that are scored together.

    Returns:
        as from `score`; 0 where a chain has ended.
    """
    order = mask[:, -tokens:].sum(dim=1).argsort(stable=True)
    logs, entropies = [], []
    for chosen in order.split(at_once):
        used = mask[chosen].any(dim=0).nonzero().squeeze(1)
        start = int(used[0])
        end = max(int(used[-1]) + 1, ids.shape[1] - tokens + 1)  # at least one column of the chains
        cut = ids.shape[1] - end
        log, entropy = score(ids[chosen, start:end], mask[chosen, start:end], tokens - cut)
        logs.append(torch.nn.functional.pad(log, (0, cut)))
        if entropy is not None:
            entropies.append(torch.nn.functional.pad(entropy, (0, cut)))
    back = order.argsort()
    return torch.cat(logs)[back], torch.cat(entropies)[back] if entropies else None

"""Draws the next tokens of a batch. Imports torch."""

from __future__ import annotations

import torch

_TOP = 256


def draw(logits: torch.Tensor, uniforms: torch.Tensor, temperature: float, top_p: float) -> torch.Tensor:
    """The next token of every row, by inverting the cumulated distribution at the row's own random number.

    Args:
        logits: [rows, vocabulary].
        uniforms: [rows], float64 in [0, 1).
        temperature: 0 takes the likeliest token.
        top_p: the tokens are drawn from the smallest set of the likeliest ones whose mass reaches this.

    Returns:
        [rows] token ids. A row's token depends on its own logits and number only.
    """
    if temperature <= 0:
        return logits.argmax(-1)
    probabilities = torch.softmax(logits.float() / temperature, dim=-1)
    if top_p >= 1:
        mass = probabilities.cumsum(-1)
        return _invert(mass, uniforms * mass[:, -1], mass.shape[-1])
    # The set is nearly always among a few hundred tokens: sorting all 150,000 would take a third of the time.
    tokens = _nucleus(probabilities, uniforms, top_p, min(_TOP, logits.shape[-1]))
    wide = (tokens < 0).nonzero().flatten()
    if len(wide):
        tokens[wide] = _nucleus(probabilities[wide], uniforms[wide], top_p, logits.shape[-1])
    return tokens


def _nucleus(probabilities: torch.Tensor, uniforms: torch.Tensor, top_p: float, width: int) -> torch.Tensor:
    """[rows] tokens, or -1 where the `width` likeliest ones do not reach top_p."""
    values, tokens = probabilities.topk(width, dim=-1)
    mass = values.cumsum(-1)
    kept = (mass - values < top_p).sum(-1)  # the token that crosses top_p belongs to the set
    total = mass.gather(-1, kept[:, None] - 1).squeeze(-1)
    chosen = tokens.gather(-1, _invert(mass, uniforms * total, kept)[:, None]).squeeze(-1)
    if width < probabilities.shape[-1]:
        chosen = torch.where(mass[:, -1] < top_p, -1, chosen)
    return chosen


def _invert(mass: torch.Tensor, at: torch.Tensor, end: torch.Tensor | int) -> torch.Tensor:
    """[rows] index of the first entry whose cumulated mass exceeds `at`; below `end` whatever the rounding."""
    index = torch.searchsorted(mass, at.to(mass.dtype)[:, None], right=True).squeeze(-1)
    return torch.minimum(index, torch.as_tensor(end, device=index.device) - 1)

"""Draws the next tokens of a batch. Imports torch."""

from __future__ import annotations

import torch

_TOP = 256
_CELLS = 1 << 24
"""Probabilities that are worked on at a time."""

WORKSPACE = _CELLS * 4 * 4
"""Most bytes that drawing takes besides the logits: four float32 numbers for each of `_CELLS` probabilities. Sorting
takes more for each, and is done on an eighth of them at a time."""


def draw(logits: torch.Tensor, uniforms: torch.Tensor, temperature: float, top_p: float) -> torch.Tensor:
    """The next token of every row, by inverting the cumulated distribution at the row's own random number.

    Args:
        logits: [rows, vocabulary], of any precision: probabilities are float32.
        uniforms: [rows], float64 in [0, 1).
        temperature: 0 takes the likeliest token.
        top_p: the tokens are drawn from the smallest set of the likeliest ones whose mass reaches this.

    Returns:
        [rows] token ids. A row's token depends on its own logits and number only.
    """
    if temperature <= 0:
        return logits.argmax(-1)
    rows = max(1, _CELLS // logits.shape[-1])
    parts = [
        _draw(some, numbers, temperature, top_p)
        for some, numbers in zip(logits.split(rows), uniforms.split(rows), strict=True)
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _draw(logits: torch.Tensor, uniforms: torch.Tensor, temperature: float, top_p: float) -> torch.Tensor:
    # Every row's likeliest token gets 0 first: at a low temperature large logits would not fit otherwise.
    scaled = (logits.float() - logits.amax(-1, keepdim=True).float()).div_(temperature)
    probabilities = torch.softmax(scaled, dim=-1)
    del scaled
    if top_p >= 1:
        mass = probabilities.cumsum(-1)
        return _invert(mass, uniforms * mass[:, -1], mass.shape[-1])
    # The set is nearly always among a few hundred tokens: sorting all 150,000 would take a third of the time.
    tokens = _nucleus(probabilities, uniforms, top_p, min(_TOP, logits.shape[-1]))
    wide = (tokens < 0).nonzero().flatten()
    for some in wide.split(max(1, _CELLS // 8 // logits.shape[-1])) if len(wide) else ():
        tokens[some] = _nucleus(probabilities[some], uniforms[some], top_p, logits.shape[-1])
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

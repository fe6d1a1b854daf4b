"""Made-up runs of recipes whose steps are spelt out: what the training section of a report is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.training import Cost, Curve, Figures, Training

BASE = "Tiny-Base"

COSTS = (
    Cost("Tiny-V0.6", "iterative curriculum SFT on Tiny-Base", 48.0, 136.104, 1.5),
    Cost("Tiny-V0.4-RS", "GRPO, then SFT on shortest chains", 0.0612, None, complete=False),
    Cost("Tiny", "linear merge of V0.6 and V0.4", None, None),
)


def falling(first: float, last: float, steps: int, noise: float = 0.0) -> Figures:
    """From one figure straight to another, every second step above the line by `noise`, the others below it."""
    return tuple(
        first + (last - first) * step / max(1, steps - 1) + (noise if step % 2 else -noise)
        for step in range(steps)
    )


def grpo(steps: int = 49, stage: str = "tiny:rl", **changes: Figures) -> Curve:
    """A stage whose reward rises and whose chains become shorter."""
    series: Mapping[str, Figures] = {
        "loss": falling(0.0, 0.0, steps, 0.01),
        "reward": falling(0.3, 0.6, steps, 0.02),
        "mean_tokens": falling(5430.0, 4430.0, steps, 90.0),
        "truncated": falling(0.31, 0.12, steps),
    }
    return Curve(stage, "grpo", "Tiny-V0.4-RS", tuple(range(1, steps + 1)), {**series, **changes}, 6144)


def sft(steps: int = 30, stage: str = "tiny:v0.6", every: int = 5) -> Curve:
    """A stage of which every so many steps the loss is logged."""
    logged = tuple(range(every, every * steps + 1, every))
    return Curve(stage, "sft", "Tiny-V0.6", logged, {"loss": falling(2.5, 0.5, steps)})


def recipe(
    costs: Sequence[Cost] = COSTS,
    curves: Sequence[Curve] | None = None,
    *,
    name: str = "tiny",
    base: str | None = BASE,
    device: str | None = "H100",
) -> Training:
    return Training(name, device, base, tuple(costs), tuple([sft(), grpo()] if curves is None else curves))

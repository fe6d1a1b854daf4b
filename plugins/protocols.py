"""Built-in protocols."""

from __future__ import annotations

from collections.abc import Sequence

from harness import Protocol, hookimpl

STEP_BY_STEP = r"Please reason step by step, and put your final answer within \boxed{}."

DEEPSEEK_R1 = Protocol(
    name="deepseek-r1",
    description="DeepSeek-R1's own advice: everything in the user turn, no system prompt, T 0.6, top_p 0.95",
    n=64,
    temperature=0.6,
    top_p=0.95,
    max_tokens=16_384,
    instruction=STEP_BY_STEP,
)


@hookimpl
def harness_protocols() -> Sequence[Protocol]:
    return [DEEPSEEK_R1]

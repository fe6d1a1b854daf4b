"""Built-in protocols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness import Benchmark, Problem, Prompt, Protocol, hookimpl

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


@dataclass(frozen=True, slots=True)
class FathomProtocol(Protocol):
    """Asks as Fathom-R1's evaluation does: one sentence in the system turn and again before the question.

    Its questions with choices end with a sentence of their own, which therefore comes third.
    """

    choices: str = ""
    """What stands after a question with choices, in place of the benchmark's own instruction."""

    def prompt(self, problem: Problem, benchmark: Benchmark) -> Prompt:
        sentence = self.choices if problem.choices else benchmark.instruction
        if not sentence:
            return Protocol.prompt(self, problem, benchmark)
        return Protocol.prompt(replace(self, user=f"{self.user}\n\n{sentence}"), problem, benchmark)


FATHOM = FathomProtocol(
    name="fathom",
    description="as the Fathom-R1 numbers were made: instruction twice, LIMO's grader, votes by spelling",
    n=64,
    temperature=0.6,
    top_p=0.95,
    max_tokens=16_384,
    instruction=STEP_BY_STEP,
    system=STEP_BY_STEP,
    user=f"{STEP_BY_STEP} \n{{problem}}",  # the blank before the line break is in the original
    choices=(
        "Please reason step-by-step and put your choice letter without any other text with \\boxed{} in the end."
    ),
    normalizer="fathom",
    vote="strings",
    ties="first",
)


@dataclass(frozen=True, slots=True)
class MathArenaProtocol(Protocol):
    """Asks as MathArena does, whose configurations word the instruction for each competition."""

    instructions: Mapping[str, str] = field(default_factory=dict)
    """Benchmark name -> the instruction of its competition, where it is not `instruction`."""

    def prompt(self, problem: Problem, benchmark: Benchmark) -> Prompt:
        own = self.instructions.get(benchmark.name)
        if own is None:
            return Protocol.prompt(self, problem, benchmark)
        return Protocol.prompt(
            replace(self, user=self.user.replace("{instruction}", own)), problem, benchmark
        )


_BOX = r"Put your final answer within \boxed{}."
_BOX_FOR_AIME = f"{_BOX}\nThe answer is an integer between 0 and 999 inclusive."

MATHARENA = MathArenaProtocol(
    name="matharena",
    description="MathArena's prompt and sampling for distilled 14B models; grading and votes are this project's",
    n=4,
    temperature=0.6,
    top_p=0.95,
    max_tokens=32_000,
    instruction=_BOX,
    user="{instruction}\n\n{problem}",
    instructions={"aime24": _BOX_FOR_AIME, "aime25": _BOX_FOR_AIME},
)


@hookimpl
def harness_protocols() -> Sequence[Protocol]:
    return [DEEPSEEK_R1, FATHOM, MATHARENA]

"""The records that flow through a run, in the order in which they flow:

Problem -> Prompt -> Request -> Chain -> Extraction -> Grade -> Score

All are frozen and small. A chain is the only expensive one; everything after it can be made again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["correct", "incorrect", "no_answer", "truncated", "timeout", "error"]
FinishReason = Literal["stop", "length"]

STATUSES: tuple[Status, ...] = ("correct", "incorrect", "no_answer", "truncated", "timeout", "error")


@dataclass(frozen=True, slots=True)
class Problem:
    """One question of a benchmark. `text` is the statement without any instruction to the model."""

    id: str
    text: str
    gold: str
    """The reference answer, as text that the benchmark's normalizer understands."""
    choices: tuple[str, ...] = ()
    """For multiple choice: the options in the order A, B, C, ...; `gold` is then the letter."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    solution: str = ""
    """How the gold is found, step by step, where the benchmark tells it: for training, never shown to a model
    that is evaluated."""


@dataclass(frozen=True, slots=True)
class Message:
    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is shown, and where it is to stop."""

    messages: tuple[Message, ...]
    """Chat messages: engines render them with the model's own chat template."""
    text: str | None = None
    """A prompt that is given as it stands, without a chat template; `messages` is then empty."""
    stop: tuple[str, ...] = ()
    """Texts at which a chain ends. They are not part of the chain; its finish reason is then "stop"."""

    @property
    def size(self) -> int:
        """Bytes of all texts, which bounds the number of tokens (a token is a byte at least)."""
        texts = [message.content for message in self.messages] + ([] if self.text is None else [self.text])
        return sum(len(text.encode("utf-8", "replace")) for text in texts)


@dataclass(frozen=True, slots=True)
class ChainKey:
    """Names one chain for ever: which benchmark, which problem, which of its n samples."""

    benchmark: str
    problem_id: str
    index: int


@dataclass(frozen=True, slots=True)
class Request:
    """One chain that is wanted from an engine. Requests that share a prompt share the `Prompt` object."""

    key: ChainKey
    prompt: Prompt
    seed: int
    """In 0..2**31-1 and different for every chain of a problem."""
    problem_text: str = ""
    """The bare problem statement, for engines that look chains up rather than sample them."""

    def chain(
        self,
        text: str,
        *,
        finish_reason: FinishReason | None = "stop",
        completion_tokens: int | None = None,
        prompt_tokens: int | None = None,
        reasoning: str = "",
    ) -> Chain:
        """The chain that answers this request."""
        return Chain(
            benchmark=self.key.benchmark,
            problem_id=self.key.problem_id,
            index=self.key.index,
            text=text,
            reasoning=reasoning,
            finish_reason=finish_reason,
            completion_tokens=completion_tokens,
            prompt_tokens=prompt_tokens,
            seed=self.seed,
        )


@dataclass(frozen=True, slots=True)
class Chain:
    """One sampled completion, reasoning included. Written once and never changed."""

    benchmark: str
    problem_id: str
    index: int
    """Which of the problem's samples this is, from 0."""
    text: str
    """All that the model wrote after the prompt, think tags included where the engine shows them."""
    reasoning: str = ""
    """Reasoning that a server hands over apart from the text; empty where it is part of `text`."""
    finish_reason: FinishReason | None = None
    """"length" when the chain hit its token budget; None when the source does not say."""
    completion_tokens: int | None = None
    prompt_tokens: int | None = None
    seed: int | None = None
    score: float | None = None
    """What somebody else's grader gave this chain, mostly 0 or 1; of chains that were imported. Kept to be compared."""

    @property
    def key(self) -> ChainKey:
        return ChainKey(self.benchmark, self.problem_id, self.index)

    @property
    def truncated(self) -> bool:
        """Whether the chain was cut off by its token budget."""
        return self.finish_reason == "length"


@dataclass(frozen=True, slots=True)
class Extraction:
    """The answer a chain concludes with, and the rule that found it (for example "boxed")."""

    answer: str
    rule: str
    explicit: bool = True
    """The chain says that this is its answer. False where it is only what the chain ends with: such an answer
    does not count when the chain was cut off, since there the end is an accident."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether two answers are the same, and the rule that decided (for example "integer")."""

    same: bool
    rule: str
    answer: str | None = None
    """What the answer comes to, where only the comparison can tell; None leaves it as it was extracted."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """More figures of this comparison by name, for graders that give partial credit or apply several rules.
    Their means over chains, then problems, stand beside pass@1 in the run's scores."""


@dataclass(frozen=True, slots=True)
class Grade:
    """The judgement on one chain. `status` other than "correct" never scores."""

    status: Status
    answer: str | None = None
    """The answer as the chain gives it; None when it gives none."""
    answer_class: str | None = None
    """Canonical key of the answer's equivalence class, for votes; None abstains."""
    rule: str = ""
    """What decided: "extraction rule/comparison rule"."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """The verdict's further figures by name."""

    @property
    def correct(self) -> bool:
        return self.status == "correct"


@dataclass(frozen=True, slots=True)
class GradedChain:
    """What a metric sees of one chain: its grade and what it cost. Texts stay on disk."""

    problem_id: str
    index: int
    grade: Grade
    completion_tokens: int | None
    truncated: bool
    prompt_tokens: int | None = None
    score: float | None = None
    """What somebody else's grader gave the chain."""


@dataclass(frozen=True, slots=True)
class Score:
    """One number with what is known of its uncertainty. Values in 0..1 unless the metric says otherwise."""

    value: float
    stderr: float | None = None
    """Standard error over problems (question-clustered); None where it cannot be estimated."""
    ci95: tuple[float, float] | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    """More figures by name, JSON-able: parts of the standard error, k, number of ties, curves."""

    def as_dict(self) -> dict[str, Any]:
        ci95 = None if self.ci95 is None else list(self.ci95)
        return {"value": self.value, "stderr": self.stderr, "ci95": ci95, **self.details}


@dataclass(frozen=True, slots=True)
class ForeignChain:
    """A chain that another program sampled, and mostly graded."""

    text: str
    where: str
    """File and row, for messages."""
    problem_id: str | None = None
    problem: str | None = None
    """The statement, or a prompt that contains it."""
    gold: str | None = None
    index: int | None = None
    """Which of the problem's samples; None numbers them in the order in which they come."""
    model: str | None = None
    benchmark: str | None = None
    """What the other program calls it."""
    reasoning: str = ""
    finish_reason: FinishReason | None = None
    completion_tokens: int | None = None
    prompt_tokens: int | None = None
    seed: int | None = None
    score: float | None = None
    """What the other program's grader gave it."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """How it was sampled, as far as it is said: temperature, top_p, max_tokens."""


@dataclass(frozen=True, slots=True)
class Published:
    """Scores of a model that somebody published: to stand beside measured ones, never to be mixed with them."""

    model: str
    group: str
    """Under which heading it stands, for example "closed" or "open"."""
    benchmark: str
    scores: Mapping[str, float]
    """Name of the score, for example "pass@1" -> value in 0..1."""
    k: int | None = None
    """Chains per problem, where it was said."""
    source: str = ""
    """Where it was published."""
    note: str = ""
    """What a reader must know before comparing with it."""

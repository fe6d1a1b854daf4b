"""What a chain is worth: the harness's own grade of it, as `harness run` and `harness grade` would give it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from harness import Grade, HarnessError, Normalizer
from harness.errors import one_line
from harness.grading import Grader
from harness.pool import TaskError, WorkerPool

_GAVE_UP: Final = ("timeout", "error")
"""Grades that say more about the grader than about the chain."""

METRICS: Final = {
    "graded/accuracy": "accuracy",
    "graded/truncated": "truncated",
    "graded/no_answer": "no_answer",
    "graded/ungraded": "ungraded",
}
"""Shares of a step's chains, as TRL is told of them -> as they stand in the log. `ungraded` are those that the grader
gave up on: they count as wrong."""

_CUT: Final = Grade("truncated", rule="cut by the limit")


@dataclass(frozen=True, slots=True)
class Shaping:
    """What is added to plain correctness; nothing, unless the recipe says so."""

    length_penalty: float = 0.0
    format_reward: float = 0.0


@dataclass(slots=True)
class Judged:
    """What the grader says of a chain."""

    tokens: int
    grade: Grade = _CUT
    explicit: bool = False
    """Whether the chain marks its answer as such, right or wrong. Only known where `format_reward` asks for it."""


def shaped(chains: Sequence[Judged], shaping: Shaping) -> list[float]:
    """Rewards of one group: the chains of one problem that were sampled together.

    A correct chain gives 1, any other 0. On top of that:

    - `length_penalty` w: a correct chain loses w * (length - shortest) / (longest - shortest), lengths being those of
      the group. This is the length reward of Kimi k1.5 (arXiv 2501.12599, section 2.3.3),
      0.5 - (length - shortest) / (longest - shortest), times w and less w / 2, so that the shortest correct chain
      still gives 1. There, wrong chains also lose by their length; here they keep their 0.
    - `format_reward`: added to every chain that came to its end and marks its answer (in a box, say), right or wrong.

    A chain that the limit cut gives 0, whatever it says.
    """
    shortest = min(chain.tokens for chain in chains)
    spread = max(chain.tokens for chain in chains) - shortest
    rewards = []
    for chain in chains:
        reward = shaping.format_reward if chain.explicit else 0.0
        if chain.grade.correct:
            reward += 1.0
            if spread:
                reward -= shaping.length_penalty * (chain.tokens - shortest) / spread
        rewards.append(reward)
    return rewards


class GradedReward:
    """The reward function that TRL calls once for the chains of a step (those of this process).

    Args:
        normalizers: by name, all that the rows name.
        pool: its workers compare answers; a comparison that does not end costs its deadline, once.
        text: token ids of a chain, without the one that ended it -> what a grader sees.
        ends: ids that end a chain.
        group: chains of a problem that stand next to each other.
    """

    __name__ = "grade"  # TRL names the reward so in its own metrics

    def __init__(
        self,
        normalizers: Mapping[str, Normalizer],
        pool: WorkerPool,
        text: Callable[[Sequence[int]], str],
        ends: Collection[int],
        group: int,
        shaping: Shaping = Shaping(),
    ) -> None:
        self._normalizers = normalizers
        self._pool = pool
        self._text = text
        self._ends = frozenset(ends)
        self._group = group
        self._shaping = shaping

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        completion_ids: Sequence[Sequence[int]],
        gold: Sequence[str],
        normalizer: Sequence[str],
        log_metric: Callable[[str, float], None] | None = None,
        **_others: Any,
    ) -> list[float]:
        """One reward a chain, in their order.

        Args:
            completions: as TRL decodes them, which is not how samplers do: not looked at.
            completion_ids: of each chain, the token that ended it included.
            log_metric: told of what became of the chains, see `METRICS`.
        """
        chains = self.judged(completion_ids, gold, normalizer)
        if log_metric is not None:
            for name, share in shares([chain.grade for chain in chains]).items():
                log_metric(name, share)
        rewards: list[float] = []
        for first in range(0, len(chains), self._group):
            rewards += shaped(chains[first : first + self._group], self._shaping)
        return rewards

    def judged(
        self, completion_ids: Sequence[Sequence[int]], gold: Sequence[str], normalizer: Sequence[str]
    ) -> list[Judged]:
        """The verdict on each chain; those that were cut are not read."""
        chains = [Judged(len(ids)) for ids in completion_ids]
        # Made anew for each step: a grader remembers every answer that it has seen.
        graders = {name: Grader(self._normalizers[name], self._pool) for name in dict.fromkeys(normalizer)}
        for chain, ids, reference, name in zip(chains, completion_ids, gold, normalizer, strict=True):
            if ids and ids[-1] in self._ends:
                self._judge(chain, self._text(ids[:-1]), reference, graders[name])
        for grader in graders.values():
            grader.finish()
        return chains

    def _judge(self, chain: Judged, text: str, gold: str, grader: Grader) -> None:
        def graded(grade: Grade) -> None:
            chain.grade = grade

        def read_as_cut(grade: Grade) -> None:
            chain.explicit = grade.answer is not None

        try:
            # Chains of one gold share their verdicts as those of one problem do.
            grader.submit(gold, gold, text, graded)
            if self._shaping.format_reward:
                # Of a chain that was cut, the grader takes no answer but one that is marked as such.
                grader.submit(gold, gold, text, read_as_cut, truncated=True)
        except TaskError as error:
            raise HarnessError(f"chains can no longer be graded: {one_line(error)}") from None


def shares(grades: Sequence[Grade]) -> dict[str, float]:
    """What became of a step's chains, as shares of them (0 to 1), by the names of `METRICS`."""
    statuses = [grade.status for grade in grades]
    total = len(statuses)
    return {
        "graded/accuracy": statuses.count("correct") / total,
        "graded/truncated": statuses.count("truncated") / total,
        "graded/no_answer": statuses.count("no_answer") / total,
        "graded/ungraded": sum(status in _GAVE_UP for status in statuses) / total,
    }


def reader(tokenizer: Any) -> Callable[[Sequence[int]], str]:
    """How the samplers make text of a chain's tokens: without special tokens, think tags kept."""
    skip = "<think>" not in tokenizer.all_special_tokens

    def text(ids: Sequence[int]) -> str:
        return str(tokenizer.decode(list(ids), skip_special_tokens=skip, clean_up_tokenization_spaces=False))

    return text


def end_ids(model: Any, tokenizer: Any) -> list[int]:
    """Ids that end a chain where the model is evaluated, those of its generation settings first."""
    ends: dict[int, None] = {}
    for found in (model.generation_config.eos_token_id, model.config.eos_token_id, tokenizer.eos_token_id):
        several = found if isinstance(found, list | tuple) else [] if found is None else [found]
        ends.update(dict.fromkeys(int(one) for one in several))
    return list(ends)

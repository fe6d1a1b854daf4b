"""The reward of GRPO: a chain is worth what `harness grade` says of it, and nothing where the limit cut it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness import Grade
from harness.grading import open_pool
from harness.plugins import PluginManager, load_plugins
from harness.pool import WorkerPool
from harness_trainers.grpo.reward import METRICS, GradedReward, Judged, Shaping, shaped

from ..cli.test_grade import grade, lines
from ..conftest import Command

END = 0

CHAINS = [
    (r"<think>a half</think> \boxed{\frac{1}{2}}", "0.5", "math", True),
    (r"so it is \boxed{\dfrac{2}{4}}.", r"\frac12", "math", True),
    (r"\boxed{\sin(x)^2+\cos(x)^2}", "1", "math", True),
    (r"\boxed{(x+1)^2}", "x^2+2x+1", "math", True),
    (r"\boxed{2\sqrt{3}}", r"\sqrt{12}", "math", True),
    (r"\boxed{\frac{1}{3}}", "0.5", "math", False),
    (r"<think>maybe \boxed{8}", "8", "math", False),
    (r"I do not know.", "8", "math", False),
    (r"", "8", "math", False),
    (r"<think>hm</think> \boxed{073}", "73", "integer", True),
    (r"<think>hm</think> \boxed{74}", "73", "integer", False),
    (r"The answer is \boxed{\text{(C)}}.", "C", "choice", True),
    (r"The answer is \boxed{D}.", "C", "choice", False),
]


def ids(text: str, *, ended: bool = True) -> list[int]:
    """A token a letter."""
    return [ord(letter) for letter in text] + ([END] if ended else [])


def rewarder(
    plugins: PluginManager, pool: WorkerPool, *names: str, group: int = 2, **shaping: float
) -> GradedReward:
    normalizers = {name: plugins.normalizer(name) for name in names}
    text = lambda tokens: "".join(map(chr, tokens))  # noqa: E731
    return GradedReward(normalizers, pool, text, [END], group, Shaping(**shaping))


def rewards(
    reward: GradedReward, chains: Sequence[Sequence[int]], gold: str, name: str, **given: Any
) -> list[float]:
    # As TRL calls it: with what it decoded, which is not what a grader is to see, and columns of its own.
    unread = [[{"role": "assistant", "content": r"\boxed{1}"}]] * len(chains)
    columns = {"gold": [gold] * len(chains), "normalizer": [name] * len(chains), "trainer_state": None}
    return reward(prompts=[[]] * len(chains), completions=unread, completion_ids=chains, **columns, **given)


@pytest.fixture(scope="module")
def pool(plugins: PluginManager) -> Iterator[WorkerPool]:
    pool = open_pool(plugins)
    yield pool
    pool.close()


def test_a_chain_is_worth_what_harness_grade_says_of_it(
    harness: Command, plugins: PluginManager, pool: WorkerPool
) -> None:
    reward = rewarder(plugins, pool, "math", "integer", "choice", group=1)
    got = reward(
        prompts=[[]] * len(CHAINS),
        completions=[[]] * len(CHAINS),
        completion_ids=[ids(text) for text, *_ in CHAINS],
        gold=[gold for _, gold, *_ in CHAINS],
        normalizer=[name for *_, name, _ in CHAINS],
    )
    assert got == [float(correct) for *_, correct in CHAINS]
    for kind in ("math", "integer", "choice"):
        of_kind = [(n, chain) for n, chain in enumerate(CHAINS) if chain[2] == kind]
        asked = lines(*({"id": n, "text": text, "gold": gold} for n, (text, gold, *_) in of_kind))
        done, said = grade(harness, asked, "--kind", kind)
        assert done.returncode == 0, done.stderr
        assert {row["id"]: float(row["correct"]) for row in said} == {n: got[n] for n, _ in of_kind}


def test_a_chain_that_the_limit_cut_is_worth_nothing_whatever_it_says(
    plugins: PluginManager, pool: WorkerPool
) -> None:
    told: dict[str, float] = {}
    chains = [ids(r"\boxed{8}"), ids(r"\boxed{8} and", ended=False), ids(r"\boxed{9}"), ids("8")]
    reward = rewarder(plugins, pool, "integer", format_reward=0.25)
    assert rewards(reward, chains, "8", "integer", log_metric=told.__setitem__) == [1.25, 0.0, 0.25, 1.0]
    assert {METRICS[name]: share for name, share in told.items()} == {
        "accuracy": 0.5,
        "truncated": 0.25,
        "no_answer": 0.0,
        "ungraded": 0.0,
    }


def test_a_length_penalty_takes_from_correct_chains_by_their_length_within_the_group() -> None:
    def right(tokens: int) -> Judged:
        return Judged(tokens, Grade("correct", "1"))

    group = [right(10), right(30), Judged(20, Grade("incorrect", "2")), Judged(50)]
    assert shaped(group, Shaping()) == [1, 1, 0, 0]
    assert shaped(group, Shaping(length_penalty=0.5)) == [1, 0.75, 0, 0]
    # Kimi's 0.5 - (length - shortest) / (longest - shortest), times w, but for a constant.
    assert shaped([right(10), right(20), right(30)], Shaping(length_penalty=1)) == [1, 0.5, 0]
    assert shaped([right(10), right(10)], Shaping(length_penalty=1)) == [1, 1]


def test_groups_are_compared_apart_from_each_other(plugins: PluginManager, pool: WorkerPool) -> None:
    reward = rewarder(plugins, pool, "integer", group=2, length_penalty=0.5)
    short, longer, longest = ids(r"\boxed{8}"), ids(r"is \boxed{8}"), ids(r"it is \boxed{8}")
    assert rewards(reward, [short, longer, longer, longest], "8", "integer") == [1, 0.5, 1, 0.5]


STUBBORN = """
from harness import Extraction, Normalizer, Verdict, hookimpl

class Stubborn(Normalizer):
    name = "stubborn"
    bounded_extract = True
    def extract(self, text):
        return Extraction(text, "all")
    def same(self, answer, gold):
        while answer == "hang": pass
        if answer == "break": raise ValueError("broken")
        return Verdict(answer == gold, "letters")

@hookimpl
def harness_normalizers():
    return [Stubborn()]
"""


def test_a_chain_that_would_hang_the_grader_costs_its_deadline_once_and_counts_as_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "stubborn-1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: stubborn\nVersion: 1\n")
    (installed / "entry_points.txt").write_text("[harness]\nstubborn = stubborn\n")
    (tmp_path / "stubborn.py").write_text(STUBBORN)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    plugins = load_plugins()
    pool = open_pool(plugins, 0.5)
    try:
        reward = rewarder(plugins, pool, "stubborn", group=8)
        rewards(reward, [ids("warm")], "8", "stubborn")
        told: dict[str, float] = {}
        chains = [ids("8"), *[ids("hang")] * 5, ids("break"), ids("9")]
        began = time.monotonic()
        assert rewards(reward, chains, "8", "stubborn", log_metric=told.__setitem__) == [1, *[0] * 7]
        # Five of the same cost one deadline, and the workers that are started again.
        assert 0.5 <= time.monotonic() - began < 20
        assert told["graded/ungraded"] == 6 / 8
        assert told["graded/accuracy"] == 1 / 8
    finally:
        pool.close()
    assert json.dumps(told)  # plain numbers

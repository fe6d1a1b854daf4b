"""Notations that answers come in: pairs that say the same, and near misses that do not.

`same.txt` and `different.txt` hold one pair a line, `chains.jsonl` texts with the answer that each concludes with.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness_plugins.normalizers.math import MathNormalizer

HERE = Path(__file__).parent
math = MathNormalizer()


def pairs(name: str) -> list[tuple[str, str]]:
    lines = (HERE / name).read_text(encoding="utf-8").split("\n")
    return [(a.strip(), b.strip()) for a, _, b in (line.partition(" ;; ") for line in lines if line)]


def chains() -> list[tuple[str, str]]:
    lines = (HERE / "chains.jsonl").read_text(encoding="utf-8").split("\n")
    return [(row["text"], row["answer"]) for row in map(json.loads, filter(None, lines))]


@pytest.mark.parametrize(("answer", "gold"), pairs("same.txt"))
def test_two_notations_of_one_answer(answer: str, gold: str) -> None:
    assert math.same(answer, gold).same
    assert math.same(gold, answer).same


@pytest.mark.parametrize(("answer", "gold"), pairs("different.txt"))
def test_two_answers_that_look_alike(answer: str, gold: str) -> None:
    assert not math.same(answer, gold).same
    assert not math.same(gold, answer).same
    assert math.key(answer) != math.key(gold)
    assert math.key(answer, gold) != math.key(gold)


@pytest.mark.parametrize(("text", "answer"), chains())
def test_a_text_concludes_with_its_answer(text: str, answer: str) -> None:
    found = math.extract(text)
    assert found is not None
    assert math.same(found.answer, answer).same

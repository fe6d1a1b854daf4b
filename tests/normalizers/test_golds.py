"""Every gold of the real benchmarks equals itself in every rewriting, and no other gold of its file."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import pytest

from harness_plugins.normalizers.math import MathNormalizer

from .rewritings import rewritings

FILES = ("aime24", "aime25", "hmmt25", "math500")


def golds(shared: Path, name: str) -> list[str]:
    text = (shared / "data" / f"{name}.jsonl").read_text(encoding="utf-8")
    return list(dict.fromkeys(json.loads(line)["answer"] for line in text.split("\n") if line))


@pytest.mark.parametrize("name", FILES)
def test_a_gold_equals_itself_in_every_rewriting(shared: Path, name: str) -> None:
    math = MathNormalizer()
    for gold in golds(shared, name):
        for how, rewriting in rewritings(gold):
            assert math.same(rewriting, gold).same, f"{how}: {rewriting!r} is {gold!r}"
            assert math.same(gold, rewriting).same, f"{how}: {gold!r} is {rewriting!r}"
            assert math.key(rewriting, gold) == math.key(gold), f"{how}: key of {rewriting!r} and {gold!r}"


@pytest.mark.parametrize("name", FILES)
def test_the_quick_path_decides_every_gold_without_a_worker(shared: Path, name: str) -> None:
    math = MathNormalizer()
    for gold in golds(shared, name):
        for how, rewriting in rewritings(gold):
            verdict = math.quick_same(rewriting, gold)
            assert verdict is not None, f"{how}: {rewriting!r}, {gold!r}"
            assert verdict.same, f"{how}: {rewriting!r}, {gold!r}"


# Golds of MATH-500 that are one value in two spellings that `_plain` does not see through
_EQUAL = [
    ("-2,1", "1,-2"),
    ("180^\\circ", "\\pi"),
    ("15", "15\\mbox{ cm}^2"),
    ("10,\\!080", "10080"),
    ("5", "x=5"),
]
EQUAL_GOLDS = {frozenset(pair) for pair in _EQUAL}


@pytest.mark.parametrize("name", FILES)
def test_golds_of_different_value_are_never_equal(shared: Path, name: str) -> None:
    math = MathNormalizer()
    equal = {frozenset((a, b)) for a, b in combinations(golds(shared, name), 2) if math.same(a, b).same}
    unexpected = {pair for pair in equal - EQUAL_GOLDS if len({_plain(gold) for gold in pair}) > 1}
    assert not unexpected


def _plain(gold: str) -> str:
    """A gold without what may differ between two spellings of one value in these files."""
    for layout in (
        "\\left",
        "\\right",
        "\\text",
        "\\dfrac",
        "\\frac",
        "^\\circ",
        "{",
        "}",
        " ",
        "\\$",
        "(",
        ")",
    ):
        gold = gold.replace(layout, "")
    return gold

"""The labelled cases of other graders' own tests and of real model outputs, counted by kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness import Normalizer
from harness_plugins.normalizers.choice import ChoiceNormalizer
from harness_plugins.normalizers.math import MathNormalizer


def settled(shared: Path, kind: str) -> list[dict[str, Any]]:
    text = (shared / "grading" / "dev_cases.jsonl").read_text(encoding="utf-8")
    cases = [json.loads(line) for line in text.split("\n") if line]
    return [case for case in cases if case["kind"] == kind and not case["contested"]]


def answer_of(case: dict[str, Any], normalizer: Normalizer) -> str | None:
    if case["pred_type"] == "answer":
        return str(case["prediction"])
    found = normalizer.extract(case["prediction"])
    return None if found is None else found.answer


def test_settled_equivalence_cases(shared: Path) -> None:
    math = MathNormalizer()
    cases = settled(shared, "equiv")
    false_positives, wrong, negatives = [], [], 0
    for case in cases:
        answer = answer_of(case, math)
        same = answer is not None and math.same(answer, case["gold"]).same
        negatives += not case["expected"]
        if same != case["expected"]:
            wrong.append(case["id"])
            if same:
                false_positives.append(case["id"])
    assert len(wrong) / len(cases) <= 0.03, wrong
    assert len(false_positives) / negatives <= 0.005, false_positives


def test_settled_extraction_cases(shared: Path) -> None:
    math, choice = MathNormalizer(), ChoiceNormalizer()
    cases = settled(shared, "extract")
    wrong = []
    for case in cases:
        answer = answer_of(case, choice if "mcq" in case["tags"] else math)
        expected = case["expected"]
        if answer != expected and (
            answer is None or expected is None or not math.same(answer, expected).same
        ):
            wrong.append(case["id"])
    assert len(wrong) / len(cases) <= 0.03, wrong

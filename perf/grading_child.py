"""The process that a grader runs in: answers one task after another until its input ends.

    python grading_child.py harness | harness-alone | math-verify

Runs in the environment of its grader and needs nothing else: tasks and replies are lines of JSON. The first reply
comes once the grader is imported and warm.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Mapping
from typing import Any, Protocol

MEMORY_CAP = 3 * 10**9
"""Bytes of address space."""

Reply = dict[str, Any]
"""`same` (None: no verdict), `answer` (None: none found), `rule`, `pooled`."""

_WARM_UP = (
    ("\\boxed{42}", "42", "math"),
    ("The answer is $\\frac{1}{2}$.", "0.5", "math"),
    ("\\boxed{\\{1, 2\\}}", "\\{2, 1\\}", "math"),
    ("\\boxed{\\frac{x^2 - 1}{x - 1}}", "x + 1", "math"),
    ("\\boxed{\\begin{pmatrix} 1 & 2 \\end{pmatrix}}", "\\begin{pmatrix} 1 & 3 \\end{pmatrix}", "math"),
    ("\\boxed{\\sin^2 1 + \\cos^2 1}", "1", "math"),
    ("\\boxed{\\int_0^1 x dx}", "\\frac{1}{2}", "math"),
    ("Answer: B", "B", "choice"),
)


class Grader(Protocol):
    def grade(
        self, prediction: str, reference: str | None, normalizer: str, extraction: bool, bare: bool
    ) -> Reply:
        """Judge one case; the arguments are the fields of `grading_cases.Case`."""

    def close(self) -> None:
        """End what belongs to it."""


class Harness:
    """Our grader as `harness.grade` and a run use it: quick path here, the rest in a worker process."""

    def __init__(self) -> None:
        from harness import Extraction, Normalizer, Verdict
        from harness.grading import DEFAULT_DEADLINE, Grader
        from harness.plugins import load_plugins
        from harness.pool import WorkerPool

        class Given(Normalizer):
            """Takes a prediction for the answer that it is."""

            bounded_extract = True

            def __init__(self, inner: Normalizer) -> None:
                self.name, self._inner = inner.name, inner

            def extract(self, text: str) -> Extraction:
                return Extraction(text, "given")

            def quick_same(self, answer: str, gold: str) -> Verdict | None:
                return self._inner.quick_same(answer, gold)

            def quick_key(self, answer: str) -> str | None:
                return self._inner.quick_key(answer)

        class Pool(WorkerPool):
            asked = 0

            def submit(self, task: Mapping[str, Any]) -> Any:
                self.asked += 1
                return super().submit(task)

        self._plugins = load_plugins()
        self._pool = Pool(deadline=DEFAULT_DEADLINE, setup=self._plugins.selection)
        self._grader, self._given = Grader, Given

    def grade(
        self, prediction: str, reference: str | None, normalizer: str, extraction: bool, bare: bool
    ) -> Reply:
        reader = self._plugins.normalizer(normalizer)
        before = self._pool.asked
        if extraction:
            found = reader.extract(prediction)
            if found is None or reference is None:
                return {"same": None, "answer": found and found.answer, "rule": found.rule if found else ""}
            prediction, bare = found.answer, True
        if reference is None:
            raise ValueError("nothing to compare with")
        grades: list[Any] = []
        # A new one for each case: it would remember an answer that it has judged before.
        grader = self._grader(self._given(reader) if bare else reader, self._pool)
        grader.submit("", reference, prediction, grades.append)
        grader.finish()
        grade = grades[0]
        same = None if grade.status in ("timeout", "error") else grade.status == "correct"
        rule = f"{grade.status} {grade.rule}"
        return {"same": same, "answer": grade.answer, "rule": rule, "pooled": self._pool.asked > before}

    def close(self) -> None:
        self._pool.close()


class HarnessAlone:
    """Our normalizers in this process, without a pool: what a worker process does."""

    def __init__(self) -> None:
        from harness.plugins import load_plugins

        self._plugins = load_plugins()

    def grade(
        self, prediction: str, reference: str | None, normalizer: str, extraction: bool, bare: bool
    ) -> Reply:
        reader = self._plugins.normalizer(normalizer)
        answer, rule = prediction, "given"
        if not bare:
            found = reader.extract(prediction)
            if found is None:
                return {"same": None if extraction else False, "answer": None, "rule": "no answer found"}
            answer, rule = found.answer, found.rule
        if reference is None:
            return {"same": None, "answer": answer, "rule": rule}
        verdict = reader.same(answer, reference)
        return {"same": verdict.same, "answer": answer, "rule": f"{rule}/{verdict.rule}"}

    def close(self) -> None:
        pass


class MathVerify:
    """Math-Verify with its defaults; multiple choice with its setting for letters."""

    def __init__(self) -> None:
        import logging

        logging.disable(logging.CRITICAL)
        from math_verify import StringExtractionConfig, parse, verify

        self._parse, self._verify = parse, verify
        self._letters = [StringExtractionConfig()]

    def grade(
        self, prediction: str, reference: str | None, normalizer: str, extraction: bool, bare: bool
    ) -> Reply:
        if normalizer == "choice":
            found = self._parse(prediction, self._letters)
            gold = self._parse(reference, self._letters) if reference is not None else None
        else:
            found = self._parse(_formula(prediction) if bare else prediction)
            gold = self._parse(_formula(reference)) if reference is not None else None
        same = None if gold is None else bool(self._verify(gold, found))
        return {"same": same, "answer": str(found[-1]) if found else None, "rule": ""}

    def close(self) -> None:
        pass


def _formula(answer: str) -> str:
    """An answer as a formula: without dollar signs it would be read as a text that may hold one."""
    return answer if any(mark in answer for mark in ("$", "\\boxed", "\\(", "\\[")) else f"${answer}$"


GRADERS: dict[str, type[Grader]] = {
    "harness": Harness,
    "harness-alone": HarnessAlone,
    "math-verify": MathVerify,
}


def main() -> None:
    # A library may print: the pipe is moved out of its reach, and stdout becomes stderr.
    replies = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_CAP, MEMORY_CAP))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def say(reply: Reply) -> None:
        replies.write(json.dumps(reply) + "\n")
        replies.flush()

    grader = GRADERS[sys.argv[1]]()
    for prediction, gold, normalizer in _WARM_UP:
        grader.grade(prediction, gold, normalizer, False, False)
    say({})
    for line in sys.stdin:
        task = json.loads(line)
        began = time.perf_counter()
        try:
            reply = grader.grade(**task)
        except Exception as error:  # noqa: BLE001 - whatever a grader throws is its result
            reply = {"same": None, "answer": None, "rule": f"{type(error).__name__}: {str(error)[:200]}"}
        say({**reply, "seconds": time.perf_counter() - began})
    grader.close()


if __name__ == "__main__":
    main()

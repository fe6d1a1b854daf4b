"""Labelled cases for graders: reading them, deciding whether a grader is right, counting."""

from __future__ import annotations

import gzip
import json
import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import HarnessError

SLOW = 1.0
"""Seconds beyond which a case counts as slow."""

_LAYOUT = re.compile(r"\\(?:left|right)(?![A-Za-z])|\\[,;:! ]|[$~]|\\[()\[\]]")


@dataclass(frozen=True, slots=True)
class Case:
    """One question to a grader."""

    id: str
    suite: str
    prediction: str
    reference: str | None
    """The gold, or for an extraction the answer that is expected; None where the text gives none."""
    expected: bool
    """Whether the grader should call them the same; always true for an extraction."""
    extraction: bool = False
    contested: bool = False
    bare: bool = False
    """The prediction is an answer by itself, not a text that holds one."""
    normalizer: str = "math"

    def task(self) -> dict[str, Any]:
        """What a grader is told: everything but the label."""
        return {
            "prediction": self.prediction,
            "reference": self.reference,
            "extraction": self.extraction,
            "bare": self.bare,
            "normalizer": self.normalizer,
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a grader made of a case."""

    same: bool | None
    """None: it gave no verdict, or there was nothing to compare."""
    answer: str | None
    rule: str
    seconds: float
    """Wall time within the grader; up to the end for one that was killed."""
    pooled: bool = False
    """A worker process was asked."""
    killed: bool = False


def load_cases(path: Path) -> list[Case]:
    """The cases of a JSON-lines file with the fields id, suite, kind, gold, prediction, pred_type, expected,
    contested, tags.

    Raises:
        HarnessError: there is no such file, or a line is not such a case.
    """
    if not path.is_file():
        raise HarnessError(f"there are no labelled cases at {path}: name the file with --cases FILE")
    cases = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if line:
            try:
                cases.append(_case(json.loads(line)))
            except (ValueError, KeyError, TypeError) as error:
                raise HarnessError(f"{path}, line {number} is no labelled case: {error!r}") from None
    return cases


def _case(row: dict[str, Any]) -> Case:
    extraction = {"equiv": False, "extract": True}[row["kind"]]
    return Case(
        id=row["id"],
        suite=row["suite"],
        prediction=row["prediction"],
        reference=row["expected"] if extraction else row["gold"],
        expected=extraction or row["expected"],
        extraction=extraction,
        contested=bool(row["contested"]),
        bare=row["pred_type"] == "answer",
        normalizer="choice" if "mcq" in row["tags"] else "math",
    )


def load_chains(folder: Path, normalizer: str) -> list[Case]:
    """The chains with integer golds (AIME 2024, AMC 2023) of a folder of *.jsonl.gz files.

    Raises:
        HarnessError: the folder holds none.
    """
    files = sorted(path for bench in ("aime24", "amc23") for path in folder.glob(f"*{bench}*.jsonl.gz"))
    if not files:
        raise HarnessError(
            f"there are no *aime24*.jsonl.gz or *amc23*.jsonl.gz in {folder}: use --chains DIR"
        )
    cases = []
    for path in files:
        with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
            for row in map(json.loads, file):
                gold = str(row["gold"])
                case = Case(row["id"], row["benchmark"], row["generation"], gold, True, normalizer=normalizer)
                cases.append(case)
    return cases


def right(case: Case, outcome: Outcome) -> bool:
    """Whether the grader agrees with the label.

    An extracted answer is right where it is the expected one letter for letter, layout apart, or where the grader
    itself calls them the same.
    """
    if not case.extraction:
        return outcome.same is case.expected
    if case.reference is None or outcome.answer is None:
        return case.reference is None and outcome.answer is None and not outcome.killed
    return bool(outcome.same) or undressed(outcome.answer) == undressed(case.reference)


def undressed(text: str) -> str:
    """An answer without layout: dollar signs, blanks, \\left, \\right, \\dfrac, a full stop at the end.

    >>> undressed(r"$\\dfrac{1}{2}$.")
    '\\\\frac{1}{2}'
    """
    plain = _LAYOUT.sub("", text.strip().rstrip("."))
    return "".join(plain.split()).replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac")


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts over some cases."""

    cases: int
    right: int
    negatives: int
    """Cases labelled different."""
    false_positives: int
    false_negatives: int
    undecided: int
    """No verdict (time limit, error) or killed; counted as wrong too."""

    @classmethod
    def of(cls, pairs: Iterable[tuple[Case, Outcome]]) -> Tally:
        pairs = list(pairs)
        equivalence = [(case, outcome) for case, outcome in pairs if not case.extraction]
        return cls(
            cases=len(pairs),
            right=sum(right(case, outcome) for case, outcome in pairs),
            negatives=sum(not case.expected for case, _ in equivalence),
            false_positives=sum(outcome.same is True and not case.expected for case, outcome in equivalence),
            false_negatives=sum(outcome.same is not True and case.expected for case, outcome in equivalence),
            undecided=sum(outcome.same is None for _, outcome in equivalence),
        )

    @property
    def accuracy(self) -> float:
        return self.right / self.cases if self.cases else 0.0

    @property
    def false_positive_rate(self) -> float:
        return self.false_positives / self.negatives if self.negatives else 0.0


@dataclass(frozen=True, slots=True)
class Speed:
    """How long some cases took, within the grader."""

    rate: float
    """Cases a second."""
    rate_but_slowest: float
    """The same without the slowest case, which may take longer than all others together."""
    median: float
    worst: float
    slow: int
    killed: int
    pooled: int

    @classmethod
    def of(cls, outcomes: Sequence[Outcome]) -> Speed:
        times = [outcome.seconds for outcome in outcomes]
        return cls(
            rate=len(times) / sum(times),
            rate_but_slowest=(len(times) - 1) / (sum(times) - max(times)),
            median=statistics.median(times),
            worst=max(times),
            slow=sum(seconds > SLOW for seconds in times),
            killed=sum(outcome.killed for outcome in outcomes),
            pooled=sum(outcome.pooled for outcome in outcomes),
        )

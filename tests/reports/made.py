"""Made-up finished runs, whose chains are spelt out: what a report is made of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from harness import Grade, GradedChain, Protocol
from harness.measure import measure
from harness.plugins import load_plugins
from harness.records import Status
from harness.report import Report

HOSTILE = (
    'a|b\\ `x` <script>alert(1)</script>\n![p](http://x) $\\input{/etc/passwd}$ *b* _c_ & 100% #1 {z} ~^"'
)
"""A model's name that wants out of every format."""

_STATUS: Mapping[str, Status] = {"-": "no_answer", "t": "truncated", "!": "timeout", "e": "error"}


def make_run(
    folder: Path,
    model: str,
    chains: Sequence[str],
    benchmark: str = "aime25",
    *,
    tokens: int | None = 100,
    info: Mapping[str, Mapping[str, Any]] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """Write a finished run; returns its result.

    Args:
        chains: one text a problem, one letter a chain: c is correct, - without an answer, t truncated, ! timed out,
            e failed to grade; any other letter is a wrong answer, the same letter the same answer.
        tokens: of each chain; None where nobody knows.
        info: further entries of parts of run.json.
        changes: of the result, such as another protocol.
    """
    problems = {
        f"p{place}": [_graded(f"p{place}", index, letter, tokens) for index, letter in enumerate(letters)]
        for place, letters in enumerate(chains)
    }
    n = len(chains[0])
    protocol = Protocol("deepseek-r1", n, 0.6, 0.95, 16384, "")
    measured = measure(problems, protocol, load_plugins().metrics.values(), lambda text: None)
    del measured["tokens"]
    count = sum(map(len, chains))
    fingerprint = hashlib.sha256(json.dumps([model, benchmark, changes], default=str).encode()).hexdigest()[
        :12
    ]
    path = folder / hashlib.sha256(model.encode()).hexdigest()[:8] / benchmark / fingerprint
    result = {
        "model": model,
        "benchmark": benchmark,
        "protocol": "deepseek-r1",
        "n": n,
        "problems": len(chains),
        "chains": count,
        "temperature": 0.6,
        "top_p": 0.95,
        "max_tokens": 16384,
        "seed": 0,
        **measured,
        "cost": {
            "prompt_tokens": 10 * count,
            "completion_tokens": None if tokens is None else tokens * count,
            "engine_seconds": None,
            "device_hours": None,
            "usd": None,
        },
        "warnings": [],
        "grader": "integer 1",
        "fingerprint": fingerprint,
        "path": str(path),
        "harness": "0.1.0",
        **changes,
    }
    _write(path, [graded for rows in problems.values() for graded in rows])
    about: dict[str, Any] = {
        "format": 1,
        "fingerprint": fingerprint,
        "model": {"name": model},
        "benchmark": {"name": benchmark.partition(":")[0], "label": benchmark},
        "sessions": [],
    }
    for part, values in (info or {}).items():
        about[part] = {**about.get(part, {}), **values}
    (path / "run.json").write_text(json.dumps(about))
    (path / "scores.json").write_text(json.dumps(result))
    return result


def _graded(problem: str, index: int, letter: str, tokens: int | None) -> GradedChain:
    status = "correct" if letter == "c" else _STATUS.get(letter, "incorrect")
    answer = letter if status in ("correct", "incorrect") else None
    return GradedChain(problem, index, Grade(status, answer, answer, "made/up"), tokens, letter == "t")


def _write(path: Path, rows: Sequence[GradedChain]) -> None:
    path.mkdir(parents=True)
    keys = {"problem_id": [row.problem_id for row in rows], "index": [row.index for row in rows]}
    grades = {
        **keys,
        "status": [row.grade.status for row in rows],
        "correct": [row.grade.correct for row in rows],
        "answer": pa.array([row.grade.answer for row in rows], pa.string()),
        "answer_class": pa.array([row.grade.answer_class for row in rows], pa.string()),
    }
    chains = {
        **keys,
        "text": ["made up"] * len(rows),
        "finish_reason": ["length" if row.truncated else "stop" for row in rows],
        "completion_tokens": pa.array([row.completion_tokens for row in rows], pa.int64()),
    }
    pq.write_table(pa.table(grades), path / "grades.parquet")
    pq.write_table(pa.table(chains), path / "chains.parquet")


def solving(share: float, problems: int = 30, n: int = 4) -> list[str]:
    """Chains of a model that solves the first so many problems, and each of these always; wrong answers agree."""
    return ["c" * n if place < share * problems else "w" * n for place in range(problems)]


def report_of(*results: Mapping[str, Any], **options: Any) -> Report:
    return Report(results, **options)

"""Parts for tests of stage data: rows to begin with, and what became of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from harness_trainers.data import Prepared

Make = Callable[..., Prepared]
"""The fixture `make`."""
SECRET = "do not quote me"
SOLVED = [
    {
        "problem": f"What is {i} + 1?",
        "generation": f"It is {i + 1}.",
        "answer": i + 1,
        "pass_rate": i / 10,
        "id": i,
    }
    for i in range(11)
]
USER = {"role": "user", "content": "1 + 1?"}


def write(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def rows_of(prepared: Prepared) -> list[dict[str, Any]]:
    return [json.loads(line) for line in prepared.path.read_text("utf-8").split("\n")[:-1]]


def chains_of(prepared: Prepared) -> list[str]:
    return [row["completion"] for row in rows_of(prepared)]

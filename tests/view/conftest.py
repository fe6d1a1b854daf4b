"""Two models on one benchmark, one of them hostile, looked at through a viewer on a real socket."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .serving import HOSTILE, Served, chains, golds_of, key_of, make_run, serving


@dataclass
class Made:
    """Results that are looked at and not changed."""

    folder: Path
    good: dict[str, Any]
    bad: dict[str, Any]
    problems: list[str]

    @property
    def results(self) -> Path:
        return self.folder / "results"


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("view")
    golds = golds_of()
    problems = list(golds)
    good = make_run(folder, chains(golds, 8, right=0.9, seed=1), "good/model-7B")
    rows = chains(golds, 8, right=0.4, seed=2)
    rows[0]["text"] = HOSTILE
    rows[1]["text"] = f"{HOSTILE} \\boxed{{<img src=x onerror=alert(9)>}}"
    rows[2]["text"] = "<think>" + "Many words. " * 430_000 + "</think>" + "tail word. " * 20 + "\\boxed{1}"
    bad = make_run(folder, rows, "bad<b>model")
    return Made(folder, good, bad, problems)


@pytest.fixture(scope="session")
def served(made: Made) -> Iterator[Served]:
    for needed in ("starlette", "uvicorn", "jinja2", "latex2mathml"):
        pytest.importorskip(needed)
    with serving(made.results) as viewer:
        yield viewer


@pytest.fixture
def good(made: Made) -> str:
    return f"/run/{key_of(made.good)}"


@pytest.fixture
def bad(made: Made) -> str:
    return f"/run/{key_of(made.bad)}"

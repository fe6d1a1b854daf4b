"""Graders that give more than right or wrong: their figures travel with the grades."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import Benchmark, Extraction, Normalizer, Problem, Verdict, hookimpl
from harness.config import load_config
from harness.evaluation import evaluate
from harness.grading import Grader, open_pool
from harness.plugins import PluginManager, load_plugins
from harness.pool import WorkerPool
from harness.regrade import regrade
from harness.report import Report
from harness.store import RunFolder

from ..conftest import ROOT


class Partial(Normalizer):
    """Right if equal; beside that, the share of the gold's letters that the answer has, and its length."""

    name = "partial"
    bounded_extract = True

    def extract(self, text: str) -> Extraction | None:
        return Extraction(text, "all") if text else None

    def same(self, answer: str, gold: str) -> Verdict:
        share = len(set(answer) & set(gold)) / len(set(gold))
        return Verdict(answer == gold, "letters", scores={"share": share, "length": len(answer)})

    def quick_same(self, answer: str, gold: str) -> Verdict:
        return self.same(answer, gold)

    def quick_key(self, answer: str) -> str:
        return answer


class Words(Benchmark):
    name = "words"
    normalizer = "partial"

    def problems(self, data: object) -> list[Problem]:
        return [Problem("p", "say abcd", "abcd"), Problem("q", "say xy", "xy")]


@pytest.fixture
def manager() -> PluginManager:
    class Plugin:
        @hookimpl
        def harness_benchmarks(self) -> list[Benchmark]:
            return [Words()]

        @hookimpl
        def harness_normalizers(self) -> list[Normalizer]:
            return [Partial()]

    plugins = load_plugins()
    plugins.register(Plugin(), "partial")
    return plugins


@pytest.fixture
def pool(manager: PluginManager) -> Iterator[WorkerPool]:
    pool = open_pool(manager)
    yield pool
    pool.close()


def test_figures_are_averaged_stored_and_made_again(
    manager: PluginManager, pool: WorkerPool, tmp_path: Path, write_chains: Callable[..., Path]
) -> None:
    texts = {"p": ["abcd", "ab"], "q": ["", "x"]}
    rows = [
        {"problem_id": id_, "index": i, "text": text}
        for id_, both in texts.items()
        for i, text in enumerate(both)
    ]
    flags = {"bench": "words", "sampler": "replay", "chains": write_chains(rows), "model": "m", "n": 2}
    config = load_config(None, {**flags, "results": tmp_path / "r"})
    (result,) = evaluate(config, manager)
    scores: dict[str, Any] = result["scores"]
    # p: 1 and 1/2; q: no answer, which counts 0, and 1/2.
    assert scores["share"]["value"] == pytest.approx((0.75 + 0.25) / 2)
    assert scores["share"]["ci95"] is not None
    assert scores["length"] == {"value": pytest.approx((3 + 0.5) / 2), "stderr": None, "ci95": None}
    folder = RunFolder.of(Path(result["path"]))
    stored = folder.read_grades()
    assert stored is not None
    assert stored.grades["p", 1].scores == {"share": 0.5, "length": 2}
    assert evaluate(config, manager) == [result]
    assert regrade(Path(result["path"]), manager, pool, print).result == result
    assert "share 0.5 ± 0.25, length 1.75." in manager.reporter("runs").render(Report([result]))


def test_figures_come_back_from_a_worker_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A normalizer that may not run in the main process gives them too."""
    (tmp_path / "slowly.py").write_text(
        "from harness import Extraction, Normalizer, Verdict, hookimpl\n"
        "class Slowly(Normalizer):\n"
        "    name = 'slowly'\n"
        "    def extract(self, text): return Extraction(text, 'all')\n"
        "    def same(self, answer, gold): return Verdict(True, 'always', 'its end', {'half': 0.5})\n"
        "@hookimpl\n"
        "def harness_normalizers(): return [Slowly()]\n"
    )
    info = tmp_path / "slowly-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: slowly\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[harness]\nslowly = slowly\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins = load_plugins()
    pool = open_pool(plugins)
    try:
        grader = Grader(plugins.normalizer("slowly"), pool)
        grades: list[Any] = []
        grader.submit("p", "gold", "text", grades.append)
        grader.finish()
    finally:
        pool.close()
    assert grades[0].scores == {"half": 0.5}
    assert grades[0].answer == "its end"

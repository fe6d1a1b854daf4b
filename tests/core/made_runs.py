"""Small finished runs for tests of what is done with runs: two checkpoints of one training run, some chains odd."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from harness import Benchmark, Problem, hookimpl
from harness.config import load_config
from harness.data import DataSource
from harness.evaluation import evaluate
from harness.plugins import PluginManager, load_plugins

BENCH = "fresh:level=1,seed=3,size=6"
FIRST, LAST = "sky/ckpts_checkpoint-21", "sky/ckpts_checkpoint-105"
ODD = "<script>alert(1)</script> \u2028 \x1b[31m ]]> \\n"
SECRET = "What is never to be posted, the number of its letters?"


class Secret(Benchmark):
    name = "secret"
    hidden = True

    def problems(self, data: DataSource) -> list[Problem]:
        return [Problem(f"s{i}", f"{SECRET} No. {i}", "B", ("left", "right")) for i in range(3)]


class SecretPlugin:
    @hookimpl
    def harness_benchmarks(self) -> list[Benchmark]:
        return [Secret()]


def chains_of(model: str, seed: int, skill: float, bench: str = BENCH, n: int = 4) -> list[dict[str, Any]]:
    """n chains a problem; some wrong, cut off or without an answer."""
    draw = random.Random(seed)
    plugins = with_secret()
    rows = []
    for problem in plugins.benchmark(bench).problems(DataSource(None)):
        for index in range(n):
            right = draw.random() < skill
            answer = problem.gold if right else f"{problem.gold}7"
            cut = not right and draw.random() < 0.3
            rows.append(
                {
                    "problem_id": problem.id,
                    "index": index,
                    "text": f"{ODD} {problem.text} " + ("Hm" if cut else f"So \\boxed{{{answer}}}."),
                    "reasoning": f"I read {problem.text}",
                    "completion_tokens": 50 + 10 * index,
                    "finish_reason": "length" if cut else "stop",
                    "model": model,
                }
            )
    return rows


def with_secret() -> PluginManager:
    """All plugins, and a benchmark whose problems are not to be posted."""
    plugins = load_plugins()
    plugins.register(SecretPlugin(), "secret")
    return plugins


def make_run(folder: Path, model: str, seed: int, skill: float, bench: str = BENCH) -> dict[str, Any]:
    """A finished run in folder/results, from chains in folder."""
    chains = folder / f"{model.replace('/', '_')}-{bench[:6]}.jsonl"
    chains.write_text("".join(json.dumps(row) + "\n" for row in chains_of(model, seed, skill, bench)))
    flags = {"bench": bench, "sampler": "replay", "chains": str(chains), "results": str(folder / "results")}
    (result,) = evaluate(load_config(None, flags), with_secret())
    return result


def two_checkpoints(folder: Path) -> Path:
    """The results folder of two runs."""
    make_run(folder, FIRST, 1, 0.4)
    make_run(folder, LAST, 2, 0.8)
    return folder / "results"

"""Made-up finished runs, for measurements and for looking at reports: many models on three benchmarks.

Models have a skill, problems a difficulty; wrong answers crowd on a few values, hard problems make long chains, and
what exceeds the budget is truncated. Nothing of a real benchmark is in them.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from chains import chain

from harness.files import safe_name
from harness.measure import measure, table_of_grades
from harness.plugins import PluginManager, load_plugins
from harness.protocol import FINGERPRINT_DIGITS, digest
from harness.records import Grade, Message, Problem, Prompt
from harness.rows import Key, chain_schema
from harness.store import Length, RunFolder

SIZES = {"aime25": 30, "hmmt25": 30, "gpqa-diamond": 198}
"""Problems of each benchmark: 258 in all, as in the published tables."""

BUDGET = 16_384
_LETTERS = "ABCD"
_POOL = 400
"""Different texts: enough that compression does not see through them within a row group."""


@dataclass(frozen=True)
class Made:
    """One made-up run."""

    model: str
    benchmark: str
    path: Path
    chains: int


def model_names(count: int) -> list[str]:
    """Half are models of their own, half the checkpoints of one training run."""
    single = count - count // 2
    return [f"made-up-{i + 1}b" for i in range(single)] + [
        f"made-up-sft/checkpoint-{50 * (i + 1)}" for i in range(count // 2)
    ]


def make_runs(
    folder: Path, models: int, n: int, characters: int, sizes: Mapping[str, int] = SIZES, seed: int = 0
) -> list[Made]:
    """Write finished run folders below `folder`.

    Args:
        models: how many; each is run on every benchmark.
        n: chains per problem.
        characters: mean length of a chain's text.
    """
    plugins = load_plugins()
    generator = np.random.default_rng(seed)
    dice = random.Random(seed)
    pool = [chain("", max(100, int(characters * dice.uniform(0.3, 1.7))), dice) for _ in range(_POOL)]
    difficulty = {name: generator.normal(0.3, 2.0, size) for name, size in sizes.items()}
    made = []
    for place, model in enumerate(model_names(models)):
        skill = 1.6 * math.sin(1.7 * place) if "checkpoint" not in model else 0.25 * place - 2
        for benchmark, levels in difficulty.items():
            made.append(_write(folder, model, benchmark, levels, skill, n, pool, generator, plugins))
    return made


def _write(
    folder: Path,
    model: str,
    benchmark: str,
    difficulty: np.ndarray,
    skill: float,
    n: int,
    pool: Sequence[str],
    generator: np.random.Generator,
    plugins: PluginManager,
) -> Made:
    protocol = dataclasses.replace(plugins.protocol("deepseek-r1"), n=n)
    fingerprint = digest([model, benchmark, n])[:FINGERPRINT_DIGITS]
    path = folder / safe_name(model) / benchmark / fingerprint
    run = RunFolder(path, benchmark)
    choice = benchmark.startswith("gpqa")
    golds = [(_LETTERS[i % 4] if choice else str(37 * i % 1000)) for i in range(len(difficulty))]
    ids = [f"{benchmark}-{i + 1}" for i in range(len(difficulty))]
    problems = [Problem(id_, f"Made-up problem {id_}.", gold) for id_, gold in zip(ids, golds, strict=True)]
    chance = 1 / (1 + np.exp(difficulty - skill))
    if choice:
        chance = 0.25 + 0.75 * chance
    table, grades, lengths = _chains(ids, golds, chance, difficulty, n, pool, generator, choice)
    with run.writing():
        prompts = [Prompt((Message("user", problem.text),)) for problem in problems]
        run.write_problems(problems, prompts, hidden=choice)
        run.write_grades(grades, "integer 1", ids)
        name = path / "chains.parquet"
        with pq.ParquetWriter(name, chain_schema(), compression="zstd", compression_level=3) as writer:
            for part in table:
                writer.write_table(part)
        graded = table_of_grades(ids, n, grades, lengths)
        measured = measure(graded, protocol, plugins.metrics.values(), print)
        tokens = measured.pop("tokens")
        result = {
            "model": model,
            "benchmark": benchmark,
            "protocol": protocol.name,
            "n": n,
            "problems": len(ids),
            "chains": len(grades),
            "temperature": protocol.temperature,
            "top_p": protocol.top_p,
            "max_tokens": protocol.max_tokens,
            "seed": 0,
            **measured,
            "cost": {
                "prompt_tokens": tokens["prompt"],
                "completion_tokens": tokens["completion"],
                "engine_seconds": None,
                "device_hours": round(tokens["completion"] / 2500 / 3600, 4),
                "usd": round(tokens["completion"] / 2500 / 3600 * 2.84, 4),
            },
            "warnings": [],
            "grader": "integer 1",
            "fingerprint": fingerprint,
            "path": str(path),
            "harness": "made up",
        }
        run.write_scores(result)
        run.write_info(
            {
                "harness": "made up",
                "fingerprint": fingerprint,
                "model": {"name": model},
                "benchmark": {"name": benchmark, "label": benchmark, "problems": len(ids)},
                "protocol": {name: getattr(protocol, name) for name in protocol.__dataclass_fields__},
                "seed": 0,
                "sampler": "made up",
                "sessions": [],
                "status": "complete",
            }
        )
    return Made(model, benchmark, path, len(grades))


def _chains(
    ids: Sequence[str],
    golds: Sequence[str],
    chance: np.ndarray,
    difficulty: np.ndarray,
    n: int,
    pool: Sequence[str],
    generator: np.random.Generator,
    choice: bool,
) -> tuple[list[pa.Table], dict[Key, Grade], dict[Key, Length]]:
    """The chains as tables of one problem each, with their grades and lengths."""
    tables, grades, lengths = [], {}, {}
    for id_, gold, p, level in zip(ids, golds, chance, difficulty, strict=True):
        tokens = np.exp(generator.normal(8.3 + 0.25 * level, 0.6, n)).astype(int) + 50
        cut = tokens >= BUDGET
        tokens = np.minimum(tokens, BUDGET)
        correct = (generator.random(n) < p) & ~cut
        wrong = np.minimum(generator.geometric(0.45, n), 9)
        silent = generator.random(n) < 0.01
        texts = []
        for i in range(n):
            if cut[i] or (silent[i] and not correct[i]):
                answer, status = None, "truncated" if cut[i] else "no_answer"
            elif correct[i]:
                answer, status = gold, "correct"
            else:
                other = _LETTERS[(_LETTERS.index(gold) + 1 + wrong[i] % 3) % 4] if choice else None
                answer, status = other or str((int(gold) + 13 * int(wrong[i])) % 1000), "incorrect"
            rule = "no answer found" if answer is None else "boxed/integer"
            grades[id_, i] = Grade(status, answer, answer, rule)
            lengths[id_, i] = Length(int(tokens[i]), bool(cut[i]), 120)
            end = "" if answer is None else f"\n\nSo the answer is $\\boxed{{{answer}}}$."
            texts.append(pool[int(generator.integers(len(pool)))] + end)
        columns = {
            "problem_id": [id_] * n,
            "index": range(n),
            "text": texts,
            "reasoning": [""] * n,
            "finish_reason": np.where(cut, "length", "stop"),
            "completion_tokens": tokens,
            "prompt_tokens": [120] * n,
            "seed": range(n),
            "score": [None] * n,
        }
        tables.append(pa.table({f.name: pa.array(columns[f.name], f.type) for f in chain_schema()}))
    return tables, grades, lengths


def write_sample_files(made: Sequence[Made], folder: Path) -> Iterator[Path]:
    """The same chains as lm-eval logs them: a file a model and task, a line a problem with all its responses."""
    for run in made:
        chains = pq.read_table(run.path / "chains.parquet")
        grades = pq.read_table(run.path / "grades.parquet")
        path = folder / safe_name(run.model) / f"samples_{run.benchmark}_2026-01-01T00-00-00.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        ids = chains["problem_id"].to_pylist()
        columns = {
            "resps": chains["text"].to_pylist(),
            "filtered_resps": grades["answer"].to_pylist(),
            "exact_match": [int(right) for right in grades["correct"].to_pylist()],
            "completion_tokens": chains["completion_tokens"].to_pylist(),
            "finish_reason": chains["finish_reason"].to_pylist(),
        }
        starts = [i for i in range(len(ids)) if i == 0 or ids[i] != ids[i - 1]] + [len(ids)]
        with path.open("w", encoding="utf-8") as file:
            for doc, (start, end) in enumerate(itertools.pairwise(starts)):
                row = {"doc_id": doc, "target": "", **{k: v[start:end] for k, v in columns.items()}}
                row["resps"] = [row["resps"]]
                file.write(json.dumps(row) + "\n")
        yield path

"""A benchmark of sums, a sampler that adds with mistakes, and a model folder with nothing but a tokenizer.

As a program, `python -m tests.trainers.sums FOLDER`, it prepares rows from chains that come slowly: to be killed.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from harness import Benchmark, Engine, Fit, Problem, Sampler, hookimpl
from harness.plugins import PluginManager, load_plugins

SAMPLED = {
    "source": "sums:size=8",
    "sample": {"n": 6, "sampler": "adder", "max_tokens": 100, "seed": 5},
    "filters": {"pass_rate_above": 0, "chain": "shortest correct"},
    "sort": "difficulty",
}


class Sums(Benchmark):
    name = "sums"
    normalizer = "integer"
    parameters: ClassVar[Mapping[str, Any]] = {"size": 4, "solved": True}

    def problems(self, data: object) -> Iterator[Problem]:
        for i in range(self.values["size"]):
            solution = f"{i} and {i} make {2 * i}" if self.values["solved"] else ""
            yield Problem(f"s{i}", f"What is {i} + {i}?", str(2 * i), metadata={"size": i}, solution=solution)


class Secret(Sums):
    name = "secret"
    hidden = True


class Plain(Sums):
    """Asks without a chat template."""

    name = "plain"

    def prompt(self, problem: Problem) -> Any:
        from harness import Prompt

        return Prompt((), text=problem.text)


class Adder(Sampler):
    """The larger the sum, the rarer it is right; right chains have different lengths, some are cut off."""

    name = "adder"
    needs_weights = False

    def fit(self, model: object) -> Fit:
        return Fit(0, "only when asked")

    @contextmanager
    def open(self, model: object, settings: object, options: object) -> Iterator[Engine]:
        yield _Adding()


class _Adding(Engine):
    def sample(self, requests: Any) -> Iterator[Any]:
        for request in requests:
            time.sleep(float(os.environ.get("SUMS_DELAY", "0")))
            draw = random.Random(request.seed)
            number = int(request.key.problem_id.strip("s").rpartition("-")[2])
            value = 2 * number + (draw.random() < number / 10)
            tokens = draw.randint(1, 80)
            cut = draw.random() < 0.1
            text = "so " * tokens + f"\\boxed{{{value}}}"
            yield request.chain(text, completion_tokens=tokens + 5, finish_reason="length" if cut else "stop")


class Mute(Adder):
    """Says nothing to the point."""

    name = "mute"

    @contextmanager
    def open(self, model: object, settings: object, options: object) -> Iterator[Engine]:
        yield _Silent()


class _Silent(Engine):
    def sample(self, requests: Any) -> Iterator[Any]:
        yield from (request.chain("well", completion_tokens=1) for request in requests)


class Plugin:
    @hookimpl
    def harness_benchmarks(self) -> list[Benchmark]:
        return [Sums(), Secret(), Plain()]

    @hookimpl
    def harness_samplers(self) -> list[Sampler]:
        return [Adder(), Mute()]


def plugins() -> PluginManager:
    manager = load_plugins()
    manager.register(Plugin(), "sums")
    return manager


def tokenizer_folder(folder: Path) -> Path:
    """A model folder whose tokens are words."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.enable_truncation(5)  # as some are saved: must not matter
    folder.mkdir(exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def main(folder: Path) -> None:
    from harness_trainers.data import prepare
    from harness_trainers.recipes import Data

    prepared = prepare(
        Data.model_validate(SAMPLED),
        needs="chains",
        folder=folder / "data",
        name="stage",
        model=folder / "model",
        plugins=plugins(),
    )
    print(json.dumps([prepared.digest, prepared.rows]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""What ours is measured against, each in an environment of its own: two harnesses and a grader.

The harnesses sample from their built-in dummy models, offline. Every choice that costs them time is made in their
favour.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from meter import CommandFailed

Problems = Sequence[Mapping[str, str]]
"""Rows with `id`, `input` and `target`."""


def cache() -> Path:
    """Where peers are installed, if the user does not say."""
    folder = os.environ.get("XDG_CACHE_HOME")
    return (Path(folder) if folder else Path.home() / ".cache") / "fathom-harness" / "peers"


class Installed:
    """A distribution in a virtual environment of its own.

    Args:
        home: folder that holds the environments.
    """

    distribution: ClassVar[str]
    version: ClassVar[str]
    beside: ClassVar[tuple[str, ...]] = ()
    """Other distributions whose versions matter."""

    def __init__(self, home: Path) -> None:
        python = f"py{sys.version_info.major}{sys.version_info.minor}"
        self._venv = home / f"{self.distribution}-{self.version}-{python}"

    @property
    def python(self) -> Path:
        return self._venv / "bin" / "python"

    def install(self) -> None:
        """Make the environment, once.

        Raises:
            CommandFailed: pip cannot install it.
        """
        made = self._venv / ".made"
        if made.exists():
            return
        requirement = f"{self.distribution}=={self.version}"
        print(f"installing {requirement} into {self._venv}", file=sys.stderr)
        steps: tuple[list[str | Path], ...] = (
            [sys.executable, "-m", "venv", "--clear", self._venv],
            [self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement],
        )
        for command in steps:
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                why = " / ".join(done.stderr.strip().split("\n")[-3:])
                raise CommandFailed(f"{requirement} cannot be installed into {self._venv}: {why}")
        made.touch()

    def versions(self) -> dict[str, str]:
        """Its version and those of `beside`, "-" where one is not installed."""
        code = (
            "import importlib.metadata as m, json, sys\n"
            "def version(name):\n"
            "    try: return m.version(name)\n"
            "    except m.PackageNotFoundError: return '-'\n"
            "print(json.dumps({name: version(name) for name in sys.argv[1:]}))"
        )
        versions: dict[str, str] = json.loads(self._ask(code, self.distribution, *self.beside))
        return versions

    def _ask(self, code: str, *arguments: str | Path) -> str:
        command = [self.python, "-c", code, *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            why = done.stderr.strip().split("\n")[-1]
            raise CommandFailed(f"{self.distribution} {self.version} cannot be questioned: {why}")
        return done.stdout


class MathVerify(Installed):
    """The grader that most projects use."""

    distribution = "math-verify"
    version = "0.9.0"
    beside = ("latex2sympy2_extended", "antlr4-python3-runtime", "sympy")


class Peer(Installed, ABC):
    """A harness that samples from a dummy model."""

    beside = ("torch",)
    output: ClassVar[str]
    """What its dummy model answers."""

    @abstractmethod
    def command(self, folder: Path, problems: Problems, repeats: int) -> list[str | Path]:
        """Write a task over the problems into the folder.

        Returns:
            The command, to be run in that folder, that samples each problem `repeats` times, scores the samples
            and stores them; without its last argument, the folder to store them in.
        """

    @abstractmethod
    def generations(self, logs: Path) -> int:
        """How many different samples with an output the logs hold."""

    def _only(self, logs: Path, pattern: str) -> Path:
        found = sorted(logs.rglob(pattern))
        if len(found) != 1:
            raise CommandFailed(f"{self.distribution} left {len(found)} files {pattern}, not one")
        return found[0]


class LmEval(Peer):
    distribution = "lm-eval"
    version = "0.4.13"
    output = "3 B each"

    def command(self, folder: Path, problems: Problems, repeats: int) -> list[str | Path]:
        data = _write_problems(folder / "lm_eval.jsonl", problems)
        task = {
            "task": "overhead",
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(data)}},
            "test_split": "test",
            "output_type": "generate_until",
            "doc_to_text": "{{input}}",
            "doc_to_target": "{{target}}",
            "generation_kwargs": {
                "until": [],
                "do_sample": True,
                "temperature": 0.6,
                "top_p": 0.95,
                "max_gen_toks": 16384,
            },
            "repeats": repeats,
            "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
            "metadata": {"version": 1},
        }
        tasks = folder / "lm_eval_tasks"
        tasks.mkdir()
        (tasks / "overhead.yaml").write_text(json.dumps(task, indent=2))  # JSON is YAML too
        program = self._venv / "bin" / "lm_eval"
        return [
            *(program, "run", "--model", "dummy", "--tasks", "overhead"),
            *("--include_path", tasks, "--log_samples", "--output_path"),
        ]

    def generations(self, logs: Path) -> int:
        with self._only(logs, "samples_overhead_*.jsonl").open(encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        return sum(bool(text) for row in rows for responses in row["resps"] for text in responses)


class Inspect(Peer):
    distribution = "inspect-ai"
    version = "0.3.285"
    output = "33 B each"

    # Left alone, mockllm counts the tokens of each prompt, for which it downloads a vocabulary. Given a usage,
    # it does neither.
    _TASK = """
from pathlib import Path

from inspect_ai import Task, task
from inspect_ai.dataset import json_dataset
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import match
from inspect_ai.solver import generate


def answer(*request):
    output = ModelOutput.from_content("mockllm", "Default output from mockllm/model")
    output.usage = ModelUsage(input_tokens=100, output_tokens=10, total_tokens=110)
    return output


@task
def overhead():
    problems = json_dataset(str(Path(__file__).with_name("inspect.jsonl")))
    model = get_model("mockllm/model", custom_outputs=answer)
    return Task(dataset=problems, solver=generate(), scorer=match(), model=model)
"""

    _COUNT = """
import sys
from inspect_ai.log import read_eval_log
log = read_eval_log(sys.argv[1])
if log.status != "success":
    sys.exit(f"the evaluation ended with {log.status}: {log.error and log.error.message[:300]}")
print(len({(s.id, s.epoch) for s in log.samples if s.output.completion and not s.error and s.scores}))
"""

    def command(self, folder: Path, problems: Problems, repeats: int) -> list[str | Path]:
        _write_problems(folder / "inspect.jsonl", problems)
        (folder / "overhead_task.py").write_text(self._TASK)
        program = self._venv / "bin" / "inspect"
        return [
            *(program, "eval", "overhead_task.py", "--model", "mockllm/model"),
            # Without the live log, which a display alone would read, it is a quarter quicker.
            *("--epochs", str(repeats), "--display", "none", "--no-log-realtime", "--log-dir"),
        ]

    def generations(self, logs: Path) -> int:
        return int(self._ask(self._COUNT, self._only(logs, "*.eval")))


PEERS: tuple[type[Peer], ...] = (LmEval, Inspect)


def _write_problems(path: Path, problems: Problems) -> Path:
    path.write_text("".join(json.dumps(dict(row)) + "\n" for row in problems), encoding="utf-8")
    return path

"""The harnesses that `serving.py` measures ours against, as clients of a server. See `peers.py`."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import ClassVar

from meter import CommandFailed
from peers import Inspect, Installed, LmEval, Problems

KEY = {"LOCAL_API_KEY": "none", "OPENAI_API_KEY": "none"}
"""Both want a key, and the server wants none."""


class Client(Installed):
    """A harness, with what it needs to ask a server."""

    extras: ClassVar[tuple[str, ...]]
    """Requirements besides its own."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        name = f"{self.distribution}-{self.version}"
        self._venv = self._venv.with_name(self._venv.name.replace(name, f"{name}-serving"))

    def install(self) -> None:
        super().install()
        made = self._venv / ".extras"
        if made.exists():
            return
        command = [
            self.python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            *self.extras,
        ]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            why = " / ".join(done.stderr.strip().split("\n")[-3:])
            raise CommandFailed(f"{' '.join(self.extras)} cannot be installed into {self._venv}: {why}")
        made.touch()

    def ask(self, url: str, folder: Path, problems: Problems, repeats: int, at_once: int) -> list[str | Path]:
        """The command that samples each problem `repeats` times, without the folder to store them in."""
        raise NotImplementedError

    def answers(self, logs: Path) -> int:
        """How many samples with an answer the logs hold."""
        raise NotImplementedError


class LmEvalClient(Client, LmEval):
    """`local-chat-completions`. It does not stream. Without a tokenizer, which would cost it time."""

    extras = (f"lm-eval[api]=={LmEval.version}",)

    def ask(self, url: str, folder: Path, problems: Problems, repeats: int, at_once: int) -> list[str | Path]:
        command = self.command(folder, problems, repeats)
        model = (
            f"base_url={url}/chat/completions,model=made-up,num_concurrent={at_once},tokenizer_backend=None"
        )
        model += ",eos_string=none,tokenized_requests=False"
        at = command.index("dummy")
        return [
            *command[:at],
            "local-chat-completions",
            "--model_args",
            model,
            "--apply_chat_template",
            *command[at + 1 :],
        ]

    def answers(self, logs: Path) -> int:
        return self.generations(logs)


class InspectClient(Client, Inspect):
    """The provider `openai-api`, not streaming, which is its default."""

    extras = ("openai==3.54.0",)

    _SERVED_TASK = """
from pathlib import Path

from inspect_ai import Task, task
from inspect_ai.dataset import json_dataset
from inspect_ai.scorer import match
from inspect_ai.solver import generate


@task
def overhead():
    problems = json_dataset(str(Path(__file__).with_name("inspect.jsonl")))
    return Task(dataset=problems, solver=generate(), scorer=match())
"""

    def ask(self, url: str, folder: Path, problems: Problems, repeats: int, at_once: int) -> list[str | Path]:
        command = self.command(folder, problems, repeats)
        (folder / "overhead_task.py").write_text(self._SERVED_TASK)
        at = command.index("mockllm/model")
        asked = ["openai-api/local/made-up", "--model-base-url", url, "--max-connections", str(at_once)]
        asked += ["--temperature", "0.6", "--top-p", "0.95", "--max-tokens", "4096"]
        return [*command[:at], *asked, *command[at + 1 :]]

    def answers(self, logs: Path) -> int:
        return self.generations(logs)


CLIENTS: tuple[type[Client], ...] = (LmEvalClient, InspectClient)

"""log.jsonl: how a stage goes, step by step, across as many sessions as it takes."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from transformers import TrainerCallback

from harness import HarnessError
from harness.files import disk_error, write_all, write_atomically

from .process import only_first

FILE: Final = "log.jsonl"
_LONGEST_LINE: Final = 1_000_000

_NAMES: Final = {
    "loss": "loss",
    "grad_norm": "grad_norm",
    "learning_rate": "learning_rate",
    "reward": "reward",
    "reward_std": "reward_std",
    "kl": "kl",
    "entropy": "entropy",
    "accuracy": "accuracy",
    "mean_tokens": "mean_tokens",
    "truncated": "truncated",
    "clip_ratio": "clip_ratio",
    "mean_token_accuracy": "token_accuracy",
    "completions/mean_length": "mean_tokens",
    "completions/clipped_ratio": "truncated",
    "clip_ratio/region_mean": "clip_ratio",
    "frac_reward_zero_std": "zero_std",
}
"""TRL's name of a figure -> its name in the log."""

_CALLED: Final = {"loss": "loss", "grad_norm": "norm of the gradient"}


class StageLog:
    """The log of a stage.

    Args:
        work: folder of the stage; the log is its log.jsonl.
    """

    def __init__(self, work: Path) -> None:
        self.path = work / FILE

    def entries(self) -> list[dict[str, Any]]:
        """What was logged, steps rising; a last line that a killed process left torn is not among it.

        Raises:
            HarnessError: the file cannot be read.
        """
        found: list[dict[str, Any]] = []
        try:
            with self.path.open("rb") as file:
                while line := file.readline(_LONGEST_LINE):
                    entry = _parsed(line)
                    if entry is not None and (not found or entry["step"] > found[-1]["step"]):
                        found.append(entry)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise HarnessError(f"cannot read {self.path}: {error.strerror or error}") from None
        return found

    def cut(self, step: int) -> dict[str, Any] | None:
        """Forget what came after a step, from which the stage goes on.

        Returns:
            the last entry that is left.

        Raises:
            HarnessError: the disk is full or the folder cannot be written.
        """
        kept = [entry for entry in self.entries() if entry["step"] <= step]
        data = b"".join(_line(entry) for entry in kept)
        write_atomically(self.path, lambda file: file.write(data))
        return kept[-1] if kept else None

    def add(self, entry: Mapping[str, Any]) -> None:
        """Append an entry, in one piece.

        Raises:
            HarnessError: the disk is full or the folder cannot be written.
        """
        try:
            with self.path.open("ab", buffering=0) as file:
                write_all(file, _line(entry))
        except OSError as error:
            raise disk_error(error, self.path) from None

    def sync(self) -> None:
        """Have what was logged outlive the machine: a saved state relies on it."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY)
        except FileNotFoundError:
            return
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class LogCallback(TrainerCallback):  # type: ignore[misc,unused-ignore]
    """Writes what a trainer logs into the stage's log.

    Args:
        stage: RECIPE:STAGE, for messages.
        step: of the optimiser, that the stage goes on from; 0 at its start.
        extra: figures of the trainer's own, its name -> the name in the log.
    """

    def __init__(
        self, log: StageLog, stage: str, step: int = 0, extra: Mapping[str, str] | None = None
    ) -> None:
        self.log = log
        self.stage = stage
        self.names = {**_NAMES, **(extra or {})}
        last = log.cut(step) if only_first() else None
        self.seconds = float((last or {}).get("seconds") or 0.0)
        """Of training, in the sessions before."""
        self.tokens = int((last or {}).get("tokens") or 0)
        """Trained on, in the sessions before."""
        self._began = time.monotonic()
        self._last = step

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._began = time.monotonic()

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        logs = logs or {}
        loss = logs.get("loss")
        # With float16 a scaler takes care of gradients that are too large: it leaves such a step out.
        for name in ("loss",) if getattr(args, "fp16", False) else ("loss", "grad_norm"):
            value = logs.get(name)
            if value is not None and not math.isfinite(value):
                raise HarnessError(
                    f"{self.stage}: the {_CALLED[name]} is {value} at step {state.global_step}: lower learning_rate or "
                    "max_grad_norm; the last saved state is kept"
                )
        if not only_first() or loss is None or state.global_step <= self._last:
            return
        self._last = state.global_step
        self.log.add(self.entry(state, logs))

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step >= state.max_steps:
            control.should_log = True  # however seldom it is: what it ended with, and that it ended soundly

    def entry(self, state: Any, logs: Mapping[str, Any]) -> dict[str, Any]:
        """A line of the log out of what a trainer says of a step."""
        figures = {name: logs[key] for key, name in self.names.items() if _is_number(logs.get(key))}
        return {
            "step": state.global_step,
            "steps": state.max_steps,
            "epoch": round(float(state.epoch or 0), 6),
            "seconds": round(self.seconds + time.monotonic() - self._began, 3),
            "tokens": int(logs.get("num_tokens") or 0),
            **{name: float(value) for name, value in figures.items()},
        }


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _line(entry: Mapping[str, Any]) -> bytes:
    finite = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in entry.items()
    }
    return json.dumps(finite, allow_nan=False).encode() + b"\n"


def _parsed(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) and type(entry.get("step")) is int else None

"""What the loggers share: which figures of a run go where, and when a run is heard of."""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, ClassVar, Final

from harness import HarnessError
from harness.checkpoints import checkpoint_of
from harness.errors import one_line
from harness.report import truncated_share

Result = Mapping[str, Any]

VARIABLE: Final = "HARNESS_LOG"

SETTINGS: Final = {
    "protocol": "",
    "n": "n=",
    "temperature": "T=",
    "top_p": "p=",
    "max_tokens": "budget=",
    "seed": "seed=",
}
"""What the points of one curve have in common, and how a curve's name says it."""


@dataclass(frozen=True)
class Point:
    """One finished run as a point of a curve over training steps."""

    series: str
    """The training run, or the model where its name tells of no checkpoint."""
    setting: str
    """How it was sampled, in short: numbers of two protocols never share a curve."""
    step: int
    """Of the checkpoint; 0 where the model's name tells of none."""
    figures: Mapping[str, float]
    """Value by name, such as "aime24/pass@1"."""
    result: Result

    @property
    def curve(self) -> str:
        return f"{self.series}/{self.setting}"


def point_of(result: Result) -> Point:
    model = str(result["model"])
    checkpoint = checkpoint_of(model)
    series, step = (model, 0) if checkpoint is None else (checkpoint.series or "checkpoints", checkpoint.step)
    known = {short: result.get(name) for name, short in SETTINGS.items()}
    setting = ",".join(f"{short}{value}" for short, value in known.items() if value is not None)
    return Point(series, setting, step, figures_of(result), result)


def figures_of(result: Result) -> dict[str, float]:
    """Scores with their standard errors and intervals, how chains ended, tokens and cost, by name.

    Shares are in 0..1 and tokens are tokens, as `harness run --json` prints them.
    """
    found: dict[str, Any] = {}
    for name, score in result["scores"].items():
        found[name] = score["value"]
        found[f"{name}_stderr"] = score.get("stderr")
        found[f"{name}_low"], found[f"{name}_high"] = score.get("ci95") or (None, None)
    found["truncated"] = truncated_share(result)
    found["no_answer"] = result["no_answer"]
    found |= {f"cost/{name}": value for name, value in (result.get("cost") or {}).items()}
    benchmark = result["benchmark"]
    return {
        f"{benchmark}/{name}": float(value)
        for name, value in found.items()
        if isinstance(value, (int, float)) and math.isfinite(value)
    }


def curves_of(results: Sequence[Result]) -> dict[str, list[Point]]:
    """Curve -> its points by step."""
    curves: dict[str, list[Point]] = {}
    for point in sorted(map(point_of, results), key=lambda point: point.step):
        curves.setdefault(point.curve, []).append(point)
    return curves


def asked() -> dict[str, str]:
    """Logger -> target, as HARNESS_LOG says.

    Raises:
        HarnessError: the variable is not NAME:TARGET, or several of these with commas between.
    """
    found = {}
    for part in filter(None, (part.strip() for part in os.environ.get(VARIABLE, "").split(","))):
        name, _, target = part.partition(":")
        if not target.strip():
            raise HarnessError(f"{VARIABLE}: {part!r:.60} is not NAME:TARGET, as in tensorboard:logs")
        found[name.strip().lower()] = target.strip()
    return found


def safe(name: str) -> str:
    """A metric's name of letters, digits and _ - . / only, which all three take: pass@1 is pass_at_1."""
    spelt = name.replace("@", "_at_")
    return "".join(c if c.isascii() and (c.isalnum() or c in "_-./") else "_" for c in spelt)


class Logger(ABC):
    """Writes points to one kind of log."""

    name: str
    package: ClassVar[str]
    """The import it needs, which is looked for and not imported until something is written."""
    target: ClassVar[str]
    """What its target is, for people."""

    @abstractmethod
    def put(self, target: str, curves: Mapping[str, Sequence[Point]]) -> str:
        """Write the points, curve by curve; says where they can be seen. May raise anything."""

    def write(self, target: str, results: Sequence[Result]) -> str:
        """Write finished runs to a target; says where they can be seen.

        Raises:
            HarnessError: the package is not installed, or the target cannot be written.
        """
        self.check()
        try:
            return self.put(target, curves_of(results))
        except HarnessError:
            raise
        except Exception as error:  # another project's code, with exceptions of its own
            raise HarnessError(f"{self.name} cannot write to {target!r}: {one_line(error)}") from error

    def check(self) -> None:
        """Raises:
        HarnessError: the package is not installed.
        """
        if not self.installed:
            raise HarnessError(
                f"{self.name} is asked for and not installed: pip install 'fathom-harness[{self.name}]'"
            )

    @property
    def installed(self) -> bool:
        # A folder of that name, such as the one that wandb makes, is no package: it has no origin.
        spec = find_spec(self.package)
        return spec is not None and spec.origin is not None

    # -- what the hooks call ---------------------------------------------------------------------

    def started(self) -> None:
        """Complain at once, not after hours, and once a process."""
        if self.name in asked() and self.name not in _COMPLAINED:
            try:
                self.check()
            except HarnessError:
                _COMPLAINED.add(self.name)
                raise

    def finished(self, result: Result) -> None:
        target = asked().get(self.name)
        if target is not None and self.installed:
            self.write(target, [result])


_COMPLAINED: set[str] = set()
"""Loggers of which the user has been told that they are not installed."""

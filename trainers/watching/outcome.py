"""What becomes of one evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Any, Literal

from harness.config import load_config
from harness.errors import Busy, HarnessError, Interrupted, UsageError, one_line
from harness.evaluation import evaluate
from harness.models import resolve_model
from harness.plugins import PluginManager
from harness.progress import Progress
from harness.records import Chain
from harness.text import one_row

Kind = Literal["done", "failed", "refused", "busy", "stopped"]

_MOST_LETTERS = 500


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one attempt to evaluate a model."""

    kind: Kind
    """done; failed: may go better another time; refused: what is asked for makes no sense, now or later; busy: another
    process is evaluating just this; stopped: told to stop, what was sampled is stored."""
    reason: str = ""
    """One printable line; empty where it is done."""
    results: Sequence[Mapping[str, Any]] = ()
    """As `harness run --json` prints them."""


def carry_out(flags: Mapping[str, Any], plugins: PluginManager, stop: Event | None = None) -> Outcome:
    """Evaluate in this process; whatever goes wrong is in the outcome.

    Args:
        flags: of `harness run`, as `harness.config.load_config` takes them.
        stop: once it is set, this ends with the next chain; what was sampled is stored.
    """
    try:
        config = load_config(None, flags)
        results = evaluate(config, plugins, _Guard(config.model, plugins, stop or Event()))
    except (Interrupted, KeyboardInterrupt) as error:
        return Outcome("stopped", line(str(error) or "interrupted"))
    except UsageError as error:
        return Outcome("refused", line(str(error)))
    except Busy as error:
        return Outcome("busy", line(str(error)))
    except HarnessError as error:
        return Outcome("failed", line(str(error)))
    except BaseException as error:  # noqa: BLE001 - an engine's own exit too: nothing may reach what is being trained
        return Outcome("failed", line(one_line(error)))
    return Outcome("done", results=results)


class _Guard(Progress):
    """Sees to it that what is sampled is the model that the run is of, and stops between two chains."""

    def __init__(self, model: str | None, plugins: PluginManager, stop: Event) -> None:
        self._model, self._plugins, self._stop = model, plugins, stop
        self._before = self._identity()

    def sampling(self) -> None:
        # A trainer that goes on after a kill writes its checkpoints once more, into the same files.
        if self._identity() != self._before:
            raise HarnessError(f"{self._model} was written to while it was loaded")

    def stored(self, label: str, chain: Chain) -> None:
        if self._stop.is_set():
            raise KeyboardInterrupt

    def _identity(self) -> Mapping[str, Any] | None:
        """None: there is no such model, which is for `evaluate` to tell."""
        try:
            return resolve_model(self._model or "", self._plugins.models.values()).identity()
        except HarnessError:
            return None


def line(text: str) -> str:
    """Text from anywhere as one bounded, printable line."""
    return " ".join(one_row(text[: 4 * _MOST_LETTERS]).split())[:_MOST_LETTERS]

"""What becomes of one evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.config import load_config
from harness.errors import HarnessError, Interrupted, UsageError, one_line
from harness.evaluation import evaluate
from harness.plugins import PluginManager
from harness.progress import Progress
from harness.text import one_row

Kind = Literal["done", "failed", "refused", "busy", "stopped"]

_BUSY = "is being written by"  # how the run folder's lock says that another process has it
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


def carry_out(flags: Mapping[str, Any], plugins: PluginManager, progress: Progress | None = None) -> Outcome:
    """Evaluate in this process; whatever goes wrong is in the outcome.

    Args:
        flags: of `harness run`, as `harness.config.load_config` takes them.
    """
    try:
        results = evaluate(load_config(None, flags), plugins, progress)
    except (Interrupted, KeyboardInterrupt) as error:
        return Outcome("stopped", line(str(error) or "interrupted"))
    except UsageError as error:
        return Outcome("refused", line(str(error)))
    except HarnessError as error:
        return Outcome("busy" if _BUSY in str(error) else "failed", line(str(error)))
    except Exception as error:  # noqa: BLE001 - nothing of an evaluation may reach what is being trained
        return Outcome("failed", line(one_line(error)))
    return Outcome("done", results=results)


def line(text: str) -> str:
    """Text from anywhere as one bounded, printable line."""
    return " ".join(one_row(text[: 4 * _MOST_LETTERS]).split())[:_MOST_LETTERS]

"""Ctrl-C and SIGTERM: the step that is under way is finished, a state is saved, and the stage stops."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

from transformers import TrainerCallback

from harness import Interrupted, StageJob

from .process import any_process

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class InterruptCallback(TrainerCallback):  # type: ignore[misc,unused-ignore]
    """Ends training after the step in which the process was asked to stop. A second time, it stops at once."""

    def __init__(self) -> None:
        self.asked = False
        self.stopped = False
        """Whether training was ended because of it."""

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if any_process(self.asked) and state.global_step < state.max_steps:
            self.stopped = True
            control.should_log = control.should_save = control.should_training_stop = True

    @contextmanager
    def listening(self, job: StageJob) -> Iterator[None]:
        """While this holds, the two signals end training rather than the process.

        Raises:
            Interrupted: at its end, where one came.
        """
        if threading.current_thread() is not threading.main_thread():
            yield  # signals reach the main thread only
            return
        before = {number: signal.getsignal(number) or signal.SIG_DFL for number in _SIGNALS}

        def ask(number: int, frame: FrameType | None) -> None:
            self.asked = True
            for each, handler in before.items():
                signal.signal(each, handler)

        for number in _SIGNALS:
            signal.signal(number, ask)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if self.stopped:
            raise Interrupted(
                f"{job.stage} was stopped and its state saved: the same command goes on from there"
            )

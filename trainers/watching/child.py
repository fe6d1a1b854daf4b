"""The process that evaluates: `python -m harness_trainers.watching.child FOLDER`.

FOLDER holds `job.json`; `outcome.json` appears there, whole, at the end. See apart.py for the other side.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final

from harness.files import read_json, write_json

JOB: Final = "job.json"
OUTCOME: Final = "outcome.json"

_LOOK_SECONDS: Final = 0.2
_GRACE_SECONDS: Final = 10.0
"""What is in flight is stored at once; this long an engine may take to stop."""


def main() -> int:
    folder = Path(sys.argv[1])
    job: dict[str, Any] = read_json(folder / JOB)
    signal.signal(signal.SIGTERM, _as_interrupt)
    threading.Thread(target=_follow, args=(job["parent"],), daemon=True).start()
    try:
        return _work(job, folder)
    except KeyboardInterrupt:
        return 130


def _work(job: dict[str, Any], folder: Path) -> int:
    from harness.plugins import PluginManager

    plugins = PluginManager(job["block"], job["only"]).load()
    if "report" in job:
        from .report import write_report

        wanted = job["report"]
        problem = write_report(
            Path(wanted["results"]), Path(wanted["stem"]), plugins=plugins, baseline=wanted["baseline"]
        )
        outcome: dict[str, Any] = {"kind": "failed" if problem else "done", "reason": problem or ""}
    else:
        from .outcome import carry_out

        outcome = dataclasses.asdict(carry_out(job["flags"], plugins))
    write_json(folder / OUTCOME, outcome)
    return 0 if outcome["kind"] == "done" else 1


def _follow(parent: int) -> None:
    """End with the process that started this one, however that ended, and take the engine's processes along.

    Asked for by looking: the kernel's own signal at a parent's death is sent when the thread that started a process
    ends, and knows nothing of grandchildren.
    """
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_SECONDS)
    os.killpg(0, signal.SIGKILL)


def _as_interrupt(signum: int, frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())

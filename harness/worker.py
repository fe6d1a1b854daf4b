"""The process on the other side of `harness.pool`: runs normalizers, one task at a time, until its input ends."""

from __future__ import annotations

import os
import resource
import signal
import sys
from typing import Any

from .components import Normalizer
from .plugins import PluginManager
from .pool import read_frame, write_frame


def judge(normalizer: Normalizer, task: dict[str, Any]) -> dict[str, Any]:
    """Carry out a task: extract an answer if a text is given, then compare it with the gold if one is given.

    Args:
        task: `text` or `answer`; optionally `gold`.

    Returns:
        `answer` (None if the text gives none), `explicit`, `extraction` and `comparison` (rules), `same`, `scores`,
        `key`.
    """
    result: dict[str, Any] = {"answer": task.get("answer"), "extraction": "", "same": None, "comparison": ""}
    if "text" in task:
        found = normalizer.extract(task["text"])
        if found is None:
            return {**result, "answer": None, "key": None}
        result["answer"], result["extraction"] = found.answer, found.rule
        result["explicit"] = found.explicit
    answer = result["answer"]
    if "gold" in task:
        verdict = normalizer.same(answer, task["gold"])
        result["same"], result["comparison"] = verdict.same, verdict.rule
        if verdict.answer is not None:
            result["answer"] = verdict.answer
        result["scores"] = {str(name): float(value) for name, value in verdict.scores.items()}
        # All correct answers vote together, however they are written.
        result["key"] = normalizer.vote(task["gold"] if result["same"] else answer, task["gold"])
    else:
        result["key"] = normalizer.key(answer)
    return result


def _die_with_parent() -> None:
    """Ask the kernel to end this process when its parent is killed in the middle of a task (Linux only)."""
    if sys.platform == "linux":
        import ctypes

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def main() -> None:
    # Plugins may print: the pipe to the parent is moved out of their reach, and stdout becomes stderr.
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    tasks = sys.stdin.buffer
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then closes the pipe
    _die_with_parent()
    setup = read_frame(tasks)
    if setup is None:
        return
    bound = int(setup["memory_mb"]) * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    only = setup.get("only")
    plugins = PluginManager(setup.get("block", ()), only).load()
    write_frame(replies, {"ready": True})
    while (task := read_frame(tasks)) is not None:
        try:
            if "warm" in task:
                plugins.normalizer(task["warm"]).warm()
                write_frame(replies, {"ready": True})
                continue
            reply = judge(plugins.normalizer(task["normalizer"]), task)
        except Exception as error:  # noqa: BLE001
            text = " ".join(str(error).split())[:200]
            reply = {"error": f"{type(error).__name__}: {text}"}
        write_frame(replies, reply)


if __name__ == "__main__":
    main()

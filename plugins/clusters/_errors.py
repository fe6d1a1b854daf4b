"""What a person needs of one of Ray's errors, which are whole pages."""

from __future__ import annotations

from typing import Final

from harness.errors import one_line

from ._messages import Failure

_SIGNS: Final = {
    "ode is dead": "its node is gone",
    "ode died": "its node is gone",
    "node was terminated": "its node is gone",
    "running low on memory": "its node ran out of memory",
    "worker process has died": "its process died (killed, perhaps for want of memory, or crashed)",
}
"""What Ray's errors hold, and what that means."""


def failure_of(error: Exception) -> Failure:
    """The loss of a replica that Ray tells of. A module that a node lacks is lacking for good."""
    lines = [line.strip() for line in str(error).split("\n") if line.strip()]
    text = " ".join(lines)
    missing = next((line for line in lines if "No module named" in line), None)
    if missing is not None:
        _, _, missing = missing.partition("No module named")
        return Failure(
            f"no module named {missing.strip()} there: the harness and its plugins must be installed on every node",
            True,
        )
    for sign, reason in _SIGNS.items():
        if sign in text:
            return Failure(reason, expected=False)
    return Failure(one_line(error), expected=False)

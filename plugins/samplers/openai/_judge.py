"""What a reply means that came to its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ._answer import Choice
from ._errors import Refusal, classify, classify_reported
from ._server import Server
from ._sink import AnswerSink

_OVERLOADED = (408, 502, 504)
_BROKEN = ("abort", "aborted", "error", "cancelled")
"""Finish reasons of choices that the server did not finish."""


@dataclass(slots=True)
class Outcome:
    """What one attempt came to, besides the choices that are complete."""

    refusal: Refusal | None = None
    overload: bool = False
    """The window is to be cut."""
    stale: bool = False
    """It was sent on a kept connection that had ended."""
    complete: bool = False
    """The server said all that it wanted to say."""


def judge(server: Server, sink: AnswerSink, sent: Sequence[str], *, known: bool) -> Outcome:
    """What a reply came to.

    Args:
        sent: the fields of the request that can be left out.
        known: the server has answered before, so that it is one.
    """
    outcome, answer = Outcome(), sink.answer
    if 300 <= sink.status < 400:
        outcome.refusal = server.redirected(sink.status, sink.headers)
    elif sink.status != 200:
        outcome.refusal = classify(sink.status, sink.headers, sink.document, sent, secret=server.secret)
    elif answer.error is not None:
        outcome.refusal = classify_reported(answer.error, sent, secret=server.secret)
    elif answer.done:
        outcome.complete = True
    elif sink.streamed and any(choice.finish is not None for choice in answer.choices.values()):
        outcome.complete = sink.resting or sink.finished
        if not outcome.complete:
            outcome.refusal = Refusal("passing", "its stream ended before all choices did")
    elif sink.streamed:
        outcome.refusal = Refusal("passing", "its stream ended in the middle of an answer")
    else:
        outcome.refusal = server.no_answer(sink.document, sink.headers, known=known)
    if (refusal := outcome.refusal) is not None:
        outcome.overload = refusal.kind == "busy" or refusal.status in _OVERLOADED
    return outcome


def is_complete(choice: Choice, n: int, outcome: Outcome) -> bool:
    """Whether one of n choices is a chain."""
    # A choice that ends twice is two of one index; but the end of the only one is repeated by some servers.
    if choice.garbled or choice.finish in _BROKEN or (n > 1 and choice.ends > 1):
        return False
    return choice.finish is not None or (outcome.complete and choice.size > 0)

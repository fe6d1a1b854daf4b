"""`harness ask`"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, TextIO

import click

from ..errors import UsageError
from ..text import printable
from . import plugins_of, say, say_problems
from .engine_options import engine_options, sampling_options
from .streams import show_warnings, stdout_kept_clean

if TYPE_CHECKING:
    from ..ask import Answer


@click.command("ask")
@click.argument("question")
@engine_options
@sampling_options
@click.option("--gold", help="The reference answer: the answer is graded against it.")
@click.option("--kind", default="math", show_default=True, help="Normalizer that reads and compares answers.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object when the answer is complete.")
@click.option("--quiet", "-q", is_flag=True, help="Print the answer alone.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    question: str,
    gold: str | None,
    kind: str,
    as_json: bool,
    quiet: bool,
    **flags: Any,
) -> None:
    """Ask a model one QUESTION at the protocol's settings and print its answer while it is written.

    QUESTION is asked as a benchmark's problem would be; - reads it from standard input. Nothing is stored.
    """
    from ..ask import ask
    from ..config import sampling_config

    if question == "-":
        question = sys.stdin.buffer.read().decode("utf-8", "replace")
    if not question.strip():
        raise UsageError("the question is empty")
    plugins = plugins_of(ctx)
    say_problems(plugins)
    show_warnings()
    config = sampling_config(flags)
    with stdout_kept_clean() as out:
        shown = _Shown(out, silent=as_json)
        answer = ask(
            config, plugins, question, shown.add, gold=gold, kind=kind, note=_silent if quiet else say
        )
        shown.end()
        if as_json:
            print(json.dumps(_as_dict(answer), ensure_ascii=False), file=out)
    if not quiet:
        _say_outcome(answer)


def _silent(text: str) -> None:
    pass


class _Shown:
    """The answer on its way to the terminal. It is a stranger's text: control characters are taken out of it."""

    def __init__(self, out: TextIO, *, silent: bool) -> None:
        self._out = out
        self._silent = silent

    def add(self, text: str) -> None:
        if not self._silent:
            kept = "".join(c if c.isprintable() or c in "\n\t" else "�" for c in text)
            self._out.write(kept)
            self._out.flush()

    def end(self) -> None:
        self.add("\n")
        sys.stdout.flush()


def _as_dict(answer: Answer) -> dict[str, Any]:
    chain, grade = answer.chain, answer.grade
    return {
        "text": printable(chain.text),
        "reasoning": printable(chain.reasoning),
        "answer": None if answer.answer is None else printable(answer.answer),
        "finish_reason": chain.finish_reason,
        "prompt_tokens": chain.prompt_tokens,
        "completion_tokens": chain.completion_tokens,
        "seed": chain.seed,
        "seconds": round(answer.seconds, 3),
        "status": None if grade is None else grade.status,
        "rule": None if grade is None else grade.rule,
    }


def _say_outcome(answer: Answer) -> None:
    chain = answer.chain
    parts = []
    if chain.completion_tokens is not None:
        rate = chain.completion_tokens / answer.seconds if answer.seconds else 0.0
        parts.append(f"{chain.completion_tokens:,} tokens, {rate:,.0f} tok/s")
    if chain.truncated:
        parts.append("cut off by the token budget")
    parts.append("no answer found" if answer.answer is None else f"answer {answer.answer:.200}")
    if answer.grade is not None:
        parts.append(f"{answer.grade.status} ({answer.grade.rule})")
    say("; ".join(parts))

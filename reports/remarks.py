"""Everything about a run that a reader of its scores should not overlook, in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from .figures import Result, count, money, value_and_error

_KNOWN: Final = ("pass@1", "pass@k", "cons@k", "mean_tokens", "p95_tokens")
"""Scores that have a place of their own; all others, of strangers' metrics and graders, are listed."""


_NAMED: Final = 2
"""Runs that a warning names; of more it says how many."""


def remarks(result: Result, model: str, *, brief: bool = False) -> Iterator[str]:
    """Sentences on one run.

    Args:
        model: what the run's row is called.
        brief: only what is out of the ordinary.
    """
    label = f"{model} on {result['benchmark']}"
    if parts := list(_parts(result, brief)):
        yield f"{label}: {'; '.join(parts)}."
    if own := [_other(name, score) for name, score in result["scores"].items() if name not in _KNOWN]:
        yield f"{label}: {', '.join(own)}."
    if early := result.get("decided"):
        yield f"{label}: {_stopped_early(result, early)}"
    if (foreign := result.get("foreign")) and not (brief and not foreign["differs"]):
        yield f"{label}: {_foreign(foreign)}"
    if not brief and (spent := _spent(result.get("cost") or {})):
        yield f"{label}: {spent}."


def warnings_of(runs: Iterable[tuple[Result, str]]) -> Iterator[str]:
    """The warnings of runs, each once with all that it is true of.

    Args:
        runs: results, with what the row of each is called.
    """
    found: dict[str, list[str]] = {}
    for result, model in runs:
        for warning in result.get("warnings", ()):
            found.setdefault(str(warning), []).append(f"{model} on {result['benchmark']}")
    for warning, labels in found.items():
        more = f" and {count(len(labels) - _NAMED, 'other run')}" if len(labels) > _NAMED else ""
        yield f"{', '.join(labels[:_NAMED])}{more}: WARNING: {warning}"


def _parts(result: Result, brief: bool) -> Iterator[str]:
    if not brief:
        yield from _usual(result, result["scores"])
    counts = result["counts"]
    if unsure := counts["timeout"] + counts["error"]:
        causes = f"{count(counts['timeout'], 'timeout')}, {count(counts['error'], 'error')}"
        yield f"{count(unsure, 'chain')} could not be graded ({causes})"


def _usual(result: Result, scores: Mapping[str, Any]) -> Iterator[str]:
    pass1 = scores.get("pass@1", {})
    sampling, questions = pass1.get("stderr_sampling"), pass1.get("stderr_questions")
    seed = "" if result["seed"] is None else f", seed {result['seed']}"
    yield f"{count(result['problems'], 'problem')} × {count(result['n'], 'chain')}{seed}"
    if sampling is not None and questions == 0:
        yield "the ± is no more than sampling alone explains"
    elif sampling is not None and questions is not None:
        yield f"of the ±, {100 * sampling:.2f} is sampling and {100 * questions:.2f} the choice of problems"
    if "pass@k" in scores and result["n"] > 1:
        yield f"pass@{scores['pass@k']['k']} {value_and_error({**scores['pass@k'], 'stderr': None})}"
    if ties := scores.get("cons@k", {}).get("ties"):
        yield count(ties, "tied vote")


def _other(name: str, score: Mapping[str, Any]) -> str:
    """A score of which the table does not know the unit."""
    error = "" if score["stderr"] is None else f" ± {score['stderr']:.2g}"
    return f"{name} {score['value']:.4g}{error}"


def _stopped_early(result: Result, early: Mapping[str, int]) -> str:
    wanted = result["chains"] + early["chains_saved"]
    text = (
        f"sampling stopped once a majority was decided: {early['chains_saved']:,} of {wanted:,} chains were not "
        f"needed on {count(early['problems'], 'problem')}; cons@n is what all chains would give, pass@1 and the "
        "lengths are estimates from the chains sampled, among which short ones are too many."
    )
    if early["undecided"]:
        unsure = count(early["undecided"], "problem")
        text += f" WARNING: by today's grades {unsure} of these were not decided: cons@n may differ."
    return text


def _foreign(foreign: Mapping[str, Any]) -> str:
    """What the grader that these chains came with says, beside ours."""
    score = "" if foreign.get("score") is None else f" gives {100 * foreign['score']:.2f} and"
    return (
        f"the grader that the chains came with{score} decides otherwise on {foreign['differs']:,} of "
        f"{count(foreign['chains'], 'chain')}."
    )


def _spent(cost: Mapping[str, Any]) -> str:
    """Tokens, engine time and money, as far as they are known."""
    parts = []
    if cost.get("completion_tokens") is not None:
        parts.append(f"{cost['completion_tokens']:,} tokens sampled")
    if cost.get("prompt_tokens") is not None:
        parts.append(f"{cost['prompt_tokens']:,} of prompts")
    if cost.get("engine_seconds") is not None:
        parts.append(f"{cost['engine_seconds']:,.0f} engine seconds")
    if cost.get("device_hours") is not None:
        parts.append(f"{cost['device_hours']:,.3g} device-hours")
    if cost.get("usd") is not None:
        parts.append(f"{money(cost['usd'])} USD")
    return ", ".join(parts)
